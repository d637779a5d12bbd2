//! Which settings are good ones.

use super::*;

fn check(set: impl FnOnce(&mut Given)) -> Result<Settings, String> {
    let mut given = Given::default();
    set(&mut given);
    given.check().map_err(|error| error.to_string())
}

#[test]
fn no_settings_at_all_are_good_settings() {
    let settings = check(|_| {}).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:8080");
    assert_eq!(
        settings.database,
        Location::Sqlite("./data/allclear.sqlite".into())
    );
    assert_eq!(settings.access_token_lifetime, TimeDelta::minutes(15));
    assert_eq!(settings.reopen_window, Some(TimeDelta::days(7)));
}

#[test]
fn a_bad_value_names_the_setting_and_what_is_allowed() {
    let error = check(|given| {
        given.listen = Some("nowhere".into());
        given.access_token_lifetime = Some("soon".into());
    })
    .unwrap_err();
    assert!(
        error.contains("setting `listen` (ALLCLEAR_LISTEN): `nowhere` is not allowed"),
        "{error}"
    );
    assert!(error.contains("setting `access-token-lifetime`"), "{error}");
    assert!(error.contains("such as `15m`"), "{error}");
}

#[test]
fn a_secret_is_never_repeated() {
    let error = check(|given| given.database_url = Some("mysql://root:hunter2@db".into())).unwrap_err();
    assert!(
        !error.contains("hunter2") && error.contains("postgres://"),
        "{error}"
    );
}

#[test]
fn postgresql_needs_a_secret() {
    let url = || Some("postgres://db/allclear".to_owned());
    assert!(
        check(|given| given.database_url = url())
            .unwrap_err()
            .contains("ALLCLEAR_SECRET")
    );
    let secret = "0123456789abcdef0123456789abcdef".to_owned();
    assert!(
        check(|given| {
            given.database_url = url();
            given.secret = Some(secret);
        })
        .is_ok()
    );
}

#[test]
fn flags_win_over_the_file_and_unknown_names_in_it_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("allclear.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:9000\"\nmail-in-flight = 8\n").unwrap();
    let file = || Some(path.clone());
    assert_eq!(check(|given| given.config = file()).unwrap().mail_in_flight, 8);
    let settings = check(|given| {
        given.config = file();
        given.listen = Some("127.0.0.1:9001".into());
    })
    .unwrap();
    assert_eq!(
        (settings.listen.as_str(), settings.mail_in_flight),
        ("127.0.0.1:9001", 8)
    );
    std::fs::write(&path, "lisen = \"127.0.0.1:9000\"\n").unwrap();
    assert!(
        check(|given| given.config = file())
            .unwrap_err()
            .contains("lisen")
    );
}

#[test]
fn mail_comes_in_where_the_domain_is_given() {
    let settings = check(|given| {
        given.inbound_domain = Some("In.Desk.example".into());
        given.inbound_listen = Some("lmtp://127.0.0.1:2400".into());
    });
    let inbound = settings.unwrap().inbound.unwrap();
    assert_eq!(inbound.domain, "in.desk.example");
    assert_eq!(
        inbound.listen,
        Some((Protocol::Lmtp, "127.0.0.1:2400".to_owned()))
    );
    assert_eq!(inbound.limit, 25_000_000);
    let alone = check(|given| given.inbound_listen = Some("smtp://127.0.0.1:25".into())).unwrap_err();
    assert!(alone.contains("given with `inbound-domain`"), "{alone}");
    for bad in [
        "127.0.0.1:2400",
        "http://127.0.0.1:1",
        "lmtp://127.0.0.1",
        "smtp://:25",
    ] {
        let refused = check(|given| {
            given.inbound_domain = Some("in.desk.example".into());
            given.inbound_listen = Some(bad.into());
        });
        assert!(refused.unwrap_err().contains("setting `inbound-listen`"), "{bad}");
    }
}
