//! What somebody wrote themselves, without the mail that they answered below it. Pure.
//!
//! Mail clients do not say where the quoted tail begins, so it is known by its shape: our own line above which one is
//! asked to write, a separator, the head of the mail that is answered, lines behind `>`. What is written between quoted
//! lines stays with them, for it makes no sense alone. Where nothing would be left, everything is kept.

/// What surrounds the words of the line above which one is asked to write.
const MARK: (&str, &str) = ("##-", "-##");
/// An attribution may be broken into so many lines.
const BROKEN_INTO: usize = 3;
/// So far below its `From` the head of a mail goes on.
const HEAD: usize = 4;

/// What stands between the dashes before a mail that is answered.
const SEPARATORS: [&str; 9] = [
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "message d'origine",
    "message original",
    "mensaje original",
    "forwarded message",
    "元のメッセージ",
];
/// `From`, as clients write it.
const FROM: [&str; 5] = ["from", "von", "de", "差出人", "送信者"];
/// What stands below it.
const BELOW_FROM: [&str; 21] = [
    "sent",
    "date",
    "to",
    "subject",
    "gesendet",
    "datum",
    "an",
    "betreff",
    "envoyé",
    "à",
    "objet",
    "enviado",
    "enviado el",
    "fecha",
    "para",
    "asunto",
    "送信日時",
    "日付",
    "日時",
    "宛先",
    "件名",
];
/// What the line says before a quotation: that somebody wrote it.
const WROTE: [&str; 9] = [
    "wrote",
    "writes",
    "schrieb",
    "geschrieben",
    "a écrit",
    "écrit",
    "escribió",
    "ha escrito",
    "書きました",
];
/// How the signatures of telephones begin, or end.
const TELEPHONES: [&str; 10] = [
    "sent from my ",
    "sent from outlook",
    "get outlook for ",
    "von meinem ",
    "gesendet von ",
    "envoyé de mon ",
    "envoyé depuis ",
    "enviado desde mi ",
    "enviado desde ",
    "から送信",
];

/// The line above which one is asked to write, in these words.
pub fn mark(words: &str) -> String {
    format!("{} {words} {}", MARK.0, MARK.1)
}

/// What of a plain text its author wrote, without blank lines around it.
pub fn own_words(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    let own = without_signature(without_quotation(above(&lines)));
    let own = own.join("\n").trim().to_owned();
    match own.is_empty() {
        true => text.trim().to_owned(),
        false => own,
    }
}

/// The lines above the first one that can only begin the mail that is answered.
fn above<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let end = (0..lines.len()).find(|at| {
        let rest = lines.get(*at..).unwrap_or_default();
        rest.first()
            .is_some_and(|line| is_mark(line) || is_separator(line))
            || is_head(rest)
    });
    end.and_then(|end| lines.get(..end)).unwrap_or(lines)
}

fn is_mark(line: &str) -> bool {
    let line = unquoted(line);
    line.starts_with(MARK.0) && line.ends_with(MARK.1)
}

fn is_separator(line: &str) -> bool {
    let line = unquoted(line);
    let words = line.trim_matches(|c| matches!(c, '-' | '_' | ' '));
    let is_ruled = line.starts_with("--") && line.ends_with("--");
    is_ruled && SEPARATORS.contains(&words.to_lowercase().as_str())
}

/// Whether these lines begin with the head of a mail: who wrote it, and more below that.
fn is_head(lines: &[&str]) -> bool {
    let Some((first, below)) = lines.split_first() else {
        return false;
    };
    let more = below.iter().take(HEAD).filter(|line| names(line, &BELOW_FROM));
    names(first, &FROM) && more.count() >= 2
}

/// Whether a line is a field of one of these names.
fn names(line: &str, fields: &[&str]) -> bool {
    let line = unquoted(line).trim_start_matches('*');
    let name = line.split_once([':', '：']).map(|(name, _)| name);
    name.is_some_and(|name| fields.contains(&name.trim_matches([' ', '*', '\u{a0}']).to_lowercase().as_str()))
}

/// A line without what marks it as quoted.
fn unquoted(line: &str) -> &str {
    line.trim_start_matches(['>', ' ']).trim_end()
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// A line across the page, as some clients draw it above the head.
fn is_rule(line: &str) -> bool {
    line.len() >= 10 && line.chars().all(|c| matches!(c, '_' | '-'))
}

/// The lines before a quotation at the end, and before the line that says whose it is.
fn without_quotation<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let before = |lines: &'a [&'b str], is: fn(&str) -> bool| {
        let end = lines
            .iter()
            .rposition(|line| !is(line))
            .map_or(0, |last| last + 1);
        lines.get(..end).unwrap_or(lines)
    };
    let lines = before(lines, |line| line.is_empty() || is_quoted(line) || is_rule(line));
    let begin = (1..=BROKEN_INTO.min(lines.len())).map(|count| lines.len() - count);
    let attribution = begin
        .take_while(|begin| lines.get(*begin).is_some_and(|line| !line.is_empty()))
        .filter(|begin| lines.get(*begin..).is_some_and(is_attribution))
        .last();
    match attribution {
        Some(begin) => lines.get(..begin).unwrap_or(lines),
        None => lines,
    }
}

/// Whether lines say who wrote what follows, and when: "On Monday, 3 May 2026, Ada <ada@…> wrote:".
fn is_attribution(lines: &[&str]) -> bool {
    let said = lines.join(" ").to_lowercase();
    let Some(said) = said.trim().strip_suffix([':', '：']) else {
        return false;
    };
    let has_time = said.contains(|c: char| c.is_ascii_digit());
    let has_author = WROTE.iter().any(|word| said.contains(word)) || said.contains('@');
    has_time && has_author
}

/// The lines before a signature (RFC 3676 §4.3), and without the line that a telephone adds.
fn without_signature<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let end = lines.iter().position(|line| *line == "--").unwrap_or(lines.len());
    let lines = lines.get(..end).unwrap_or(lines);
    let Some(last) = lines.iter().rposition(|line| !line.is_empty()) else {
        return lines;
    };
    let line = lines
        .get(last)
        .map(|line| line.to_lowercase())
        .unwrap_or_default();
    let is_telephones = |words: &&str| line.starts_with(*words) || line.ends_with(*words);
    match TELEPHONES.iter().any(is_telephones) {
        true => lines.get(..last).unwrap_or(lines),
        false => lines,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUOTED: &str = "> Dear Ada,\n>\n> we look into it.\n";

    #[test]
    fn a_reply_above_the_mail_is_what_stands_above_it() {
        let tails = [
            String::new(),
            format!("On Mon, 3 May 2026 at 10:15, Allclear <desk@allclear.example> wrote:\n\n{QUOTED}"),
            format!("On Mon, 3 May 2026 at 10:15, Allclear Support Desk\n<desk@allclear.example> wrote:\n{QUOTED}"),
            format!("Am Mo., 3. Mai 2026 um 10:15 Uhr schrieb Allclear <desk@allclear.example>:\n\n{QUOTED}"),
            format!("Am 03.05.26 um 10:15 schrieb Allclear:\n{QUOTED}"),
            format!("Le lun. 3 mai 2026 à 10:15, Allclear <desk@allclear.example> a écrit :\n\n{QUOTED}"),
            format!("El lun, 3 may 2026 a las 10:15, Allclear (<desk@allclear.example>) escribió:\n\n{QUOTED}"),
            format!("2026年5月3日(月) 10:15 Allclear <desk@allclear.example>:\n\n{QUOTED}"),
            format!("2026年5月3日(月) 10:15、Allclear さんは書きました：\n{QUOTED}"),
            "-----Original Message-----\nFrom: Allclear\nSent: Monday\n\nDear Ada,".to_owned(),
            "________________________________\nFrom: Allclear <desk@allclear.example>\nSent: Monday, May 3, 2026 10:15\nTo: Ada\nSubject: Mail is down\n\nDear Ada,".to_owned(),
            "Von: Allclear <desk@allclear.example>\nGesendet: Montag, 3. Mai 2026 10:15\nAn: Ada\nBetreff: Re: Mail\n\nHallo".to_owned(),
            "De : Allclear <desk@allclear.example>\nEnvoyé : lundi 3 mai 2026 10:15\nÀ : Ada\nObjet : Re: Mail\n\nBonjour".to_owned(),
            "De: Allclear\nEnviado el: lunes, 3 de mayo de 2026 10:15\nPara: Ada\nAsunto: Mail\n\nHola".to_owned(),
            "差出人: Allclear\n送信日時: 2026年5月3日\n宛先: Ada\n件名: Mail\n\nこんにちは".to_owned(),
            "*From:* Allclear\n*Date:* Monday\n*To:* Ada\n\nDear Ada,".to_owned(),
            "----- Ursprüngliche Nachricht -----\nVon: Allclear".to_owned(),
            format!("{}\n\nDear Ada, whatever", mark("Please write above this line")),
            format!("On Mon, 3 May 2026, Allclear wrote:\n> {}\n> whatever", mark("Bitte über dieser Zeile antworten")),
            format!("-- \nAda Lovelace\nContoso\n\nOn 3 May 2026, Allclear wrote:\n{QUOTED}"),
            format!("Sent from my iPhone\n\nOn 3 May 2026, at 10:15, Allclear <desk@allclear.example> wrote:\n\n{QUOTED}"),
            "Von meinem iPhone gesendet".to_owned(),
            "Envoyé de mon iPhone".to_owned(),
            "Enviado desde mi iPhone".to_owned(),
            "iPhoneから送信".to_owned(),
        ];
        for tail in &tails {
            for own in ["It works again.", "Hello,\n\nit works again: see below.\n\nAda"] {
                for breaks in ["\n", "\r\n"] {
                    let text = format!("{own}\n\n{tail}").replace('\n', breaks);
                    assert_eq!(own_words(&text), own, "{tail}");
                }
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_tail_is_kept() {
        for own in [
            "From: what I see, it is down.\nAnd it stays so.",
            "It says:\n550 unknown",
            "Two things at 10:15:\none, two",
            "The log:\n--\nwas wrong",
            "I sent it from my iPhone and it was lost.",
            "> Is it down?\nYes.\n> Since when?\nSince 10:15.",
            "Please note this: the service is down",
        ] {
            let kept = own_words(own);
            let expected = own.split("\n--\n").next().unwrap();
            assert_eq!(kept, expected);
        }
    }

    #[test]
    fn where_nothing_would_be_left_everything_is_kept() {
        for text in [
            QUOTED.trim_end(),
            "-----Original Message-----\nFrom: Ada",
            "Sent from my iPhone",
            "-- \nAda",
        ] {
            assert_eq!(own_words(text), text);
        }
        assert_eq!(own_words(" \n\n "), "");
    }

    proptest! {
        #[test]
        fn any_text_has_words_and_they_are_in_it(text in "(?s)[ -~\n>:#ä一-]{0,200}") {
            let own = own_words(&text);
            prop_assert!(text.contains(&own) || text.lines().any(|line| line.ends_with(' ')));
            prop_assert_eq!(own.is_empty(), text.trim().is_empty());
        }
    }
}
