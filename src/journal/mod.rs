//! WHAT HAPPENED: append-only events, written in the transaction that makes them true.
//!
//! They are the history of a request, the audit trail, and what the readers to the right act on. A reader has a
//! row of its own for each event it has to act on, written with the event and deleted with the effect: never a
//! cursor over ids, since a slow transaction can commit an older one.
//!
//! Each event is sealed soon after it was written, into the chain of its tenant: `chain.rs` has what is hashed,
//! `sealing.rs` the work. What of an event a tenant may see is in `view.rs`.

pub mod chain;
mod sealing;
pub mod view;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use diesel::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

pub use chain::{ChainKey, Seal};
pub use sealing::{Head, SEALED_TOGETHER, any_unsealed, erase, erase_all, head, seal, unsealed};
pub use view::ActorView;

use crate::db::schema::{events, unread_events};
use crate::db::{
    Connection, EventId, Id, Json, Moment, PersonId, SubjectId, TenantId, lock, on_each, text_enum,
};
use crate::problem::Problem;

text_enum! {
    /// What an event is about.
    SubjectKind { Tenant = "tenant", Person = "person", Incident = "incident", Request = "request", Queue = "queue", Routing = "routing", Session = "session", ApiKey = "api_key", Catalog = "catalog", Delivery = "delivery", Broadcast = "broadcast", SigningKey = "signing_key", Refusal = "refusal", IdentityProvider = "identity_provider", Calendar = "calendar", Policies = "sla_policies", Subscription = "subscription", Suppression = "suppression" }
}

text_enum! {
    /// What can happen, in the past tense.
    EventKind {
        TenantCreated = "tenant_created",
        TenantChanged = "tenant_changed",
        ContactsChanged = "contacts_changed",
        TenantErased = "tenant_erased",
        UserCreated = "user_created",
        UserInvited = "user_invited",
        InvitationAccepted = "invitation_accepted",
        UserChanged = "user_changed",
        SignedIn = "signed_in",
        SessionRefreshed = "session_refreshed",
        SessionEnded = "session_ended",
        SessionsEnded = "sessions_ended",
        RefreshTokenReused = "refresh_token_reused",
        PasswordResetAsked = "password_reset_asked",
        PasswordChanged = "password_changed",
        SecondFactorBegun = "second_factor_begun",
        SecondFactorAdded = "second_factor_added",
        SecondFactorRemoved = "second_factor_removed",
        ApiKeyCreated = "api_key_created",
        ApiKeyRevoked = "api_key_revoked",
        SignInRefused = "sign_in_refused",
        AccessRefused = "access_refused",
        LetterRefused = "letter_refused",
        RefusalsCounted = "refusals_counted",
        SigningKeyMade = "signing_key_made",
        TokenMinted = "token_minted",
        ServiceAdded = "service_added",
        RegionAdded = "region_added",
        DeliveryRetried = "delivery_retried",
        DeliveriesRetried = "deliveries_retried",
        DeliveryReturned = "delivery_returned",
        AddressSuppressed = "address_suppressed",
        SuppressionLifted = "suppression_lifted",
        BroadcastCancelled = "broadcast_cancelled",
        NotificationsChanged = "notifications_changed",
        Subscribed = "subscribed",
        Unsubscribed = "unsubscribed",
        IdentityProviderCreated = "identity_provider_created",
        IdentityProviderChanged = "identity_provider_changed",
        IdentityProviderRemoved = "identity_provider_removed",
        QueueCreated = "queue_created",
        QueueChanged = "queue_changed",
        ShiftsReplaced = "shifts_replaced",
        AbsenceEntered = "absence_entered",
        AbsenceRemoved = "absence_removed",
        OverrideEntered = "override_entered",
        OverrideRemoved = "override_removed",
        DutiesSwapped = "duties_swapped",
        WaiverGranted = "waiver_granted",
        WaiverRevoked = "waiver_revoked",
        FindingRaised = "finding_raised",
        FindingCleared = "finding_cleared",
        RoutingReplaced = "routing_replaced",
        ShiftHandedOver = "shift_handed_over",
        HandOverAcknowledged = "hand_over_acknowledged",
        LastWordsLeft = "last_words_left",
        AgentChanged = "agent_changed",
        PresenceChanged = "presence_changed",
        CalendarCreated = "calendar_created",
        CalendarReplaced = "calendar_replaced",
        PoliciesReplaced = "sla_policies_replaced",
        SlaWarned = "sla_warned",
        SlaBreached = "sla_breached",
        IncidentOpened = "incident_opened",
        IncidentDrafted = "incident_drafted",
        IncidentPublished = "incident_published",
        IncidentUpdated = "incident_updated",
        IncidentChanged = "incident_changed",
        IncidentResolved = "incident_resolved",
        IncidentReopened = "incident_reopened",
        IncidentFalsePositive = "incident_false_positive",
        IncidentDuplicate = "incident_duplicate",
        IncidentCancelled = "incident_cancelled",
        IncidentReported = "incident_reported",
        PromiseWarned = "promise_warned",
        PromiseMissed = "promise_missed",
        RequestFiled = "request_filed",
        RequestChanged = "request_changed",
        RequestAssigned = "request_assigned",
        RequestClaimed = "request_claimed",
        RequestReleased = "request_released",
        RequestHandedOver = "request_handed_over",
        RequestEscalated = "request_escalated",
        RequestTransferred = "request_transferred",
        RequestAwaitedCustomer = "request_awaited_customer",
        RequestHeld = "request_held",
        RequestResumed = "request_resumed",
        RequestCommented = "request_commented",
        RequestResolved = "request_resolved",
        RequestReopened = "request_reopened",
        RequestStillAffected = "request_still_affected",
        RequestClosed = "request_closed",
        RequestCancelled = "request_cancelled",
        RequestRejected = "request_rejected",
        RequestLinked = "request_linked",
        RequestPinned = "request_pinned",
        RequestUnpinned = "request_unpinned",
        RequestDetached = "request_detached",
        WatchersAdded = "watchers_added",
        WatchersRemoved = "watchers_removed",
        AttachmentsAdded = "attachments_added",
        AttachmentsRemoved = "attachments_removed",
    }
}

text_enum! {
    /// Which side acted.
    Side { Tenant = "tenant", Staff = "staff", System = "system" }
}

text_enum! {
    /// Who acts on events later.
    Reader { Notify = "notify", Queues = "queues" }
}

/// Who did it.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Which side.
    pub side: Side,
    /// The person; none for the system.
    pub id: Option<PersonId>,
    /// Its name at that time.
    pub name: String,
    /// The address that the call came from; none for the system.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Allclear itself.
    pub fn system() -> Self {
        Self {
            side: Side::System,
            id: None,
            name: "Allclear".to_owned(),
            address: None,
        }
    }

    /// Somebody at the door of this side, who has not proved who they are.
    pub fn unproven(side: Side, address: IpAddr) -> Self {
        Self {
            side,
            id: None,
            name: String::new(),
            address: Some(address),
        }
    }
}

/// One thing that happened: the row is the model, without its seal.
///
/// As it is serialised it is hashed: a field that is added later must be left out of that.
#[derive(Clone, Debug, Serialize, Queryable, Selectable, Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub struct Event {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: EventId,
    /// What kind of thing it is about.
    pub subject_kind: SubjectKind,
    /// Which one.
    pub subject_id: SubjectId,
    /// Its place among the events of the subject, from 1.
    pub seq: i32,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Moment,
    /// Which side acted.
    pub actor_side: Side,
    /// Who acted.
    pub actor_id: Option<PersonId>,
    /// Its name then.
    pub actor_name: String,
    /// Whether tenants never see it.
    pub internal: bool,
    /// What, from, to, why. Never a secret.
    pub data: Json,
    /// The address that it was done from; empty for the system.
    pub address: String,
}

impl Event {
    /// An event about `subject`, number `seq` of it.
    pub fn new<T>(
        kind: EventKind,
        (subject_kind, subject): (SubjectKind, Id<T>),
        (tenant_id, seq): (TenantId, i32),
        (actor, at): (&Actor, Moment),
        data: Value,
    ) -> Self {
        Self {
            tenant_id,
            id: Id::at(at),
            subject_kind,
            subject_id: subject.of(),
            seq,
            kind,
            at,
            actor_side: actor.side,
            actor_id: actor.id,
            actor_name: actor.name.clone(),
            internal: false,
            data: Json(data),
            address: actor
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
        }
    }

    /// The next event about `subject`, whose number [`append`] finds.
    pub fn next<T>(
        kind: EventKind,
        subject: (SubjectKind, Id<T>),
        tenant_id: TenantId,
        actor_at: (&Actor, Moment),
        data: Value,
    ) -> Self {
        Self::new(kind, subject, (tenant_id, 0), actor_at, data)
    }

    /// An event about what has no history of its own: it is its own subject.
    pub fn alone(
        kind: EventKind,
        subject_kind: SubjectKind,
        tenant_id: TenantId,
        actor_at: (&Actor, Moment),
        data: Value,
    ) -> Self {
        let subject: SubjectId = Id::at(actor_at.1);
        let event = Self::new(kind, (subject_kind, subject), (tenant_id, 1), actor_at, data);
        Self {
            id: subject.of(),
            ..event
        }
    }

    /// Hidden from tenants.
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = unread_events)]
struct Unread {
    tenant_id: TenantId,
    reader: Reader,
    event_id: EventId,
    subject_id: SubjectId,
    seq: i32,
}

impl Unread {
    fn of(event: &Event, reader: Reader) -> Self {
        Self {
            tenant_id: event.tenant_id,
            reader,
            event_id: event.id,
            subject_id: event.subject_id,
            seq: event.seq,
        }
    }
}

/// What changed of something, before and after: `{"from": {…}, "to": {…}}`. What is the same in both is left out.
pub fn changes(before: Value, after: Value) -> Value {
    let (Value::Object(mut from), Value::Object(mut to)) = (before, after) else {
        return Value::Object(Map::new());
    };
    from.retain(|field, value| {
        let is_same = to.get(field) == Some(value);
        if is_same {
            to.remove(field);
        }
        !is_same
    });
    serde_json::json!({"from": from, "to": to})
}

/// Writes the next event of its subject, under the lock of that.
pub fn append(conn: &mut Connection, event: Event, readers: &[Reader]) -> Result<(), Problem> {
    lock::exclusive(conn, lock::Key::of(event.subject_id))?;
    let last: Option<i32> = events::table
        .filter(events::tenant_id.eq(event.tenant_id))
        .filter(events::subject_id.eq(event.subject_id))
        .select(diesel::dsl::max(events::seq))
        .first(conn)?;
    let seq = last.unwrap_or(0).saturating_add(1);
    record(conn, &Event { seq, ..event }, readers)
}

/// Writes an event, and a row for each reader that has to act on it.
pub fn record(conn: &mut Connection, event: &Event, readers: &[Reader]) -> Result<(), Problem> {
    let seal = Seal::of(event)?;
    on_each!(conn, conn => diesel::insert_into(events::table).values((event, &seal)).execute(conn))?;
    for reader in readers {
        let unread = Unread::of(event, *reader);
        on_each!(conn, conn => diesel::insert_into(unread_events::table).values(unread).execute(conn))?;
    }
    Ok(())
}

/// Writes many events at once, and of each a row for each reader that has to act on it.
pub fn record_all(conn: &mut Connection, all: &[Event], readers: &[Reader]) -> Result<(), Problem> {
    if all.is_empty() {
        return Ok(());
    }
    let seals: Vec<Seal> = all.iter().map(Seal::of).collect::<Result<_, _>>()?;
    let rows: Vec<_> = all.iter().zip(&seals).collect();
    on_each!(conn, conn => diesel::insert_into(events::table).values(rows).execute(conn))?;
    let unread: Vec<Unread> = readers
        .iter()
        .flat_map(|reader| all.iter().map(|event| Unread::of(event, *reader)))
        .collect();
    on_each!(conn, conn => diesel::insert_into(unread_events::table).values(unread).execute(conn))?;
    Ok(())
}

/// What happened to one subject after `after`, in order; internal events only when asked for.
pub fn history<T>(
    conn: &mut Connection,
    (tenant, subject): (TenantId, Id<T>),
    with_internal: bool,
    after: i32,
    limit: i64,
) -> Result<Vec<Event>, Problem> {
    let mut query = events::table
        .filter(events::tenant_id.eq(tenant))
        .filter(events::subject_id.eq(subject.of::<crate::db::SubjectNoun>()))
        .filter(events::seq.gt(after))
        .order(events::seq)
        .limit(limit)
        .select(Event::as_select())
        .into_boxed();
    if !with_internal {
        query = query.filter(events::internal.eq(false));
    }
    Ok(query.load(conn)?)
}

/// One event.
pub fn find(conn: &mut Connection, tenant: TenantId, id: EventId) -> Result<Option<Event>, Problem> {
    Ok(events::table
        .find((tenant, id))
        .select(Event::as_select())
        .first(conn)
        .optional()?)
}

/// The oldest events that `reader` has not acted on; of each subject only the first.
pub fn unread(conn: &mut Connection, reader: Reader, limit: i64) -> Result<Vec<Event>, Problem> {
    let rows: Vec<Unread> = unread_events::table
        .filter(unread_events::reader.eq(reader))
        .order(unread_events::event_id)
        .limit(limit)
        .select(Unread::as_select())
        .load(conn)?;
    let subjects: Vec<SubjectId> = rows.iter().map(|row| row.subject_id).collect();
    let first: HashMap<SubjectId, Option<i32>> = unread_events::table
        .filter(unread_events::reader.eq(reader))
        .filter(unread_events::subject_id.eq_any(subjects))
        .group_by(unread_events::subject_id)
        .select((unread_events::subject_id, diesel::dsl::min(unread_events::seq)))
        .load::<(SubjectId, Option<i32>)>(conn)?
        .into_iter()
        .collect();
    // The first of a subject may have a later id than all that were read: clocks differ, and ids of one millisecond
    // are in no order.
    let seqs: Vec<i32> = first.values().flatten().copied().collect();
    let mut firsts: Vec<Unread> = unread_events::table
        .filter(unread_events::reader.eq(reader))
        .filter(unread_events::subject_id.eq_any(first.keys().copied().collect::<Vec<_>>()))
        .filter(unread_events::seq.eq_any(seqs))
        .select(Unread::as_select())
        .load(conn)?;
    firsts.retain(|row| first.get(&row.subject_id) == Some(&Some(row.seq)));
    let ids: Vec<EventId> = firsts.iter().map(|row| row.event_id).collect();
    let mut tenants: Vec<TenantId> = firsts.iter().map(|row| row.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let found = events::table
        .filter(events::tenant_id.eq_any(tenants))
        .filter(events::id.eq_any(ids))
        .order(events::id)
        .select(Event::as_select())
        .load(conn);
    match found {
        Err(diesel::result::Error::DeserializationError(_)) => readable(conn, &firsts),
        found => Ok(found?),
    }
}

/// Those of the events that can be read: one that cannot waits alone, with what comes after it of its subject.
fn readable(conn: &mut Connection, rows: &[Unread]) -> Result<Vec<Event>, Problem> {
    let mut events = Vec::new();
    for row in rows {
        let query = events::table
            .find((row.tenant_id, row.event_id))
            .select(Event::as_select());
        match query.first(conn) {
            Ok(event) => events.push(event),
            Err(error @ diesel::result::Error::DeserializationError(_)) => {
                tracing::error!(event = %row.event_id, %error, "an event cannot be read; nobody acts on it");
            }
            Err(error) => return Err(error.into()),
        }
    }
    events.sort_unstable_by_key(|event| event.id);
    Ok(events)
}

/// Marks events as acted on, in the transaction of the effect; those of which somebody else was first are left out.
pub fn act_on(conn: &mut Connection, reader: Reader, mut events: Vec<Event>) -> Result<Vec<Event>, Problem> {
    let tenants: BTreeSet<TenantId> = events.iter().map(|event| event.tenant_id).collect();
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    let rows = unread_events::table
        .filter(unread_events::tenant_id.eq_any(Vec::from_iter(tenants)))
        .filter(unread_events::reader.eq(reader))
        .filter(unread_events::event_id.eq_any(ids));
    let own: Vec<EventId> = on_each!(conn, conn => diesel::delete(rows)
        .returning(unread_events::event_id)
        .get_results(conn))?;
    let own: HashSet<EventId> = own.into_iter().collect();
    events.retain(|event| own.contains(&event.id));
    Ok(events)
}

/// Whether any event waits for `reader`.
pub fn any_unread(conn: &mut Connection, reader: Reader) -> Result<bool, Problem> {
    let waiting = unread_events::table
        .filter(unread_events::reader.eq(reader))
        .select(unread_events::event_id);
    Ok(waiting.first::<EventId>(conn).optional()?.is_some())
}

/// How many events wait for `reader`.
pub fn backlog(conn: &mut Connection, reader: Reader) -> Result<i64, Problem> {
    Ok(unread_events::table
        .filter(unread_events::reader.eq(reader))
        .count()
        .get_result(conn)?)
}
