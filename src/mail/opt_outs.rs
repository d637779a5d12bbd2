//! Addresses that want no more mail of a kind. The one-click links and the preferences of people write them down; the
//! gate asks for them as a message is about to leave.

use std::collections::HashSet;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::unsubscribe::{What, Wish};
use crate::db::schema::opt_outs;
use crate::db::{Connection, Moment, Scope, SubjectId, TenantId, lock, text_enum};
use crate::problem::Problem;

text_enum! {
    /// Of how much somebody wants no more mail.
    Extent {
        /// Of any incident.
        Everything = "everything",
        /// Of one incident.
        Incident = "incident",
        /// Of one request.
        Request = "request",
    }
}

/// An address that wants no more of it: the row is the model.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = opt_outs)]
pub struct OptOut {
    /// On whose behalf the mail would come.
    pub tenant_id: TenantId,
    /// The address, in lower case.
    pub recipient: String,
    /// The incident or the request; the tenant itself where it is everything.
    pub about: SubjectId,
    /// Of how much.
    pub extent: Extent,
    /// Since when.
    pub at: Moment,
}

/// Where an opt-out stands in the list.
pub type Place = (TenantId, String, SubjectId);

/// An address that wants no more mail, as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OptOutView {
    /// On whose behalf the mail would come.
    pub tenant_id: TenantId,
    /// The address.
    pub recipient: String,
    /// Of how much.
    pub extent: Extent,
    /// The incident or the request; none where it is everything.
    pub about: Option<SubjectId>,
    /// Since when.
    pub at: Moment,
}

impl From<OptOut> for OptOutView {
    fn from(row: OptOut) -> Self {
        Self {
            tenant_id: row.tenant_id,
            recipient: row.recipient,
            extent: row.extent,
            about: (row.extent != Extent::Everything).then_some(row.about),
            at: row.at,
        }
    }
}

impl Wish {
    /// What it is about, as it is stored.
    pub fn about(&self) -> (Extent, SubjectId) {
        match self.what {
            What::Everything => (Extent::Everything, self.tenant.of()),
            What::Incident(id) => (Extent::Incident, id.of()),
            What::Request(id) => (Extent::Request, id.of()),
        }
    }
}

/// Writes down a wish; `false` when it stands already.
pub fn add(conn: &mut Connection, wish: &Wish, now: Moment) -> Result<bool, Problem> {
    // Two at once, and one of them finds it.
    let whose = format!("no mail of {} to {}", wish.tenant, wish.recipient);
    lock::exclusive(conn, lock::Key::named(&whose))?;
    if stands(conn, wish)? {
        return Ok(false);
    }
    let (extent, about) = wish.about();
    let row = OptOut {
        tenant_id: wish.tenant,
        recipient: wish.recipient.clone(),
        about,
        extent,
        at: now,
    };
    diesel::insert_into(opt_outs::table).values(row).execute(conn)?;
    Ok(true)
}

/// Takes a wish back; `false` when there was none.
pub fn remove(conn: &mut Connection, wish: &Wish) -> Result<bool, Problem> {
    let (_, about) = wish.about();
    let row = opt_outs::table.find((wish.tenant, wish.recipient.as_str(), about));
    Ok(diesel::delete(row).execute(conn)? == 1)
}

/// Whether a wish stands.
pub fn stands(conn: &mut Connection, wish: &Wish) -> Result<bool, Problem> {
    let (_, about) = wish.about();
    let row = opt_outs::table
        .find((wish.tenant, wish.recipient.as_str(), about))
        .select(opt_outs::about);
    Ok(row.first::<SubjectId>(conn).optional()?.is_some())
}

/// What addresses of tenants want no more of: of these, and of whatever else has both.
pub fn of(
    conn: &mut Connection,
    tenants: Vec<TenantId>,
    recipients: Vec<&str>,
) -> Result<HashSet<Place>, Problem> {
    let rows: Vec<Place> = opt_outs::table
        .filter(opt_outs::tenant_id.eq_any(tenants))
        .filter(opt_outs::recipient.eq_any(recipients))
        .select((opt_outs::tenant_id, opt_outs::recipient, opt_outs::about))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// The opt-outs that a caller may see, of one address if one is named, by tenant and address.
pub fn list(
    conn: &mut Connection,
    scope: Scope,
    recipient: Option<&str>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<OptOut>, Problem> {
    let mut query = opt_outs::table
        .order((opt_outs::tenant_id, opt_outs::recipient, opt_outs::about))
        .limit(limit)
        .select(OptOut::as_select())
        .into_boxed();
    if let Some(tenant) = scope.tenant() {
        query = query.filter(opt_outs::tenant_id.eq(tenant));
    }
    if let Some(recipient) = recipient {
        query = query.filter(opt_outs::recipient.eq(recipient.to_owned()));
    }
    if let Some((tenant, recipient, about)) = after {
        let later = opt_outs::recipient
            .gt(recipient.clone())
            .or(opt_outs::recipient.eq(recipient).and(opt_outs::about.gt(about)));
        query = query.filter(
            opt_outs::tenant_id
                .gt(tenant)
                .or(opt_outs::tenant_id.eq(tenant).and(later)),
        );
    }
    Ok(query.load(conn)?)
}
