//! Ten thousand calls that mean no good, as everybody: schemathesis makes them out of the document, breaks them where
//! it can, and goes on with what it is answered. No failure of ours, no status and no body that the document does not
//! know, nothing accepted that should not be; and the desk goes on working.

use std::fmt::Write as _;
use std::process::{Command, Output, Stdio};

use allclear::identity::{Role, rights};
use serde_json::json;

use crate::desk::User;
use crate::spec::{Cast, Spec};

/// How thoroughly somebody tries, and so many calls it comes to at least: ten thousand by the eight below in all.
#[derive(Clone, Copy)]
enum Zeal {
    /// Every way that a schema offers to be wrong at what the caller may do, before anything else.
    Thorough(u64),
    /// Only what is made up: who may more is thorough at the same operations.
    Brief(u64),
}

/// What would end the caller's own way in.
const SPARED: [&str; 3] = ["change_user", "revoke_api_key", "change_tenant"];

struct Hostile {
    cast: Cast,
    dir: tempfile::TempDir,
}

/// What is called in one run.
#[derive(Clone, Copy)]
struct Round<'a> {
    phases: &'a str,
    operations: &'a [String],
    config: &'a str,
    examples: u32,
    seed: u32,
}

impl Hostile {
    async fn prepare() -> Self {
        let (cast, dir) = (Cast::set().await, tempfile::tempdir().unwrap());
        // The ids of what is there: most of what is made up would end at 404.
        let mut ids = String::new();
        for operation in Spec::of_the_code().operations().iter().filter(|one| one.has_id()) {
            let (path, id) = (&operation.template, cast.id(&operation.template));
            writeln!(
                ids,
                "[[operations]]\ninclude-path = \"{path}\"\nparameters = {{ \"path.id\" = \"{id}\" }}"
            )
            .unwrap();
        }
        std::fs::write(dir.path().join("ids.toml"), ids).unwrap();
        std::fs::write(dir.path().join("none.toml"), "").unwrap();
        Self { cast, dir }
    }

    /// Calls as `user`; how many.
    fn calls(&self, user: &User, round: Round<'_>) -> u64 {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/schemathesis"));
        command
            .current_dir(self.dir.path())
            .args(["--config-file", round.config, "--no-color", "run"])
            .arg(format!("{}/openapi.json", self.cast.desk().url()))
            .args(["--phases", round.phases, "--seed", &round.seed.to_string()])
            .args(["--max-examples", &round.examples.to_string()])
            .args(["--continue-on-failure", "--no-shrink", "--request-timeout", "30"])
            // What is valid by its schema may be refused all the same: a cursor is signed, a state allows no more.
            .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
            .stdin(Stdio::null());
        for operation in round.operations {
            command.args(["--include-operation-id", operation]);
        }
        if !user.token.is_empty() {
            command.args(["--header", &format!("Authorization: Bearer {}", user.token)]);
        }
        let Output {
            status,
            stdout,
            stderr,
        } = tokio::task::block_in_place(|| command.output()).unwrap();
        let said = String::from_utf8_lossy(&stdout);
        assert!(status.success(), "{said}\n{}", String::from_utf8_lossy(&stderr));
        let total = said
            .split("Test cases:")
            .nth(1)
            .and_then(|text| text.split_whitespace().next());
        let count = total.and_then(|count| count.parse().ok());
        count.unwrap_or_else(|| panic!("how many?\n{said}"))
    }

    /// Whatever there is, on what is there, one call out of the other; then more of it until there are enough.
    async fn endure(mut self, user: User, role: Option<Role>, zeal: Zeal) {
        let spared = |operation: &String| !SPARED.contains(&operation.as_str());
        let ids = Spec::of_the_code()
            .operations()
            .into_iter()
            .map(|operation| operation.id);
        let all: Vec<String> = ids.filter(spared).collect();
        let may = |operation: &&String| {
            let needed = rights::needed(operation).unwrap();
            needed
                .iter()
                .all(|right| role.is_some_and(|role| rights::allows(role, *right)))
        };
        let own: Vec<String> = all.iter().filter(may).cloned().collect();
        let round = |phases, operations, config| Round {
            phases,
            operations,
            config,
            examples: 4,
            seed: 2010,
        };
        let (mut calls, enough) = match zeal {
            Zeal::Thorough(enough) => (
                self.calls(&user, round("coverage,fuzzing", &own, "none.toml")),
                enough,
            ),
            Zeal::Brief(enough) => (0, enough),
        };
        calls += self.calls(&user, round("fuzzing,stateful", &all, "ids.toml"));
        let mut more = round("fuzzing", &own, "ids.toml");
        while calls < enough {
            more.seed += 1;
            more.examples = 20;
            calls += self.calls(&user, more);
        }
        // What came of it is worked off like anything else.
        let desk = &mut self.cast.stage.desk;
        desk.drain().await;
        desk.stranger().get("/readyz").await.ok();
        desk.leave_undrained();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_stranger_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let stranger = hostile.cast.desk().stranger();
    hostile.endure(stranger, None, Zeal::Thorough(800)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tenant_admin_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let bob = hostile.cast.stage.bob.clone();
    hostile
        .endure(bob, Some(Role::TenantAdmin), Zeal::Thorough(2_000))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tenant_viewer_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let desk = hostile.cast.desk();
    let vic = desk
        .member("vic", "tenant_viewer", &hostile.cast.stage.contoso)
        .await;
    hostile
        .endure(vic, Some(Role::TenantViewer), Zeal::Brief(500))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_agent_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let ada = hostile.cast.stage.ada.clone();
    hostile.endure(ada, Some(Role::Agent), Zeal::Brief(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_lead_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let lea = hostile.cast.desk().staff("lea", "lead").await;
    hostile.endure(lea, Some(Role::Lead), Zeal::Brief(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_incident_manager_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let marta = hostile.cast.stage.marta.clone();
    hostile
        .endure(marta, Some(Role::IncidentManager), Zeal::Brief(500))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_operator_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let operator = hostile.cast.operator().clone();
    hostile
        .endure(operator, Some(Role::Operator), Zeal::Thorough(5_500))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_api_key_breaks_nothing() {
    let hostile = Hostile::prepare().await;
    let scopes = [
        "requests:read",
        "requests:write",
        "incidents:read",
        "users:write",
        "users:read",
    ];
    let form = json!({
        "name": "Admin center", "role": "tenant_admin", "scopes": scopes,
        "tenant_id": hostile.cast.stage.contoso["id"],
    });
    let key = hostile
        .cast
        .desk()
        .operator
        .post("/v1/api-keys", form)
        .await
        .created();
    let key = hostile.cast.desk().with_token(key["key"].as_str().unwrap());
    hostile
        .endure(key, Some(Role::TenantAdmin), Zeal::Brief(500))
        .await;
}
