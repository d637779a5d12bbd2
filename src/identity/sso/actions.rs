//! The verbs of identity providers: register, change, remove.

use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use utoipa::ToSchema;

use super::model::{IdentityProvider, RoleRule};
use super::store;
use super::wire::Address;
use crate::db::{Connection, Id, IdentityProviderId, Json, PROVIDER, TenantId, lock};
use crate::http::body;
use crate::identity::keys::Secret;
use crate::identity::{Caller, Right, session};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};
use crate::text;

/// A new identity provider.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentityProvider {
    /// Whose people sign in with it; without it the provider's own: staff.
    #[serde(default)]
    #[garde(skip)]
    pub tenant_id: Option<TenantId>,
    /// Its name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The issuer, letter by letter as its tokens name it: an HTTPS address. It cannot be changed.
    #[garde(custom(issuer_name))]
    pub issuer: String,
    /// Who we are there.
    #[garde(custom(text::line::<200>))]
    pub client_id: String,
    /// Our secret there; without it we are a public client.
    #[serde(default)]
    #[garde(inner(custom(text::line::<500>)))]
    pub client_secret: Option<String>,
    /// What is asked for; `openid` is, in any case.
    #[serde(default = "scopes")]
    #[garde(length(max = 20), inner(custom(scope)))]
    pub scopes: Vec<String>,
    /// Whom its access tokens must be for to be taken as bearer tokens; without it none is. Never the client.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub audience: Option<String>,
    /// The claim that names roles: a text, or a list of texts.
    #[serde(default = "role_claim")]
    #[garde(custom(text::line::<200>))]
    pub role_claim: String,
    /// What its values mean; the first that fits counts.
    #[garde(length(min = 1, max = 100), dive)]
    pub roles: Vec<RoleRule>,
    /// The domains of e-mail addresses that it speaks for.
    #[garde(length(min = 1, max = 100), inner(custom(domain)))]
    pub domains: Vec<String>,
    /// Whether nobody comes in by it.
    #[serde(default)]
    #[garde(skip)]
    pub disabled: bool,
}

/// What changes of an identity provider; what is left out stays.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderChange {
    /// Its name.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
    /// Who we are there.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub client_id: Option<String>,
    /// Our secret there; `null` takes it away.
    #[serde(default, deserialize_with = "body::given")]
    #[garde(inner(inner(custom(text::line::<500>))))]
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<Option<String>>,
    /// What is asked for.
    #[serde(default)]
    #[garde(inner(length(max = 20), inner(custom(scope))))]
    pub scopes: Option<Vec<String>>,
    /// Whom its access tokens must be for; `null` refuses them.
    #[serde(default, deserialize_with = "body::given")]
    #[garde(inner(inner(custom(text::line::<200>))))]
    #[schema(value_type = Option<String>)]
    pub audience: Option<Option<String>>,
    /// The claim that names roles.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub role_claim: Option<String>,
    /// What its values mean, all of them.
    #[serde(default)]
    #[garde(length(min = 1, max = 100), dive)]
    pub roles: Option<Vec<RoleRule>>,
    /// All the domains that it speaks for.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 100), inner(custom(domain))))]
    pub domains: Option<Vec<String>>,
    /// Whether nobody comes in by it.
    #[serde(default)]
    #[garde(skip)]
    pub disabled: Option<bool>,
}

fn scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

fn role_claim() -> String {
    "roles".to_owned()
}

/// Whether a text can name an issuer (OpenID Connect Discovery §2): an address without query and fragment.
pub fn is_issuer(value: &str) -> bool {
    let url = Address::parse(value).map(Url::from);
    let fits = url.is_some_and(|url| url.query().is_none() && url.fragment().is_none());
    fits && value.len() <= 500 && text::line::<500>(value, &()).is_ok() && value.trim() == value
}

fn issuer_name(value: &str, _: &()) -> garde::Result {
    if is_issuer(value) {
        Ok(())
    } else {
        Err(garde::Error::new(
            "must be an issuer, such as `https://login.example`, with HTTPS unless it is on this machine",
        ))
    }
}

/// A scope (RFC 6749 §3.3).
fn scope(value: &str, _: &()) -> garde::Result {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    if (1..=100).contains(&value.len()) && value.bytes().all(fits) {
        Ok(())
    } else {
        Err(garde::Error::new("must be a scope, such as `openid`"))
    }
}

/// A domain of e-mail addresses.
fn domain(value: &str, _: &()) -> garde::Result {
    text::email_address(&format!("somebody@{value}"))
        .filter(|_| !value.contains('@') && value.trim() == value)
        .map(|_| ())
        .ok_or_else(|| garde::Error::new("must be a domain, such as `example.com`"))
}

fn lower(domains: &[String]) -> Json {
    let mut domains: Vec<String> = domains.iter().map(|domain| domain.to_lowercase()).collect();
    domains.sort_unstable();
    domains.dedup();
    Json::of(domains)
}

fn with_openid(scopes: &[String]) -> Json {
    let others = scopes
        .iter()
        .map(String::as_str)
        .filter(|scope| *scope != "openid");
    Json::of(std::iter::once("openid").chain(others).collect::<Vec<_>>())
}

/// What registering stands on, besides the database: the seal, and who we are as an issuer ourselves.
pub struct Ours<'a> {
    /// Seals secrets.
    pub seal: &'a Secret,
    /// Our own name as an issuer.
    pub issuer: &'a str,
}

/// Registers a provider.
pub fn register(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewIdentityProvider,
    ours: &Ours<'_>,
) -> Result<IdentityProvider, Problem> {
    caller.require(Right::ManageIdentityProviders)?;
    let tenant_id = tenant_for(conn, form.tenant_id)?;
    if form.issuer == ours.issuer {
        return Err(Problem::invalid("/issuer", "is this installation itself"));
    }
    let now = caller.now();
    let mut provider = IdentityProvider {
        tenant_id,
        id: Id::at(now),
        name: form.name.trim().to_owned(),
        issuer: form.issuer.clone(),
        client_id: form.client_id.clone(),
        sealed_secret: None,
        scopes: with_openid(&form.scopes),
        audience: form.audience.clone(),
        role_claim: form.role_claim.clone(),
        roles: Json::of(&form.roles),
        domains: lower(&form.domains),
        disabled: form.disabled,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    provider.keep_secret(form.client_secret.as_deref(), ours.seal)?;
    allowed(conn, &provider)?;
    store::create(conn, &provider)?;
    let data = json!({"to": described(&provider)});
    note(
        conn,
        caller,
        (EventKind::IdentityProviderCreated, &provider),
        data,
    )?;
    Ok(provider)
}

fn tenant_for(conn: &mut Connection, named: Option<TenantId>) -> Result<TenantId, Problem> {
    let Some(tenant) = named else {
        return Ok(PROVIDER);
    };
    let found = crate::identity::store::tenant(conn, tenant)?.filter(|found| found.id != PROVIDER);
    let known = found.ok_or_else(|| Problem::invalid("/tenant_id", "there is no such tenant"))?;
    Ok(known.id)
}

/// Its roles are of its side, and no token can be of two providers, nor be taken for another kind of token.
fn allowed(conn: &mut Connection, provider: &IdentityProvider) -> Result<(), Problem> {
    let is_staff = provider.tenant_id == PROVIDER;
    let wrong = provider
        .roles()
        .iter()
        .position(|rule| rule.role.is_staff() != is_staff);
    if let Some(place) = wrong {
        let side = if is_staff { "staff" } else { "a tenant" };
        return Err(Problem::invalid(
            format!("/roles/{place}/role"),
            format!("must be a role of {side}"),
        ));
    }
    if provider.audience.as_ref() == Some(&provider.client_id) {
        return Err(Problem::invalid(
            "/audience",
            "must not be the client: an ID token is no access token",
        ));
    }
    // Two at once are not to overlook each other.
    lock::exclusive(conn, lock::Key::named("identity providers"))?;
    let names = |of: &IdentityProvider| [Some(of.client_id.clone()), of.audience.clone()];
    let own: Vec<String> = names(provider).into_iter().flatten().collect();
    let others = store::of_issuer(conn, &provider.issuer)?;
    let others = others.iter().filter(|other| other.id != provider.id);
    let mut taken = others.flat_map(names).flatten().filter(|name| own.contains(name));
    match taken.next() {
        Some(name) => Err(Problem::new(
            Code::AlreadyExists,
            format!("another provider has this issuer with the client or audience {name}"),
        )),
        None => Ok(()),
    }
}

/// The provider of this id.
pub fn visible(
    conn: &mut Connection,
    caller: &Caller,
    id: IdentityProviderId,
) -> Result<IdentityProvider, Problem> {
    caller.require(Right::ManageIdentityProviders)?;
    store::find(conn, id)?.ok_or_else(|| Problem::not_found("identity provider"))
}

/// The same to be changed: nobody else changes it, and it is as the caller has seen it.
fn taken(
    conn: &mut Connection,
    caller: &Caller,
    id: IdentityProviderId,
) -> Result<IdentityProvider, Problem> {
    lock::exclusive(conn, lock::Key::of(id))?;
    let found = visible(conn, caller, id)?;
    let standing = if found.disabled { "disabled" } else { "active" };
    caller.if_match.require(found.version, standing)?;
    Ok(found)
}

/// Changes a provider; who signed in with one that is disabled is out.
pub fn change(
    conn: &mut Connection,
    caller: &Caller,
    id: IdentityProviderId,
    form: &IdentityProviderChange,
    seal: &Secret,
) -> Result<IdentityProvider, Problem> {
    let before = taken(conn, caller, id)?;
    let now = caller.now();
    let mut provider = form.applied_to(before.clone());
    if let Some(secret) = &form.client_secret {
        provider.keep_secret(secret.as_deref(), seal)?;
    }
    provider.version = before.version.saturating_add(1);
    provider.updated_at = now;
    allowed(conn, &provider)?;
    store::save(conn, &provider, before.version)?;
    if provider.disabled && !before.disabled {
        session::store::end_of_provider(conn, provider.tenant_id, id, now)?;
    }
    let mut data = journal::changes(described(&before), described(&provider));
    if let (true, Some(data)) = (form.client_secret.is_some(), data.as_object_mut()) {
        data.insert("client_secret_changed".to_owned(), json!(true));
    }
    note(
        conn,
        caller,
        (EventKind::IdentityProviderChanged, &provider),
        data,
    )?;
    Ok(provider)
}

impl IdentityProviderChange {
    /// All but the secret.
    fn applied_to(&self, before: IdentityProvider) -> IdentityProvider {
        let trimmed = |name: &String| name.trim().to_owned();
        IdentityProvider {
            name: self.name.as_ref().map_or(before.name, trimmed),
            client_id: self.client_id.clone().unwrap_or(before.client_id),
            scopes: self.scopes.as_deref().map_or(before.scopes, with_openid),
            audience: self.audience.clone().unwrap_or(before.audience),
            role_claim: self.role_claim.clone().unwrap_or(before.role_claim),
            roles: self.roles.as_ref().map_or(before.roles, Json::of),
            domains: self.domains.as_deref().map_or(before.domains, lower),
            disabled: self.disabled.unwrap_or(before.disabled),
            ..before
        }
    }
}

/// Removes a provider; who signed in with it is out, and who was made by it has no way in any more.
pub fn remove(conn: &mut Connection, caller: &Caller, id: IdentityProviderId) -> Result<(), Problem> {
    let provider = taken(conn, caller, id)?;
    session::store::end_of_provider(conn, provider.tenant_id, id, caller.now())?;
    store::remove(conn, &provider, caller.now())?;
    let data = json!({"from": described(&provider)});
    note(
        conn,
        caller,
        (EventKind::IdentityProviderRemoved, &provider),
        data,
    )
}

fn described(provider: &IdentityProvider) -> Value {
    json!({
        "name": provider.name, "issuer": provider.issuer, "client_id": provider.client_id,
        "scopes": provider.scopes.0, "audience": provider.audience, "role_claim": provider.role_claim,
        "roles": provider.roles.0, "domains": provider.domains.0, "disabled": provider.disabled,
    })
}

fn note(
    conn: &mut Connection,
    caller: &Caller,
    (kind, provider): (EventKind, &IdentityProvider),
    data: Value,
) -> Result<(), Problem> {
    let subject = (SubjectKind::IdentityProvider, provider.id);
    let event = Event::next(
        kind,
        subject,
        provider.tenant_id,
        (&caller.actor(), caller.now()),
        data,
    );
    journal::append(conn, event, &[])
}
