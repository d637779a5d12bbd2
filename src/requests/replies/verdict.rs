//! Whether a letter is a reply that becomes a comment. Pure.

use crate::db::text_enum;
use crate::identity::Correspondent;

/// So many replies of one sender to one request become comments within an hour: what is beyond that is a loop.
pub const MOST: i64 = 10;

text_enum! {
    /// Why a letter is refused.
    Refusal {
        /// Nothing in it leads to a message of ours.
        Unknown = "unknown",
        /// It is not from whom the message went to that it answers.
        Sender = "sender",
        /// A mail server that is trusted says that its sender is not who it says.
        Forged = "forged",
        /// Its sender may not comment here, or not any more.
        Standing = "standing",
        /// Its sender has written too often.
        Rate = "rate",
        /// It says nothing.
        Empty = "empty",
        /// The request takes no comments, as it is.
        Request = "request",
    }
}

impl Refusal {
    /// As whoever wrote the letter hears it: nothing that a stranger should not know.
    pub fn said(self) -> &'static str {
        match self {
            Self::Unknown => "nothing in this mail leads to a request",
            Self::Sender | Self::Standing => {
                "only those whom our mail went to may answer it, from the same address"
            }
            Self::Forged => "the sender of this mail is not who it says",
            Self::Rate => "too many answers within an hour",
            Self::Empty => "the mail says nothing",
            Self::Request => "the request takes no answers any more",
        }
    }
}

/// What a letter is judged by.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// From whom it says it is.
    pub sender: Option<&'a str>,
    /// To whom the message went that it answers.
    pub recipient: &'a str,
    /// Whether its sender was found to be somebody else.
    pub is_forged: bool,
    /// What the sender is at the tenant.
    pub correspondent: &'a Correspondent,
    /// Whether the sender is the requester or watches the request.
    pub is_party: bool,
    /// How many of their replies became comments within the last hour.
    pub recent: i64,
    /// Whether it says anything.
    pub is_empty: bool,
}

/// Whether it becomes a comment.
pub fn judge(facts: &Facts<'_>) -> Result<(), Refusal> {
    let is_allowed = match facts.correspondent {
        Correspondent::Member { .. } => facts.correspondent.may_comment(),
        Correspondent::Outsider => facts.is_party,
        Correspondent::Disabled => false,
    };
    if facts.sender != Some(facts.recipient) {
        Err(Refusal::Sender)
    } else if facts.is_forged {
        Err(Refusal::Forged)
    } else if !is_allowed {
        Err(Refusal::Standing)
    } else if facts.is_empty {
        Err(Refusal::Empty)
    } else if facts.recent >= MOST {
        Err(Refusal::Rate)
    } else {
        Ok(())
    }
}

/// Whether one of these `Authentication-Results` (RFC 8601), of the mail server that is trusted, says that the sender is
/// not who the letter says. What others say is not looked at: whoever sends a mail can write it.
pub fn is_forged(results: &[String], trusted: Option<&str>) -> bool {
    let Some(trusted) = trusted else { return false };
    let mut said = Vec::new();
    for result in results {
        let mut parts = result.split(';').map(str::trim);
        let server = parts.next().and_then(|server| server.split_whitespace().next());
        if server.is_some_and(|server| server.eq_ignore_ascii_case(trusted)) {
            let first = |part: &str| part.split_whitespace().next().map(str::to_ascii_lowercase);
            said.extend(parts.filter_map(first));
        }
    }
    let says = |result: &str| said.iter().any(|said| said == result);
    // A mail that was passed on fails SPF, and is its sender's all the same if its signature is (RFC 7489 §6.6.2).
    says("dmarc=fail") || says("spf=fail") && !says("dmarc=pass")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Id;
    use crate::identity::Role;

    fn member(role: Role) -> Correspondent {
        Correspondent::Member {
            person: Id::from_uuid(uuid::Uuid::nil()),
            role,
            name: "Ada".to_owned(),
        }
    }

    #[test]
    fn a_reply_counts_of_whom_it_is_asked_and_who_may_comment() {
        let (ada, eve) = (Some("ada@contoso.example"), Some("eve@evil.example"));
        let admin = member(Role::TenantAdmin);
        let viewer = member(Role::TenantViewer);
        let (out, disabled) = (Correspondent::Outsider, Correspondent::Disabled);
        for (sender, is_forged, correspondent, is_party, recent, is_empty, expected) in [
            (ada, false, &admin, false, 0, false, Ok(())),
            (ada, false, &admin, true, MOST - 1, false, Ok(())),
            (ada, false, &out, true, 0, false, Ok(())),
            (None, false, &admin, true, 0, false, Err(Refusal::Sender)),
            (eve, false, &admin, true, 0, false, Err(Refusal::Sender)),
            (eve, true, &out, false, 99, true, Err(Refusal::Sender)),
            (ada, true, &admin, true, 0, false, Err(Refusal::Forged)),
            (ada, false, &viewer, true, 0, false, Err(Refusal::Standing)),
            (ada, false, &out, false, 0, false, Err(Refusal::Standing)),
            (ada, false, &disabled, true, 0, false, Err(Refusal::Standing)),
            (ada, false, &admin, true, 0, true, Err(Refusal::Empty)),
            (ada, false, &admin, true, MOST, false, Err(Refusal::Rate)),
        ] {
            let facts = Facts {
                sender,
                recipient: "ada@contoso.example",
                is_forged,
                correspondent,
                is_party,
                recent,
                is_empty,
            };
            assert_eq!(judge(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn only_who_is_trusted_is_believed_that_a_letter_is_forged() {
        for (result, forged) in [
            ("mx.desk.example; dmarc=fail header.from=contoso.example", true),
            ("mx.desk.example 1; spf=pass; DMARC=fail", true),
            ("MX.desk.example; spf=fail smtp.mailfrom=x", true),
            ("mx.desk.example; spf=fail; dkim=pass; dmarc=pass", false),
            ("mx.desk.example; spf=softfail; dmarc=none", false),
            ("mx.desk.example; spf=pass reason=\"dmarc=fail\"", false),
            ("mx.evil.example; dmarc=fail", false),
            ("", false),
        ] {
            let results = [result.to_owned()];
            assert_eq!(is_forged(&results, Some("mx.desk.example")), forged, "{result}");
            assert!(!is_forged(&results, None));
        }
    }
}
