//! Mail about an incident, which goes to many at once: what it says to all of them is read once for a batch.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::family::Family;
use super::words::{Earlier, GoesOn, StatusWords, Words};
use super::{Messages, typed};
use crate::db::{Connection, EventId, IncidentId, TenantId};
use crate::incidents::{self, Incident, Update};
use crate::mail::carried::{self, Kept, Mail};
use crate::mail::unsubscribe::What;
use crate::mail::{self, BroadcastKind, Content, Delivery, DeliveryKind};
use crate::problem::Problem;
use crate::requests::concerning::{self, Concerned};
use crate::text::cleaned;

/// How many of somebody's requests a mail lists; how many there are besides, it says.
const LISTED: usize = 20;
/// How many of the updates that somebody has not got a mail says: the last.
const EARLIER: usize = 10;

/// What a broadcast says to everybody.
pub(super) struct Told {
    pub(super) incident: Incident,
    /// The incident that a duplicate goes on as.
    goes_on_as: Option<Incident>,
    pub(super) update: Update,
    services: String,
    regions: String,
}

/// What the messages of a batch have in common. What could not be read is not here: each message then asks for itself,
/// and says what went wrong.
pub struct Shared {
    told: HashMap<EventId, Arc<Told>>,
    carried: Option<Vec<Kept>>,
    requests: HashMap<IncidentId, HashMap<(TenantId, String), Concerned>>,
    spared: HashMap<IncidentId, HashSet<TenantId>>,
}

impl Shared {
    /// Reads it.
    pub fn read(conn: &mut Connection, deliveries: &[Delivery]) -> Self {
        let status = || {
            let about = |delivery: &&Delivery| Family::of(delivery.kind) == Some(Family::Status);
            deliveries.iter().filter(about)
        };
        let mails = deliveries.iter().filter(|row| says_more(row.kind));
        let mails: Vec<Mail<'_>> = mails.map(Mail::from).collect();
        let carried = match mails.is_empty() {
            true => Some(Vec::new()),
            false => carried::by(conn, &mails).ok(),
        };
        let mut events: BTreeSet<EventId> = status().map(|delivery| delivery.event_id).collect();
        events.extend(carried.iter().flatten().map(|kept| kept.event_id));
        let mut told = HashMap::new();
        for event in events {
            if let Ok(found) = Told::read(conn, event) {
                told.insert(event, Arc::new(found));
            }
        }
        let mut readers: HashMap<IncidentId, Vec<(TenantId, &str)>> = HashMap::new();
        for delivery in status() {
            if let Some(told) = told.get(&delivery.event_id) {
                let reader = (delivery.tenant_id, delivery.recipient.as_str());
                for incident in told.about() {
                    readers.entry(incident).or_default().push(reader);
                }
            }
        }
        let mut requests = HashMap::new();
        let mut spared = HashMap::new();
        for (incident, readers) in readers {
            if let Ok(found) = concerning::each(conn, incident, &readers, LISTED) {
                requests.insert(incident, found);
            }
            let mut incidents = told.values().map(|told: &Arc<Told>| &told.incident);
            if incidents.any(|told| told.id == incident && told.status.is_active()) {
                let tenants: BTreeSet<TenantId> = readers.iter().map(|(tenant, _)| *tenant).collect();
                let tenants: Vec<TenantId> = tenants.into_iter().collect();
                if let Ok(found) = incidents::store::unaffected(conn, incident, &tenants) {
                    spared.insert(incident, HashSet::from_iter(found));
                }
            }
        }
        Self {
            told,
            carried,
            requests,
            spared,
        }
    }

    /// Whether an incident goes on, and does not affect a tenant: a mail that left late may say that it began.
    fn spares(&self, conn: &mut Connection, incident: &Incident, tenant: TenantId) -> Result<bool, Problem> {
        Ok(incident.status.is_active()
            && match self.spared.get(&incident.id) {
                Some(spared) => spared.contains(&tenant),
                None => !incidents::store::unaffected(conn, incident.id, &[tenant])?.is_empty(),
            })
    }

    /// What an event tells.
    pub(super) fn told(&self, conn: &mut Connection, event: EventId) -> Result<Arc<Told>, Problem> {
        match self.told.get(&event) {
            Some(told) => Ok(Arc::clone(told)),
            None => Told::read(conn, event).map(Arc::new),
        }
    }

    /// What a mail says that was kept for it, the last `most` of it, oldest first; and how much there is besides.
    pub(super) fn carried(
        &self,
        conn: &mut Connection,
        mail: &Delivery,
        most: usize,
    ) -> Result<(Vec<Arc<Told>>, usize), Problem> {
        let own;
        let carried = match &self.carried {
            Some(carried) => carried,
            None => {
                own = carried::by(conn, &[mail.into()])?;
                &own
            }
        };
        let kept = carried.iter().filter(|kept| kept.is_in(mail.into()));
        let events: Vec<EventId> = kept.map(|kept| kept.event_id).collect();
        let more = events.len().saturating_sub(most);
        let said = events.into_iter().skip(more).map(|event| self.told(conn, event));
        Ok((said.collect::<Result<_, _>>()?, more))
    }
}

/// Whether mail of a kind says what was kept for it.
fn says_more(kind: DeliveryKind) -> bool {
    kind == DeliveryKind::Digest || kind.is_turn()
}

impl Told {
    fn read(conn: &mut Connection, event: EventId) -> Result<Self, Problem> {
        let broadcast = mail::broadcasts::find(conn, event)?;
        let broadcast = broadcast.ok_or_else(|| Problem::not_found("broadcast"))?;
        let incident = incidents::store::find(conn, broadcast.incident_id)?;
        let incident = incident.ok_or_else(|| Problem::not_found("incident"))?;
        let update = incidents::store::update_at(conn, incident.id, broadcast.seq)?;
        let update = update.ok_or_else(|| Problem::not_found("update"))?;
        let (services, regions) = incidents::store::scope_names(conn, incident.id)?;
        let goes_on_as = match (broadcast.kind, incident.duplicate_of) {
            (BroadcastKind::Duplicate, Some(of)) => {
                let other = incidents::store::find(conn, of)?;
                Some(other.ok_or_else(|| Problem::not_found("incident"))?)
            }
            _ => None,
        };
        Ok(Self {
            incident,
            goes_on_as,
            update,
            services: services.join(", "),
            regions: regions.join(", "),
        })
    }

    /// The incidents whose requests are listed: most of a duplicate have moved on.
    fn about(&self) -> impl Iterator<Item = IncidentId> {
        let other = self.goes_on_as.as_ref().map(|other| other.id);
        std::iter::once(self.incident.id).chain(other)
    }
}

impl Messages {
    pub(super) fn status_mail(
        &self,
        conn: &mut Connection,
        shared: &Shared,
        delivery: &Delivery,
    ) -> Result<Content, Problem> {
        let told = shared.told(conn, delivery.event_id)?;
        let reader = (delivery.tenant_id, delivery.recipient.clone());
        let mut concerned = Concerned::default();
        for incident in told.about() {
            let found = match shared.requests.get(&incident) {
                Some(found) => found.get(&reader).cloned().unwrap_or_default(),
                None => concerning::one(conn, incident, (reader.0, &reader.1), LISTED)?,
            };
            concerned.first.extend(found.first);
            concerned.count += found.count;
        }
        concerned.first.truncate(LISTED);
        let (earlier, _) = shared.carried(conn, delivery, EARLIER)?;
        let mut words = self.status_words(delivery, &told, concerned);
        words.spared = shared.spares(conn, &told.incident, delivery.tenant_id)?;
        // Who is spared hears of no more updates.
        words.next_update_by = words.next_update_by.filter(|_| !words.spared);
        words.earlier = earlier.iter().map(|told| self.earlier(delivery, told)).collect();
        let words = Words::Status(Box::new(words));
        self.content(delivery, words, thread_of(&told.incident))
    }

    fn status_words(&self, delivery: &Delivery, told: &Told, concerned: Concerned) -> StatusWords {
        let (incident, update) = (&told.incident, &told.update);
        let language = self.language(delivery);
        let time = |at| language.time(at, &delivery.time_zone);
        let mut frame = self.frame(delivery);
        frame.link = Some(self.link_to(incident));
        frame.unsubscribe = self.way_out(delivery, What::Incident(incident.id));
        let listed = i64::try_from(concerned.first.len()).unwrap_or(i64::MAX);
        StatusWords {
            frame,
            title: cleaned(&incident.title),
            body: typed::lines(&update.body),
            status: language.word("status", update.status.as_str()),
            impact: language.word("impact", incident.impact.as_str()),
            services: told.services.clone(),
            regions: told.regions.clone(),
            started_at: time(incident.started_at),
            resolved_at: incident
                .resolved_at
                .filter(|_| update.status.is_ended())
                .map(time),
            at: time(update.at),
            next_update_by: update.next_update_by.map(time),
            goes_on_as: told.goes_on_as.as_ref().map(|other| GoesOn {
                title: cleaned(&other.title),
                link: self.link_to(other),
            }),
            spared: false,
            earlier: Vec::new(),
            more: concerned.count.saturating_sub(listed),
            requests: concerned
                .first
                .into_iter()
                .map(|(reference, subject)| self.line(reference, &subject))
                .collect(),
        }
    }

    /// An update that a mail says besides.
    pub(super) fn earlier(&self, delivery: &Delivery, told: &Told) -> Earlier {
        let language = self.language(delivery);
        Earlier {
            at: language.time(told.update.at, &delivery.time_zone),
            status: language.word("status", told.update.status.as_str()),
            body: typed::lines(&told.update.body),
        }
    }

    pub(super) fn link_to(&self, incident: &Incident) -> String {
        format!("{}/v1/incidents/{}", self.public_url, incident.id)
    }
}

/// What the thread of an incident hangs on.
pub fn thread_of(incident: &Incident) -> String {
    format!("incident.{}", incident.id)
}
