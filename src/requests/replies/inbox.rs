//! Takes every letter: finds which message of ours it answers, and has done what follows from that.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::actions::{self, Answer, Arrival};
use super::enclosed;
use super::verdict::{self, Refusal};
use crate::db::{DeliveryId, PROVIDER, TenantId};
use crate::identity::Correspondence;
use crate::mail::inbound::report::Fate;
use crate::mail::inbound::{Author, Incoming, Letter, Receipt, Receive};
use crate::mail::return_address::{Purpose, ReturnAddresses};
use crate::mail::{self, DeliveryState, bounces};
use crate::problem::{Code, Problem};
use crate::requests::attachments::Shelf;
use crate::settings::Files;
use crate::text;

/// Whoever takes letters.
pub struct Inbox {
    within: Correspondence,
    files: (Shelf, Files),
    addresses: ReturnAddresses,
    /// Our own address, in lower case.
    sender: String,
    /// The mail server whose word on a sender counts.
    trusted: Option<String>,
}

/// What came of a letter.
type Verdict = Result<(), (TenantId, Refusal)>;

impl Receive for Inbox {
    fn admit(&self, to: String, from: IpAddr) -> BoxFuture<'_, Receipt> {
        Box::pin(async move {
            match self.is_ours(&to) {
                true => Receipt::Taken,
                false => {
                    let refused = self.refuse(PROVIDER, Refusal::Unknown, (None, &to), from).await;
                    receipt(refused.map(|()| Receipt::Unknown))
                }
            }
        })
    }

    fn receive(&self, mail: Incoming) -> BoxFuture<'_, Receipt> {
        Box::pin(async move { receipt(self.take(mail).await) })
    }
}

/// What went wrong on our side is to be tried again.
fn receipt(taken: Result<Receipt, Problem>) -> Receipt {
    taken.unwrap_or_else(|error| {
        tracing::warn!(%error, "a letter could not be taken");
        Receipt::Later
    })
}

impl Inbox {
    /// At these addresses, of an installation whose mail is from `sender`; `trusted` is the name by which the mail server
    /// before it signs what it found out about senders.
    pub fn new(
        within: Correspondence,
        files: (Shelf, Files),
        addresses: ReturnAddresses,
        sender: &str,
        trusted: Option<String>,
    ) -> Self {
        Self {
            within,
            files,
            addresses,
            sender: sender.to_lowercase(),
            trusted,
        }
    }

    /// An address that we made, or one where letters are told apart by what they answer.
    fn is_ours(&self, to: &str) -> bool {
        let to = to.trim().to_lowercase();
        let is_ours = to == self.sender
            || to
                .rsplit_once('@')
                .is_some_and(|(_, domain)| domain == self.addresses.domain());
        is_ours && (!looks_made(&to) || self.addresses.read(&to).is_some())
    }

    async fn take(&self, mail: Incoming) -> Result<Receipt, Problem> {
        let Some(letter) = read(&mail).await else {
            return Ok(Receipt::Refused("this mail cannot be read".to_owned()));
        };
        if let Author::Server(fates) = &letter.author {
            return self.return_to_ledger(mail.to.as_deref(), &letter, fates).await;
        }
        // What a program wrote is never answered by one: it ends here, whatever it is.
        if letter.author == Author::Program || letter.from.as_deref() == Some(self.sender.as_str()) {
            tracing::debug!(from = letter.from, "a letter of a program has been put away");
            return Ok(Receipt::Taken);
        }
        let arrival = Arrival {
            key: actions::key_of(&letter, &mail.raw),
            is_forged: verdict::is_forged(&letter.results, self.trusted.as_deref()),
            from: mail.from,
            letter,
        };
        let answered = self.answered(mail.to.as_deref(), &arrival.letter);
        let sender = arrival.letter.from.clone();
        let (tenant, refusal) = match self.judge(answered, arrival).await? {
            Ok(()) => return Ok(Receipt::Taken),
            Err(refused) => refused,
        };
        let to = mail.to.as_deref().unwrap_or_default();
        self.refuse(tenant, refusal, (sender.as_deref(), to), mail.from)
            .await?;
        Ok(Receipt::Refused(refusal.said().to_owned()))
    }

    /// A report of a mail server concerns the message whose address it came to.
    async fn return_to_ledger(
        &self,
        to: Option<&str>,
        letter: &Letter,
        fates: &[Fate],
    ) -> Result<Receipt, Problem> {
        let named = self.named(to, letter, Purpose::Bounce).into_iter().next();
        let Some((id, fate)) = named.zip(bounces::worst_of(fates).cloned()) else {
            return Ok(Receipt::Taken);
        };
        let row = self
            .within
            .look(move |conn| mail::store::find_by_id(conn, id))
            .await?;
        match row {
            // It came back before we have noted that it left.
            Some(row) if row.state == DeliveryState::Leased => Ok(Receipt::Later),
            Some(row) => {
                let noted = self.within.write(row.tenant_id, move |conn, within| {
                    bounces::reported(conn, &row, &fate, within.now())
                });
                noted.await.map(|()| Receipt::Taken)
            }
            None => Ok(Receipt::Taken),
        }
    }

    /// The messages of the addresses that a letter was sent to: that of the envelope, or else those that it names itself.
    fn named(&self, to: Option<&str>, letter: &Letter, purpose: Purpose) -> Vec<DeliveryId> {
        let addresses: Vec<&str> = match to {
            Some(to) => vec![to],
            None => letter.to.iter().map(String::as_str).collect(),
        };
        let read = addresses.into_iter().filter_map(|to| self.addresses.read(to));
        read.filter(|(given, _)| *given == purpose)
            .map(|(_, id)| id)
            .collect()
    }

    /// The messages that a letter may answer, the likeliest first: by the address that it was sent to, and else by the
    /// Message-IDs that it names, which nobody guesses either.
    fn answered(&self, to: Option<&str>, letter: &Letter) -> Vec<DeliveryId> {
        let by_address = self.named(to, letter, Purpose::Reply);
        let host = self.sender.rsplit_once('@').map_or("", |(_, host)| host);
        let by_thread = letter.thread.iter().filter_map(|id| {
            let (id, domain) = id.rsplit_once('@')?;
            id.parse().ok().filter(|_| domain.eq_ignore_ascii_case(host))
        });
        by_address.into_iter().chain(by_thread).take(10).collect()
    }

    async fn judge(&self, answered: Vec<DeliveryId>, arrival: Arrival) -> Result<Verdict, Problem> {
        let arrival = Arc::new(arrival);
        let found = self.within.look(move |conn| {
            for id in answered {
                if let Some(row) = mail::store::find_by_id(conn, id)? {
                    return Ok(Some(row));
                }
            }
            Ok(None)
        });
        let Some(row) = found.await? else {
            return Ok(Err((PROVIDER, Refusal::Unknown)));
        };
        let tenant = row.tenant_id;
        let Some(request) = row.request_id.filter(|_| row.kind.is_answered()) else {
            return Ok(Err((tenant, Refusal::Unknown)));
        };
        let answer = Answer {
            row,
            request,
            arrival,
        };
        let enclosed = match enclosed::put_away(&self.within, &self.files, &answer).await? {
            Ok(enclosed) => enclosed,
            Err(refusal) => return Ok(Err((tenant, refusal))),
        };
        let limits = self.files.1.clone();
        let answered = self.within.write(tenant, move |conn, within| {
            actions::answer(conn, within, &answer, (&enclosed, &limits))
        });
        match answered.await {
            Ok(judged) => Ok(judged.map_err(|refusal| (tenant, refusal))),
            // The request is over, say: the same answer as over the API.
            Err(problem) if problem.code().status() < 500 && problem.code() != Code::Conflict => {
                Ok(Err((tenant, Refusal::Request)))
            }
            Err(problem) => Err(problem),
        }
    }

    async fn refuse(
        &self,
        tenant: TenantId,
        refusal: Refusal,
        (sender, to): (Option<&str>, &str),
        from: IpAddr,
    ) -> Result<(), Problem> {
        let short = |text: &str| text::shortened(text, 254);
        let data = json!({"reason": refusal, "sender": sender.map(short), "to": short(&without_token(to))});
        self.within.refuse(tenant, from, data).await
    }
}

/// Reads a mail, which may be long, aside.
async fn read(mail: &Incoming) -> Option<Letter> {
    let (raw, return_path) = (Arc::clone(&mail.raw), mail.return_path.clone());
    let read = spawn_blocking(move || Letter::read(&raw, return_path.as_deref()));
    read.await.ok().flatten()
}

/// An address for the audit, which shows nobody what may be answered to.
fn without_token(to: &str) -> Cow<'_, str> {
    match to.split_once('+').zip(to.rsplit_once('@')) {
        Some(((what, _), (_, domain))) => Cow::Owned(format!("{what}+…@{domain}")),
        None => Cow::Borrowed(to),
    }
}

/// Whether an address looks like one that we made.
fn looks_made(address: &str) -> bool {
    address.starts_with("reply+") || address.starts_with("bounce+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_shows_no_token() {
        for (to, shown) in [
            ("Reply+abc@in.desk.example", "Reply+…@in.desk.example"),
            ("reply+a+b@c@in.desk.example", "reply+…@in.desk.example"),
            ("desk@desk.example", "desk@desk.example"),
            ("reply+abc", "reply+abc"),
            ("", ""),
        ] {
            assert_eq!(without_token(to), shown);
        }
    }
}
