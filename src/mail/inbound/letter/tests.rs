use proptest::prelude::*;

use super::*;

const REPLY: &str = "Return-Path: <ada@contoso.example>\r\nDelivered-To: Reply+AB@desk.example\r\n\
    From: \"Ada Lovelace\" <Ada@Contoso.example>\r\nTo: Allclear <reply+ab@desk.example>\r\nCc: bob@contoso.example\r\n\
    Subject: Re: [SR-1] Mail is down\r\nMessage-ID: <m1@contoso.example>\r\n\
    In-Reply-To: <d2@desk.example>\r\nReferences: <root@desk.example> <d1@desk.example>\r\n <d2@desk.example>\r\n";

fn read(head: &str, rest: &str) -> Letter {
    Letter::read(
        format!("{REPLY}{head}MIME-Version: 1.0\r\n{rest}").as_bytes(),
        None,
    )
    .unwrap()
}

#[test]
fn a_reply_says_who_to_whom_in_which_thread_and_what() {
    let letter = read(
        "",
        "Content-Type: text/plain; charset=utf-8\r\n\r\nIt works.\r\n\r\nOn 3 May 2026, Allclear wrote:\r\n> Hello\r\n",
    );
    assert_eq!(letter.id.as_deref(), Some("m1@contoso.example"));
    assert_eq!(letter.from.as_deref(), Some("ada@contoso.example"));
    assert_eq!(letter.name, "Ada Lovelace");
    assert_eq!(letter.subject, "Re: [SR-1] Mail is down");
    assert_eq!(
        letter.to,
        [
            "reply+ab@desk.example",
            "bob@contoso.example",
            "reply+ab@desk.example"
        ]
    );
    assert_eq!(
        letter.thread,
        ["d2@desk.example", "d1@desk.example", "root@desk.example"]
    );
    assert_eq!(letter.author, Author::Person);
    assert_eq!(letter.words, "It works.");
    assert_eq!((letter.files.len(), letter.more_files), (0, 0));
}

#[test]
fn who_is_no_single_sender_is_nobody() {
    for from in [
        "",
        "From: a@b.example, c@d.example\r\n",
        "From: Ada\r\n",
        "From: <>\r\n",
    ] {
        let letter = Letter::read(format!("{from}Subject: x\r\n\r\nHello").as_bytes(), None).unwrap();
        assert!(letter.from.is_none_or(|from| !from.contains('@')), "{from}");
    }
}

#[test]
fn a_program_is_known_by_what_only_programs_write() {
    let body = "Content-Type: text/plain\r\n\r\nI am away.\r\n";
    for head in [
        "Auto-Submitted: auto-replied\r\n",
        "auto-submitted: Auto-Generated; x=y\r\n",
        "Precedence: bulk\r\n",
        "Precedence: auto_reply\r\n",
        "X-Autoreply: yes\r\n",
        "X-Autorespond: I am away\r\n",
        "List-Id: <list.contoso.example>\r\n",
        "List-Unsubscribe: <mailto:x@contoso.example>\r\n",
    ] {
        assert_eq!(read(head, body).author, Author::Program, "{head}");
    }
    for head in [
        "Auto-Submitted: no\r\n",
        "Precedence: first-class\r\n",
        "X-Priority: 1\r\n",
    ] {
        assert_eq!(read(head, body).author, Author::Person, "{head}");
    }
    let raw = format!("{REPLY}{body}");
    for (path, author) in [
        ("", Author::Program),
        ("<>", Author::Program),
        ("MAILER-DAEMON", Author::Program),
        ("<mailer-daemon@mx.contoso.example>", Author::Program),
        ("ada@contoso.example", Author::Person),
    ] {
        assert_eq!(
            Letter::read(raw.as_bytes(), Some(path)).unwrap().author,
            author,
            "{path}"
        );
    }
    let nameless = raw.replace("Return-Path: <ada@contoso.example>", "Return-Path: <>");
    assert_eq!(
        Letter::read(nameless.as_bytes(), None).unwrap().author,
        Author::Program
    );
}

#[test]
fn html_alone_is_read_as_text_and_cut_where_the_answered_mail_begins() {
    let html = |body: &str| {
        read(
            "",
            &format!("Content-Type: text/html; charset=utf-8\r\n\r\n{body}"),
        )
        .words
    };
    assert_eq!(
        html(
            "<p>It <b>works</b> &amp; stays.</p><div class=\"gmail_quote\">On 3 May, Allclear wrote:<blockquote>Hello</blockquote></div>"
        ),
        "It works & stays."
    );
    assert_eq!(
        html("<div>It works.</div><blockquote type=cite>Hello</blockquote>"),
        "It works."
    );
    assert_eq!(
        html("<blockquote>All is within</blockquote>").trim(),
        "All is within"
    );
    assert!(!html("<script>alert(1)</script><style>p{}</style><p>Hi</p>").contains("alert"));
}

#[test]
fn words_come_in_any_charset_and_encoding() {
    let cases = [
        (
            "text/plain; charset=iso-8859-1",
            "quoted-printable",
            "Gr=FC=DFe",
            "Grüße",
        ),
        ("text/plain; charset=utf-8", "base64", "R3LDvMOfZQ==", "Grüße"),
        (
            "text/plain; charset=iso-2022-jp",
            "7bit",
            "\u{1b}$B4v$5$s\u{1b}(B",
            "幾さん",
        ),
        ("text/plain; charset=nonsense", "8bit", "plain", "plain"),
    ];
    for (kind, encoding, body, expected) in cases {
        let rest = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n");
        assert_eq!(read("", &rest).words, expected, "{kind}");
    }
}

#[test]
fn files_are_what_has_a_name_and_there_is_an_end_to_them() {
    let mut rest = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee the log.\r\n".to_owned();
    for number in 0..22 {
        rest += &format!(
            "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"log{number}.txt\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
        );
    }
    rest += "--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n";
    let letter = read("", &rest);
    assert_eq!(letter.words, "See the log.");
    assert_eq!((letter.files.len(), letter.more_files), (20, 2));
    assert_eq!(
        (letter.files[0].name.as_str(), letter.files[0].bytes.as_slice()),
        ("log0.txt", &[0, 1, 2][..])
    );
}

#[test]
fn what_would_keep_its_reader_busy_is_not_read() {
    let nested = |count| "Content-Type: message/rfc822\n\n".repeat(count) + "From: a@b.example\n\nHello";
    let head = |count| "X: y\r\n".repeat(count) + "\r\nHello";
    let thread = "<x@b.example> ".repeat(30_000);
    for (raw, is_read) in [
        (nested(400), true),
        (nested(1_000_000), false),
        (nested(501).to_uppercase(), false),
        (head(1000), true),
        (head(300_000), false),
        (format!("References: {thread}\n\nHello"), true),
    ] {
        let letter = Letter::read(raw.as_bytes(), None);
        assert_eq!(letter.is_some(), is_read, "{}", &raw[..60]);
        assert!(letter.is_none_or(|letter| letter.thread.len() <= 2 * MOST_ANSWERED));
    }
}

#[test]
fn a_mail_at_which_the_library_panics_is_none() {
    let lines = [
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: message/rfc822",
        "",
        "Content-Type: message/rfc822",
        "",
        "",
        "--b--",
    ];
    assert_eq!(Letter::read(lines.join("\r\n").as_bytes(), None), None);
    assert_eq!(Letter::read(lines.join("\n").as_bytes(), None), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Letter::read(&bytes, None);
    }

    #[test]
    fn no_mail_is_too_much(lines in prop::collection::vec("(Content-Type: (multipart/(mixed|report|alternative); boundary=b|message/(rfc822|delivery-status)|text/html)|--b|--b--|Final-Recipient: rfc822;x|[ -~]{0,20}|)", 0..40)) {
        let _ = Letter::read(lines.join("\r\n").as_bytes(), None);
    }
}
