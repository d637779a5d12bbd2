//! What is said at the door: SMTP (RFC 5321) or LMTP (RFC 2033), as far as a relay needs it to hand in mail. Pure.

use std::borrow::Cow;

use smtp_proto::{Error, Request};

use super::Receipt;
use crate::settings::Protocol;

/// A mail goes to so many at most (RFC 5321 §4.5.3.1.8).
const MOST_RECIPIENTS: usize = 100;

/// What follows a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is the answer.
    Say(String),
    /// Somebody has to say whether mail to this address is taken.
    Ask(String),
    /// The mail itself follows.
    Data,
    /// It is over.
    Leave,
}

/// A conversation with somebody who hands in mail.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    host: String,
    limit: usize,
    is_greeted: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    /// At this host, where mail has `limit` bytes at most.
    pub fn new(protocol: Protocol, host: &str, limit: usize) -> Self {
        Self {
            protocol,
            host: host.to_owned(),
            limit,
            is_greeted: false,
            from: None,
            to: Vec::new(),
        }
    }

    /// What is said first.
    pub fn greeting(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        format!("220 {} {protocol} Allclear", self.host)
    }

    /// Hears a command.
    pub fn hear(&mut self, request: Request<Cow<'_, str>>) -> Next {
        match (request, self.protocol) {
            (Request::Ehlo { .. }, Protocol::Smtp) | (Request::Lhlo { .. }, Protocol::Lmtp) => {
                self.greet();
                let (host, limit) = (&self.host, self.limit);
                say(&format!(
                    "250-{host}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {limit}"
                ))
            }
            (Request::Helo { .. }, Protocol::Smtp) => {
                self.greet();
                say(&format!("250 {}", self.host))
            }
            (Request::Mail { .. } | Request::Rcpt { .. } | Request::Data, _) if !self.is_greeted => {
                out_of_turn()
            }
            (Request::Mail { .. }, _) if self.from.is_some() => out_of_turn(),
            (Request::Mail { from }, _) if from.size > self.limit => say(TOO_LARGE),
            (Request::Mail { from }, _) => {
                self.from = Some(from.address.into_owned());
                say("250 2.1.0 Ok")
            }
            (Request::Rcpt { .. }, _) if self.from.is_none() => out_of_turn(),
            (Request::Rcpt { .. }, _) if self.to.len() >= MOST_RECIPIENTS => {
                say("452 4.5.3 Too many recipients")
            }
            (Request::Rcpt { to }, _) => Next::Ask(to.address.into_owned()),
            (Request::Data, _) if self.to.is_empty() => say("503 5.5.1 There is no recipient"),
            (Request::Data, _) => Next::Data,
            (Request::Rset, _) => {
                self.reset();
                say("250 2.0.0 Ok")
            }
            (Request::Noop { .. }, _) => say("250 2.0.0 Ok"),
            (Request::Vrfy { .. }, _) => say("252 2.5.0 Send it, and see"),
            (Request::Quit, _) => Next::Leave,
            _ => say("502 5.5.1 That is not spoken here"),
        }
    }

    /// What is said to whoever names this recipient.
    pub fn admit(&mut self, to: String, receipt: &Receipt) -> String {
        if *receipt == Receipt::Taken {
            self.to.push(to);
            return "250 2.1.5 Ok".to_owned();
        }
        answer(receipt)
    }

    /// From whom and to whom the mail is that has followed; the next one may begin.
    pub fn take(&mut self) -> (String, Vec<String>) {
        (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to))
    }

    /// What is said of a mail with these receipts, one for each recipient. Where one answer has to do, it is to be handed in
    /// again as long as anybody lacks it: who has it will know it.
    pub fn answers(&self, receipts: &[Receipt]) -> String {
        if self.protocol == Protocol::Lmtp {
            let answers: Vec<String> = receipts.iter().map(answer).collect();
            return answers.join("\r\n");
        }
        let first = [Receipt::Later, Receipt::Taken]
            .into_iter()
            .find(|receipt| receipts.contains(receipt));
        answer(first.as_ref().or(receipts.first()).unwrap_or(&Receipt::Later))
    }

    fn greet(&mut self) {
        self.is_greeted = true;
        self.reset();
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

const TOO_LARGE: &str = "552 5.3.4 The message is too large";

/// What is said of a mail.
fn answer(receipt: &Receipt) -> String {
    match receipt {
        Receipt::TooLarge => TOO_LARGE.to_owned(),
        Receipt::Taken => "250 2.0.0 Ok".to_owned(),
        Receipt::Unknown => "550 5.1.1 There is no such mailbox".to_owned(),
        Receipt::Refused(why) => format!("550 5.7.1 {}", one_line(why)),
        Receipt::Later => "451 4.3.0 Not now, please try again".to_owned(),
    }
}

/// What is said of a command that cannot be understood.
pub fn misheard(error: &Error) -> &'static str {
    match error {
        Error::UnknownCommand => "500 5.5.2 There is no such command",
        Error::ResponseTooLong => "500 5.5.2 The line is too long",
        Error::UnsupportedParameter { .. } => "555 5.5.4 There is no such parameter here",
        Error::InvalidSenderAddress | Error::InvalidRecipientAddress => "501 5.1.3 That is no address",
        _ => "501 5.5.4 That is not how it is written",
    }
}

fn out_of_turn() -> Next {
    say("503 5.5.1 Not yet, or not again")
}

fn say(text: &str) -> Next {
    Next::Say(text.to_owned())
}

/// Nothing but printable ASCII: the other side reads an answer line by line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a session says to each line; whoever is asked for takes mail, but none to `nobody@…`.
    fn talk(protocol: Protocol, lines: &[&str]) -> Vec<String> {
        let mut session = Session::new(protocol, "desk.example", 1000);
        let hear = |line: &&str| {
            let line = format!("{line}\r\n");
            let request = match Request::parse(&mut line.as_bytes().iter()) {
                Ok(request) => request,
                Err(error) => return misheard(&error).to_owned(),
            };
            match session.hear(request) {
                Next::Say(answer) => answer,
                Next::Ask(to) => {
                    let receipt = match to.starts_with("nobody@") {
                        true => Receipt::Unknown,
                        false => Receipt::Taken,
                    };
                    session.admit(to, &receipt)
                }
                Next::Data => {
                    let (from, to) = session.take();
                    format!("{from}>{}", to.join(","))
                }
                Next::Leave => "bye".to_owned(),
            }
        };
        lines.iter().map(hear).collect()
    }

    #[test]
    fn mail_is_handed_in_one_after_the_other() {
        let said = talk(
            Protocol::Smtp,
            &[
                "EHLO mx.example",
                "MAIL FROM:<ada@contoso.example> SIZE=1000 BODY=8BITMIME",
                "RCPT TO:<reply+x@desk.example>",
                "RCPT TO:<nobody@desk.example>",
                "rcpt to:<bob@desk.example>",
                "DATA",
                "MAIL FROM:<>",
                "RCPT TO:<bounce+x@desk.example>",
                "DATA",
                "QUIT",
            ],
        );
        assert!(said[0].contains("SIZE 1000") && said[0].lines().last().unwrap().starts_with("250 "));
        let codes: Vec<&str> = said.iter().map(|line| &line[..3]).collect();
        assert_eq!(codes[1..5], ["250", "250", "550", "250"]);
        assert_eq!(
            said[5],
            "ada@contoso.example>reply+x@desk.example,bob@desk.example"
        );
        assert_eq!(said[8], ">bounce+x@desk.example");
        assert_eq!(said[9], "bye");
    }

    #[test]
    fn what_is_out_of_turn_or_not_understood_changes_nothing() {
        for (lines, code) in [
            (&["MAIL FROM:<a@b.example>"][..], "503"),
            (&["LHLO mx.example"], "502"),
            (&["EHLO mx.example", "RCPT TO:<a@desk.example>"], "503"),
            (&["EHLO mx.example", "DATA"], "503"),
            (
                &[
                    "EHLO x.example",
                    "MAIL FROM:<a@b.example>",
                    "MAIL FROM:<a@b.example>",
                ],
                "503",
            ),
            (
                &[
                    "EHLO x.example",
                    "MAIL FROM:<a@b.example>",
                    "RSET",
                    "RCPT TO:<a@desk.example>",
                ],
                "503",
            ),
            (
                &[
                    "EHLO x.example",
                    "MAIL FROM:<a@b.example>",
                    "RCPT TO:<nobody@desk.example>",
                    "DATA",
                ],
                "503",
            ),
            (&["EHLO x.example", "MAIL FROM:<a@b.example> SIZE=1001"], "552"),
            (&["EHLO x.example", "MAIL FROM: nothing"], "501"),
            (&["EHLO x.example", "STARTTLS"], "502"),
            (&["HELP"], "502"),
            (&["GET / HTTP/1.1"], "500"),
        ] {
            let said = talk(Protocol::Smtp, lines);
            assert_eq!(&said.last().unwrap()[..3], code, "{lines:?}: {said:?}");
        }
    }

    #[test]
    fn lmtp_has_its_own_greeting_and_an_answer_for_each_recipient() {
        let said = talk(
            Protocol::Lmtp,
            &["EHLO x.example", "LHLO x.example", "MAIL FROM:<a@b.example>"],
        );
        assert_eq!(
            [&said[0][..3], &said[1][..3], &said[2][..3]],
            ["502", "250", "250"]
        );
        let (taken, later, unknown) = (Receipt::Taken, Receipt::Later, Receipt::Unknown);
        for (receipts, codes, code) in [
            (vec![taken.clone()], &["250"][..], "250"),
            (vec![unknown.clone(), taken.clone()], &["550", "250"], "250"),
            (
                vec![taken.clone(), later.clone(), unknown.clone()],
                &["250", "451", "550"],
                "451",
            ),
            (vec![unknown, Receipt::TooLarge], &["550", "552"], "550"),
        ] {
            let answers = |protocol| Session::new(protocol, "desk.example", 1).answers(&receipts);
            let each = answers(Protocol::Lmtp);
            let each: Vec<&str> = each.lines().map(|line| &line[..3]).collect();
            assert_eq!(each, codes);
            let one = answers(Protocol::Smtp);
            assert_eq!((one.lines().count(), &one[..3]), (1, code));
        }
    }

    #[test]
    fn no_answer_has_two_lines() {
        let why = "no\r\n250 Ok\u{2028}ü";
        assert_eq!(
            answer(&Receipt::Refused(why.to_owned())),
            "550 5.7.1 no??250 Ok??"
        );
    }
}
