//! Who was refused: sign-ins that failed, calls that somebody may not make, and letters that are not what they should be.
//!
//! Each is an event, up to ten a minute of one address and kind; beyond that they are counted, and the sum is an event
//! when the minute has passed. So whoever hammers at a door fills no journal, and is still in it.

use std::net::IpAddr;

use chrono::{DurationRound as _, TimeDelta};
use diesel::prelude::*;
use serde_json::{Value, json};

use super::model::side_of;
use super::store;
use crate::db::schema::refusal_counts;
use crate::db::{Connection, Id, IdentityProviderId, Moment, PROVIDER, PersonId, TenantId, lock, text_enum};
use crate::http::client;
use crate::journal::{self, Actor, Event, EventKind, Side, SubjectKind};
use crate::problem::{Code, Problem};

/// So many a minute of one address are listed.
pub const LISTED: i32 = 10;
/// How many sums one transaction makes.
const CHUNK: i64 = 100;

text_enum! {
    /// What was refused.
    RefusalKind { SignIn = "sign_in", Access = "access", Letter = "letter" }
}

text_enum! {
    /// Why somebody was not signed in.
    Reason {
        /// No account has this address.
        Unknown = "unknown",
        /// The password is wrong.
        Password = "password",
        /// The code of the second factor is wrong.
        Code = "code",
        /// The account is disabled, or belongs to no tenant that it could act for.
        Disabled = "disabled",
        /// The refresh token is used, expired or none.
        RefreshToken = "refresh_token",
        /// An identity provider does not vouch for whoever came, or not for a role here.
        IdentityProvider = "identity_provider",
    }
}

/// A count: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = refusal_counts)]
struct Count {
    network: String,
    kind: RefusalKind,
    minute: Moment,
    count: i32,
}

/// A sign-in with a password that failed.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The address; none where what was given is no address, and may be a password in the wrong field.
    pub email: Option<String>,
    /// Whose it is, if somebody's.
    pub person: Option<PersonId>,
    /// The tenant that was named.
    pub tenant: Option<TenantId>,
}

/// Notes a refused sign-in with the tenant of the account: the one that was named, or the only one; else with the
/// provider. It takes the same statements whether there is such an account or not.
pub fn sign_in(
    conn: &mut Connection,
    tried: &Tried,
    reason: Reason,
    from: IpAddr,
    now: Moment,
) -> Result<(), Problem> {
    let nobody = Id::from_uuid(uuid::Uuid::nil());
    let users = store::users_of(conn, tried.person.unwrap_or(nobody), None)?;
    let mut tenants = users.iter().map(|(_, membership)| membership.tenant_id);
    let tenant = match tried.tenant {
        Some(named) => tenants.find(|own| *own == named),
        None => tenants.next().filter(|_| tenants.next().is_none()),
    };
    let data = json!({"reason": reason, "email": tried.email});
    let side = tenant.map_or(Side::Tenant, side_of);
    refused_sign_in(conn, (tenant.unwrap_or(PROVIDER), side), data, from, now)
}

/// Notes a refused refresh token with the tenant of its session.
pub fn refresh(conn: &mut Connection, tenant: TenantId, from: IpAddr, now: Moment) -> Result<(), Problem> {
    let data = json!({"reason": Reason::RefreshToken});
    refused_sign_in(conn, (tenant, side_of(tenant)), data, from, now)
}

/// Notes with its tenant that somebody came from an identity provider and was not let in; with the provider's of this
/// installation where it is not known which that was.
pub fn federated(
    conn: &mut Connection,
    provider: Option<(TenantId, IdentityProviderId)>,
    code: Code,
    from: IpAddr,
    now: Moment,
) -> Result<(), Problem> {
    let (tenant, id) = provider.unzip();
    let data = json!({"reason": Reason::IdentityProvider, "code": code.as_str(), "identity_provider_id": id});
    let side = tenant.map_or(Side::Tenant, side_of);
    refused_sign_in(conn, (tenant.unwrap_or(PROVIDER), side), data, from, now)
}

fn refused_sign_in(
    conn: &mut Connection,
    (tenant, side): (TenantId, Side),
    data: Value,
    from: IpAddr,
    now: Moment,
) -> Result<(), Problem> {
    let actor = Actor::unproven(side, from);
    let (kind, about) = (EventKind::SignInRefused, SubjectKind::Refusal);
    let event = Event::alone(kind, about, tenant, (&actor, now), data);
    note(conn, RefusalKind::SignIn, from, &event)
}

/// Notes a call that `actor` may not make: its operation, method and the pattern of its path.
pub fn access(
    conn: &mut Connection,
    (tenant, actor, from): (TenantId, &Actor, IpAddr),
    call: Value,
    now: Moment,
) -> Result<(), Problem> {
    let (kind, about) = (EventKind::AccessRefused, SubjectKind::Refusal);
    let event = Event::alone(kind, about, tenant, (actor, now), call);
    note(conn, RefusalKind::Access, from, &event)
}

/// Notes a letter that `actor` may not send: from whom it says it is, and why not.
pub fn letter(
    conn: &mut Connection,
    (tenant, actor, from): (TenantId, &Actor, IpAddr),
    data: Value,
    now: Moment,
) -> Result<(), Problem> {
    let (kind, about) = (EventKind::LetterRefused, SubjectKind::Refusal);
    let event = Event::alone(kind, about, tenant, (actor, now), data);
    note(conn, RefusalKind::Letter, from, &event)
}

/// Counts a refusal, and lists it if it is one of the first of its minute.
fn note(conn: &mut Connection, kind: RefusalKind, from: IpAddr, event: &Event) -> Result<(), Problem> {
    let network = client::network(from).to_string();
    let minute = minute_of(event.at);
    lock::exclusive(conn, lock::Key::named(&format!("refusals {kind} {network}")))?;
    let row = refusal_counts::table.find((&network, kind, minute));
    let before: Option<i32> = row.select(refusal_counts::count).first(conn).optional()?;
    let count = before.unwrap_or(0).saturating_add(1);
    if before.is_some() {
        diesel::update(row)
            .set(refusal_counts::count.eq(count))
            .execute(conn)?;
    } else {
        let row = Count {
            network: network.clone(),
            kind,
            minute,
            count,
        };
        diesel::insert_into(refusal_counts::table)
            .values(&row)
            .execute(conn)?;
    }
    if count <= LISTED {
        journal::record(conn, event, &[])?;
    }
    Ok(())
}

fn minute_of(at: Moment) -> Moment {
    at.utc()
        .duration_trunc(TimeDelta::minutes(1))
        .map_or(at, Moment::from)
}

/// Turns the counts of minutes that have passed into events; how many counts there were.
pub fn sum_up(conn: &mut Connection, now: Moment) -> Result<usize, Problem> {
    let past: Vec<Count> = refusal_counts::table
        .filter(refusal_counts::minute.lt(minute_of(now)))
        .order(refusal_counts::minute)
        .limit(CHUNK)
        .select(Count::as_select())
        .load(conn)?;
    let mut summed = 0;
    for row in past {
        let Count {
            network,
            kind,
            minute,
            count,
        } = row;
        let same = refusal_counts::table
            .find((&network, kind, minute))
            .filter(refusal_counts::count.eq(count));
        // Somebody else was first, or one more came in: the next look will tell.
        if diesel::delete(same).execute(conn)? == 0 {
            continue;
        }
        summed += 1;
        if count > LISTED {
            let data = json!({
                "address": network, "kind": kind, "minute": minute, "count": count.saturating_sub(LISTED),
            });
            let (kind, about) = (EventKind::RefusalsCounted, SubjectKind::Refusal);
            let event = Event::alone(kind, about, PROVIDER, (&Actor::system(), now), data);
            journal::record(conn, &event, &[])?;
        }
    }
    Ok(summed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_begins_at_its_first_second() {
        let moment = |text: &str| serde_json::from_value::<Moment>(json!(text)).unwrap();
        for (at, minute) in [
            ("2010-09-07T18:00:00Z", "2010-09-07T18:00:00Z"),
            ("2010-09-07T18:00:59.999999Z", "2010-09-07T18:00:00Z"),
            ("2010-09-07T18:01:00Z", "2010-09-07T18:01:00Z"),
        ] {
            assert_eq!(minute_of(moment(at)), moment(minute));
        }
    }
}
