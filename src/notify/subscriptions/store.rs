//! Queries over preferences and subscriptions, and who of the subscribers hears of an incident.

use std::collections::HashMap;

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::model::{Place as Where, Preferences, Subscription};
use super::wishes::Wishes;
use crate::db::schema::{
    deliveries, incident_regions, incident_services, memberships, notification_preferences, people, regions,
    service_requests, services, subscriptions, tenant_regions, tenant_services, told,
};
use crate::db::{Connection, IncidentId, Moment, PROVIDER, PersonId, TenantId, on_each};
use crate::mail::{Broadcast, BroadcastState, DeliveryState, Place, Reason, Recipient, duplicates};
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

/// The wishes of those among these recipients who have said any, by tenant and address.
pub fn wishes(
    conn: &mut Connection,
    recipients: &[Recipient],
) -> Result<HashMap<(TenantId, String), Wishes>, Problem> {
    let mut tenants: Vec<TenantId> = recipients.iter().map(|to| to.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut found = HashMap::new();
    // SQLite binds at most 32,766 values in a statement.
    for chunk in recipients.chunks(10_000) {
        let emails: Vec<&str> = chunk.iter().map(|to| to.email.as_str()).collect();
        let rows: Vec<(String, Preferences)> = notification_preferences::table
            .inner_join(people::table.on(people::id.eq(notification_preferences::person_id)))
            .filter(notification_preferences::tenant_id.eq_any(tenants.clone()))
            .filter(people::email.eq_any(emails))
            .select((people::email, Preferences::as_select()))
            .load(conn)?;
        let wishes = |(email, row): (String, Preferences)| ((row.tenant_id, email), row.wishes());
        found.extend(rows.into_iter().map(wishes));
    }
    Ok(found)
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

/// Subscribers to an incident, or to where it is, whose tenants may see it; with an opening, only those for whom it has
/// left, who did not want it, or who were told in another way. A subscription to what goes on as this one holds for it.
pub fn subscribers(
    conn: &mut Connection,
    incident: IncidentId,
    (after, opening): (Option<Whose>, Option<Broadcast>),
    limit: i64,
) -> Result<Vec<(Place, Recipient)>, Problem> {
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
        .filter(exists(subscribed))
        .order((
            notification_preferences::tenant_id,
            notification_preferences::person_id,
        ))
        .limit(limit)
        .select((
            (
                notification_preferences::tenant_id,
                notification_preferences::person_id,
            ),
            (people::email, people::name, people::locale, people::time_zone),
        ))
        .into_boxed();
    query = query.filter(may_see!(incident));
    if let Some((tenant, person)) = after {
        query = query.filter(
            notification_preferences::tenant_id
                .gt(tenant)
                .or(notification_preferences::tenant_id
                    .eq(tenant)
                    .and(notification_preferences::person_id.gt(person))),
        );
    }
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
    type Row = ((TenantId, PersonId), (String, String, String, String));
    let rows: Vec<Row> = query.load(conn)?;
    let recipient = |((tenant_id, person), (email, name, locale, time_zone)): Row| {
        let to = Recipient {
            tenant_id,
            email,
            name,
            locale,
            time_zone,
        };
        ((tenant_id, person.to_string()), to)
    };
    Ok(rows.into_iter().map(recipient).collect())
}
