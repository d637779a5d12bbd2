//! What came into queues and went out of them, each counted in the queue where its request was at that time.
//!
//! A row says where its request is now, and the journal what moved it since: that is undone. So a range has the same
//! numbers whenever it is asked for. Of a customer who was erased the journal says nothing any more: then a request
//! counts where it is.

use std::collections::HashMap;

use super::asked::Span;
use super::moves::{Moves, Whose, reopens, was_open};
use super::percentile::Sample;
use super::store::{self, Happened, Place, Wanted};
use crate::db::{Connection, Json, Moment, QueueId};
use crate::journal::EventKind;
use crate::problem::Problem;
use crate::requests::lifecycle::Status;
use crate::requests::line;

/// What came and went in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Requests that were filed into it.
    pub filed: usize,
    /// How often one was resolved.
    pub resolved: usize,
    /// How often one came back after that.
    pub reopened: usize,
    /// How often one was handed over at the end of a shift.
    pub handed_over: usize,
}

/// What happened in a range, as far as the past of requests hangs on it.
#[derive(Debug)]
pub struct Past {
    span: Span,
    moves: Moves,
    /// Who said that they are still affected, and what the request was before.
    affected: Vec<(Happened, Option<Status>)>,
}

/// How a request stood when it first changed after an instant.
#[derive(Debug)]
struct Turn {
    seq: i32,
    was_open: bool,
    place: Place,
}

impl Past {
    /// Reads what moved requests since the beginning of a range.
    pub fn of(conn: &mut Connection, span: Span) -> Result<Self, Problem> {
        let kinds = [
            EventKind::RequestTransferred,
            EventKind::RequestEscalated,
            EventKind::RequestStillAffected,
        ];
        let mut past = Self {
            span,
            moves: Moves::default(),
            affected: Vec::new(),
        };
        let wanted = Wanted {
            kinds: &kinds,
            span: since(span.from),
            filed_by: span.to,
        };
        for (event, data) in store::told(conn, wanted)? {
            if event.kind == EventKind::RequestStillAffected {
                let from = field(&data, "/from").and_then(Status::parse);
                past.affected.push((event, from));
            } else if let Some(from) = field(&data, "/internal/from_queue").and_then(|id| id.parse().ok()) {
                past.moves.add(event.place.whose(), event.seq, event.at, from);
            }
        }
        Ok(past)
    }

    /// What came and went in the range.
    pub fn flows(&self, conn: &mut Connection) -> Result<HashMap<QueueId, Flow>, Problem> {
        let mut flows: HashMap<QueueId, Flow> = HashMap::new();
        store::filed(conn, self.span, |place| {
            // Filing is the first event of a request.
            let queue = self.moves.queue_then(place.whose(), 1, place.queue_id);
            flows.entry(queue).or_default().filed += 1;
            Ok(())
        })?;
        let mut count = |event: &Happened, from: Option<Status>| {
            let queue = self
                .moves
                .queue_then(event.place.whose(), event.seq, event.place.queue_id);
            let flow = flows.entry(queue).or_default();
            match event.kind {
                EventKind::RequestResolved => flow.resolved += 1,
                EventKind::RequestHandedOver => flow.handed_over += 1,
                kind if reopens(kind, from) => flow.reopened += 1,
                _ => {}
            }
        };
        let kinds = [
            EventKind::RequestResolved,
            EventKind::RequestReopened,
            EventKind::RequestHandedOver,
        ];
        let wanted = Wanted {
            kinds: &kinds,
            span: self.span,
            filed_by: self.span.to,
        };
        store::happened(conn, wanted, |event| {
            count(event, None);
            Ok(())
        })?;
        for (event, from) in self
            .affected
            .iter()
            .filter(|(event, _)| self.span.holds(event.at))
        {
            count(event, *from);
        }
        Ok(flows)
    }

    /// The ages of what was open in each of these queues at the end of the range, or is now if that is to come.
    pub fn backlog(
        &self,
        conn: &mut Connection,
        queues: &[QueueId],
        now: Moment,
    ) -> Result<HashMap<QueueId, Sample>, Problem> {
        let end = self.span.to;
        let turns = self.turns(conn)?;
        let mut backlog: HashMap<QueueId, Sample> = HashMap::new();
        let mut add = |place: &Place| {
            if place.created_at < end {
                let queue = self.moves.queue_before(place.whose(), end, place.queue_id);
                let age = end.min(now).since(place.created_at);
                let sample = backlog.entry(queue).or_default();
                sample.add(age.num_microseconds().unwrap_or(i64::MAX));
            }
        };
        for queue in queues {
            store::open(conn, *queue, |place| {
                if !turns.contains_key(&place.whose()) {
                    add(&place);
                }
                Ok(())
            })?;
        }
        for turn in turns.values().filter(|turn| turn.was_open) {
            add(&turn.place);
        }
        Ok(backlog)
    }

    /// The requests that ended or came back after the end of the range, and how each stood before that.
    fn turns(&self, conn: &mut Connection) -> Result<HashMap<Whose, Turn>, Problem> {
        let mut turns: HashMap<Whose, Turn> = HashMap::new();
        let mut note = |event: &Happened, from: Option<Status>| {
            let Some(was_open) = was_open(event.kind, from) else {
                return;
            };
            let whose = event.place.whose();
            if turns.get(&whose).is_none_or(|known| event.seq < known.seq) {
                let (seq, place) = (event.seq, event.place.clone());
                turns.insert(whose, Turn { seq, was_open, place });
            }
        };
        let kinds = [
            EventKind::RequestResolved,
            EventKind::RequestCancelled,
            EventKind::RequestRejected,
            EventKind::RequestReopened,
            EventKind::RequestClosed,
        ];
        let after = since(self.span.to);
        let wanted = Wanted {
            kinds: &kinds,
            span: after,
            filed_by: self.span.to,
        };
        store::happened(conn, wanted, |event| {
            note(event, None);
            Ok(())
        })?;
        for (event, from) in self.affected.iter().filter(|(event, _)| after.holds(event.at)) {
            note(event, *from);
        }
        Ok(turns)
    }
}

/// All time from an instant on.
fn since(from: Moment) -> Span {
    let to = line::never();
    Span { from, to }
}

fn field<'a>(data: &'a Json, pointer: &str) -> Option<&'a str> {
    data.0.pointer(pointer)?.as_str()
}
