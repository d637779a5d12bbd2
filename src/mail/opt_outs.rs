//! Addresses that want no more mail of a kind. The one-click links and the preferences of people write them down; the
//! gate asks for them as a message is about to leave.

use std::collections::{BTreeSet, HashSet};

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::duplicates;
use super::told;
use super::unsubscribe::{What, Wish};
use crate::db::schema::opt_outs;
use crate::db::{Connection, IncidentId, Moment, RequestId, Scope, SubjectId, TenantId, lock, text_enum};
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

/// Writes down a wish, of an incident also for what it goes on as; `false` when all of it stands already.
pub fn add(conn: &mut Connection, wish: &Wish, now: Moment) -> Result<bool, Problem> {
    // Two at once, and one of them finds it.
    let whose = format!("no mail of {} to {}", wish.tenant, wish.recipient);
    lock::exclusive(conn, lock::Key::named(&whose))?;
    let (extent, about) = wish.about();
    let all = match wish.what {
        What::Incident(id) => ids(duplicates::onward(conn, id)?),
        What::Everything | What::Request(_) => vec![about],
    };
    let mut is_new = false;
    for about in all {
        let row = OptOut {
            tenant_id: wish.tenant,
            recipient: wish.recipient.clone(),
            about,
            extent,
            at: now,
        };
        if !is_there(conn, (row.tenant_id, &row.recipient, about))? {
            diesel::insert_into(opt_outs::table).values(row).execute(conn)?;
            is_new = true;
        }
    }
    Ok(is_new)
}

/// Takes a wish back, of an incident also for what it goes on as and what goes on as it; `false` when there was none.
pub fn remove(conn: &mut Connection, wish: &Wish) -> Result<bool, Problem> {
    let (_, about) = wish.about();
    let mut all = vec![about];
    if let What::Incident(id) = wish.what {
        let merged = duplicates::merged_into(conn, &[id])?;
        all.extend(ids(duplicates::onward(conn, id)?));
        all.extend(ids(merged.into_iter().map(|(duplicate, _)| duplicate)));
    }
    let rows = opt_outs::table
        .filter(opt_outs::tenant_id.eq(wish.tenant))
        .filter(opt_outs::recipient.eq(&wish.recipient))
        .filter(opt_outs::about.eq_any(all));
    Ok(diesel::delete(rows).execute(conn)? > 0)
}

fn ids(incidents: impl IntoIterator<Item = IncidentId>) -> Vec<SubjectId> {
    incidents.into_iter().map(|id| id.of()).collect()
}

/// Whether a wish stands.
pub fn stands(conn: &mut Connection, wish: &Wish) -> Result<bool, Problem> {
    is_there(conn, (wish.tenant, &wish.recipient, wish.about().1))
}

fn is_there(
    conn: &mut Connection,
    (tenant, recipient, about): (TenantId, &str, SubjectId),
) -> Result<bool, Problem> {
    let row = opt_outs::table
        .find((tenant, recipient, about))
        .select(opt_outs::about);
    Ok(row.first::<SubjectId>(conn).optional()?.is_some())
}

/// What some people want no more of, read together.
#[derive(Default)]
pub struct Standing {
    rows: HashSet<Place>,
    /// Duplicates, each with the incident that was asked about.
    duplicates: Vec<(IncidentId, IncidentId)>,
    /// Who was told of an incident that duplicates go on as.
    told: HashSet<(IncidentId, TenantId, String)>,
}

impl Standing {
    /// Of these addresses of these tenants, concerning these incidents.
    pub fn read(
        conn: &mut Connection,
        tenants: &[TenantId],
        recipients: &[&str],
        incidents: &[IncidentId],
    ) -> Result<Self, Problem> {
        let rows: Vec<Place> = opt_outs::table
            .filter(opt_outs::recipient.eq_any(recipients.to_vec()))
            .select((opt_outs::tenant_id, opt_outs::recipient, opt_outs::about))
            .load(conn)?;
        let mut standing = Self {
            rows: rows.into_iter().collect(),
            duplicates: Vec::new(),
            told: HashSet::new(),
        };
        if standing.rows.is_empty() {
            return Ok(standing);
        }
        standing.duplicates = duplicates::merged_into(conn, incidents)?;
        let go_on: BTreeSet<IncidentId> = standing.duplicates.iter().map(|(_, of)| *of).collect();
        for incident in go_on {
            let told = told::among(conn, incident, (tenants.to_vec(), recipients.to_vec()))?;
            let whose = |(tenant, recipient)| (incident, tenant, recipient);
            standing.told.extend(told.into_iter().map(whose));
        }
        Ok(standing)
    }

    /// Whether somebody wants no more mail about any of this: nothing at all, or not of it. Whoever wants none of a
    /// duplicate wants none of what it goes on as, unless they were told of that too: then its end is owed to them.
    pub fn holds(&self, tenant: TenantId, recipient: &str, about: About) -> bool {
        let wants_none = |about: SubjectId| self.rows.contains(&(tenant, recipient.to_owned(), about));
        let was_told = |of| self.told.contains(&(of, tenant, recipient.to_owned()));
        let of_duplicate = |incident| {
            let mut duplicates = self.duplicates.iter().filter(|(_, of)| *of == incident);
            duplicates.any(|(duplicate, of)| wants_none(duplicate.of()) && !was_told(*of))
        };
        wants_none(tenant.of())
            || about.request.is_some_and(|id| wants_none(id.of()))
            || about
                .incident
                .is_some_and(|id| wants_none(id.of()) || of_duplicate(id))
    }
}

/// What a mail is about.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The request.
    pub request: Option<RequestId>,
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
