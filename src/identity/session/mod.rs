//! Sessions: somebody signed in, once, somewhere. A session is a family of refresh tokens, each of which is used once:
//! one that comes back a second time was stolen from somebody, and ends the family (RFC 9700 §4.14.2).

pub mod api;
pub mod store;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use chrono::TimeDelta;
use diesel::prelude::*;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;

use super::Caller;
use super::model::{Membership, Role, side_of};
use super::opaque::Opaque;
use super::second_factor;
use super::sso;
use super::store::standing;
use crate::db::schema::{refresh_tokens, sessions};
use crate::db::{
    Connection, Id, IdentityProviderId, Moment, PROVIDER, PersonId, SessionId, SessionNoun, TenantId, lock,
};
use crate::http::client;
use crate::journal::{self, Actor, Event, EventKind, SubjectKind};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::text;

/// What a refresh token begins with.
const PREFIX: &str = "alr_";

/// Where a call comes from, as far as one can know.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address.
    pub address: IpAddr,
    /// What the client says that it is, at most 200 characters.
    pub agent: String,
}

impl FromRequest for Client {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let agent = request
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        ready(Ok(Self {
            address: client::address(request),
            agent: text::shortened(agent, 200),
        }))
    }
}

/// What sessions are held to.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// From sign-in to the end, whatever happens.
    pub lifetime: TimeDelta,
    /// Without any use.
    pub idle: TimeDelta,
    /// Whether staff need a second factor.
    pub staff_need_second_factor: bool,
}

impl Policy {
    /// As it is set.
    pub fn of(settings: &Settings) -> Self {
        Self {
            lifetime: settings.session_lifetime,
            idle: settings.session_idle,
            staff_need_second_factor: settings.staff_need_second_factor,
        }
    }

    /// Whether whoever has this session may do nothing before there is a second factor. How many factors an identity
    /// provider asks for is a matter between it and its people.
    fn must_enrol(self, conn: &mut Connection, session: &Session, role: Role) -> Result<bool, Problem> {
        let needed = self.staff_need_second_factor && role.is_staff() && session.provider_id.is_none();
        Ok(needed && !second_factor::is_confirmed(conn, session.person_id)?)
    }
}

/// A session: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub struct Session {
    /// Where the person acts.
    pub tenant_id: TenantId,
    /// The id, which access tokens carry as `sid`.
    pub id: SessionId,
    /// Whose it is.
    pub person_id: PersonId,
    /// Where it was last used.
    pub address: String,
    /// With what.
    pub agent: String,
    /// When somebody signed in.
    pub created_at: Moment,
    /// When it was last refreshed.
    pub last_used_at: Moment,
    /// When it ends by itself.
    pub expires_at: Moment,
    /// When it was ended.
    pub ended_at: Option<Moment>,
    /// The identity provider that the person signed in with.
    pub provider_id: Option<IdentityProviderId>,
}

/// One refresh token, as it is kept.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_tokens, treat_none_as_default_value = false)]
pub struct RefreshToken {
    /// The tenant of its session.
    pub tenant_id: TenantId,
    /// Its session.
    pub session_id: SessionId,
    /// SHA-256 of its secret.
    pub digest: String,
    /// When it was used: once.
    pub used_at: Option<Moment>,
    /// Until when it can be used.
    pub expires_at: Moment,
}

/// A session that goes on, and the token that it goes on with next time.
#[derive(Debug)]
pub struct Lasting {
    /// The session.
    pub id: SessionId,
    /// Whose it is, where.
    pub membership: (TenantId, PersonId),
    /// The role there, now.
    pub role: Role,
    /// Whether a second factor has to be set up first.
    pub must_enrol: bool,
    /// The identity provider that the person signed in with.
    pub provider: Option<IdentityProviderId>,
    /// The next refresh token.
    pub refresh_token: String,
}

/// Begins a session for somebody whose sign-in was checked, here or by an identity provider.
pub fn begin(
    conn: &mut Connection,
    (member, name, provider): (&Membership, &str, Option<IdentityProviderId>),
    client: &Client,
    policy: Policy,
    now: Moment,
) -> Result<Lasting, Problem> {
    let session = Session {
        tenant_id: member.tenant_id,
        id: Id::at(now),
        person_id: member.person_id,
        address: client.address.to_string(),
        agent: client.agent.clone(),
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(policy.lifetime),
        ended_at: None,
        provider_id: provider,
    };
    store::create(conn, &session)?;
    let owner = Owner::of(&session, (member.role, name.to_owned()), client.address);
    let data = match provider {
        None => json!({"agent": session.agent}),
        Some(id) => json!({"agent": session.agent, "by": "sso", "identity_provider_id": id}),
    };
    // The first of a session that nobody knows yet: its number needs no looking up.
    let subject = (SubjectKind::Session, session.id);
    let whose = (session.tenant_id, 1);
    let event = Event::new(EventKind::SignedIn, subject, whose, (&owner.actor, now), data);
    journal::record(conn, &event, &[])?;
    Ok(Lasting {
        id: session.id,
        membership: (member.tenant_id, member.person_id),
        role: member.role,
        must_enrol: policy.must_enrol(conn, &session, member.role)?,
        provider,
        refresh_token: next_token(conn, &session, policy, now)?,
    })
}

fn next_token(
    conn: &mut Connection,
    session: &Session,
    policy: Policy,
    now: Moment,
) -> Result<String, Problem> {
    let token = Opaque::random(session.tenant_id, session.id);
    let row = RefreshToken {
        tenant_id: session.tenant_id,
        session_id: session.id,
        digest: token.digest(),
        used_at: None,
        expires_at: session.expires_at.min(now.plus(policy.idle)),
    };
    store::add_token(conn, &row)?;
    Ok(token.text(PREFIX))
}

/// Takes a refresh token for the next one; the inner error is a refusal, whose effect (the end of a family) is to be
/// kept, and names the tenant that hears of it.
pub fn refresh(
    conn: &mut Connection,
    token: &str,
    client: &Client,
    policy: Policy,
    now: Moment,
) -> Result<Result<Lasting, TenantId>, Problem> {
    let Some(token) = Opaque::<SessionNoun>::parse(PREFIX, token) else {
        return Ok(Err(PROVIDER));
    };
    let Some(session) = store::find(conn, token.tenant, token.id)? else {
        return Ok(Err(PROVIDER));
    };
    let refused = Ok(Err(session.tenant_id));
    let kept = store::token(conn, &session, &token.digest())?;
    let Some(kept) = kept.filter(|_| session.ended_at.is_none()) else {
        return refused;
    };
    let owner = Owner::find(conn, &session, client.address)?;
    if kept.used_at.is_some() || !store::use_token(conn, &kept, now)? {
        if store::end(conn, session.tenant_id, session.id, now)? {
            let data = json!({"agent": client.agent});
            note(
                conn,
                &session,
                EventKind::RefreshTokenReused,
                &owner.actor,
                data,
                now,
            )?;
        }
        return refused;
    }
    let Some(role) = owner.role.filter(|_| kept.expires_at > now) else {
        return refused;
    };
    if let Some(provider) = session.provider_id
        && !sso::store::is_open(conn, session.tenant_id, provider)?
    {
        return refused;
    }
    store::touch(conn, &session, client, now)?;
    let data = json!({"agent": client.agent});
    note(
        conn,
        &session,
        EventKind::SessionRefreshed,
        &owner.actor,
        data,
        now,
    )?;
    Ok(Ok(Lasting {
        id: session.id,
        membership: (session.tenant_id, session.person_id),
        role,
        must_enrol: policy.must_enrol(conn, &session, role)?,
        provider: session.provider_id,
        refresh_token: next_token(conn, &session, policy, now)?,
    }))
}

/// Ends the session that a refresh token belongs to; a token that is none is no error (RFC 7009 §2.2).
pub fn end_by_token(conn: &mut Connection, token: &str, client: &Client, now: Moment) -> Result<(), Problem> {
    let Some(token) = Opaque::<SessionNoun>::parse(PREFIX, token) else {
        return Ok(());
    };
    match store::find(conn, token.tenant, token.id)? {
        Some(session) if store::token(conn, &session, &token.digest())?.is_some() => {
            let owner = Owner::find(conn, &session, client.address)?;
            end(conn, &session, &owner.actor, now).map(drop)
        }
        _ => Ok(()),
    }
}

/// Ends a session; `false` when it was over.
pub fn end(conn: &mut Connection, session: &Session, actor: &Actor, now: Moment) -> Result<bool, Problem> {
    let ended = store::end(conn, session.tenant_id, session.id, now)?;
    if ended {
        note(conn, session, EventKind::SessionEnded, actor, json!({}), now)?;
    }
    Ok(ended)
}

/// Ends all sessions of a caller at its tenant.
pub fn end_mine(conn: &mut Connection, caller: &Caller) -> Result<(), Problem> {
    let (tenant, person, now) = (caller.tenant(), caller.person(), caller.now());
    lock::exclusive(conn, lock::Key::of(person))?;
    let ended = store::end_all(conn, person, &[tenant], now)?;
    if ended == 0 {
        return Ok(());
    }
    let event = Event::next(
        EventKind::SessionsEnded,
        (SubjectKind::Person, person),
        tenant,
        (&caller.actor(), now),
        json!({"sessions": ended}),
    );
    journal::append(conn, event, &[])
}

/// Whose a session is, as the history knows them.
struct Owner {
    /// None any more for somebody who may not act there now.
    role: Option<Role>,
    actor: Actor,
}

impl Owner {
    fn of(session: &Session, (role, name): (Role, String), from: IpAddr) -> Self {
        let actor = Actor {
            side: role.side(),
            id: Some(session.person_id),
            name,
            address: Some(from),
        };
        Self {
            role: Some(role),
            actor,
        }
    }

    fn find(conn: &mut Connection, session: &Session, from: IpAddr) -> Result<Self, Problem> {
        let standing = standing(conn, session.person_id, session.tenant_id, None)?;
        if let Some(standing) = standing {
            return Ok(Self::of(session, standing, from));
        }
        let actor = Actor {
            side: side_of(session.tenant_id),
            id: Some(session.person_id),
            name: String::new(),
            address: Some(from),
        };
        Ok(Self { role: None, actor })
    }
}

fn note(
    conn: &mut Connection,
    session: &Session,
    kind: EventKind,
    actor: &Actor,
    data: Value,
    now: Moment,
) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::of(session.id))?;
    let subject = (SubjectKind::Session, session.id);
    let event = Event::next(kind, subject, session.tenant_id, (actor, now), data);
    journal::append(conn, event, &[])
}
