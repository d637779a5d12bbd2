//! The rooms of `src` stand in one line, and each uses only rooms to its left.

use std::path::{Path, PathBuf};

/// The line, from left to right. The first stand side by side and may use one another.
const LINE: &[&[&str]] = &[
    &["problem", "text", "settings", "clock"],
    &["db"],
    &["http"],
    &["journal"],
    &["identity"],
    &["audit"],
    &["catalog"],
    &["schedule"],
    &["mail"],
    &["queues"],
    &["sla"],
    &["incidents"],
    &["requests"],
    &["notify"],
    &["worker"],
    &["app"],
    &["cli"],
];

/// (file, what it uses all the same, why)
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "settings.rs",
    "db::Location",
    "a setting says where the data is, in the words of whoever opens it",
)];

/// Files besides `settings.rs` with flags that have a name in the environment, and why.
const KNOW_THE_ENVIRONMENT: &[(&str, &str)] = &[
    (
        "cli/demo.rs",
        "a client with flags of its own, which share their names with those of the server",
    ),
    (
        "cli/replay.rs",
        "a client with flags of its own, which share their names with those of the server",
    ),
];

/// Every file of `src`, by its path below it.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 80, "only {} files were found", files.len());
    files.sort();
    files
}

fn place(room: &str) -> Option<usize> {
    LINE.iter().position(|side_by_side| side_by_side.contains(&room))
}

/// The paths below the crate that a text names: `crate::db::Db` and each of `use crate::{catalog, journal::Event}`.
fn uses(text: &str) -> Vec<(usize, String)> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        // `$crate::` too; not the end of a longer word.
        let before = text[..at].chars().next_back();
        let line = text[..at].matches('\n').count() + 1;
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || is_comment(text, at) {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
            found.push((line, rest[..end].trim_end_matches(':').to_owned()));
            continue;
        };
        let mut depth = 1;
        let mut item = String::new();
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    found.push((line, std::mem::take(&mut item)));
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                found.push((line, std::mem::take(&mut item)));
                break;
            }
            if depth == 1 && is_path(c) {
                item.push(c);
            }
        }
    }
    found.retain(|(_, path)| !path.is_empty());
    found
}

fn is_comment(text: &str, at: usize) -> bool {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[begin..at].trim_start().starts_with("//")
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = "use crate::db::{Db, Id};\nuse crate::{catalog, journal::Event, http::{Form, Page}};\n\
                // crate::cli\nlet x = crate::app::start();\n$crate::worker::Worker";
    let found: Vec<_> = uses(text)
        .into_iter()
        .map(|(line, path)| format!("{line} {path}"))
        .collect();
    assert_eq!(
        found,
        [
            "1 db",
            "2 catalog",
            "2 journal::Event",
            "2 http::",
            "4 app::start",
            "5 worker::Worker"
        ]
    );
}

#[test]
fn a_room_uses_only_rooms_to_its_left() {
    let (mut wrong, mut seen, mut excepted) = (Vec::new(), 0, Vec::new());
    for (file, text) in files() {
        let room = file.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let own =
            place(&room).unwrap_or_else(|| panic!("src/{file}: the room `{room}` has no place in the line"));
        for (line, path) in uses(&text) {
            let used = path.split(':').next().unwrap();
            let Some(its) = place(used) else {
                wrong.push(format!(
                    "src/{file}:{line}: the room `{used}` has no place in the line"
                ));
                continue;
            };
            seen += 1;
            if its <= own {
                continue;
            }
            match EXCEPTIONS
                .iter()
                .find(|(name, what, _)| *name == file && path.starts_with(what))
            {
                Some(exception) => excepted.push(exception),
                None => wrong.push(format!("src/{file}:{line}: `{room}` uses `{path}`, to its right")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 300, "only {seen} uses were found");
    for exception in EXCEPTIONS {
        assert!(
            excepted.contains(&exception),
            "no longer an exception: {exception:?}"
        );
    }
}

#[test]
fn every_room_stands_in_the_line() {
    let library = files().into_iter().find(|(name, _)| name == "lib.rs").unwrap().1;
    let rooms: Vec<_> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(rooms.len() > 10);
    for room in &rooms {
        assert!(place(room).is_some(), "`{room}` has no place in the line");
    }
    for room in LINE.iter().copied().flatten() {
        assert!(rooms.contains(room), "there is no room `{room}`");
    }
}

#[test]
fn no_file_is_longer_than_700_lines() {
    // The tables are one list.
    for (file, text) in files().into_iter().filter(|(file, _)| file != "db/schema.rs") {
        let lines = text.lines().count();
        assert!(
            lines <= 700,
            "src/{file} has {lines} lines: which second thing in it has a name?"
        );
    }
}

/// The files with one of these words that may not have it; fails too where an excused one no longer needs it.
fn only_in(words: &[&str], is_at_home: impl Fn(&str) -> bool, excused: &[(&str, &str)]) {
    let mut needed = Vec::new();
    for (file, text) in files() {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let found = code
            .into_iter()
            .find(|line| words.iter().any(|word| line.contains(word)));
        let Some(line) = found.filter(|_| !is_at_home(&file)) else {
            continue;
        };
        assert!(
            excused.iter().any(|(name, _)| *name == file),
            "src/{file} must not say `{}`",
            line.trim()
        );
        needed.push(file);
    }
    for (file, reason) in excused {
        assert!(
            needed.iter().any(|name| name == file),
            "no longer an exception: {file}, {reason}"
        );
    }
}

#[test]
fn only_the_foundation_knows_that_there_are_two_engines() {
    let words = [
        "Connection::Postgres",
        "Connection::Sqlite",
        "PgConnection",
        "SqliteConnection",
    ];
    only_in(&words, |file| file.starts_with("db/"), &[]);
    // A query may be run on the connection inside; queries are in the stores.
    let has_queries = |file: &str| {
        file.starts_with("db/")
            || file.ends_with("/store.rs")
            || file.contains("/store/")
            || ["journal/mod.rs", "mail/told.rs"].contains(&file)
    };
    only_in(&["on_each!", "each_row!"], has_queries, &[]);
}

#[test]
fn only_settings_read_the_environment() {
    let words = [
        "env::var",
        "env::vars",
        "var_os",
        "env = \"",
        "from_default_env",
        "from_env",
    ];
    only_in(&words, |file| file == "settings.rs", KNOW_THE_ENVIRONMENT);
}

#[test]
fn only_the_clock_asks_the_time() {
    let words = ["Utc::now(", "Local::now(", "SystemTime::now("];
    only_in(&words, |file| file == "clock.rs", &[]);
}

/// Files outside of `identity/` that see the rows of all, and why.
const SEE_ALL: &[(&str, &str)] = &[
    (
        "app.rs",
        "leases at the start, health and metrics: nobody in particular asks",
    ),
    ("cli/audit.rs", "whoever runs a command has the database itself"),
    ("cli/doctor.rs", "whoever runs a command has the database itself"),
    ("cli/mod.rs", "whoever runs a command has the database itself"),
    (
        "cli/simulate/behind.rs",
        "whoever runs a command has the database itself",
    ),
    ("cli/tenants.rs", "whoever runs a command has the database itself"),
    ("mail/dispatch.rs", "hands over everybody's mail"),
    ("mail/sending.rs", "hands over everybody's mail"),
    ("worker.rs", "what is left to do is left by everybody"),
];

#[test]
fn only_identity_says_whose_rows_a_call_sees() {
    let is_home = |file: &str| file.starts_with("identity/") || file == "db/scope.rs";
    let by_link = [(
        "notify/unsubscribing/api.rs",
        "a link that is sealed names the tenant",
    )];
    only_in(&["Scope::of_tenant(", "Scope::of_staff("], is_home, &by_link);
    only_in(&["Scope::of_system("], is_home, SEE_ALL);
    // Of a caller, in one place.
    only_in(&["Scope::of_staff("], |file| file == "identity/caller.rs", &[]);
    let knows_several = |file: &str| file.starts_with("identity/") || file.starts_with("db/");
    only_in(&["widely("], knows_several, &[]);
}
