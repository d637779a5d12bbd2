//! Queries over preferences and subscriptions, and who of the subscribers hears of an incident.

use std::collections::{HashMap, HashSet};

use diesel::dsl::exists;
use diesel::prelude::*;

use super::model::{Place as Where, Preferences, Subscription};
use super::wishes::Wishes;
use crate::db::schema::{
    incident_regions, incident_services, memberships, notification_preferences, people, regions,
    service_requests, services, subscriptions, tenant_contacts, told,
};
use crate::db::{
    Connection, ContactId, IncidentId, Moment, PROVIDER, PersonId, TenantId, Uuid, on_each, pair,
};
use crate::identity::Contact;
use crate::incidents::affects;
use crate::mail::{Broadcast, Recipient, duplicates};
use crate::notify::reached::reached;
use crate::problem::Problem;

/// Whose preferences.
pub type Whose = (TenantId, PersonId);

/// The preferences of somebody; those of whoever has said nothing if there are none.
pub fn preferences(
    conn: &mut Connection,
    (tenant, person): Whose,
    now: Moment,
) -> Result<Preferences, Problem> {
    let found = notification_preferences::table
        .find((tenant, person))
        .select(Preferences::as_select())
        .first(conn)
        .optional()?;
    Ok(found.unwrap_or_else(|| Preferences::unsaid(tenant, person, now)))
}

/// Saves preferences, guarded by the version they were loaded at; the first time they are added.
pub fn save(conn: &mut Connection, preferences: &Preferences, loaded: i32) -> Result<(), Problem> {
    if loaded == 0 {
        diesel::insert_into(notification_preferences::table)
            .values(preferences)
            .execute(conn)?;
        return Ok(());
    }
    let row = notification_preferences::table
        .filter(notification_preferences::tenant_id.eq(preferences.tenant_id))
        .filter(notification_preferences::person_id.eq(preferences.person_id))
        .filter(notification_preferences::version.eq(loaded));
    if diesel::update(row).set(preferences).execute(conn)? == 1 {
        Ok(())
    } else {
        Err(Problem::lost_race())
    }
}

/// What somebody subscribes to, in the order it was said.
pub fn of(conn: &mut Connection, (tenant, person): Whose) -> Result<Vec<Subscription>, Problem> {
    Ok(subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant))
        .filter(subscriptions::person_id.eq(person))
        .order(subscriptions::id)
        .select(Subscription::as_select())
        .load(conn)?)
}

/// Adds subscriptions.
pub fn add(conn: &mut Connection, rows: &[Subscription]) -> Result<(), Problem> {
    on_each!(conn, conn => diesel::insert_into(subscriptions::table).values(rows).execute(conn))?;
    Ok(())
}

/// Takes away what somebody subscribes to by service and region.
pub fn remove_places(conn: &mut Connection, (tenant, person): Whose) -> Result<(), Problem> {
    let rows = subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant))
        .filter(subscriptions::person_id.eq(person))
        .filter(subscriptions::incident_id.is_null());
    diesel::delete(rows).execute(conn)?;
    Ok(())
}

/// Takes away the subscription to an incident; `false` when there was none.
pub fn remove_incident(
    conn: &mut Connection,
    (tenant, person): Whose,
    incident: IncidentId,
) -> Result<bool, Problem> {
    let rows = subscriptions::table
        .filter(subscriptions::tenant_id.eq(tenant))
        .filter(subscriptions::person_id.eq(person))
        .filter(subscriptions::incident_id.eq(incident));
    Ok(diesel::delete(rows).execute(conn)? > 0)
}

/// The slugs of services and regions that places name and that there are.
pub fn known(conn: &mut Connection, named: &[Where]) -> Result<(Vec<String>, Vec<String>), Problem> {
    let wanted_services = named.iter().filter_map(|place| place.service.clone());
    let wanted_regions = named.iter().filter_map(|place| place.region.clone());
    Ok((
        services::table
            .filter(services::slug.eq_any(wanted_services.collect::<Vec<_>>()))
            .select(services::slug)
            .load(conn)?,
        regions::table
            .filter(regions::slug.eq_any(wanted_regions.collect::<Vec<_>>()))
            .select(regions::slug)
            .load(conn)?,
    ))
}

/// Whose updates are kept until the morning.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// Somebody who has said so.
    Person(PersonId),
    /// An address of which its tenant has said so.
    Contact(ContactId),
}

/// What is said of what somebody is to hear of.
#[derive(Clone, Debug)]
pub struct Said {
    /// Who.
    pub reader: Reader,
    /// What.
    pub wishes: Wishes,
    /// Where their morning is.
    pub time_zone: String,
}

/// What those among these recipients are to hear of whom something is said of, by tenant and address. What a tenant says of
/// its contacts holds where they have said nothing themselves.
pub fn said(
    conn: &mut Connection,
    recipients: &[Recipient],
) -> Result<HashMap<(TenantId, String), Said>, Problem> {
    let asked: HashSet<(TenantId, &str)> = recipients
        .iter()
        .map(|to| (to.tenant_id, to.email.as_str()))
        .collect();
    let mut found = HashMap::new();
    // SQLite binds at most 32,766 values in a statement.
    for chunk in recipients.chunks(10_000) {
        let emails: Vec<&str> = chunk.iter().map(|to| to.email.as_str()).collect();
        // By the address alone: with the tenants beside it all pairs would be looked up.
        let rows: Vec<(String, String, Preferences)> = notification_preferences::table
            .inner_join(people::table.on(people::id.eq(notification_preferences::person_id)))
            .filter(people::email.eq_any(emails.clone()))
            .select((people::email, people::time_zone, Preferences::as_select()))
            .load(conn)?;
        for (email, time_zone, row) in rows {
            if asked.contains(&(row.tenant_id, email.as_str())) {
                let said = Said {
                    reader: Reader::Person(row.person_id),
                    wishes: row.wishes(),
                    time_zone,
                };
                found.insert((row.tenant_id, email), said);
            }
        }
        let contacts: Vec<Contact> = tenant_contacts::table
            .filter(tenant_contacts::email.eq_any(emails))
            .select(Contact::as_select())
            .load(conn)?;
        for row in contacts {
            let wishes = Wishes::from(&row);
            if wishes != Wishes::ALL && asked.contains(&(row.tenant_id, row.email.as_str())) {
                found.entry((row.tenant_id, row.email)).or_insert(Said {
                    reader: Reader::Contact(row.id),
                    wishes,
                    time_zone: row.time_zone,
                });
            }
        }
    }
    Ok(found)
}

/// Notes when the next digests of these are due, where none is waited for yet. On whosever behalf: of a tenant for which
/// nothing is kept they get none.
pub fn expect_digests(conn: &mut Connection, readers: &[Reader], at: Moment) -> Result<(), Problem> {
    let people = readers.iter().filter_map(|reader| match reader {
        Reader::Person(id) => Some(*id),
        Reader::Contact(_) => None,
    });
    let contacts = readers.iter().filter_map(|reader| match reader {
        Reader::Contact(id) => Some(*id),
        Reader::Person(_) => None,
    });
    let of_people = notification_preferences::table
        .filter(notification_preferences::person_id.eq_any(people.collect::<Vec<_>>()))
        .filter(notification_preferences::digest_due_at.is_null());
    diesel::update(of_people)
        .set(notification_preferences::digest_due_at.eq(Some(at)))
        .execute(conn)?;
    let of_contacts = tenant_contacts::table
        .filter(tenant_contacts::id.eq_any(contacts.collect::<Vec<_>>()))
        .filter(tenant_contacts::digest_due_at.is_null());
    diesel::update(of_contacts)
        .set(tenant_contacts::digest_due_at.eq(Some(at)))
        .execute(conn)?;
    Ok(())
}

/// What is selected of somebody who is told: the person, and where.
macro_rules! person_to_tell {
    () => {
        (
            notification_preferences::person_id,
            (
                notification_preferences::tenant_id,
                people::email,
                people::name,
                people::locale,
                people::time_zone,
            ),
        )
    };
}

/// Whoever's digest is due, up to `limit` people and contacts each, whoever has waited longest first.
pub fn due_digests(
    conn: &mut Connection,
    now: Moment,
    limit: i64,
) -> Result<Vec<(Reader, Recipient)>, Problem> {
    let people: Vec<(PersonId, Recipient)> = notification_preferences::table
        .inner_join(people::table.on(people::id.eq(notification_preferences::person_id)))
        .filter(notification_preferences::digest_due_at.le(now))
        .order(notification_preferences::digest_due_at)
        .limit(limit)
        .select(person_to_tell!())
        .load(conn)?;
    let contacts: Vec<(ContactId, Recipient)> = tenant_contacts::table
        .filter(tenant_contacts::digest_due_at.le(now))
        .order(tenant_contacts::digest_due_at)
        .limit(limit)
        .select((
            tenant_contacts::id,
            (
                tenant_contacts::tenant_id,
                tenant_contacts::email,
                tenant_contacts::name,
                tenant_contacts::locale,
                tenant_contacts::time_zone,
            ),
        ))
        .load(conn)?;
    let people = people.into_iter().map(|(id, to)| (Reader::Person(id), to));
    let contacts = contacts.into_iter().map(|(id, to)| (Reader::Contact(id), to));
    Ok(people.chain(contacts).collect())
}

/// The digest of somebody is waited for no more.
pub fn digest_made(conn: &mut Connection, tenant: TenantId, reader: Reader) -> Result<(), Problem> {
    match reader {
        Reader::Person(id) => diesel::update(notification_preferences::table.find((tenant, id)))
            .set(notification_preferences::digest_due_at.eq(None::<Moment>))
            .execute(conn)?,
        Reader::Contact(id) => diesel::update(tenant_contacts::table.find((tenant, id)))
            .set(tenant_contacts::digest_due_at.eq(None::<Moment>))
            .execute(conn)?,
    };
    Ok(())
}

/// Whether the tenant of a row of preferences may see an incident: it affects it, a request is bound to it, or it was told.
macro_rules! may_see {
    ($incident:expr) => {{
        let incident: IncidentId = $incident;
        let bound = service_requests::table
            .filter(service_requests::tenant_id.eq(notification_preferences::tenant_id))
            .filter(service_requests::incident_id.eq(incident));
        let heard = told::table
            .filter(told::tenant_id.eq(notification_preferences::tenant_id))
            .filter(told::incident_id.eq(incident));
        notification_preferences::tenant_id
            .eq(PROVIDER)
            .or(affects!(incident, notification_preferences::tenant_id))
            .or(exists(bound))
            .or(exists(heard))
    }};
}

/// The next people who have said what they want to hear of, by tenant and person.
pub fn after(conn: &mut Connection, place: Option<Whose>, limit: i64) -> Result<Vec<Whose>, Problem> {
    let mut query = notification_preferences::table
        .order((
            notification_preferences::tenant_id,
            notification_preferences::person_id,
        ))
        .limit(limit)
        .select((
            notification_preferences::tenant_id,
            notification_preferences::person_id,
        ))
        .into_boxed();
    if let Some((tenant, person)) = place {
        query = query.filter(pair!(
            "notification_preferences.tenant_id", "notification_preferences.person_id" > tenant: Uuid, person: Uuid
        ));
    }
    Ok(query.load(conn)?)
}

/// Who of these subscribes to an incident, or to where it is, and belongs to a tenant that may see it; with an opening,
/// only those for whom it has left, who did not want it, or who were told in another way. A subscription to what goes on
/// as this one holds for it.
pub fn subscribers(
    conn: &mut Connection,
    incident: IncidentId,
    looked_at: &[Whose],
    opening: Option<Broadcast>,
) -> Result<Vec<Recipient>, Problem> {
    let duplicates = duplicates::merged_into(conn, &[incident])?.into_iter();
    let itself = duplicates.map(|(duplicate, _)| duplicate).chain([incident]);
    let services = incident_services::table
        .filter(incident_services::incident_id.eq(incident))
        .select(incident_services::service.nullable());
    let regions = incident_regions::table
        .filter(incident_regions::incident_id.eq(incident))
        .select(incident_regions::region.nullable());
    let somewhere = subscriptions::incident_id
        .is_null()
        .and(
            subscriptions::service
                .is_null()
                .or(subscriptions::service.eq_any(services)),
        )
        .and(
            subscriptions::region
                .is_null()
                .or(subscriptions::region.eq_any(regions)),
        );
    let subscribed = subscriptions::table
        .filter(subscriptions::tenant_id.eq(notification_preferences::tenant_id))
        .filter(subscriptions::person_id.eq(notification_preferences::person_id))
        .filter(
            subscriptions::incident_id
                .eq_any(itself.collect::<Vec<_>>())
                .or(somewhere),
        );
    let mut query = notification_preferences::table
        .inner_join(people::table.on(people::id.eq(notification_preferences::person_id)))
        .inner_join(
            memberships::table.on(memberships::tenant_id
                .eq(notification_preferences::tenant_id)
                .and(memberships::person_id.eq(notification_preferences::person_id))),
        )
        .filter(memberships::accepted.eq(true))
        .filter(memberships::disabled.eq(false))
        .filter(people::disabled.eq(false))
        .filter(notification_preferences::person_id.eq_any(looked_at.iter().map(|(_, person)| *person)))
        .filter(exists(subscribed))
        .select(person_to_tell!())
        .into_boxed();
    query = query.filter(may_see!(incident));
    if let Some(opening) = opening {
        let (tenant, address) = (notification_preferences::tenant_id, people::email);
        query = reached!(query, incident, opening, tenant, address);
    }
    let looked_at: HashSet<&Whose> = looked_at.iter().collect();
    let mut rows: Vec<(PersonId, Recipient)> = query.load(conn)?;
    rows.retain(|(person, to)| looked_at.contains(&(to.tenant_id, *person)));
    rows.sort_unstable_by_key(|(person, to)| (to.tenant_id, *person));
    Ok(rows.into_iter().map(|(_, to)| to).collect())
}
