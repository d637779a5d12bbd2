//! The first start: the provider, the first operator. Under one lock, so that replicas make them once.

use diesel::prelude::*;
use serde_json::json;

use super::model::{Membership, Person, Plan, Role, Tenant};
use super::{password, store};
use crate::db::schema::memberships;
use crate::db::{Connection, Db, Moment, PROVIDER, Scope, lock};
use crate::journal::{self, Actor, Event, EventKind, SubjectKind};
use crate::problem::Problem;
use crate::settings::Settings;

/// How the first operator signs in, said once.
#[derive(Clone, Debug)]
pub struct FirstOperator {
    /// The address.
    pub email: String,
    /// The password, if it was made up here.
    pub password: Option<String>,
}

/// Makes provider and first operator if there is no operator yet.
pub async fn first_operator(
    db: &Db,
    settings: &Settings,
    now: Moment,
) -> Result<Option<FirstOperator>, Problem> {
    if db.read(Scope::of_system(), has_operator).await? {
        return Ok(None);
    }
    let email = settings
        .operator_email
        .clone()
        .unwrap_or_else(|| "operator@localhost".to_owned());
    let made_up = settings.operator_password.is_none().then(random_password);
    let password = settings
        .operator_password
        .clone()
        .or_else(|| made_up.clone())
        .unwrap_or_default();
    let hash = password::hash(password).await?;
    let address = email.clone();
    let made = db
        .write(Scope::of_system(), move |conn| {
            lock::exclusive(conn, lock::Key::named("first operator"))?;
            if has_operator(conn)? {
                return Ok(false);
            }
            create(conn, &address, &hash, now)?;
            Ok(true)
        })
        .await?;
    Ok(made.then_some(FirstOperator {
        email,
        password: made_up,
    }))
}

fn has_operator(conn: &mut Connection) -> Result<bool, Problem> {
    let operators = memberships::table
        .filter(memberships::role.eq(Role::Operator))
        .count();
    Ok(operators.get_result::<i64>(conn)? > 0)
}

fn create(conn: &mut Connection, email: &str, hash: &str, now: Moment) -> Result<(), Problem> {
    if store::tenant(conn, PROVIDER)?.is_none() {
        let provider = Tenant {
            id: PROVIDER,
            name: "Provider".to_owned(),
            plan: Plan::Standard,
            locale: "en".to_owned(),
            time_zone: "UTC".to_owned(),
            disabled: false,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        store::create_tenant(conn, &provider, &[], &[], &[])?;
    }
    let operator = Person {
        password_hash: Some(hash.to_owned()),
        confirmed: true,
        ..Person::new(email.to_owned(), "Operator", ("en", "UTC"), now)
    };
    store::create_person(conn, &operator)?;
    let membership = Membership::new(PROVIDER, operator.id, Role::Operator, now);
    store::create_membership(conn, &membership)?;
    let event = Event::new(
        EventKind::UserCreated,
        (SubjectKind::Person, operator.id),
        (PROVIDER, 1),
        (&Actor::system(), now),
        json!({"to": {"email": operator.email, "name": operator.name, "role": membership.role}}),
    );
    journal::record(conn, &event, &[])
}

/// Twenty-four characters that are told apart on the telephone.
fn random_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut bytes = [0u8; 24];
    rand::fill(&mut bytes);
    bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect()
}
