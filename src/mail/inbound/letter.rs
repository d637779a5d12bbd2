//! A mail that came in, as much of it as matters here. Pure: nothing is believed, and nothing is decided.

use std::borrow::Cow;
use std::panic::catch_unwind;

use mail_parser::{Address, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::quote;
use super::report::{self, Fate};

/// So many files of a mail are looked at.
const MOST_FILES: usize = 20;
/// A mail with more parts is not read. Each may hold others, and its reader would go down without end.
const MOST_PARTS: usize = 500;
/// Nor is one whose head has more bytes.
const LONGEST_HEAD: usize = 1 << 20;
/// Of the mails that it answers, so many are looked at.
const MOST_ANSWERED: usize = 50;
/// Who some mail servers write in place of no return path at all.
const NOBODY: &str = "mailer-daemon";
/// Fields that only programs write. Where there is one, a program wrote the mail.
const MACHINES: [&str; 7] = [
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-Auto-Reply-From",
    "X-Autoreply-From",
    "X-Mail-Autoreply",
    "X-FC-MachineGenerated",
];
/// In the HTML of a reply, where the mail that is answered begins.
const ANSWERED: [&str; 7] = [
    "<div class=\"gmail_quote",
    "<div class=\"gmail_attr",
    "<blockquote",
    "<div id=\"appendonsend",
    "<div id=\"divrplyfwdmsg",
    "<div class=\"moz-cite-prefix",
    "<div class=\"yahoo_quoted",
];

/// A mail that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its Message-ID, without brackets.
    pub id: Option<String>,
    /// The one address that it says it is from, in lower case; none where it names none or several.
    pub from: Option<String>,
    /// The name beside it.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The addresses that it says it is to, in lower case: those of `To`, `Cc`, `Delivered-To` and `X-Original-To`.
    pub to: Vec<String>,
    /// The ids, without brackets, of the mails that it answers, the nearest first.
    pub thread: Vec<String>,
    /// Who wrote it.
    pub author: Author,
    /// What mail servers on the way say of its sender (`Authentication-Results`, RFC 8601).
    pub results: Vec<String>,
    /// What its author wrote, without the mail that is answered.
    pub words: String,
    /// What is attached.
    pub files: Vec<File>,
    /// How many more files it has than are kept.
    pub more_files: usize,
}

/// Who wrote a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// Somebody, as far as one can see.
    Person,
    /// A program, by itself (RFC 3834 §2).
    Program,
    /// A mail server, about mail that it could not deliver.
    Server(Vec<Fate>),
}

/// Something attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, as it was sent.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// Reads a mail; none where the bytes are none, are made to keep a reader busy, or make the library panic, as mails in
    /// mails do that end in the middle. `return_path` is the envelope's sender, where it is known: a mail without one is never answered, since a program wrote it (RFC 5321 §4.5.5).
    pub fn read(raw: &[u8], return_path: Option<&str>) -> Option<Self> {
        if !is_readable(raw) {
            return None;
        }
        catch_unwind(|| Self::look_through(raw, return_path))
            .ok()
            .flatten()
    }

    fn look_through(raw: &[u8], return_path: Option<&str>) -> Option<Self> {
        let message = MessageParser::default().parse(raw)?;
        let (from, name) = match message.from().map(addresses).as_deref() {
            Some([(address, name)]) => (Some(address.clone()), name.clone()),
            _ => (None, String::new()),
        };
        let files: Vec<&MessagePart<'_>> = message.attachments().filter(|part| is_file(part)).collect();
        Some(Self {
            id: message.message_id().map(str::to_owned),
            from,
            name,
            subject: message.subject().unwrap_or_default().to_owned(),
            to: recipients(&message),
            thread: thread(&message),
            author: author(&message, return_path),
            results: results(&message),
            words: words(&message),
            more_files: files.len().saturating_sub(MOST_FILES),
            files: files.into_iter().take(MOST_FILES).map(file).collect(),
        })
    }
}

/// Whether a mail has an end to its parts, and to its head.
fn is_readable(raw: &[u8]) -> bool {
    let begins = |line: &[u8], field: &[u8]| {
        line.get(..field.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(field))
    };
    let mut parts = raw
        .split(|byte| *byte == b'\n')
        .filter(|line| begins(line, b"content-type"));
    let head = raw.get(..LONGEST_HEAD).unwrap_or(raw);
    let is_blank = |two: &[u8]| matches!(two, [b'\n', b'\n' | b'\r']);
    let has_end = head.len() == raw.len() || head.windows(2).any(is_blank);
    has_end && parts.nth(MOST_PARTS).is_none()
}

fn addresses(field: &Address<'_>) -> Vec<(String, String)> {
    let one = |addr: &mail_parser::Addr<'_>| {
        let address = addr.address.as_deref()?.trim().to_lowercase();
        Some((address, addr.name.as_deref().unwrap_or_default().to_owned()))
    };
    field.iter().filter_map(one).collect()
}

fn recipients(message: &Message<'_>) -> Vec<String> {
    let fields = message.all_to().chain(message.all_cc());
    let mut to: Vec<String> = fields.flat_map(addresses).map(|(address, _)| address).collect();
    for name in ["Delivered-To", "X-Original-To"] {
        let values = message.header_values(name).filter_map(HeaderValue::as_text);
        to.extend(values.map(|value| value.trim().to_lowercase()));
    }
    to
}

/// The mail that is answered is in `In-Reply-To`; `References` has it last, and those before it.
fn thread(message: &Message<'_>) -> Vec<String> {
    let ids = |value: &HeaderValue<'_>| -> Vec<String> {
        match value {
            HeaderValue::Text(id) => vec![id.clone().into_owned()],
            HeaderValue::TextList(ids) => ids.iter().map(|id| id.clone().into_owned()).collect(),
            _ => Vec::new(),
        }
    };
    let mut thread = ids(message.in_reply_to());
    thread.truncate(MOST_ANSWERED);
    for id in ids(message.references()).into_iter().rev().take(MOST_ANSWERED) {
        if !thread.contains(&id) {
            thread.push(id);
        }
    }
    thread
}

fn author(message: &Message<'_>, return_path: Option<&str>) -> Author {
    if let Some(fates) = report::fates(message) {
        return Author::Server(fates);
    }
    let field = |name: &'static str| message.header(name).and_then(HeaderValue::as_text).map(str::trim);
    // Anything but `no` (RFC 3834 §5.2).
    let is_automatic = field("Auto-Submitted").is_some_and(|value| !value.eq_ignore_ascii_case("no"));
    let is_bulk = field("Precedence").is_some_and(|value| {
        let is = |name: &str| value.eq_ignore_ascii_case(name);
        is("bulk") || is("junk") || is("list") || is("auto_reply")
    });
    let is_of_list = ["List-Id", "List-Unsubscribe"]
        .iter()
        .any(|name| message.header(*name).is_some());
    let is_of_machine = MACHINES.iter().any(|name| message.header(*name).is_some());
    let written = message.header_raw("Return-Path").map(str::trim);
    let is_without_path = return_path.or(written).is_some_and(is_nobody);
    match is_automatic || is_bulk || is_of_list || is_of_machine || is_without_path {
        true => Author::Program,
        false => Author::Person,
    }
}

fn is_nobody(path: &str) -> bool {
    let path = path.trim_matches(['<', '>', ' ']);
    let local = path.split_once('@').map_or(path, |(local, _)| local);
    local.is_empty() || local.eq_ignore_ascii_case(NOBODY)
}

fn results(message: &Message<'_>) -> Vec<String> {
    let values = message.header_values("Authentication-Results");
    values
        .filter_map(HeaderValue::as_text)
        .map(str::to_owned)
        .collect()
}

/// The plain part, or else the words of the HTML part.
fn words(message: &Message<'_>) -> String {
    let plain = message.text_bodies().find_map(|part| match &part.body {
        PartType::Text(text) => Some(text),
        _ => None,
    });
    if let Some(text) = plain.filter(|text| !text.trim().is_empty()) {
        return quote::own_words(text);
    }
    let html = message.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.as_ref()),
        _ => None,
    });
    html.map(words_of_html).unwrap_or_default()
}

fn words_of_html(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let end = ANSWERED.iter().filter_map(|begin| lower.find(begin)).min();
    let own = end
        .and_then(|end| html.get(..end))
        .map(text_of_html)
        .unwrap_or_default();
    match quote::own_words(&own) {
        own if own.is_empty() => quote::own_words(&text_of_html(html)),
        own => own,
    }
}

fn text_of_html(html: &str) -> String {
    mail_parser::decoders::html::html_to_text(html)
}

/// What is shown within the text, such as a logo, is no file; what has a name is one.
fn is_file(part: &MessagePart<'_>) -> bool {
    part.attachment_name().is_some() && !matches!(part.body, PartType::Multipart(_))
}

fn file(part: &MessagePart<'_>) -> File {
    let bytes: Cow<'_, [u8]> = match &part.body {
        PartType::Message(message) => Cow::Borrowed(message.raw_message()),
        _ => Cow::Borrowed(part.contents()),
    };
    File {
        name: part.attachment_name().unwrap_or_default().to_owned(),
        bytes: bytes.into_owned(),
    }
}

#[cfg(test)]
mod tests;
