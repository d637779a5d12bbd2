//! The verb of one's own account: change what it says of oneself.

use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::user::{self, described};
use crate::db::{Connection, lock};
use crate::identity::model::UserView;
use crate::identity::{Caller, store};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};
use crate::text;

/// What changes of oneself; what is left out stays.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MyChange {
    /// The name.
    #[serde(default)]
    #[garde(inner(custom(text::line::<200>)))]
    pub name: Option<String>,
    /// The language.
    #[serde(default)]
    #[garde(inner(custom(text::locale)))]
    pub locale: Option<String>,
    /// The IANA time zone.
    #[serde(default)]
    #[garde(inner(custom(text::time_zone)))]
    pub time_zone: Option<String>,
}

/// Changes one's own name, language or time zone.
pub fn change(conn: &mut Connection, caller: &Caller, form: &MyChange) -> Result<UserView, Problem> {
    lock::exclusive(conn, lock::Key::of(caller.person()))?;
    let gone = || Problem::not_found("user");
    let before = store::person(conn, caller.person())?.ok_or_else(gone)?;
    let mut membership = store::membership(conn, caller.tenant(), caller.person())?.ok_or_else(gone)?;
    let loaded = membership.version;
    caller
        .if_match
        .require(loaded, UserView::standing(&before, &membership))?;
    if caller.is_federated() && user::belongs_to_others(conn, caller.person(), caller.tenant())? {
        return Err(Problem::new(
            Code::Conflict,
            "the account belongs to others too: sign in with its password to change it",
        ));
    }
    let now = caller.now();
    let mut person = before.clone();
    person.name = form
        .name
        .as_deref()
        .map_or(person.name, |name| name.trim().to_owned());
    person.locale = form.locale.clone().unwrap_or(person.locale);
    person.time_zone = form.time_zone.clone().unwrap_or(person.time_zone);
    person.updated_at = now;
    membership.version = loaded.saturating_add(1);
    store::save_person(conn, &person)?;
    store::save_membership(conn, &membership, loaded)?;
    let event = Event::next(
        EventKind::UserChanged,
        (SubjectKind::Person, person.id),
        caller.tenant(),
        (&caller.actor(), now),
        journal::changes(described(&before), described(&person)),
    );
    journal::append(conn, event, &[])?;
    Ok(UserView::of(person, &membership))
}
