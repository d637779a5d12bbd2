//! The books of a run: what was made, what was refused, which mails are due.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parking_lot::Mutex;

use crate::cli::client::Refused;

/// What happened so far. Shared by all that is in flight.
pub struct Books(Mutex<Pages>);

struct Pages {
    incidents: Vec<Option<String>>,
    tickets: Vec<Vec<Filed>>,
    broadcasts: HashMap<String, usize>,
    broadcast_mails_due: usize,
    refused: BTreeMap<String, usize>,
    examples: BTreeSet<String>,
    fatal: Option<Refused>,
}

/// A request that was filed for a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its id.
    pub id: String,
    /// Receipts, answers and resolutions that its requester must get.
    pub mails_due: usize,
}

impl Books {
    /// Empty books for so many incidents and tickets.
    pub fn new(incidents: usize, tickets: usize) -> Self {
        Self(Mutex::new(Pages {
            incidents: vec![None; incidents],
            tickets: vec![Vec::new(); tickets],
            broadcasts: HashMap::new(),
            broadcast_mails_due: 0,
            refused: BTreeMap::new(),
            examples: BTreeSet::new(),
            fatal: None,
        }))
    }

    /// An incident was opened.
    pub fn opened(&self, incident: usize, id: &str) {
        if let Some(page) = self.0.lock().incidents.get_mut(incident) {
            *page = Some(id.to_owned());
        }
    }

    /// The id of an incident that was opened.
    pub fn incident(&self, incident: usize) -> Option<String> {
        self.0.lock().incidents.get(incident).cloned().flatten()
    }

    /// So many people must hear of what was just said.
    pub fn broadcast_due(&self, audience: usize) {
        self.0.lock().broadcast_mails_due += audience;
    }

    /// So many mails of a broadcast were sent.
    pub fn broadcast_sent(&self, id: &str, sent: usize) {
        self.0.lock().broadcasts.insert(id.to_owned(), sent);
    }

    /// Whether a broadcast is in the books.
    pub fn knows_broadcast(&self, id: &str) -> bool {
        self.0.lock().broadcasts.contains_key(id)
    }

    /// A request was filed: its receipt is due.
    pub fn filed(&self, ticket: usize, id: &str) {
        if let Some(page) = self.0.lock().tickets.get_mut(ticket) {
            page.push(Filed {
                id: id.to_owned(),
                mails_due: 1,
            });
        }
    }

    /// An agent has said something about a ticket's last request: the mail that says so is due.
    pub fn heard(&self, ticket: usize) {
        if let Some(filed) = self
            .0
            .lock()
            .tickets
            .get_mut(ticket)
            .and_then(|page| page.last_mut())
        {
            filed.mails_due += 1;
        }
    }

    /// The ids of a ticket's requests, in the order of their filing.
    pub fn requests_of(&self, ticket: usize) -> Vec<String> {
        let pages = self.0.lock();
        let filed = pages.tickets.get(ticket).into_iter().flatten();
        filed.map(|filed| filed.id.clone()).collect()
    }

    /// The id of a ticket's last request.
    pub fn last_request(&self, ticket: usize) -> Option<String> {
        self.0
            .lock()
            .tickets
            .get(ticket)?
            .last()
            .map(|filed| filed.id.clone())
    }

    /// Every request that was filed.
    pub fn requests(&self) -> Vec<Filed> {
        self.0.lock().tickets.iter().flatten().cloned().collect()
    }

    /// Mails of broadcasts that were sent.
    pub fn broadcast_mails_sent(&self) -> usize {
        self.0.lock().broadcasts.values().sum()
    }

    /// Mails that are due by all that was done.
    pub fn mails_due(&self) -> usize {
        let pages = self.0.lock();
        let own: usize = pages.tickets.iter().flatten().map(|filed| filed.mails_due).sum();
        pages.broadcast_mails_due + own
    }

    /// A call was refused; without any answer there is no use in going on.
    pub fn refused(&self, refused: Refused) {
        let mut pages = self.0.lock();
        *pages.refused.entry(refused.code.clone()).or_default() += 1;
        if pages.examples.len() < 20 {
            pages.examples.insert(refused.to_string());
        }
        if refused.is_unreachable() {
            pages.fatal.get_or_insert(refused);
        }
    }

    /// How often calls were refused, by code.
    pub fn refusals(&self) -> BTreeMap<String, usize> {
        self.0.lock().refused.clone()
    }

    /// Some of what was refused, for people.
    pub fn examples(&self) -> Vec<String> {
        self.0.lock().examples.iter().cloned().collect()
    }

    /// Why there is no use in going on.
    pub fn fatal(&self) -> Option<Refused> {
        self.0.lock().fatal.clone()
    }
}
