//! What became of a mail that somebody else had to deliver: delivery status notifications (RFC 3464). Pure.

use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders, PartType};

/// What became of a mail for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The address as the reporting server had it, in lower case.
    pub recipient: String,
    /// What came of it.
    pub end: End,
    /// The status, such as `5.1.1`.
    pub status: String,
    /// What the other server said, if the report has it.
    pub said: Option<String>,
}

/// What came of a mail, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It was delivered, or passed on.
    Well,
    /// It is late, and tried again.
    Late,
    /// It was given up, for something that passes: a mailbox that is full, a server that is away.
    GivenUp,
    /// It was refused for good: its status is of the class 5 (RFC 3463 §3.1).
    Refused,
}

impl End {
    fn of(action: &str, status: &str) -> Self {
        match action.to_ascii_lowercase().as_str() {
            "failed" if status.starts_with("5.") => Self::Refused,
            "failed" => Self::GivenUp,
            "delayed" => Self::Late,
            _ => Self::Well,
        }
    }
}

/// The fates that a report tells; none of a mail that is no report.
pub fn fates(message: &Message<'_>) -> Option<Vec<Fate>> {
    let kind = message.content_type()?;
    let is_report = kind.ctype().eq_ignore_ascii_case("multipart")
        && kind
            .subtype()
            .is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"));
    if !is_report {
        return None;
    }
    let statuses = message.parts.iter().filter(|part| {
        let kind = part.content_type();
        kind.is_some_and(|kind| {
            let is_status = |name: &str| {
                name.eq_ignore_ascii_case("delivery-status")
                    || name.eq_ignore_ascii_case("global-delivery-status")
            };
            kind.ctype().eq_ignore_ascii_case("message") && kind.subtype().is_some_and(is_status)
        })
    });
    let texts = statuses.filter_map(|part| match &part.body {
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        PartType::Text(text) => Some(text.clone().into_owned()),
        _ => None,
    });
    Some(texts.flat_map(|text| recipients(&text)).collect())
}

/// The fields of each recipient, which stand in groups between blank lines (§2.1); those of the whole report have none.
fn recipients(text: &str) -> Vec<Fate> {
    let text = text.replace("\r\n", "\n");
    text.split("\n\n").filter_map(fate).collect()
}

fn fate(group: &str) -> Option<Fate> {
    let block = format!("{}\r\n\r\n", group.trim());
    let fields = MessageParser::default().parse_headers(block.as_bytes())?;
    let field = |name: &'static str| fields.header(name).and_then(HeaderValue::as_text).map(str::trim);
    // An address and a diagnostic say first of which kind they are: `rfc822; ada@contoso.example` (§2.1.2).
    let typed =
        |name| field(name).map(|value| value.split_once(';').map_or(value, |(_, value)| value).trim());
    let recipient = typed("Original-Recipient").or_else(|| typed("Final-Recipient"))?;
    let status = field("Status")?.split_whitespace().next()?;
    Some(Fate {
        recipient: recipient.trim_matches(['<', '>']).to_lowercase(),
        end: End::of(field("Action").unwrap_or_default(), status),
        status: status.to_owned(),
        said: typed("Diagnostic-Code").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: &str) -> String {
        format!(
            "From: MAILER-DAEMON@mx.contoso.example (Mail Delivery System)\r\nTo: bounce+x@desk.example\r\n\
             Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nI am sorry.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.contoso.example\r\n\
             Arrival-Date: Mon, 3 May 2026 10:15:00 +0000\r\n\r\n{status}\r\n\
             --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Mail is down\r\nMessage-ID: <1@desk.example>\r\n\r\nHello\r\n--b--\r\n"
        )
    }

    fn read(raw: &str) -> Option<Vec<Fate>> {
        fates(&MessageParser::default().parse(raw).unwrap())
    }

    #[test]
    fn a_report_tells_what_became_of_each_recipient() {
        let status = "Original-Recipient: rfc822;Ada@Contoso.example\r\nFinal-Recipient: rfc822; ada@mailbox.contoso.example\r\n\
                      Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx2.contoso.example\r\n\
                      Diagnostic-Code: smtp; 550 5.1.1 <ada@contoso.example>:\r\n Recipient address rejected\r\n\r\n\
                      Final-Recipient: RFC822; bob@contoso.example\r\nAction: FAILED\r\nStatus: 5.2.2 (mailbox full)\r\n\r\n\
                      Final-Recipient: rfc822;cleo@contoso.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n\
                      Final-Recipient: rfc822;dan@contoso.example\r\nAction: failed\r\nStatus: 4.4.7\r\n";
        let found = read(&report(status)).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|fate| (fate.recipient.as_str(), fate.end, fate.status.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("ada@contoso.example", End::Refused, "5.1.1"),
                ("bob@contoso.example", End::Refused, "5.2.2"),
                ("cleo@contoso.example", End::Late, "4.4.1"),
                ("dan@contoso.example", End::GivenUp, "4.4.7"),
            ]
        );
        let said = found[0].said.as_deref().unwrap();
        assert!(
            said.starts_with("550 5.1.1") && said.ends_with("Recipient address rejected"),
            "{said}"
        );
        assert_eq!(found[1].said, None);
    }

    #[test]
    fn what_is_no_report_has_no_fates_and_a_broken_one_none_that_can_be_believed() {
        assert_eq!(
            read("From: a@b.example\r\nContent-Type: text/plain\r\n\r\nStatus: 5.1.1\r\n"),
            None
        );
        for broken in [
            "",
            "Status: 5.1.1",
            "Final-Recipient: rfc822;a@b.example",
            "\u{0}\u{1}: x",
            "Action: failed",
        ] {
            assert_eq!(read(&report(broken)), Some(Vec::new()), "{broken}");
        }
        let undecided = report("Final-Recipient: a@b.example\r\nAction: relayed\r\nStatus: 5.0.0");
        assert_eq!(read(&undecided).unwrap()[0].end, End::Well);
    }
}
