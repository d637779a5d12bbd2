//! Incidents that go on as others: whoever wants no more mail of the one wants none of what it goes on as. What may go on
//! as what is `incidents`' to say.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::db::schema::incidents;
use crate::db::{Connection, IncidentId};
use crate::problem::Problem;

/// An incident, and what it goes on as, to the end of the chain.
pub fn onward(conn: &mut Connection, id: IncidentId) -> Result<Vec<IncidentId>, Problem> {
    let mut chain = vec![id];
    let mut latest = Some(id);
    while let Some(id) = latest {
        let row = incidents::table.find(id).select(incidents::duplicate_of);
        latest = row.first::<Option<IncidentId>>(conn).optional()?.flatten();
        chain.extend(latest);
    }
    Ok(chain)
}

/// Whatever goes on as these incidents, each beside the one of them that it goes on as.
pub fn merged_into(
    conn: &mut Connection,
    ids: &[IncidentId],
) -> Result<Vec<(IncidentId, IncidentId)>, Problem> {
    let mut all = Vec::new();
    let mut latest: HashMap<IncidentId, IncidentId> = ids.iter().map(|id| (*id, *id)).collect();
    while !latest.is_empty() {
        let found: Vec<(IncidentId, Option<IncidentId>)> = incidents::table
            .filter(incidents::duplicate_of.eq_any(latest.keys().copied().collect::<Vec<_>>()))
            .select((incidents::id, incidents::duplicate_of))
            .load(conn)?;
        let goes_on_as = |(id, of): (IncidentId, Option<IncidentId>)| Some((id, *latest.get(&of?)?));
        latest = found.into_iter().filter_map(goes_on_as).collect();
        all.extend(latest.iter().map(|(id, of)| (*id, *of)));
    }
    Ok(all)
}
