//! The mailbox: the `.eml` files that the server wrote, read back as anybody's mail program would.
//!
//! Only the few headers that the demo shows; what a message means lives in `notify`.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// One message, by what its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The `To` header: a name and an address.
    pub to: String,
    /// The `Subject` header.
    pub subject: String,
}

/// Every message in `directory`, in the order in which they were written.
pub fn read(directory: &Path) -> io::Result<Vec<Mail>> {
    let mut files = vec![];
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            files.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|(_, path)| Ok(parsed(&String::from_utf8_lossy(&fs::read(path)?))))
        .collect()
}

/// Who got each subject, and how often if more than once; the subjects in the order of their first message.
pub fn by_subject(mails: &[Mail]) -> Vec<(String, Vec<String>)> {
    let mut order = vec![];
    let mut recipients: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for mail in mails {
        let known = recipients.entry(&mail.subject).or_insert_with(|| {
            order.push(mail.subject.as_str());
            BTreeMap::new()
        });
        *known.entry(address(&mail.to)).or_default() += 1;
    }
    let told = |(address, count): (&str, usize)| match count {
        1 => address.to_owned(),
        _ => format!("{address} ({count})"),
    };
    order
        .into_iter()
        .map(|subject| {
            let people = recipients.remove(subject).unwrap_or_default();
            (subject.to_owned(), people.into_iter().map(told).collect())
        })
        .collect()
}

fn address(mailbox: &str) -> &str {
    mailbox
        .rsplit_once('<')
        .map_or(mailbox, |(_, rest)| rest.trim_end_matches('>'))
        .trim()
}

fn parsed(message: &str) -> Mail {
    let head = message
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .replace("\r\n ", " ")
        .replace("\r\n\t", " ");
    let header = |name: &str| {
        let found = head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        decoded(found.unwrap_or_default())
    };
    Mail {
        to: header("To"),
        subject: header("Subject"),
    }
}

/// RFC 2047: words such as `=?utf-8?b?4oCm?=` become what they stand for; spaces between two of them go.
fn decoded(value: &str) -> String {
    let mut text = String::new();
    let mut after_encoded = false;
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        let plain = encoded_word(word);
        let joined = text.is_empty() || (after_encoded && plain.is_some());
        if !joined {
            text.push(' ');
        }
        after_encoded = plain.is_some();
        text.push_str(plain.as_deref().unwrap_or(word));
    }
    text
}

fn encoded_word(word: &str) -> Option<String> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => quoted(text)?,
        _ => return None,
    };
    charset
        .eq_ignore_ascii_case("utf-8")
        .then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn quoted(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded_and_decoded() {
        let mail = parsed(concat!(
            "Message-ID: <1@localhost>\r\nTo: \"Ellery, Bob\" <bob@contoso.example>\r\n",
            "Subject: Resolved: mail is\r\n reachable =?utf-8?b?YWdhaW4=?=\r\n =?utf-8?Q?_=E2=80=94_all_clear?=\r\n",
            "\r\nSubject: not this one\r\n",
        ));
        assert_eq!(mail.subject, "Resolved: mail is reachable again — all clear");
        assert_eq!(mail.to, "\"Ellery, Bob\" <bob@contoso.example>");
    }

    #[test]
    fn what_is_not_an_encoded_word_is_left_alone() {
        for text in ["=?utf-8?x?abc?=", "=?=", "a =? b", "=?utf-8?b?***?="] {
            assert_eq!(decoded(text), text);
        }
    }

    #[test]
    fn subjects_keep_their_order_and_gather_their_recipients() {
        let mail = |to: &str, subject: &str| Mail {
            to: to.into(),
            subject: subject.into(),
        };
        let mails = [
            mail("Z <z@x.example>", "second"),
            mail("Z <z@x.example>", "second"),
            mail("b@x.example", "first"),
            mail("A <a@x.example>", "second"),
        ];
        assert_eq!(
            by_subject(&mails),
            [
                (
                    "second".to_owned(),
                    vec!["a@x.example".to_owned(), "z@x.example (2)".to_owned()]
                ),
                ("first".to_owned(), vec!["b@x.example".to_owned()]),
            ]
        );
    }
}
