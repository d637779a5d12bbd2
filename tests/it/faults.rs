//! Servers that are killed and databases that go away while mail is sent: `scripts/kill-mail` with fewer people and blows.

use std::process::Command;

/// Runs cases of the script; it fails where a mail is lost, or sent again without need.
fn holds(cases: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kill-mail");
    let mut trial = Command::new(script);
    trial
        .args(cases)
        .args(["--people", "1500", "--blows", "2", "--seed", "7"])
        .env("ALLCLEAR_BIN", env!("CARGO_BIN_EXE_allclear"));
    let output = trial.output().unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        said(output.stdout),
        said(output.stderr)
    );
}

#[test]
fn no_mail_is_lost_when_servers_die_and_when_the_database_goes_away() {
    match std::env::var("ALLCLEAR_TEST_ENGINE").as_deref() {
        Ok("postgres") => holds(&["postgres-two", "database"]),
        _ => holds(&["sqlite", "disk"]),
    }
}
