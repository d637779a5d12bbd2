//! What text may be: single lines, bodies, addresses, slugs, zones. Parsed at the edge, never re-checked inside.
//!
//! The functions that return `garde::Result` are checks for form fields; none of them lets a control character
//! through, so that no header can be injected and no engine refuses the row.

use std::collections::BTreeSet;
use std::str::FromStr;

/// Whether a character has no place in a single line: controls, line and paragraph separators, bidi overrides.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A single line of 1 to `MAX` characters that is not blank.
pub fn line<const MAX: usize>(value: &str, _: &()) -> garde::Result {
    if value.trim().is_empty() {
        return Err(garde::Error::new("must not be blank"));
    }
    if value.chars().any(is_control) {
        return Err(garde::Error::new("must be one line without control characters"));
    }
    at_most(value, MAX)
}

/// A text of 1 to `MAX` characters that is not blank; line ends and tabs are fine, other controls are not.
pub fn body<const MAX: usize>(value: &str, _: &()) -> garde::Result {
    if value.trim().is_empty() {
        return Err(garde::Error::new("must not be blank"));
    }
    if value
        .chars()
        .any(|c| is_control(c) && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(garde::Error::new("must not contain control characters"));
    }
    at_most(value, MAX)
}

fn at_most(value: &str, max: usize) -> garde::Result {
    match value.chars().count() {
        length if length > max => Err(garde::Error::new(format!(
            "must be at most {max} characters, not {length}"
        ))),
        _ => Ok(()),
    }
}

/// A slug: 1 to 63 of `a-z`, `0-9` and inner hyphens.
pub fn slug(value: &str, _: &()) -> garde::Result {
    let fits = (1..=63).contains(&value.len())
        && value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !value.starts_with('-')
        && !value.ends_with('-');
    if fits {
        Ok(())
    } else {
        Err(garde::Error::new("must be 1 to 63 of a-z, 0-9 and inner hyphens"))
    }
}

/// An e-mail address (RFC 5321 §4.1.2).
pub fn email(value: &str, _: &()) -> garde::Result {
    email_address(value)
        .map(|_| ())
        .ok_or_else(|| garde::Error::new("must be an e-mail address, such as ada@example.com"))
}

/// A language tag (RFC 5646), such as `en` or `pt-BR`.
pub fn locale(value: &str, _: &()) -> garde::Result {
    let fits = (2..=35).contains(&value.len())
        && value
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && value
            .split('-')
            .next()
            .is_some_and(|tag| tag.bytes().all(|b| b.is_ascii_alphabetic()));
    if fits {
        Ok(())
    } else {
        Err(garde::Error::new(
            "must be a language tag, such as `en` or `pt-BR`",
        ))
    }
}

/// An IANA time zone, such as `Europe/London`.
pub fn time_zone(value: &str, _: &()) -> garde::Result {
    chrono_tz::Tz::from_str(value)
        .map(|_| ())
        .map_err(|_| garde::Error::new("must be an IANA time zone, such as `Europe/London`"))
}

/// The address as it is stored and compared: lower case, without surrounding blanks. `None` is no address.
pub fn email_address(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.len() <= 254 && text.is_ascii() && !text.chars().any(|c| is_control(c) || c == '"');
    let address = lettre::Address::from_str(text).ok().filter(|_| fits)?;
    Some(address.to_string().to_lowercase())
}

/// The same with whatever has no place in a single line taken out: for what is older than the check.
pub fn cleaned(value: &str) -> String {
    value
        .chars()
        .map(|c| if is_control(c) { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// The same, cut to so many characters.
pub fn shortened(value: &str, most: usize) -> String {
    cleaned(value).chars().take(most).collect()
}

/// Each text once, in order.
pub fn unique<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    let each: BTreeSet<String> = texts.into_iter().map(Into::into).collect();
    each.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shortened_is_cleaned_and_cut_by_characters() {
        for (value, most, expected) in [
            (" two\nlines ", 80, "two lines"),
            ("grüße", 3, "grü"),
            ("ad\u{202E}a", 2, "ad"),
            ("", 5, ""),
        ] {
            assert_eq!(shortened(value, most), expected);
        }
    }

    #[test]
    fn lines_and_bodies() {
        for (text, fits_line, fits_body) in [
            ("Mail is down", true, true),
            ("", false, false),
            (" \t ", false, false),
            ("two\nlines", false, true),
            ("nul\0", false, false),
            ("bell\u{7}", false, false),
            ("sep\u{2028}arator", false, false),
            ("over\u{202E}ride", false, false),
            ("grüße 你好 🙂", true, true),
            ("12345678901234567890", true, true),
            ("123456789012345678901", false, false),
        ] {
            assert_eq!(line::<20>(text, &()).is_ok(), fits_line, "{text:?}");
            assert_eq!(body::<20>(text, &()).is_ok(), fits_body, "{text:?}");
        }
    }

    #[test]
    fn addresses_are_compared_in_lower_case() {
        assert_eq!(
            email_address(" Ada@Example.COM ").as_deref(),
            Some("ada@example.com")
        );
        for bad in [
            "",
            "ada",
            "ada@",
            "@x",
            "a b@x.com",
            "a@x.com\r\nBcc: b@x.com",
            "ada@x.com, b@x.com",
        ] {
            assert_eq!(email_address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn slugs_zones_and_languages() {
        for (text, fits) in [
            ("sign-in", true),
            ("-x", false),
            ("X", false),
            ("", false),
            ("a_b", false),
        ] {
            assert_eq!(slug(text, &()).is_ok(), fits, "{text:?}");
        }
        assert!(time_zone("Asia/Kolkata", &()).is_ok() && time_zone("Mars/Base", &()).is_err());
        assert!(locale("pt-BR", &()).is_ok() && locale("!", &()).is_err() && locale("e", &()).is_err());
    }
}
