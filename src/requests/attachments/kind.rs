//! What a file is, and what it is called. Pure: neither is believed of whoever sent it.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::problem::Problem;
use crate::text::cleaned;

/// A name has so many characters at most.
const LONGEST: usize = 100;
/// So long a part of a name after its last dot says what it is.
const LONGEST_ENDING: usize = 10;
/// What may be told apart; whatever else is recognised is bytes, as what is not.
const KNOWN: [&str; 16] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/heif",
    "image/bmp",
    "image/tiff",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "video/mp4",
];
/// Text of whatever language.
const TEXT: &str = "text/plain; charset=utf-8";
/// Whatever it is.
const BYTES: &str = "application/octet-stream";

/// A file, as its bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub media_type: &'static str,
    /// In bytes.
    pub size: i32,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub sha256: String,
}

impl Described {
    /// Looks through a file, which takes a while if it is large.
    pub fn of(name_said: &str, bytes: &[u8]) -> Result<Self, Problem> {
        Ok(Self {
            name: name(name_said),
            media_type: media_type(bytes),
            size: i32::try_from(bytes.len()).map_err(Problem::internal)?,
            sha256: HEXLOWER.encode(digest(&SHA256, bytes).as_ref()),
        })
    }
}

/// What a file is by its first bytes. Markup and scripts are text, as anything that is text throughout.
fn media_type(bytes: &[u8]) -> &'static str {
    let found = infer::get(bytes).map(|kind| kind.mime_type());
    match found.and_then(|found| KNOWN.into_iter().find(|known| *known == found)) {
        Some(known) => known,
        None if is_text(bytes) => TEXT,
        None => BYTES,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let is_written = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_written))
}

/// A name in one line, without folders. One that is too long is shortened before its ending.
fn name(said: &str) -> String {
    let said = cleaned(said);
    let last = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = last.trim_matches(['.', ' ']);
    if name.is_empty() {
        return "file".to_owned();
    }
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    match ending.filter(|ending| ending.chars().count() <= LONGEST_ENDING) {
        Some(ending) => {
            let room = LONGEST.saturating_sub(ending.chars().count() + 1);
            let begin: String = name.chars().take(room).collect();
            format!("{begin}.{ending}")
        }
        None => name.chars().take(LONGEST).collect(),
    }
}

/// As whoever downloads it is told to save it (RFC 6266 §4.3): a name that every client reads, and the one that it has.
pub fn disposition(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ';
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let whole = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_are() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], "image/png"),
            (b"\xff\xd8\xff\xe0....", "image/jpeg"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"PK\x03\x04....", "application/zip"),
            (b"it is down\n\tsince 10:15\n", TEXT),
            ("Grüße\u{1b}[0m".as_bytes(), TEXT),
            (b"<!DOCTYPE html><script>alert(1)</script>", TEXT),
            (
                b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
                TEXT,
            ),
            (b"#!/bin/sh\nrm -r /\n", TEXT),
            (b"\x7fELF\x02\x01\x01\0", BYTES),
            (b"MZ\x90\0\x03", BYTES),
            (b"\0\x01\x02", BYTES),
            (b"\xff\xfe\x00", BYTES),
            (b"", TEXT),
        ] {
            assert_eq!(media_type(bytes), kind, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_name_is_no_path_and_no_more_than_a_name() {
        let long = format!("{}.tar", "ä".repeat(200));
        for (said, kept) in [
            ("log.txt", "log.txt".to_owned()),
            ("../../etc/passwd", "passwd".to_owned()),
            ("C:\\temp\\log.txt", "log.txt".to_owned()),
            (".htaccess", "htaccess".to_owned()),
            ("a\r\nb\u{202e}.txt", cleaned("a\r\nb\u{202e}.txt")),
            ("..", "file".to_owned()),
            ("", "file".to_owned()),
            (long.as_str(), format!("{}.tar", "ä".repeat(96))),
        ] {
            assert_eq!(name(said), kept, "{said}");
        }
        assert_eq!(
            disposition("Bild \"1\" ü.png"),
            "attachment; filename=\"Bild _1_ _.png\"; filename*=UTF-8''Bild%20%221%22%20%C3%BC%2Epng"
        );
    }

    proptest! {
        #[test]
        fn any_name_is_one_line_of_a_header(said in ".{0,200}") {
            let name = name(&said);
            prop_assert!(!name.is_empty() && name.chars().count() <= LONGEST);
            prop_assert!(!name.contains(['/', '\\']));
            prop_assert!(disposition(&name).bytes().all(|byte| (b' '..0x7f).contains(&byte)));
        }
    }
}
