//! Tenants, people and what they are to one another. Sign-in is in `tokens.rs`, what they may do in `rights.rs`.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::contacts::ContactView;
use crate::db::schema::{memberships, people, tenants};
use crate::db::{Id, Json, Moment, PROVIDER, PersonId, TenantId, text_enum};
use crate::journal::{Reader, Side};

text_enum! {
    /// What somebody is at a tenant, or at the provider.
    Role {
        /// Files and manages requests, users and preferences of its tenant.
        TenantAdmin = "tenant_admin",
        /// Reads what its tenant has.
        TenantViewer = "tenant_viewer",
        /// Works requests.
        Agent = "agent",
        /// An agent who also runs queues, schedules and rules.
        Lead = "lead",
        /// Opens, updates and ends incidents.
        IncidentManager = "incident_manager",
        /// Everything.
        Operator = "operator",
    }
}

impl Role {
    /// Whether the role is one of the provider's.
    pub fn is_staff(self) -> bool {
        !matches!(self, Self::TenantAdmin | Self::TenantViewer)
    }

    /// The side that the role acts on.
    pub fn side(self) -> Side {
        if self.is_staff() {
            Side::Staff
        } else {
            Side::Tenant
        }
    }
}

/// The side of whoever acts at this tenant.
pub fn side_of(tenant: TenantId) -> Side {
    if tenant == PROVIDER {
        Side::Staff
    } else {
        Side::Tenant
    }
}

text_enum! {
    /// The support plan of a tenant.
    #[derive(Default)]
    Plan {
        /// The usual one.
        #[default]
        Standard = "standard",
        /// The faster one.
        Premium = "premium",
    }
}

/// A customer organisation, or the provider.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = tenants)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Its support plan.
    pub plan: Plan,
    /// Its language.
    pub locale: String,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Whether nobody of it may sign in.
    pub disabled: bool,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// Somebody. Without a password: a contact, who gets mail and cannot sign in.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = people, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Person {
    /// The id.
    pub id: PersonId,
    /// The address, in lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password_hash: Option<String>,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
    /// Whether signing in is off.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
    /// Whether the password is of whoever reads the mail of the address, or of an operator's making.
    pub confirmed: bool,
}

impl Person {
    /// Somebody without a password.
    pub fn new(email: String, name: &str, (locale, time_zone): (&str, &str), now: Moment) -> Self {
        Self {
            id: Id::at(now),
            email,
            name: name.trim().to_owned(),
            password_hash: None,
            locale: locale.to_owned(),
            time_zone: time_zone.to_owned(),
            disabled: false,
            created_at: now,
            updated_at: now,
            confirmed: false,
        }
    }

    /// Whether there is an account that its owner has: who was only given a password by somebody has none yet.
    pub fn has_account(&self) -> bool {
        self.password_hash.is_some() && self.confirmed
    }
}

/// What a person is at a tenant.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = memberships, primary_key(tenant_id, person_id), treat_none_as_null = true)]
pub struct Membership {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The person.
    pub person_id: PersonId,
    /// The role there.
    pub role: Role,
    /// Since when.
    pub created_at: Moment,
    /// Whether the person may no longer act there.
    pub disabled: bool,
    /// Whether the person has agreed; who has an account already is asked.
    pub accepted: bool,
    /// Counts changes of the user.
    pub version: i32,
    /// When the user last changed.
    pub updated_at: Moment,
    /// Whether an identity provider vouches for the person, who then needs no password.
    pub federated: bool,
    /// Whether the person comes here with a password.
    pub by_password: bool,
    /// What was said of somebody who has not agreed yet: an [`InvitedAs`].
    pub invited_as: Option<Json>,
}

/// Name, language and time zone that an invitation was sent with: until it is accepted a tenant knows no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvitedAs {
    /// The name.
    pub name: String,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
}

impl Membership {
    /// A new one.
    pub fn new(tenant_id: TenantId, person_id: PersonId, role: Role, now: Moment) -> Self {
        Self {
            tenant_id,
            person_id,
            role,
            created_at: now,
            disabled: false,
            accepted: true,
            version: 1,
            updated_at: now,
            federated: false,
            by_password: true,
            invited_as: None,
        }
    }

    /// Who has to act on this change: of the provider's people, whoever counts on them in a queue.
    pub fn readers_since(&self, before: &Self) -> &'static [Reader] {
        let as_before = self.role == before.role && self.disabled == before.disabled;
        if as_before || self.tenant_id != PROVIDER {
            &[]
        } else {
            &[Reader::Queues]
        }
    }

    /// What its tenant knows of the person: what the account says, and before somebody agrees what the invitation says.
    pub fn known(&self, person: &Person) -> InvitedAs {
        let invited = self.invited_as.as_ref().filter(|_| !self.accepted);
        let said = invited.and_then(|said| serde_json::from_value(said.0.clone()).ok());
        said.unwrap_or_else(|| InvitedAs {
            name: if self.accepted {
                person.name.clone()
            } else {
                person.email.clone()
            },
            locale: person.locale.clone(),
            time_zone: person.time_zone.clone(),
        })
    }
}

/// A tenant with what it has, as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TenantView {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Slugs of its regions.
    pub regions: Vec<String>,
    /// Slugs of the services it subscribes to.
    pub services: Vec<String>,
    /// Its support plan.
    pub plan: Plan,
    /// Its language.
    pub locale: String,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Who gets its status mail.
    pub contacts: Vec<ContactView>,
    /// Whether its people and keys are kept out.
    pub disabled: bool,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// A user, as clients see it: a person as a member.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserView {
    /// The id.
    pub id: PersonId,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// The role at `tenant_id`.
    pub role: Role,
    /// The tenant; `null` for staff.
    pub tenant_id: Option<TenantId>,
    /// `invited` until the invitation is accepted, then `active`, or `disabled`.
    pub status: &'static str,
    /// The language.
    pub locale: String,
    /// The IANA time zone.
    pub time_zone: String,
    /// Counts changes.
    pub version: i32,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

impl UserView {
    /// A person as a member.
    pub fn of(person: Person, membership: &Membership) -> Self {
        let InvitedAs {
            name,
            locale,
            time_zone,
        } = membership.known(&person);
        // When an account changed is its owner's to know.
        let updated_at = if membership.accepted {
            membership.updated_at.max(person.updated_at)
        } else {
            membership.updated_at
        };
        Self {
            status: Self::standing(&person, membership),
            id: person.id,
            name,
            email: person.email,
            role: membership.role,
            tenant_id: (!membership.role.is_staff()).then_some(membership.tenant_id),
            locale,
            time_zone,
            version: membership.version,
            created_at: membership.created_at,
            updated_at,
        }
    }

    /// Whether somebody can sign in.
    pub fn standing(person: &Person, membership: &Membership) -> &'static str {
        if person.disabled || membership.disabled {
            "disabled"
        } else if membership.accepted && (membership.federated || person.password_hash.is_some()) {
            "active"
        } else {
            "invited"
        }
    }
}
