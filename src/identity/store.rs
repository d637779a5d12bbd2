//! Queries over tenants, people and memberships.

use diesel::prelude::*;

use super::contacts::{self, Contact, ContactView};
use super::model::{Membership, Person, Role, Tenant, TenantView};
use crate::db::schema::{api_keys, memberships, people, sessions, tenant_regions, tenant_services, tenants};
use crate::db::{Connection, PROVIDER, PersonId, SessionId, TenantId, on_each, widely};
use crate::problem::Problem;

/// Role and name of a person at a tenant, if account, membership and tenant are in good standing, and the session, if
/// one is named, goes on.
pub fn standing(
    conn: &mut Connection,
    person: PersonId,
    tenant: TenantId,
    session: Option<SessionId>,
) -> Result<Option<(Role, String)>, Problem> {
    macro_rules! good {
        () => {
            memberships::table
                .inner_join(people::table.on(people::id.eq(memberships::person_id)))
                .inner_join(tenants::table.on(tenants::id.eq(memberships::tenant_id)))
                .filter(memberships::tenant_id.eq(tenant))
                .filter(memberships::person_id.eq(person))
                .filter(memberships::disabled.eq(false))
                .filter(memberships::accepted.eq(true))
                .filter(people::disabled.eq(false))
                .filter(tenants::disabled.eq(false))
                .select((memberships::role, people::name))
        };
    }
    let found = match session {
        None => on_each!(conn, conn => good!().first(conn)),
        Some(session) => {
            let goes_on = sessions::table
                .find((tenant, session))
                .filter(sessions::person_id.eq(person))
                .filter(sessions::ended_at.is_null());
            on_each!(conn, conn => good!().filter(diesel::dsl::exists(goes_on)).first(conn))
        }
    };
    Ok(found.optional()?)
}

/// The tenant of this id.
pub fn tenant(conn: &mut Connection, id: TenantId) -> Result<Option<Tenant>, Problem> {
    Ok(on_each!(conn, conn => tenants::table.find(id).select(Tenant::as_select()).first(conn)).optional()?)
}

/// Tenants after `after`, newest last; never the provider.
pub fn tenants(conn: &mut Connection, after: Option<TenantId>, limit: i64) -> Result<Vec<Tenant>, Problem> {
    let mut query = tenants::table
        .filter(tenants::id.ne(crate::db::PROVIDER))
        .order(tenants::id)
        .limit(limit)
        .select(Tenant::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(tenants::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// The names of tenants.
pub fn tenant_names(conn: &mut Connection, ids: &[TenantId]) -> Result<Vec<(TenantId, String)>, Problem> {
    let named = tenants::table.filter(tenants::id.eq_any(ids.to_vec()));
    Ok(named.select((tenants::id, tenants::name)).load(conn)?)
}

/// The services a tenant subscribes to.
pub fn services_of(conn: &mut Connection, id: TenantId) -> Result<Vec<String>, Problem> {
    Ok(tenant_services::table
        .filter(tenant_services::tenant_id.eq(id))
        .order(tenant_services::service)
        .select(tenant_services::service)
        .load(conn)?)
}

/// The regions a tenant is in.
pub fn regions_of(conn: &mut Connection, id: TenantId) -> Result<Vec<String>, Problem> {
    Ok(tenant_regions::table
        .filter(tenant_regions::tenant_id.eq(id))
        .order(tenant_regions::region)
        .select(tenant_regions::region)
        .load(conn)?)
}

/// A tenant with what it has.
pub fn tenant_view(conn: &mut Connection, tenant: Tenant) -> Result<TenantView, Problem> {
    let contacts = contacts::of(conn, tenant.id)?.into_iter();
    Ok(TenantView {
        regions: regions_of(conn, tenant.id)?,
        services: services_of(conn, tenant.id)?,
        contacts: contacts.map(ContactView::from).collect(),
        id: tenant.id,
        name: tenant.name,
        plan: tenant.plan,
        locale: tenant.locale,
        time_zone: tenant.time_zone,
        disabled: tenant.disabled,
        version: tenant.version,
        created_at: tenant.created_at,
        updated_at: tenant.updated_at,
    })
}

/// The person of this id.
pub fn person(conn: &mut Connection, id: PersonId) -> Result<Option<Person>, Problem> {
    Ok(on_each!(conn, conn => people::table.find(id).select(Person::as_select()).first(conn)).optional()?)
}

/// Name and address of people, by id.
pub fn names(conn: &mut Connection, ids: &[PersonId]) -> Result<Vec<(PersonId, String, String)>, Problem> {
    Ok(people::table
        .filter(people::id.eq_any(ids.to_vec()))
        .select((people::id, people::name, people::email))
        .load(conn)?)
}

/// The person with this (normalised) address.
pub fn person_by_email(conn: &mut Connection, email: &str) -> Result<Option<Person>, Problem> {
    Ok(people::table
        .filter(people::email.eq(email))
        .select(Person::as_select())
        .first(conn)
        .optional()?)
}

/// A person's memberships of tenants in good standing.
pub fn memberships_of(conn: &mut Connection, person: PersonId) -> Result<Vec<Membership>, Problem> {
    Ok(memberships::table
        .inner_join(tenants::table.on(tenants::id.eq(memberships::tenant_id)))
        .filter(memberships::person_id.eq(person))
        .filter(memberships::disabled.eq(false))
        .filter(memberships::accepted.eq(true))
        .filter(tenants::disabled.eq(false))
        .order(memberships::tenant_id)
        .select(Membership::as_select())
        .load(conn)?)
}

/// Those of them that the person comes to with a password.
pub fn memberships_by_password(conn: &mut Connection, person: PersonId) -> Result<Vec<Membership>, Problem> {
    let mut memberships = memberships_of(conn, person)?;
    memberships.retain(|membership| membership.by_password);
    Ok(memberships)
}

/// Memberships with their people, without those that are keys.
macro_rules! users {
    () => {
        memberships::table
            .inner_join(people::table.on(people::id.eq(memberships::person_id)))
            .left_join(
                api_keys::table.on(api_keys::tenant_id
                    .eq(memberships::tenant_id)
                    .and(api_keys::id.eq(memberships::person_id))),
            )
            .filter(api_keys::id.is_null())
            .select((Person::as_select(), Membership::as_select()))
    };
}

/// Members after `after`, of one tenant or of all.
pub fn members(
    conn: &mut Connection,
    tenant: Option<TenantId>,
    after: Option<(PersonId, TenantId)>,
    limit: i64,
) -> Result<Vec<(Person, Membership)>, Problem> {
    let mut query = users!()
        .order((memberships::person_id, memberships::tenant_id))
        .limit(limit)
        .into_boxed();
    if let Some(tenant) = tenant {
        query = query.filter(memberships::tenant_id.eq(tenant));
    }
    if let Some((person, tenant)) = after {
        query = query.filter(
            memberships::person_id.gt(person).or(memberships::person_id
                .eq(person)
                .and(memberships::tenant_id.gt(tenant))),
        );
    }
    Ok(query.load(conn)?)
}

/// What somebody is at one tenant, or everywhere; never a key.
pub fn users_of(
    conn: &mut Connection,
    person: PersonId,
    tenant: Option<TenantId>,
) -> Result<Vec<(Person, Membership)>, Problem> {
    let mut query = users!()
        .filter(memberships::person_id.eq(person))
        .order(memberships::tenant_id)
        .into_boxed();
    if let Some(tenant) = tenant {
        query = query.filter(memberships::tenant_id.eq(tenant));
    }
    Ok(query.load(conn)?)
}

/// Who is staff in one of these roles and may sign in; never a key.
pub fn staff(conn: &mut Connection, roles: &[Role]) -> Result<Vec<Person>, Problem> {
    let rows: Vec<(Person, Membership)> = users!()
        .filter(memberships::tenant_id.eq(PROVIDER))
        .filter(memberships::role.eq_any(roles.to_vec()))
        .filter(memberships::disabled.eq(false))
        .filter(people::disabled.eq(false))
        .order(people::id)
        .load(conn)?;
    Ok(rows.into_iter().map(|(person, _)| person).collect())
}

/// Those who run a tenant, and can.
pub fn admins(conn: &mut Connection, tenant: TenantId) -> Result<Vec<Person>, Problem> {
    let rows: Vec<(Person, Membership)> = users!()
        .filter(memberships::tenant_id.eq(tenant))
        .filter(memberships::role.eq(Role::TenantAdmin))
        .filter(memberships::disabled.eq(false))
        .filter(memberships::accepted.eq(true))
        .filter(people::disabled.eq(false))
        .order(people::id)
        .load(conn)?;
    Ok(rows.into_iter().map(|(person, _)| person).collect())
}

/// One membership.
pub fn membership(
    conn: &mut Connection,
    tenant: TenantId,
    person: PersonId,
) -> Result<Option<Membership>, Problem> {
    Ok(memberships::table
        .find((tenant, person))
        .select(Membership::as_select())
        .first(conn)
        .optional()?)
}

/// Whether a person, or a key, is a member anywhere that can be seen.
pub fn is_member(conn: &mut Connection, person: PersonId) -> Result<bool, Problem> {
    let found = memberships::table
        .filter(memberships::person_id.eq(person))
        .select(memberships::tenant_id);
    Ok(found.first::<TenantId>(conn).optional()?.is_some())
}

/// Those of these people who can work now: the provider's agents, leads and operators in good standing. A customer's
/// call asks it too, when it answers an agent, and the provider's memberships are not its own to see.
pub fn workers_among(conn: &mut Connection, wanted: &[PersonId]) -> Result<Vec<PersonId>, Problem> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    widely(conn, |conn| {
        Ok(on_each!(conn, conn => memberships::table
            .inner_join(people::table.on(people::id.eq(memberships::person_id)))
            .filter(memberships::tenant_id.eq(PROVIDER))
            .filter(memberships::person_id.eq_any(wanted))
            .filter(memberships::role.eq_any([Role::Agent, Role::Lead, Role::Operator]))
            .filter(memberships::disabled.eq(false))
            .filter(people::disabled.eq(false))
            .select(memberships::person_id)
            .load(conn))?)
    })
}

/// Whether the person of this id is a member of the tenant.
pub fn is_user_of(conn: &mut Connection, tenant: TenantId, id: &str) -> Result<bool, Problem> {
    match id.parse() {
        Ok(person) => Ok(membership(conn, tenant, person)?.is_some()),
        Err(_) => Ok(false),
    }
}

/// Whether the id is the tenant's own.
pub fn is_itself(_: &mut Connection, tenant: TenantId, id: &str) -> Result<bool, Problem> {
    Ok(id.parse() == Ok(tenant))
}

/// How many operators besides this person could sign in with a password.
pub fn other_operators(conn: &mut Connection, person: PersonId) -> Result<i64, Problem> {
    Ok(memberships::table
        .inner_join(people::table.on(people::id.eq(memberships::person_id)))
        .filter(memberships::role.eq(Role::Operator))
        .filter(memberships::person_id.ne(person))
        .filter(memberships::disabled.eq(false))
        .filter(people::disabled.eq(false))
        .filter(people::password_hash.is_not_null())
        .count()
        .get_result(conn)?)
}

/// Saves a person; whoever calls holds the lock on it.
pub fn save_person(conn: &mut Connection, person: &Person) -> Result<(), Problem> {
    diesel::update(people::table.find(person.id))
        .set(person)
        .execute(conn)?;
    Ok(())
}

/// Saves the hash of an unchanged password, unless the password was changed meanwhile.
pub fn rehash(conn: &mut Connection, person: &Person, hash: &str) -> Result<(), Problem> {
    let row = people::table
        .find(person.id)
        .filter(people::password_hash.eq(person.password_hash.clone()));
    diesel::update(row)
        .set(people::password_hash.eq(Some(hash)))
        .execute(conn)?;
    Ok(())
}

/// Saves a membership, guarded by the version it was loaded at.
pub fn save_membership(conn: &mut Connection, membership: &Membership, loaded: i32) -> Result<(), Problem> {
    let row = memberships::table
        .find((membership.tenant_id, membership.person_id))
        .filter(memberships::version.eq(loaded));
    match diesel::update(row).set(membership).execute(conn)? {
        1 => Ok(()),
        _ => Err(Problem::lost_race()),
    }
}

/// Saves a tenant, guarded by the version it was loaded at.
pub fn save_tenant(conn: &mut Connection, tenant: &Tenant, loaded: i32) -> Result<(), Problem> {
    let row = tenants::table.find(tenant.id).filter(tenants::version.eq(loaded));
    match diesel::update(row).set(tenant).execute(conn)? {
        1 => Ok(()),
        _ => Err(Problem::lost_race()),
    }
}

/// Replaces the regions of a tenant.
pub fn replace_regions(conn: &mut Connection, tenant: TenantId, regions: &[String]) -> Result<(), Problem> {
    diesel::delete(tenant_regions::table.filter(tenant_regions::tenant_id.eq(tenant))).execute(conn)?;
    for region in regions {
        let row = (
            tenant_regions::tenant_id.eq(tenant),
            tenant_regions::region.eq(region),
        );
        diesel::insert_into(tenant_regions::table)
            .values(row)
            .execute(conn)?;
    }
    Ok(())
}

/// Replaces the services that a tenant subscribes to.
pub fn replace_services(conn: &mut Connection, tenant: TenantId, services: &[String]) -> Result<(), Problem> {
    diesel::delete(tenant_services::table.filter(tenant_services::tenant_id.eq(tenant))).execute(conn)?;
    for service in services {
        let row = (
            tenant_services::tenant_id.eq(tenant),
            tenant_services::service.eq(service),
        );
        diesel::insert_into(tenant_services::table)
            .values(row)
            .execute(conn)?;
    }
    Ok(())
}

/// Adds a person.
pub fn create_person(conn: &mut Connection, person: &Person) -> Result<(), Problem> {
    diesel::insert_into(people::table).values(person).execute(conn)?;
    Ok(())
}

/// Adds a membership.
pub fn create_membership(conn: &mut Connection, membership: &Membership) -> Result<(), Problem> {
    diesel::insert_into(memberships::table)
        .values(membership)
        .execute(conn)?;
    Ok(())
}

/// Adds a tenant with its regions, services and contacts.
pub fn create_tenant(
    conn: &mut Connection,
    tenant: &Tenant,
    regions: &[String],
    services: &[String],
    named: &[Contact],
) -> Result<(), Problem> {
    diesel::insert_into(tenants::table).values(tenant).execute(conn)?;
    replace_regions(conn, tenant.id, regions)?;
    replace_services(conn, tenant.id, services)?;
    contacts::add(conn, named)
}
