//! What a link does: no more mail, or mail again.

use std::net::IpAddr;

use serde_json::json;

use crate::db::{Connection, Moment};
use crate::identity;
use crate::journal::{self, Actor, Event, EventKind, Side, SubjectKind};
use crate::mail::opt_outs;
use crate::mail::unsubscribe::{What, Wish};
use crate::problem::Problem;
use crate::requests::{self, Request};

/// Requests that a link takes somebody off. Of the others no mail comes either.
const LEFT: i64 = 100;

/// Whoever has a link.
fn actor(wish: &Wish, from: IpAddr) -> Actor {
    Actor {
        name: wish.recipient.clone(),
        ..Actor::unproven(Side::Tenant, from)
    }
}

/// Whether a wish, or that for nothing at all, stands.
pub fn stands(conn: &mut Connection, wish: &Wish) -> Result<bool, Problem> {
    Ok(opt_outs::stands(conn, wish)? || opt_outs::stands(conn, &everything(wish))?)
}

fn everything(wish: &Wish) -> Wish {
    Wish {
        what: What::Everything,
        ..wish.clone()
    }
}

/// No more mail of what the link is about, or none at all. Whoever watches the requests that it is about, and is none of
/// the tenant's own people, is taken off them. To ask for it twice changes nothing.
pub fn stop(
    conn: &mut Connection,
    link: &Wish,
    wants_nothing: bool,
    from: IpAddr,
    now: Moment,
) -> Result<(), Problem> {
    let wish = match wants_nothing {
        true => everything(link),
        false => link.clone(),
    };
    let is_new = opt_outs::add(conn, &wish, now)?;
    for request in watched(conn, link)? {
        requests::actions::leave(conn, request, &link.recipient, &actor(link, from), now)?;
    }
    if is_new {
        note(conn, EventKind::Unsubscribed, &wish, from, now)?;
    }
    Ok(())
}

/// Mail again. Nobody becomes a watcher by it: that is for the tenant to say.
pub fn resume(conn: &mut Connection, link: &Wish, from: IpAddr, now: Moment) -> Result<(), Problem> {
    for wish in [link.clone(), everything(link)] {
        if opt_outs::remove(conn, &wish)? {
            note(conn, EventKind::Subscribed, &wish, from, now)?;
        }
    }
    Ok(())
}

/// The requests that a link takes somebody off.
fn watched(conn: &mut Connection, link: &Wish) -> Result<Vec<Request>, Problem> {
    match link.what {
        What::Request(id) => Ok(requests::store::find(conn, link.tenant, id)?
            .into_iter()
            .collect()),
        What::Incident(incident) if !is_own(conn, link)? => {
            requests::store::watched(conn, (link.tenant, incident), &link.recipient, LEFT)
        }
        What::Incident(_) | What::Everything => Ok(Vec::new()),
    }
}

/// Whether the address is that of one of the tenant's own people.
fn is_own(conn: &mut Connection, link: &Wish) -> Result<bool, Problem> {
    let Some(person) = identity::store::person_by_email(conn, &link.recipient)? else {
        return Ok(false);
    };
    let membership = identity::store::membership(conn, link.tenant, person.id)?;
    Ok(membership.is_some_and(|membership| membership.accepted))
}

fn note(
    conn: &mut Connection,
    kind: EventKind,
    wish: &Wish,
    from: IpAddr,
    now: Moment,
) -> Result<(), Problem> {
    let (extent, about) = wish.about();
    let event = Event::alone(
        kind,
        SubjectKind::Subscription,
        wish.tenant,
        (&actor(wish, from), now),
        json!({"recipient": wish.recipient, "extent": extent, "about": about}),
    );
    journal::record(conn, &event, &[])
}
