use std::collections::BTreeSet;
use std::fs;

use super::super::words::{
    AccountWords, DeskWords, DigestWords, Earlier, Fact, Frame, GoesOn, Line, News, RequestWords,
    StatusWords, Way, Words,
};
use super::*;
use crate::mail::DeliveryKind;

/// Templates with these files in place of ours.
fn with(files: &[(&str, &str)]) -> Result<Templates, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("phrases")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Templates::load(Some(folder.path())).map_err(|error| error.to_string())
}

fn written(templates: &Templates, locale: &str, words: &Words) -> Written {
    let language = templates.languages().of(locale);
    templates.write(words.family(), language, words).unwrap()
}

#[test]
fn what_comes_with_the_program_passes_its_own_check() {
    let templates = Templates::load(None).unwrap();
    templates.check().unwrap_or_else(|error| panic!("{error}"));
    let mut seen = BTreeSet::new();
    for kind in DeliveryKind::ALL
        .iter()
        .filter(|kind| **kind != DeliveryKind::Unknown)
    {
        for language in templates.languages().all() {
            let words = samples::of(*kind, language, "Asia/Tokyo").unwrap();
            let mail = written(&templates, language.tag, &words);
            let html = mail.html.replace("text-decoration: none", "");
            for part in [&mail.subject, &mail.text, &html] {
                let is_odd = ["{{", "{%", "none", "undefined", "[]"]
                    .iter()
                    .any(|odd| part.contains(odd));
                assert!(!is_odd, "{kind} in {}: {part}", language.tag);
            }
            assert!(
                !mail.subject.contains('\n') && !mail.text.contains("\n\n\n"),
                "{}",
                mail.text
            );
            assert!(
                mail.html
                    .contains(&format!("<html lang=\"{}\" data-kind=\"{kind}\">", language.tag))
            );
            assert!(mail.html.len() < 16_000, "{}", mail.html.len());
            seen.insert(mail.text);
        }
    }
    assert_eq!(seen.len(), (DeliveryKind::ALL.len() - 1) * TAGS.len());
}

#[test]
fn a_mistake_is_named_with_its_file_and_line() {
    for (file, text, says) in [
        (
            "status.txt",
            "{{ title }}\n{{ titel }}\n",
            "status.txt:2: `titel` is nothing that this mail knows",
        ),
        (
            "request.subject.txt",
            "{{ say.greting }}",
            "request.subject.txt:1: `say.greting` is nothing",
        ),
        // Never reached by any mail that there is, and found all the same.
        (
            "desk.html",
            "\n\n{% if false %}{{ severity }}{% endif %}",
            "desk.html:3: `severity` is nothing",
        ),
        (
            "status.html",
            "{% for request in requests %}\n{{ request.number }}{% endfor %}",
            "status.html:2: undefined value",
        ),
        ("layout.html", "{{ title }}", "layout.html:1: `title` is nothing"),
        ("account.txt", "{% if link %}", "account.txt:1: syntax error"),
        (
            "account.txt",
            "a\n{{ said|shout }}",
            "account.txt:2: unknown filter",
        ),
        (
            "account.txt",
            "{% include 'secrets.txt' %}",
            "account.txt:1: template not found",
        ),
        (
            "desk.txt",
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ title }}{% endfor %}{% endfor %}",
            "engine ran out of fuel",
        ),
        (
            "phrases/de.toml",
            "[say]\ngreeting = \"Hallo {nam}\"",
            "phrases/de.toml:2: `say.greeting` does not know `nam`",
        ),
        (
            "phrases/ja.toml",
            "\n[say]\nhello = \"x\"",
            "phrases/ja.toml:3: there is no phrase `say.hello`",
        ),
        (
            "phrases/en.toml",
            "[say]\ngreeting = \"Hello {name\"",
            "phrases/en.toml:2: `say.greeting`: the braces do not match",
        ),
        (
            "phrases/fr.toml",
            "[say]\ngreeting = Bonjour",
            "phrases/fr.toml:2: ",
        ),
        ("statsu.txt", "", "statsu.txt: there is no template of this name"),
        (
            "phrases/it.toml",
            "",
            "phrases/it.toml: there is no template of this name",
        ),
    ] {
        let error = with(&[(file, text)]).map(|_| ()).unwrap_err();
        assert!(error.contains(says), "{file}: {error}");
    }
    let error = with(&[("status.txt", "{{ a }}"), ("desk.txt", "{{ b }}")])
        .map(|_| ())
        .unwrap_err();
    assert!(
        error.contains("`a`") && error.contains("`b`"),
        "all at once: {error}"
    );
    assert!(Templates::load(Some(Path::new("/nowhere"))).is_err());
}

#[test]
fn an_operators_own_templates_and_phrases_replace_ours() {
    let files = [
        ("account.subject.txt", "Contoso desk: {{ headline }}"),
        ("phrases/de.toml", "[headline]\ninvitation = \"Willkommen\""),
        (".hidden", "none of ours"),
    ];
    let templates = with(&files).unwrap();
    let say = |locale: &str, kind| {
        let words = samples::of(kind, templates.languages().of(locale), "UTC").unwrap();
        written(&templates, locale, &words)
    };
    assert_eq!(
        say("de", DeliveryKind::Invitation).subject,
        "Contoso desk: Willkommen"
    );
    assert_eq!(
        say("en", DeliveryKind::Invitation).subject,
        "Contoso desk: You are invited"
    );
    assert!(
        say("de", DeliveryKind::PasswordReset)
            .text
            .contains("Guten Tag Ada Lovelace,")
    );
}

/// A mail of each family in which this was typed wherever somebody can type, as `notify` takes it in.
fn all_typed(templates: &Templates, typed: &str) -> Vec<Words> {
    let language = templates.languages().of("en");
    let line = crate::text::cleaned(typed);
    let frame = |kind| Frame {
        link: Some("https://desk.example/here".to_owned()),
        unsubscribe: Some(Way {
            label: "No more".to_owned(),
            link: "https://desk.example/v1/unsubscribe/alu_x".to_owned(),
        }),
        ..Frame::new(kind, language, typed)
    };
    let word = || "word".to_owned();
    let earlier = || Earlier {
        at: word(),
        status: word(),
        body: typed::lines(typed),
    };
    vec![
        Words::Status(Box::new(StatusWords {
            frame: frame(DeliveryKind::IncidentUpdated),
            title: line.clone(),
            body: typed::lines(typed),
            status: word(),
            impact: word(),
            services: line.clone(),
            regions: line.clone(),
            started_at: word(),
            resolved_at: None,
            at: word(),
            next_update_by: None,
            spared: true,
            goes_on_as: Some(GoesOn {
                title: line.clone(),
                link: "https://desk.example/incident".to_owned(),
            }),
            earlier: vec![earlier()],
            requests: vec![Line {
                reference: "SR-0000000000".to_owned(),
                subject: line.clone(),
                link: "https://desk.example/request".to_owned(),
            }],
            more: 0,
        })),
        Words::Request(RequestWords {
            frame: frame(DeliveryKind::RequestCommented),
            reference: "SR-0000000000".to_owned(),
            subject: line.clone(),
            author: line.clone(),
            body: Some(typed::lines(typed)),
            incident: Some(line.clone()),
            at: word(),
        }),
        Words::Account(AccountWords {
            frame: frame(DeliveryKind::PasswordReset),
            said: word(),
            at: word(),
        }),
        Words::Digest(DigestWords {
            frame: frame(DeliveryKind::Digest),
            incidents: vec![News {
                title: line.clone(),
                link: "https://desk.example/incident".to_owned(),
                updates: vec![earlier()],
            }],
            more: 0,
        }),
        Words::Desk(DeskWords {
            frame: frame(DeliveryKind::UrgentRequest),
            reference: Some("SR-0000000000".to_owned()),
            title: line.clone(),
            facts: vec![Fact {
                name: word(),
                value: line,
            }],
        }),
    ]
}

/// The tags of a part, without what their attributes say.
fn tags(html: &str) -> Vec<&str> {
    let names = html.split('<').skip(1);
    names
        .map(|tag| tag.split([' ', '>']).next().unwrap_or_default())
        .collect()
}

#[test]
fn nothing_that_somebody_typed_adds_markup_or_a_line_of_ours() {
    let templates = Templates::load(None).unwrap();
    let plain = all_typed(&templates, "harmless/");
    let corpus = [
        "<script>alert(1)</script>",
        "</td></tr></table><a href=\"https://evil.example\">The request</a>",
        "\" onmouseover=\"alert(1)\" x=\"",
        "' style='position:fixed' x='",
        "<!--x",
        "-->",
        "<![CDATA[",
        "&lt;script&gt;",
        "&#60;b&#62;",
        "<style>*{display:none}</style>",
        "<meta http-equiv=refresh content='0;url=https://evil.example'>",
        "{{ seal }}",
        "{% include 'layout.html' %}",
        "{name}",
        "{{ 7*7 }}",
        "javascript:alert(1)",
        "<svg/onload=alert(1)>",
        "<img src=x onerror=alert(1)>",
        "\u{FF1C}script\u{FF1E}",
    ];
    for typed in corpus {
        for (words, harmless) in all_typed(&templates, typed).iter().zip(&plain) {
            let (mail, usual) = (
                written(&templates, "en", words),
                written(&templates, "en", harmless),
            );
            assert_eq!(tags(&mail.html), tags(&usual.html), "{typed}: {}", mail.html);
            assert_eq!(
                mail.html.matches("href=\"").count(),
                usual.html.matches("href=\"").count()
            );
            assert_eq!(
                mail.html.matches("href=\"https://desk.example/").count(),
                usual.html.matches("href=").count()
            );
            assert_eq!(
                mail.html.matches('"').count(),
                usual.html.matches('"').count(),
                "{typed}"
            );
            let (Words::Request(_) | Words::Desk(_)) = words else {
                continue;
            };
            assert!(
                mail.text.contains(typed),
                "{typed} is said as it is: {}",
                mail.text
            );
        }
    }
    let lines = [
        "One\nThe request:\nhttps://evil.example/account/password#alm_x",
        "One\r\n\r\nThe request:\r\nhttps://evil.example",
        "One\rThe request:\rhttps://evil.example",
        "One\u{85}The request:\u{2028}https://evil.example\u{2029}x\u{b}y\u{c}https://evil.example",
        "\u{202E}moc.live//:sptth",
    ];
    for typed in lines {
        for words in all_typed(&templates, typed) {
            let (mail, is_ours) = (
                written(&templates, "en", &words),
                matches!(words, Words::Status(_) | Words::Digest(_)),
            );
            let links = mail.text.lines().filter(|line| line.starts_with("https://"));
            let evil = links
                .filter(|line| !line.starts_with("https://desk.example/"))
                .count();
            // What the provider itself writes is the mail.
            assert!(is_ours || evil == 0, "{typed:?}: {}", mail.text);
            assert!(
                !mail.text.contains(['\r', '\u{85}', '\u{2028}', '\u{202E}']),
                "{typed:?}"
            );
            assert!(
                !mail.subject.contains(['\r', '\n', '\u{85}', '\u{202E}']),
                "{typed:?}"
            );
        }
    }
}

#[test]
fn line_breaks_and_indents_of_a_text_are_kept() {
    let templates = Templates::load(None).unwrap();
    let words = all_typed(&templates, "One\n  two\n\nthree");
    let mail = written(&templates, "en", &words[1]);
    assert!(
        mail.html.contains("pre-wrap\">One<br>  two<br><br>three</td>"),
        "{}",
        mail.html
    );
    assert!(
        mail.text.contains("\n| One\n|   two\n|\n| three\n"),
        "{}",
        mail.text
    );
}
