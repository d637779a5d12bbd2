//! The proof that a chain is whole: walked row by row, it tells where it is not. Pure.

use serde::{Deserialize, Serialize};

use crate::db::{EventId, TenantId};
use crate::journal::chain::{self, ChainKey, Written};
use crate::journal::{Head, Seal};

/// So many findings of a chain are told; the others are counted.
const TOLD: usize = 100;

/// An event as the walk sees it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: EventId,
    /// Its seal.
    pub seal: Seal,
    /// What was written of it; none where that cannot be read.
    pub written: Option<Written>,
}

/// Something that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The row; none where it is gone.
    pub event_id: Option<EventId>,
    /// The place in the chain.
    pub seq: i64,
    /// What is wrong.
    pub what: String,
}

/// The place where a chain ends, and its link: kept elsewhere, it proves later that nothing before it was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The place of the last event.
    pub seq: i64,
    /// Its link.
    pub hash: String,
}

/// What was found of a chain.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// How many rows it has.
    pub rows: u64,
    /// How many of them were erased.
    pub erased: u64,
    /// How many events wait for their seal.
    pub unsealed: i64,
    /// Its end; none of an empty chain.
    pub head: Option<End>,
    /// What is wrong, up to a hundred.
    pub findings: Vec<Finding>,
    /// How many more things are wrong.
    pub more_findings: u64,
}

impl Report {
    /// Whether all is as it was sealed.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What the database says of a chain besides its rows.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Whether there is the event of the tenant's beginning, sealed or not.
    pub is_begun: bool,
    /// Where it ends.
    pub head: Option<Head>,
    /// How many events wait for their seal.
    pub unsealed: i64,
}

/// A walk along the chain of one tenant.
#[derive(Debug)]
pub struct Walk {
    key: ChainKey,
    report: Report,
    last: i64,
    /// The link of the last row; none after a gap, where it is not known.
    hash: Option<String>,
    /// Where the chain ended once.
    anchor: Option<End>,
}

impl Walk {
    /// From the beginning; `anchor` is where the chain ended once, as somebody kept it elsewhere.
    pub fn begin(key: ChainKey, tenant_id: TenantId, anchor: Option<End>) -> Self {
        Self {
            key,
            report: Report {
                tenant_id,
                rows: 0,
                erased: 0,
                unsealed: 0,
                head: None,
                findings: Vec::new(),
                more_findings: 0,
            },
            last: 0,
            hash: Some(String::new()),
            anchor,
        }
    }

    /// How far it is.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The next row.
    pub fn take(&mut self, row: &Row) {
        let seq = row.seal.chain_seq.unwrap_or_default();
        let next = self.last.saturating_add(1);
        self.report.rows += 1;
        if seq < next {
            self.find(Some(row.id), seq, "is at a place that no chain has".to_owned());
            return;
        }
        if seq > next {
            let gap = format!("{} rows before it are missing", seq - next);
            self.find(Some(row.id), seq, gap);
            self.hash = None;
        }
        match what_is_wrong(row) {
            Some(wrong) => self.find(Some(row.id), seq, wrong.to_owned()),
            None if row.seal.salt.is_none() => self.report.erased += 1,
            None => {}
        }
        if let Some(before) = &self.hash {
            let link = self
                .key
                .link(self.report.tenant_id, seq, before, &row.seal.digest);
            if row.seal.chain_hash.as_ref() != Some(&link) {
                let wrong = "does not follow from the row before it: one was removed, put elsewhere, or sealed by \
                             somebody else";
                self.find(Some(row.id), seq, wrong.to_owned());
            }
        }
        let hash = row.seal.chain_hash.clone().unwrap_or_default();
        if let Some(anchor) = self.anchor.take_if(|anchor| anchor.seq <= seq)
            && (anchor.seq, &anchor.hash) != (seq, &hash)
        {
            self.find(
                Some(row.id),
                seq,
                "is not the row that the chain once ended with".to_owned(),
            );
        }
        self.last = seq;
        self.hash = Some(hash);
    }

    /// The beginning, which every chain has; and the end, which has to be where the head of the chain says.
    pub fn finish(mut self, ends: Ends) -> Report {
        if !ends.is_begun {
            let wrong = "the event that every chain begins with is missing: the tenant's creation, or the first operator's";
            self.find(None, 1, wrong.to_owned());
        }
        self.end(ends.head);
        if let Some(anchor) = self.anchor.take() {
            let wrong = format!(
                "the chain ends at {}, and once went on to {}",
                self.last, anchor.seq
            );
            self.find(None, anchor.seq, wrong);
        }
        let end = self.hash.take().filter(|_| self.last > 0);
        self.report.head = end.map(|hash| End { seq: self.last, hash });
        self.report.unsealed = ends.unsealed;
        self.report
    }

    fn end(&mut self, head: Option<Head>) {
        if let Some(head) = head.as_ref().filter(|head| !head.is_sealed(&self.key)) {
            let wrong = "the head of the chain was not sealed by the server: somebody else has set it, and rows that \
                         followed may be missing";
            self.find(None, head.chain_seq, wrong.to_owned());
        }
        let (seq, hash) = head
            .map(|head| (head.chain_seq, head.chain_hash))
            .unwrap_or_default();
        let last = self.last;
        if seq > last {
            let wrong = format!("the last {} rows are missing", seq - last);
            self.find(None, seq, wrong);
        } else if seq < last {
            let wrong = format!(
                "the head of the chain is at {seq}, and {} rows follow it",
                last - seq
            );
            self.find(None, seq, wrong);
        } else if self.hash.as_ref().is_some_and(|last| *last != hash) {
            self.find(None, seq, "the head of the chain has another link".to_owned());
        }
    }

    fn find(&mut self, event_id: Option<EventId>, seq: i64, what: String) {
        if self.report.findings.len() < TOLD {
            self.report.findings.push(Finding { event_id, seq, what });
        } else {
            self.report.more_findings += 1;
        }
    }
}

/// What is wrong with a row by itself.
fn what_is_wrong(row: &Row) -> Option<&'static str> {
    let Some(written) = &row.written else {
        return Some("cannot be read");
    };
    match &row.seal.salt {
        None if written.is_erased() => None,
        None => Some("has lost its salt, and was not erased"),
        Some(salt) => match chain::digest(salt, written) {
            Ok(digest) if digest == row.seal.digest => None,
            Ok(_) => Some("was changed: it is not what its digest was made of"),
            Err(_) => Some("cannot be hashed"),
        },
    }
}
