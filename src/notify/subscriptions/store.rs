//! Queries over preferences and subscriptions, and who of the subscribers hears of an incident.

use std::collections::{HashMap, HashSet};

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::model::{Place as Where, Preferences, Subscription};
use super::wishes::Wishes;
use crate::db::schema::{
    deliveries, incident_regions, incident_services, memberships, notification_preferences, people, regions,
    service_requests, services, subscriptions, tenant_regions, tenant_services, told,
};
use crate::db::{Connection, IncidentId, Moment, PROVIDER, PersonId, TenantId, Uuid, on_each, pair};
use crate::mail::{Broadcast, BroadcastState, DeliveryState, Reason, Recipient, duplicates};
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

/// What somebody has said of what they want to hear of.
#[derive(Clone, Debug)]
pub struct Said {
    /// Who.
    pub person: PersonId,
    /// What.
    pub wishes: Wishes,
    /// Where their morning is.
    pub time_zone: String,
}

/// What those among these recipients want who have said so, by tenant and address.
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
            .filter(people::email.eq_any(emails))
            .select((people::email, people::time_zone, Preferences::as_select()))
            .load(conn)?;
        for (email, time_zone, row) in rows {
            if asked.contains(&(row.tenant_id, email.as_str())) {
                let said = Said {
                    person: row.person_id,
                    wishes: row.wishes(),
                    time_zone,
                };
                found.insert((row.tenant_id, email), said);
            }
        }
    }
    Ok(found)
}

/// Notes when the next digests of these people are due, where none is waited for yet. On whosever behalf: of a tenant for
/// which nothing is kept they get none.
pub fn expect_digests(conn: &mut Connection, people: &[PersonId], at: Moment) -> Result<(), Problem> {
    let rows = notification_preferences::table
        .filter(notification_preferences::person_id.eq_any(people))
        .filter(notification_preferences::digest_due_at.is_null());
    diesel::update(rows)
        .set(notification_preferences::digest_due_at.eq(Some(at)))
        .execute(conn)?;
    Ok(())
}

/// Whoever's digest is due, up to `limit` of them, whoever has waited longest first.
pub fn due_digests(
    conn: &mut Connection,
    now: Moment,
    limit: i64,
) -> Result<Vec<(PersonId, Recipient)>, Problem> {
    let rows: Vec<Row> = notification_preferences::table
        .inner_join(people::table.on(people::id.eq(notification_preferences::person_id)))
        .filter(notification_preferences::digest_due_at.le(now))
        .order(notification_preferences::digest_due_at)
        .limit(limit)
        .select((
            (
                notification_preferences::tenant_id,
                notification_preferences::person_id,
            ),
            (people::email, people::name, people::locale, people::time_zone),
        ))
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.0.1, recipient(row))).collect())
}

/// The digest of somebody is waited for no more.
pub fn digest_made(conn: &mut Connection, (tenant, person): Whose) -> Result<(), Problem> {
    let row = notification_preferences::table.find((tenant, person));
    diesel::update(row)
        .set(notification_preferences::digest_due_at.eq(None::<Moment>))
        .execute(conn)?;
    Ok(())
}

type Row = ((TenantId, PersonId), (String, String, String, String));

fn recipient(((tenant_id, _), (email, name, locale, time_zone)): Row) -> Recipient {
    Recipient {
        tenant_id,
        email,
        name,
        locale,
        time_zone,
    }
}

/// Whether the tenant of a row of preferences may see an incident: it affects it, a request is bound to it, or it was told.
macro_rules! may_see {
    ($incident:expr) => {{
        let incident: IncidentId = $incident;
        let services = tenant_services::table
            .inner_join(incident_services::table.on(incident_services::service.eq(tenant_services::service)))
            .filter(tenant_services::tenant_id.eq(notification_preferences::tenant_id))
            .filter(incident_services::incident_id.eq(incident));
        let regions = tenant_regions::table
            .inner_join(incident_regions::table.on(incident_regions::region.eq(tenant_regions::region)))
            .filter(tenant_regions::tenant_id.eq(notification_preferences::tenant_id))
            .filter(incident_regions::incident_id.eq(incident));
        let bound = service_requests::table
            .filter(service_requests::tenant_id.eq(notification_preferences::tenant_id))
            .filter(service_requests::incident_id.eq(incident));
        let heard = told::table
            .filter(told::tenant_id.eq(notification_preferences::tenant_id))
            .filter(told::incident_id.eq(incident));
        notification_preferences::tenant_id
            .eq(PROVIDER)
            .or(exists(services).and(exists(regions)))
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
        .select((
            (
                notification_preferences::tenant_id,
                notification_preferences::person_id,
            ),
            (people::email, people::name, people::locale, people::time_zone),
        ))
        .into_boxed();
    query = query.filter(may_see!(incident));
    if let Some(opening) = opening {
        let heard = told::table
            .filter(told::incident_id.eq(incident))
            .filter(told::tenant_id.eq(notification_preferences::tenant_id))
            .filter(told::recipient.eq(people::email));
        let unsent = deliveries::table
            .filter(deliveries::tenant_id.eq(notification_preferences::tenant_id))
            .filter(deliveries::event_id.eq(opening.id))
            .filter(deliveries::recipient.eq(people::email))
            .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Suppressed]))
            .filter(
                deliveries::reason
                    .is_null()
                    .or(deliveries::reason.ne(Reason::Unwanted)),
            );
        query = match opening.state {
            BroadcastState::Cancelled => query.filter(exists(heard)),
            _ => query.filter(not(exists(unsent)).or(exists(heard))),
        };
    }
    let looked_at: HashSet<&Whose> = looked_at.iter().collect();
    let mut rows: Vec<Row> = query.load(conn)?;
    rows.retain(|row| looked_at.contains(&row.0));
    rows.sort_unstable_by_key(|row| row.0);
    Ok(rows.into_iter().map(recipient).collect())
}
