//! The migrations of both engines: the same steps, the tables that the code knows, a way back, and one lock.

use std::collections::BTreeMap;
use std::path::Path;

use allclear::app;
use allclear::clock::Clock;
use allclear::db::migrations::{POSTGRES, SQLITE};
use allclear::db::{self, Connection, Location};
use allclear::settings::Settings;
use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, RunQueryDsl as _, sql_query};
use diesel_migrations::MigrationHarness as _;

use crate::desk::{Database, PASSWORD, beginning};

/// What diesel keeps its own books in.
const BOOKS: &str = "__diesel_schema_migrations";

/// A table as `src/db/schema.rs` has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub name: String,
    /// Its primary key, in order.
    pub key: Vec<String>,
    /// Name, type, whether it may be null.
    pub columns: Vec<(String, String, bool)>,
}

/// All tables that the code knows.
pub fn tables() -> Vec<Table> {
    let schema = include_str!("../../src/db/schema.rs");
    let mut tables: Vec<Table> = Vec::new();
    for line in schema.lines().map(str::trim) {
        if let Some((name, key)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            tables.push(Table {
                name: name.to_owned(),
                key: key.split(", ").map(str::to_owned).collect(),
                columns: Vec::new(),
            });
        } else if let Some((name, kind)) = line.strip_suffix(',').and_then(|line| line.split_once(" -> ")) {
            let inner = kind
                .strip_prefix("Nullable<")
                .and_then(|kind| kind.strip_suffix('>'));
            let column = (name.to_owned(), inner.unwrap_or(kind).to_owned(), inner.is_some());
            tables.last_mut().unwrap().columns.push(column);
        }
    }
    assert!(
        tables.len() > 20 && tables.iter().all(|table| table.columns.len() > 1),
        "{tables:?}"
    );
    tables
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// What a query finds, a text a row: as it is said to PostgreSQL, and to SQLite.
pub fn lines(conn: &mut Connection, postgres: &str, sqlite: &str) -> Vec<String> {
    let found: Vec<Line> = match conn {
        Connection::Postgres(conn) => sql_query(postgres).load(conn).unwrap(),
        Connection::Sqlite(conn) => sql_query(sqlite).load(conn).unwrap(),
    };
    found.into_iter().map(|row| row.line).collect()
}

/// Everything in the database, row by row, as text: two that are the same are the same database.
pub fn contents(conn: &mut Connection) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables() {
        let quoted: Vec<_> = table
            .columns
            .iter()
            .map(|(name, ..)| format!("quote(\"{name}\")"))
            .collect();
        let rows = lines(
            conn,
            &format!("SELECT t::text AS line FROM {} t ORDER BY 1", table.name),
            &format!(
                "SELECT {} AS line FROM {} ORDER BY 1",
                quoted.join("||','||"),
                table.name
            ),
        );
        all.extend(rows.into_iter().map(|row| format!("{}: {row}", table.name)));
    }
    all
}

fn table_names(conn: &mut Connection) -> Vec<String> {
    let mut names = lines(
        conn,
        "SELECT table_name::text AS line FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
        "SELECT name AS line FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
    );
    names.retain(|name| name != BOOKS);
    names
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

fn columns(conn: &mut Connection, table: &str) -> Vec<(String, String, bool)> {
    let found: Vec<Column> = match conn {
        Connection::Postgres(conn) => sql_query(format!(
            "SELECT column_name::text AS name, data_type::text AS kind, is_nullable = 'YES' AS nullable \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' \
             ORDER BY ordinal_position"
        ))
        .load(conn)
        .unwrap(),
        Connection::Sqlite(conn) => sql_query(format!(
            "SELECT name, type AS kind, NOT \"notnull\" AS nullable FROM pragma_table_info('{table}') ORDER BY cid"
        ))
        .load(conn)
        .unwrap(),
    };
    found
        .into_iter()
        .map(|column| (column.name, column.kind, column.nullable))
        .collect()
}

fn key(conn: &mut Connection, table: &str) -> Vec<String> {
    lines(
        conn,
        &format!(
            "SELECT k.column_name::text AS line FROM information_schema.table_constraints c \
             JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name, table_name) \
             WHERE c.constraint_type = 'PRIMARY KEY' AND table_name = '{table}' ORDER BY k.ordinal_position"
        ),
        &format!("SELECT name AS line FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk"),
    )
}

/// How the engine calls a type of the schema.
fn native(conn: &Connection, kind: &str) -> &'static str {
    match (conn, kind) {
        (Connection::Postgres(_), "Uuid") => "uuid",
        (Connection::Postgres(_), "Text") => "text",
        (Connection::Postgres(_), "Bool") => "boolean",
        (Connection::Postgres(_), "Integer") => "integer",
        (Connection::Postgres(_), "BigInt") => "bigint",
        (Connection::Postgres(_), "SmallInt") => "smallint",
        (Connection::Postgres(_), "Instant") => "timestamp with time zone",
        (Connection::Postgres(_), "Jsonb") => "jsonb",
        (Connection::Sqlite(_), "Uuid") => "BLOB",
        (Connection::Sqlite(_), "Text" | "Jsonb") => "TEXT",
        (Connection::Sqlite(_), "Bool" | "Integer" | "BigInt" | "SmallInt" | "Instant") => "INTEGER",
        (_, kind) => panic!("an unknown type: {kind}"),
    }
}

fn folders(engine: &str) -> BTreeMap<String, Vec<String>> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(engine);
    let entries = |path: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    entries(&tree)
        .into_iter()
        .map(|name| (name.clone(), entries(&tree.join(name))))
        .collect()
}

#[test]
fn both_engines_take_the_same_steps_each_with_a_way_back() {
    let steps = folders("postgres");
    assert_eq!(steps, folders("sqlite"));
    assert!(steps.len() >= 7);
    for (step, files) in steps {
        for way in ["up.sql", "down.sql"] {
            assert!(files.iter().any(|file| file == way), "{step} has no {way}");
        }
    }
}

#[test]
fn the_tables_of_the_code_are_those_that_the_migrations_make() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(&dir);
    db::migrate(&database.location).unwrap();
    let mut conn = database.connect();
    let known = tables();
    let mut names: Vec<_> = known.iter().map(|table| table.name.clone()).collect();
    names.sort();
    assert_eq!(names, table_names(&mut conn));
    for table in known {
        let expected: Vec<_> = table
            .columns
            .iter()
            .map(|(name, kind, nullable)| (name.clone(), native(&conn, kind).to_owned(), *nullable))
            .collect();
        assert_eq!(
            expected,
            columns(&mut conn, &table.name),
            "columns of {}",
            table.name
        );
        assert_eq!(
            table.key,
            key(&mut conn, &table.name),
            "primary key of {}",
            table.name
        );
    }
}

#[test]
fn a_row_of_a_tenant_is_keyed_by_its_tenant_first() {
    for table in tables() {
        let has_tenant = table.columns.iter().any(|(name, ..)| name == "tenant_id");
        assert_eq!(
            has_tenant,
            table.key[0] == "tenant_id",
            "{}: {:?}",
            table.name,
            table.key
        );
    }
}

#[test]
fn every_step_can_be_taken_back_down_to_nothing_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(&dir);
    let steps = folders("sqlite").len();
    assert_eq!(db::migrate(&database.location).unwrap().len(), steps);
    let mut conn = database.connect();
    let first = shape(&mut conn);
    let mut left = first.clone();
    for step in 1..=steps {
        match &mut conn {
            Connection::Postgres(conn) => conn.revert_last_migration(POSTGRES).map(drop),
            Connection::Sqlite(conn) => conn.revert_last_migration(SQLITE).map(drop),
        }
        .unwrap();
        let now = shape(&mut conn);
        assert_ne!(now, left, "step {step} back left everything as it was");
        left = now;
    }
    assert!(table_names(&mut conn).is_empty());
    assert_eq!(db::migrate(&database.location).unwrap().len(), steps);
    assert_eq!(first, shape(&mut conn));
    assert!(db::migrate(&database.location).unwrap().is_empty());
}

/// Tables, columns, checks and indexes.
fn shape(conn: &mut Connection) -> Vec<String> {
    let mut shape = lines(
        conn,
        "SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public'
         UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT name || ' ' || coalesce(sql, '') AS line FROM sqlite_schema ORDER BY 1",
    );
    for table in table_names(conn) {
        let columns = columns(conn, &table);
        shape.push(format!("{table} {columns:?}"));
    }
    shape
}

fn count(conn: &mut Connection, from: &str) -> usize {
    let query = format!("SELECT 'x' AS line FROM {from}");
    lines(conn, &query, &query).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_start_at_once_make_one_operator_and_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(&dir);
    let settings = |name: &str| {
        // On PostgreSQL each has a data directory of its own; on SQLite it is the directory that they fight for.
        let home = match database.location {
            Location::Postgres(_) => dir.path().join(name),
            Location::Sqlite(_) => dir.path().to_owned(),
        };
        let mut settings = Settings::private(home);
        settings.database = database.location.clone();
        settings.secret = Some("a secret of the tests, long enough to be one".to_owned());
        settings.operator_email = Some("olive@provider.example".to_owned());
        settings.operator_password = Some(PASSWORD.to_owned());
        settings
    };
    let clock = Clock::standing_at(beginning());
    let (first, second) = tokio::join!(
        tokio::spawn(app::open(settings("first"), clock.clone())),
        tokio::spawn(app::open(settings("second"), clock.clone())),
    );
    let (started, refused): (Vec<_>, Vec<_>) = [first.unwrap(), second.unwrap()]
        .into_iter()
        .partition(Result::is_ok);
    match database.location {
        Location::Postgres(_) => assert_eq!(
            started.len(),
            2,
            "{:?}",
            refused.into_iter().map(Result::err).collect::<Vec<_>>()
        ),
        Location::Sqlite(_) => {
            assert_eq!(started.len(), 1);
            let why = refused.into_iter().next().unwrap().err().unwrap().to_string();
            assert!(why.contains("another server may be using"), "{why}");
        }
    }
    let mut conn = database.connect();
    assert_eq!(count(&mut conn, "memberships WHERE role = 'operator'"), 1);
    assert_eq!(count(&mut conn, "people"), 1);
    assert_eq!(count(&mut conn, "tenants"), 1);
    assert_eq!(count(&mut conn, "signing_keys"), 1);
    let servers: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        servers
            .iter()
            .filter(|server| server.first_operator.is_some())
            .count(),
        1
    );
    // A token of one is good at the other: it is the same key.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::new();
    let form = serde_json::json!({"email": "olive@provider.example", "password": PASSWORD});
    let session = http
        .post(format!("{}/v1/auth/login", servers[0].url))
        .json(&form)
        .send()
        .await
        .unwrap();
    let session: serde_json::Value = session.json().await.unwrap();
    for server in &servers {
        let me = http
            .get(format!("{}/v1/me", server.url))
            .bearer_auth(session["access_token"].as_str().unwrap());
        assert_eq!(me.send().await.unwrap().status(), 200);
    }
    for server in servers {
        server.stop().await;
    }
}
