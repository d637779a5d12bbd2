//! The second wall between tenants: on PostgreSQL a query that forgets the tenant finds nothing.
//!
//! SQLite has no such thing. There the same tests show what it is that the wall keeps off, so that the day on which the
//! engines no longer differ is noticed too.

use allclear::app;
use allclear::clock::Clock;
use allclear::db::connection::Target;
use allclear::db::schema::{events, service_requests, tenants};
use allclear::db::{Connection, Db, Location, Scope, TenantId};
use allclear::problem::Problem;
use allclear::settings::Settings;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use serde_json::Value;

use crate::desk::{Database, Stage, beginning};
use crate::migrations::tables;

/// Two tenants, each with a request.
async fn two_tenants() -> Stage {
    let stage = Stage::set().await;
    let ours = stage.incident().await;
    stage.bob.files("Mail is down", &ours).await.created();
    let mut theirs = crate::desk::incident_form();
    theirs["regions"] = serde_json::json!(["europe"]);
    let theirs = stage.marta.post("/v1/incidents", theirs).await.created();
    stage.eva.files("Post ist weg", &theirs).await.created();
    stage.desk.drain().await;
    stage
}

fn id(of: &Value) -> TenantId {
    of["id"].as_str().unwrap().parse().unwrap()
}

/// Whose requests, events and names are found by queries that forget to say whose.
fn forgetful(conn: &mut Connection) -> Result<Vec<TenantId>, Problem> {
    let mut found: Vec<TenantId> = service_requests::table
        .select(service_requests::tenant_id)
        .load(conn)?;
    found.extend(events::table.select(events::tenant_id).load::<TenantId>(conn)?);
    found.extend(tenants::table.select(tenants::id).load::<TenantId>(conn)?);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn is_walled(db: &Db) -> bool {
    db.engine() == "postgres"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_forgets_the_tenant_finds_the_rows_of_its_scope_alone() {
    let stage = two_tenants().await;
    let db = &stage.desk.running().db;
    let (contoso, adatum) = (id(&stage.contoso), id(&stage.adatum));
    for tenant in [contoso, adatum] {
        let scope = Scope::of_tenant(tenant);
        let read = db.read(scope, forgetful).await.unwrap();
        let here = db.read_here(scope, forgetful).await.unwrap();
        let written = db.write(scope, forgetful).await.unwrap();
        for found in [read, here, written] {
            assert!(found.contains(&tenant));
            assert_eq!(found.len() == 1, is_walled(db), "{found:?}");
        }
    }
    let all = db.read(Scope::of_system(), forgetful).await.unwrap();
    assert!(all.contains(&contoso) && all.contains(&adatum));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_never_keeps_the_scope_of_the_work_before() {
    let stage = two_tenants().await;
    let db = &stage.desk.running().db;
    let mut turns = Vec::new();
    for turn in 0..200 {
        let tenant = id(if turn % 2 == 0 {
            &stage.contoso
        } else {
            &stage.adatum
        });
        let db = db.clone();
        turns.push(tokio::spawn(async move {
            let scope = Scope::of_tenant(tenant);
            let found = match turn % 3 {
                0 => db.read(scope, forgetful).await,
                1 => db.write(scope, forgetful).await,
                // What fails leaves nothing behind either.
                _ => {
                    let failed = db
                        .write(scope, |_| Err::<(), _>(Problem::not_found("anything")))
                        .await;
                    assert!(failed.is_err());
                    db.read_here(scope, forgetful).await
                }
            };
            (tenant, found.unwrap())
        }));
    }
    for turn in turns {
        let (tenant, found) = turn.await.unwrap();
        assert_eq!(found == [tenant], is_walled(db), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_cannot_be_written_moved_or_taken_across_the_wall() {
    let stage = two_tenants().await;
    let db = &stage.desk.running().db;
    let (contoso, adatum) = (id(&stage.contoso), id(&stage.adatum));
    let renamed = move |conn: &mut Connection| {
        let row = tenants::table.find(contoso);
        Ok(diesel::update(row).set(tenants::name.eq("Mine")).execute(conn)?)
    };
    let moved = move |conn: &mut Connection| {
        let own = service_requests::table.filter(service_requests::tenant_id.eq(adatum));
        Ok(diesel::update(own)
            .set(service_requests::tenant_id.eq(contoso))
            .execute(conn)?)
    };
    let taken = move |conn: &mut Connection| {
        let rows = events::table.filter(events::tenant_id.eq(contoso));
        Ok(diesel::update(rows)
            .set(events::actor_name.eq("Nobody"))
            .execute(conn)?)
    };
    let scope = Scope::of_tenant(adatum);
    if is_walled(db) {
        assert_eq!(db.write(scope, renamed).await.unwrap(), 0);
        assert_eq!(db.write(scope, taken).await.unwrap(), 0);
        assert!(db.write(scope, moved).await.is_err());
    } else {
        // Only the code stands between them here: none of its queries is like these.
        assert_eq!(db.write(scope, renamed).await.unwrap(), 1);
        assert!(db.write(scope, taken).await.unwrap() > 0);
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn count(conn: &mut PgConnection, from: &str) -> i64 {
    let query = format!("SELECT count(*) AS n FROM {from}");
    diesel::sql_query(query).get_result::<Count>(conn).unwrap().n
}

#[derive(QueryableByName)]
struct Walled {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    walled: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_with_rows_of_tenants_is_walled_and_shows_nobody_nothing() {
    let stage = two_tenants().await;
    let Location::Postgres(url) = &stage.desk.settings().database else {
        assert!(!is_walled(&stage.desk.running().db));
        return;
    };
    let of_tenants: Vec<String> = tables()
        .into_iter()
        .filter(|table| table.name == "tenants" || table.columns.iter().any(|(name, ..)| name == "tenant_id"))
        .map(|table| table.name)
        .collect();
    assert!(of_tenants.len() > 15);
    let Connection::Postgres(mut worker) = Target::Worker(url.clone()).connect().unwrap() else {
        unreachable!()
    };
    for table in &of_tenants {
        assert_eq!(count(&mut worker, table), 0, "{table} without a scope");
    }
    worker.batch_execute("SET allclear.tenant = 'all'").unwrap();
    for table in [
        "service_requests",
        "events",
        "deliveries",
        "memberships",
        "tenants",
    ] {
        assert!(count(&mut worker, table) > 0, "{table}");
    }
    let walls = "SELECT c.relname::text AS name, c.relrowsecurity AND c.relforcerowsecurity \
        AND (SELECT count(*) = 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*') AS walled \
        FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
    let walls: Vec<Walled> = diesel::sql_query(walls).load(&mut worker).unwrap();
    for Walled { name, walled } in walls {
        assert_eq!(walled, of_tenants.contains(&name), "{name}");
    }
    // Whoever works owns nothing, and can make nothing.
    let role = "pg_roles WHERE rolname = current_user AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin)";
    assert_eq!(count(&mut worker, role), 1);
    assert_eq!(
        count(&mut worker, "pg_class WHERE relowner = current_user::regrole"),
        0
    );
    assert!(
        worker
            .batch_execute("ALTER TABLE events DISABLE ROW LEVEL SECURITY")
            .is_err()
    );
    assert!(worker.batch_execute("CREATE TABLE mine (id int)").is_err());
    // And the journal is appended to.
    for change in [
        "DELETE FROM events",
        "UPDATE events SET kind = 'x'",
        "UPDATE events SET at = now()",
        "TRUNCATE events",
    ] {
        let refused = worker.batch_execute(change).unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{change}: {refused}");
    }
}

fn settings(dir: &tempfile::TempDir, database: &Database) -> Settings {
    let mut settings = Settings::private(dir.path().to_owned());
    settings.database = database.location.clone();
    settings.secret = Some("a secret of the tests, long enough to be one".to_owned());
    settings.operator_password = Some(crate::desk::PASSWORD.to_owned());
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_works_as_whom_a_second_url_names_and_refuses_whom_no_wall_holds() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::new(&dir);
    let clock = Clock::standing_at(beginning());
    let Location::Postgres(owner) = &database.location else {
        // Where there are no roles, the setting is without effect.
        let mut settings = settings(&dir, &database);
        settings.database_work_url = Some("postgres://nobody@nowhere/nothing".to_owned());
        app::open(settings, clock).await.unwrap().stop().await;
        return;
    };
    let mut with_owner = settings(&dir, &database);
    // The owner is a superuser: no policy holds them.
    with_owner.database_work_url = Some(owner.clone());
    let refused = app::open(with_owner.clone(), clock.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("row-level security"), "{refused}");
    // The role of the migrations is there; somebody who logs in is granted it.
    let (server, name) = owner.rsplit_once('/').unwrap();
    let (_, place) = server.rsplit_once('@').unwrap();
    let login = format!("{name}_login");
    let Connection::Postgres(mut conn) = database.connect() else {
        unreachable!()
    };
    conn.batch_execute(&format!("CREATE ROLE {login} LOGIN IN ROLE {name}_worker"))
        .unwrap();
    let mut with_login = with_owner;
    with_login.database_work_url = Some(format!("postgres://{login}@{place}/{name}"));
    let running = app::open(with_login, clock).await.unwrap();
    let as_whom = running.db.read(Scope::of_system(), move |conn| {
        let Connection::Postgres(conn) = conn else {
            unreachable!()
        };
        Ok(count(
            conn,
            &format!("pg_roles WHERE rolname = session_user AND rolname = '{login}'"),
        ))
    });
    assert_eq!(as_whom.await.unwrap(), 1);
    running.stop().await;
    let gone = format!("DROP OWNED BY {name}_login; DROP ROLE {name}_login");
    conn.batch_execute(&gone).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_is_no_superuser_migrates_and_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut database = Database::new(&dir);
    let clock = Clock::standing_at(beginning());
    if let Location::Postgres(url) = &database.location {
        let (server, name) = url.rsplit_once('/').unwrap();
        let (_, place) = server.rsplit_once('@').unwrap();
        let Connection::Postgres(mut conn) = database.connect() else {
            unreachable!()
        };
        conn.batch_execute(&format!(
            "CREATE ROLE {name}_owner LOGIN CREATEROLE; ALTER DATABASE {name} OWNER TO {name}_owner; \
             ALTER SCHEMA public OWNER TO {name}_owner"
        ))
        .unwrap();
        database.location = Location::Postgres(format!("postgres://{name}_owner@{place}/{name}"));
    }
    let settings = settings(&dir, &database);
    let first = app::open(settings.clone(), clock.clone()).await.unwrap();
    assert!(first.first_operator.is_some());
    first.stop().await;
    // And again, with everything there.
    let second = app::open(settings, clock).await.unwrap();
    assert!(second.first_operator.is_none());
    second.stop().await;
}
