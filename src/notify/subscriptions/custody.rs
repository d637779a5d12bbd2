//! A tenant's data is the tenant's: what its people want to hear of, for its archive, and the erasing of that.

use diesel::prelude::*;
use serde::Serialize;

use super::model::{Preferences, PreferencesView};
use super::store;
use crate::db::schema::{notification_preferences, people, subscriptions};
use crate::db::{Connection, PersonId, TenantId};
use crate::mail::opt_outs;
use crate::mail::unsubscribe::{What, Wish};
use crate::problem::Problem;

/// What somebody wants to hear of, and who it is.
#[derive(Debug, Serialize)]
pub struct PreferencesArchive {
    /// The person.
    pub person_id: PersonId,
    /// As they see it.
    #[serde(flatten)]
    pub view: PreferencesView,
}

/// What the people of a tenant want to hear of, after `after`.
pub fn page(
    conn: &mut Connection,
    tenant: TenantId,
    after: Option<PersonId>,
    limit: i64,
) -> Result<Vec<PreferencesArchive>, Problem> {
    let mut query = notification_preferences::table
        .inner_join(people::table.on(people::id.eq(notification_preferences::person_id)))
        .filter(notification_preferences::tenant_id.eq(tenant))
        .order(notification_preferences::person_id)
        .limit(limit)
        .select((Preferences::as_select(), people::email))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(notification_preferences::person_id.gt(after));
    }
    let rows: Vec<(Preferences, String)> = query.load(conn)?;
    rows.into_iter().map(|row| archive(conn, row)).collect()
}

fn archive(
    conn: &mut Connection,
    (preferences, recipient): (Preferences, String),
) -> Result<PreferencesArchive, Problem> {
    let (tenant, person_id) = (preferences.tenant_id, preferences.person_id);
    let rows = store::of(conn, (tenant, person_id))?;
    let nothing = Wish {
        tenant,
        recipient,
        what: What::Everything,
    };
    let unsubscribed = opt_outs::stands(conn, &nothing)?;
    Ok(PreferencesArchive {
        person_id,
        view: PreferencesView::of(&preferences, rows, unsubscribed),
    })
}

/// Takes away what a tenant's people wanted to hear of.
pub fn erase(conn: &mut Connection, tenant: TenantId) -> Result<(), Problem> {
    diesel::delete(subscriptions::table.filter(subscriptions::tenant_id.eq(tenant))).execute(conn)?;
    let rows = notification_preferences::table.filter(notification_preferences::tenant_id.eq(tenant));
    diesel::delete(rows).execute(conn)?;
    Ok(())
}
