//! The verbs of identity: sign in, create tenants and users.

use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::model::{Contact, Membership, Person, Plan, Role, Tenant, TenantView, UserView};
use super::{Caller, Right, store};
use crate::db::schema::{regions, services};
use crate::db::{Connection, Id, Moment, PROVIDER, PersonId, Scope, TenantId};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, FieldError, Problem};
use crate::text;

use diesel::prelude::*;

fn language() -> String {
    "en".to_owned()
}

fn zone() -> String {
    "UTC".to_owned()
}

/// A new tenant.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// Slugs of its regions.
    #[garde(length(min = 1, max = 100), inner(custom(text::slug)))]
    pub regions: Vec<String>,
    /// Slugs of the services it subscribes to.
    #[garde(length(min = 1, max = 500), inner(custom(text::slug)))]
    pub services: Vec<String>,
    /// Its support plan.
    #[serde(default)]
    #[garde(skip)]
    pub plan: Plan,
    /// Its language.
    #[serde(default = "language")]
    #[garde(custom(text::locale))]
    pub locale: String,
    /// Its IANA time zone.
    #[serde(default = "zone")]
    #[garde(custom(text::time_zone))]
    pub time_zone: String,
    /// Who gets its status mail.
    #[serde(default)]
    #[garde(length(max = 1000), dive)]
    pub contacts: Vec<NewContact>,
}

/// A contact of a new tenant; language and zone are the tenant's unless given.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// The address.
    #[garde(custom(text::email))]
    pub email: String,
    /// The name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The language.
    #[serde(default)]
    #[garde(inner(custom(text::locale)))]
    pub locale: Option<String>,
    /// The IANA time zone.
    #[serde(default)]
    #[garde(inner(custom(text::time_zone)))]
    pub time_zone: Option<String>,
}

/// A new user.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The address, which signs in.
    #[garde(custom(text::email))]
    pub email: String,
    /// The name.
    #[garde(custom(text::line::<200>))]
    pub name: String,
    /// The role.
    #[garde(skip)]
    pub role: Role,
    /// The tenant, for the roles of a tenant; not from a tenant's own administrator.
    #[serde(default)]
    #[garde(skip)]
    pub tenant_id: Option<TenantId>,
    /// The password, 12 to 200 characters.
    #[garde(length(chars, min = 12, max = 200), custom(text::line::<200>))]
    pub password: String,
    /// The language.
    #[serde(default = "language")]
    #[garde(custom(text::locale))]
    pub locale: String,
    /// The IANA time zone.
    #[serde(default = "zone")]
    #[garde(custom(text::time_zone))]
    pub time_zone: String,
}

/// Creates a tenant.
pub fn create_tenant(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewTenant,
) -> Result<TenantView, Problem> {
    caller.require(Right::ManageTenants)?;
    let (region_slugs, service_slugs) = (unique(&form.regions), unique(&form.services));
    known_slugs(conn, &region_slugs, &service_slugs)?;
    let now = caller.now();
    let tenant = Tenant {
        id: Id::at(now),
        name: form.name.trim().to_owned(),
        plan: form.plan,
        locale: form.locale.clone(),
        time_zone: form.time_zone.clone(),
        disabled: false,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let contacts = contacts(form, tenant.id, now)?;
    store::create_tenant(conn, &tenant, &region_slugs, &service_slugs, &contacts)?;
    let event = Event::new(
        EventKind::TenantCreated,
        (SubjectKind::Tenant, tenant.id),
        (tenant.id, 1),
        (&caller.actor(), now),
        json!({"name": tenant.name}),
    );
    journal::record(conn, &event, &[])?;
    store::tenant_view(conn, tenant)
}

fn contacts(form: &NewTenant, tenant_id: TenantId, now: Moment) -> Result<Vec<Contact>, Problem> {
    let mut contacts: Vec<Contact> = Vec::new();
    for (place, contact) in form.contacts.iter().enumerate() {
        let email = text::email_address(&contact.email).unwrap_or_default();
        if contacts.iter().any(|other| other.email == email) {
            return Err(Problem::invalid(
                format!("/contacts/{place}/email"),
                "is there twice",
            ));
        }
        contacts.push(Contact {
            tenant_id,
            id: Id::at(now),
            email,
            name: contact.name.trim().to_owned(),
            locale: contact.locale.clone().unwrap_or_else(|| form.locale.clone()),
            time_zone: contact
                .time_zone
                .clone()
                .unwrap_or_else(|| form.time_zone.clone()),
        });
    }
    Ok(contacts)
}

fn unique(slugs: &[String]) -> Vec<String> {
    let mut slugs = slugs.to_vec();
    slugs.sort_unstable();
    slugs.dedup();
    slugs
}

/// 422 with a pointer to each region and service that the catalog does not have.
pub fn known_slugs(
    conn: &mut Connection,
    wanted_regions: &[String],
    wanted_services: &[String],
) -> Result<(), Problem> {
    let known_regions: Vec<String> = regions::table
        .filter(regions::slug.eq_any(wanted_regions.to_vec()))
        .select(regions::slug)
        .load(conn)?;
    let known_services: Vec<String> = services::table
        .filter(services::slug.eq_any(wanted_services.to_vec()))
        .select(services::slug)
        .load(conn)?;
    let unknown = |field: &str, wanted: &[String], known: &[String]| -> Vec<FieldError> {
        let missing = wanted.iter().filter(|slug| !known.contains(slug));
        missing
            .map(|slug| FieldError {
                pointer: format!("/{field}"),
                detail: format!("there is no `{slug}`"),
            })
            .collect()
    };
    let mut errors = unknown("regions", wanted_regions, &known_regions);
    errors.extend(unknown("services", wanted_services, &known_services));
    match errors.first() {
        None => Ok(()),
        Some(first) => {
            let detail = format!("{}: {}", first.pointer, first.detail);
            Err(Problem::new(Code::ValidationFailed, detail).with_errors(errors))
        }
    }
}

/// Creates a user; the hash of the password is computed before the transaction.
pub fn create_user(
    conn: &mut Connection,
    caller: &Caller,
    form: &NewUser,
    password_hash: &str,
) -> Result<UserView, Problem> {
    caller.require(Right::ManageUsers)?;
    let tenant_id = tenant_of_user(conn, caller, form)?;
    let email = text::email_address(&form.email).unwrap_or_default();
    let now = caller.now();
    crate::db::lock::exclusive(conn, crate::db::lock::Key::named(&format!("person {email}")))?;
    if store::person_by_email(conn, &email)?.is_some() {
        return Err(Problem::new(
            Code::AlreadyExists,
            format!("there is somebody with the address {email}"),
        ));
    }
    let person = Person {
        id: Id::at(now),
        email,
        name: form.name.trim().to_owned(),
        password_hash: Some(password_hash.to_owned()),
        locale: form.locale.clone(),
        time_zone: form.time_zone.clone(),
        disabled: false,
        created_at: now,
        updated_at: now,
    };
    let membership = Membership {
        tenant_id,
        person_id: person.id,
        role: form.role,
        created_at: now,
    };
    store::create_person(conn, &person)?;
    store::create_membership(conn, &membership)?;
    let event = Event::new(
        EventKind::UserCreated,
        (SubjectKind::Person, person.id),
        (tenant_id, 1),
        (&caller.actor(), now),
        json!({"email": person.email, "role": form.role}),
    );
    journal::record(conn, &event, &[])?;
    Ok(UserView::of(person, &membership))
}

/// The tenant a new user belongs to; a tenant's administrator makes users of its own tenant only.
fn tenant_of_user(conn: &mut Connection, caller: &Caller, form: &NewUser) -> Result<TenantId, Problem> {
    match (caller.scope(), form.tenant_id, form.role.is_staff()) {
        (Scope::Tenant(_), Some(_), _) => Err(Problem::invalid(
            "/tenant_id",
            "is not for you to name: it is your own",
        )),
        (Scope::Tenant(_), None, true) => {
            Err(Problem::invalid("/role", "must be tenant_admin or tenant_viewer"))
        }
        (Scope::Tenant(own), None, false) => Ok(own),
        (Scope::All, None, true) => Ok(PROVIDER),
        (Scope::All, Some(_), true) => Err(Problem::invalid(
            "/tenant_id",
            "is only for tenant_admin and tenant_viewer",
        )),
        (Scope::All, None, false) => Err(Problem::invalid("/tenant_id", "is needed for this role")),
        (Scope::All, Some(tenant), false) => match store::tenant(conn, tenant)? {
            Some(found) if found.id != PROVIDER => Ok(found.id),
            _ => Err(Problem::invalid("/tenant_id", "there is no such tenant")),
        },
    }
}

/// The person with this address, made as a contact (who gets mail and cannot sign in) if there is none.
pub fn find_or_create_contact(
    conn: &mut Connection,
    (email, name): (&str, &str),
    (locale, time_zone): (&str, &str),
    now: Moment,
) -> Result<PersonId, Problem> {
    crate::db::lock::exclusive(conn, crate::db::lock::Key::named(&format!("person {email}")))?;
    if let Some(person) = store::person_by_email(conn, email)? {
        return Ok(person.id);
    }
    let person = Person {
        id: Id::at(now),
        email: email.to_owned(),
        name: name.trim().to_owned(),
        password_hash: None,
        locale: locale.to_owned(),
        time_zone: time_zone.to_owned(),
        disabled: false,
        created_at: now,
        updated_at: now,
    };
    store::create_person(conn, &person)?;
    Ok(person.id)
}

/// Chooses the membership that somebody signs in with.
pub fn choose_membership(
    memberships: Vec<Membership>,
    wanted: Option<TenantId>,
) -> Result<Membership, Problem> {
    let mut fitting: Vec<_> = memberships
        .into_iter()
        .filter(|membership| wanted.is_none_or(|tenant| membership.tenant_id == tenant))
        .collect();
    match (fitting.len(), fitting.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) => Err(Problem::new(Code::SignInFailed, "e-mail or password is wrong")),
        (_, last) => {
            let tenants: Vec<_> = fitting
                .into_iter()
                .chain(last)
                .map(|membership| membership.tenant_id)
                .collect();
            Err(
                Problem::new(Code::TenantAmbiguous, "name the tenant with tenant_id")
                    .with("tenants", tenants),
            )
        }
    }
}
