//! A desk ready for its first incident. It is set once for each build, and copied: setting it takes longer than most
//! tests.

use std::fs::File;
use std::path::PathBuf;

use allclear::db::{Connection, Location, PROVIDER};
use allclear::settings::Settings;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _};
use serde_json::{Value, json};

use crate::desk::{TestDesk, User, beginning, build};

/// A desk ready for its first incident: a catalog, a staffed queue, rules, two customers.
pub struct Stage {
    pub desk: TestDesk,
    /// An agent on duty around the clock.
    pub ada: User,
    /// The incident manager.
    pub marta: User,
    /// Administrator of Contoso, North America.
    pub bob: User,
    /// Administrator of Adatum, Europe.
    pub eva: User,
    pub contoso: Value,
    pub adatum: Value,
    pub queue: Value,
}

impl Stage {
    pub async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    pub async fn set_with(change: impl FnOnce(&mut Settings)) -> Self {
        let set = Set::of_this_build().await;
        let desk = TestDesk::open_on(Some(&set), beginning(), change).await;
        let person = |name: &str| desk.known(&set.cast[name]);
        Self {
            ada: person("ada"),
            marta: person("marta"),
            bob: person("bob"),
            eva: person("eva"),
            contoso: set.cast["contoso"].clone(),
            adatum: set.cast["adatum"].clone(),
            queue: set.cast["queue"].clone(),
            desk,
        }
    }

    /// An incident of Exchange Online in North America: Contoso's, not Adatum's.
    pub async fn incident(&self) -> Value {
        self.marta.post("/v1/incidents", incident_form()).await.created()
    }
}

pub fn incident_form() -> Value {
    json!({
        "title": "Mail is reachable only intermittently", "impact": "degradation",
        "services": ["exchange-online"], "regions": ["north-america"], "body": "We are looking into it.",
    })
}

/// A queue staffed around the clock.
pub fn always_on(name: &str, members: &[&str]) -> Value {
    json!({"name": name, "always_on": true, "shifts": [{
        "name": "always", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "start": "00:00", "end": "00:00", "time_zone": "UTC", "members": members,
    }]})
}

/// A stage that is set, and who is on it.
pub struct Set {
    /// What is copied: the path of a file, or the name of a database.
    pub database: String,
    /// People, tenants and the queue, by name.
    pub cast: Value,
}

impl Set {
    /// Whoever comes first sets it; the others wait.
    async fn of_this_build() -> Self {
        match std::env::var("ALLCLEAR_TEST_POSTGRES") {
            Ok(admin) if std::env::var("ALLCLEAR_TEST_ENGINE").as_deref() == Ok("postgres") => {
                Self::on_server(&admin).await
            }
            _ => Self::in_file().await,
        }
    }

    async fn in_file() -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let of_build = |end: &str| dir.join(format!("stage-{:x}.{end}", build()));
        let (file, cast) = (of_build("sqlite"), of_build("json"));
        let lock = File::create(dir.join("stage.lock")).unwrap();
        lock.lock().unwrap();
        if !cast.exists() {
            let (mut desk, people) = set().await;
            desk.leave().await;
            let _ = std::fs::remove_file(&file);
            let Connection::Sqlite(mut conn) = desk.connect() else {
                unreachable!("the engine is SQLite")
            };
            conn.batch_execute(&format!("VACUUM INTO '{}'", file.display()))
                .unwrap();
            std::fs::write(&cast, people.to_string()).unwrap();
        }
        Self {
            cast: serde_json::from_slice(&std::fs::read(&cast).unwrap()).unwrap(),
            database: file.display().to_string(),
        }
    }

    /// The cast is kept in the comment of the database, which gets its name when it is ready.
    async fn on_server(admin: &str) -> Self {
        let database = format!("stage_{:x}", build());
        let mut conn = PgConnection::establish(admin).unwrap();
        diesel::sql_query("SELECT pg_advisory_lock(2011)")
            .execute(&mut conn)
            .unwrap();
        if let Some(cast) = comment(&mut conn, &database) {
            return Self { database, cast };
        }
        let (mut desk, cast) = set().await;
        let Location::Postgres(url) = desk.leave().await else {
            unreachable!("the engine is PostgreSQL")
        };
        let name = url.rsplit_once('/').unwrap().1;
        let text = cast.to_string().replace('\'', "''");
        conn.batch_execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'; \
             COMMENT ON DATABASE {name} IS '{text}'"
        ))
        .unwrap();
        conn.batch_execute(&format!("ALTER DATABASE {name} RENAME TO {database}"))
            .unwrap();
        Self { database, cast }
    }
}

fn comment(conn: &mut PgConnection, database: &str) -> Option<Value> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        text: Option<String>,
    }
    let query = format!(
        "SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = '{database}'"
    );
    let rows: Vec<Row> = diesel::sql_query(query).load(conn).unwrap();
    let text = rows.into_iter().next()?.text?;
    Some(serde_json::from_str(&text).unwrap())
}

/// Sets it through the API.
async fn set() -> (TestDesk, Value) {
    // Before any story begins: ids of one instant are in no order across processes.
    let before = beginning() - TimeDelta::seconds(1);
    let desk = TestDesk::open_on(None, before, |_| {}).await;
    for region in ["north-america", "europe"] {
        desk.operator
            .post("/v1/regions", json!({"slug": region, "name": region}))
            .await
            .created();
    }
    for service in ["exchange-online", "sharepoint-online", "sign-in"] {
        desk.operator
            .post("/v1/services", json!({"slug": service, "name": service}))
            .await
            .created();
    }
    let contoso = desk
        .tenant("Contoso", &["north-america"], &["exchange-online", "sign-in"])
        .await;
    let adatum = desk
        .tenant("Adatum", &["europe"], &["exchange-online", "sign-in"])
        .await;
    let bob = desk.member("bob", "tenant_admin", &contoso).await;
    let eva = desk.member("eva", "tenant_admin", &adatum).await;
    let ada = desk.staff("ada", "agent").await;
    let marta = desk.staff("marta", "incident_manager").await;
    let queue = desk
        .operator
        .post("/v1/queues", always_on("Messaging", &[&ada.id]))
        .await
        .created();
    let rules = json!({"rules": [{"name": "all", "when": {}, "queue_id": queue["id"]}]});
    desk.operator.put("/v1/routing-rules", rules).await.ok();
    let provider = json!(PROVIDER);
    let cast = json!({
        "operator": person(&desk.operator, &provider, "operator"), "ada": person(&ada, &provider, "agent"),
        "marta": person(&marta, &provider, "incident_manager"), "bob": person(&bob, &contoso["id"], "tenant_admin"),
        "eva": person(&eva, &adatum["id"], "tenant_admin"), "contoso": contoso, "adatum": adatum, "queue": queue,
    });
    (desk, cast)
}

fn person(user: &User, tenant: &Value, role: &str) -> Value {
    json!({"id": user.id, "email": user.email, "name": user.name, "tenant": tenant, "role": role})
}
