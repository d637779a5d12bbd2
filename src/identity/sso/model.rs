//! Identity providers as they are kept and shown, and who their subjects are here.

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::schema::{external_identities, identity_providers};
use crate::db::{IdentityProviderId, Json, Moment, PROVIDER, PersonId, TenantId};
use crate::identity::keys::Secret;
use crate::identity::model::Role;
use crate::problem::Problem;
use crate::text;

/// An OpenID Connect issuer with what it is trusted to say: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = identity_providers, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct IdentityProvider {
    /// Where its people act: a tenant, or the provider for staff.
    pub tenant_id: TenantId,
    /// The id.
    pub id: IdentityProviderId,
    /// The name.
    pub name: String,
    /// The issuer, letter by letter as its tokens name it.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// Our secret there, sealed; none for a public client.
    pub sealed_secret: Option<String>,
    /// What is asked for.
    pub scopes: Json,
    /// Whom its access tokens must be for to be bearer tokens here; without it none is.
    pub audience: Option<String>,
    /// The claim that names roles.
    pub role_claim: String,
    /// What its values mean here.
    pub roles: Json,
    /// The domains of e-mail addresses that it speaks for.
    pub domains: Json,
    /// Whether nobody comes in by it.
    pub disabled: bool,
    /// Counts changes.
    pub version: i32,
    /// When it was registered.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// What a value of the claim with roles means here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// The value.
    #[garde(custom(text::line::<200>))]
    pub value: String,
    /// The role.
    #[garde(skip)]
    pub role: Role,
}

impl IdentityProvider {
    /// What is asked for.
    pub fn scopes(&self) -> Vec<String> {
        serde_json::from_value(self.scopes.0.clone()).unwrap_or_default()
    }

    /// What the values of the claim mean; the first that fits counts.
    pub fn roles(&self) -> Vec<RoleRule> {
        serde_json::from_value(self.roles.0.clone()).unwrap_or_default()
    }

    /// The domains that it speaks for.
    pub fn domains(&self) -> Vec<String> {
        serde_json::from_value(self.domains.0.clone()).unwrap_or_default()
    }

    /// Our secret there.
    pub fn secret(&self, seal: &Secret) -> Result<Option<String>, Problem> {
        let Some(sealed) = &self.sealed_secret else {
            return Ok(None);
        };
        let plain = seal.open(&sealed_for(self.id), sealed)?;
        String::from_utf8(plain).map(Some).map_err(Problem::internal)
    }

    /// Keeps our secret there.
    pub fn keep_secret(&mut self, secret: Option<&str>, seal: &Secret) -> Result<(), Problem> {
        let sealed = secret.map(|secret| seal.seal(&sealed_for(self.id), secret.as_bytes()));
        self.sealed_secret = sealed.transpose()?;
        Ok(())
    }
}

fn sealed_for(id: IdentityProviderId) -> String {
    format!("client secret {id}")
}

/// Who a subject of an issuer is here: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = external_identities)]
pub struct ExternalIdentity {
    /// Where.
    pub tenant_id: TenantId,
    /// By which provider.
    pub provider_id: IdentityProviderId,
    /// The name that the issuer has for the person, for ever the same (OpenID Connect Core §2, `sub`).
    pub subject: String,
    /// The person.
    pub person_id: PersonId,
    /// Since when.
    pub created_at: Moment,
}

/// An identity provider, as operators see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityProviderView {
    /// The id.
    pub id: IdentityProviderId,
    /// Whose people sign in with it; `null` for staff.
    tenant_id: Option<TenantId>,
    /// The name.
    name: String,
    /// The issuer.
    issuer: String,
    /// Who we are there.
    client_id: String,
    /// Whether we have a secret there, which is never shown.
    has_client_secret: bool,
    /// What is asked for.
    scopes: Vec<String>,
    /// Whom its access tokens must be for to be taken as bearer tokens; without it none is.
    audience: Option<String>,
    /// The claim that names roles.
    role_claim: String,
    /// What its values mean; the first that fits counts.
    roles: Vec<RoleRule>,
    /// The domains of e-mail addresses that it speaks for.
    domains: Vec<String>,
    /// Whether nobody comes in by it.
    disabled: bool,
    /// Counts changes.
    pub version: i32,
    /// When it was registered.
    created_at: Moment,
    /// When it last changed.
    updated_at: Moment,
}

impl From<IdentityProvider> for IdentityProviderView {
    fn from(provider: IdentityProvider) -> Self {
        Self {
            scopes: provider.scopes(),
            roles: provider.roles(),
            domains: provider.domains(),
            id: provider.id,
            tenant_id: (provider.tenant_id != PROVIDER).then_some(provider.tenant_id),
            name: provider.name,
            issuer: provider.issuer,
            client_id: provider.client_id,
            has_client_secret: provider.sealed_secret.is_some(),
            audience: provider.audience,
            role_claim: provider.role_claim,
            disabled: provider.disabled,
            version: provider.version,
            created_at: provider.created_at,
            updated_at: provider.updated_at,
        }
    }
}
