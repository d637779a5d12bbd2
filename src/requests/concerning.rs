//! Which requests of an incident concern somebody: as requester or as watcher. For the mail that lists them, which goes
//! to many at once: so they are asked for together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::dsl::count_star;
use diesel::prelude::*;

use crate::db::schema::{people, request_watchers, service_requests};
use crate::db::{Connection, IncidentId, PersonId, RequestId, TenantId};
use crate::problem::Problem;

/// Somebody's requests of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerned {
    /// References and subjects of the first of them, the oldest first.
    pub first: Vec<(String, String)>,
    /// How many there are.
    pub count: i64,
}

/// Whose mail it is: a tenant and an address.
type Reader = (TenantId, String);
/// A request as it is listed.
type Row = (RequestId, String, String);

/// Of each of these readers whom any request concerns: at most the first `most`, and how many.
///
/// Somebody may have a hundred thousand of them: so they are counted first, and whoever has more than `most` is read
/// alone.
pub fn each(
    conn: &mut Connection,
    incident: IncidentId,
    readers: &[(TenantId, &str)],
    most: usize,
) -> Result<HashMap<Reader, Concerned>, Problem> {
    let tenants: BTreeSet<TenantId> = readers.iter().map(|reader| reader.0).collect();
    let emails: BTreeSet<&str> = readers.iter().map(|reader| reader.1).collect();
    let tenants: Vec<TenantId> = tenants.into_iter().collect();
    let people: Vec<(PersonId, String)> = people::table
        .filter(people::email.eq_any(emails.iter().copied()))
        .select((people::id, people::email))
        .load(conn)?;
    let names: HashMap<PersonId, &str> = people.iter().map(|(id, email)| (*id, email.as_str())).collect();
    let many = with_many(conn, incident, &tenants, &names, &emails, most)?;
    let mut found: BTreeMap<Reader, BTreeMap<RequestId, (String, String)>> = BTreeMap::new();
    let mut note = |reader: Reader, (id, reference, subject): Row| {
        found.entry(reader).or_default().insert(id, (reference, subject));
    };
    let few = |email: &&str| !many.contains(*email);
    let requesters = names.iter().filter(|(_, email)| few(email)).map(|(id, _)| *id);
    for (tenant, person, row) in filed(conn, incident, &tenants, requesters.collect())? {
        if let Some(email) = names.get(&person) {
            note((tenant, (*email).to_owned()), row);
        }
    }
    for (tenant, email, row) in watched(
        conn,
        incident,
        &tenants,
        emails.iter().copied().filter(few).collect(),
    )? {
        note((tenant, email), row);
    }
    let mut concerned: HashMap<Reader, Concerned> = HashMap::new();
    for (reader, rows) in found {
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let first = rows.into_values().take(most).collect();
        concerned.insert(reader, Concerned { first, count });
    }
    for (tenant, email) in readers.iter().filter(|(_, email)| many.contains(*email)) {
        let alone = one(conn, incident, (*tenant, email), most)?;
        concerned.insert((*tenant, (*email).to_owned()), alone);
    }
    Ok(concerned)
}

/// The same of one reader.
pub fn one(
    conn: &mut Connection,
    incident: IncidentId,
    (tenant, email): (TenantId, &str),
    most: usize,
) -> Result<Concerned, Problem> {
    let own = || {
        people::table
            .filter(people::email.eq(email.to_owned()))
            .select(people::id)
    };
    let watched = || {
        request_watchers::table
            .filter(request_watchers::tenant_id.eq(tenant))
            .filter(request_watchers::email.eq(email.to_owned()))
            .select(request_watchers::request_id)
    };
    let theirs = || {
        service_requests::table
            .filter(service_requests::incident_id.eq(incident))
            .filter(service_requests::tenant_id.eq(tenant))
            .filter(
                service_requests::id
                    .eq_any(watched())
                    .or(service_requests::requester_id.eq_any(own())),
            )
    };
    Ok(Concerned {
        first: theirs()
            .order(service_requests::id)
            .limit(i64::try_from(most).unwrap_or(i64::MAX))
            .select((service_requests::reference, service_requests::subject))
            .load(conn)?,
        count: theirs().count().get_result(conn)?,
    })
}

/// The addresses of those who filed or watch more than `most` in a tenant.
fn with_many(
    conn: &mut Connection,
    incident: IncidentId,
    tenants: &[TenantId],
    names: &HashMap<PersonId, &str>,
    emails: &BTreeSet<&str>,
    most: usize,
) -> Result<BTreeSet<String>, Problem> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let filed: Vec<(TenantId, PersonId, i64)> = service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::requester_id.eq_any(names.keys().copied()))
        .filter(service_requests::tenant_id.eq_any(tenants.to_vec()))
        .group_by((service_requests::tenant_id, service_requests::requester_id))
        .select((
            service_requests::tenant_id,
            service_requests::requester_id,
            count_star(),
        ))
        .load(conn)?;
    let watched: Vec<(TenantId, String, i64)> = request_watchers::table
        .filter(request_watchers::tenant_id.eq_any(tenants.to_vec()))
        .filter(request_watchers::email.eq_any(emails.iter().copied()))
        .group_by((request_watchers::tenant_id, request_watchers::email))
        .select((request_watchers::tenant_id, request_watchers::email, count_star()))
        .load(conn)?;
    let filers = filed.into_iter().filter(|row| row.2 > most);
    let filers = filers.filter_map(|(_, person, _)| names.get(&person).map(|email| (*email).to_owned()));
    let watchers = watched.into_iter().filter(|row| row.2 > most).map(|row| row.1);
    Ok(filers.chain(watchers).collect())
}

/// What these people filed.
fn filed(
    conn: &mut Connection,
    incident: IncidentId,
    tenants: &[TenantId],
    people: Vec<PersonId>,
) -> Result<Vec<(TenantId, PersonId, Row)>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::requester_id.eq_any(people))
        .filter(service_requests::tenant_id.eq_any(tenants.to_vec()))
        .select((
            service_requests::tenant_id,
            service_requests::requester_id,
            (
                service_requests::id,
                service_requests::reference,
                service_requests::subject,
            ),
        ))
        .load(conn)?)
}

/// What is watched from these addresses.
fn watched(
    conn: &mut Connection,
    incident: IncidentId,
    tenants: &[TenantId],
    emails: Vec<&str>,
) -> Result<Vec<(TenantId, String, Row)>, Problem> {
    Ok(request_watchers::table
        .inner_join(
            service_requests::table.on(service_requests::tenant_id
                .eq(request_watchers::tenant_id)
                .and(service_requests::id.eq(request_watchers::request_id))),
        )
        .filter(request_watchers::tenant_id.eq_any(tenants.to_vec()))
        .filter(request_watchers::email.eq_any(emails))
        .filter(service_requests::incident_id.eq(incident))
        .select((
            request_watchers::tenant_id,
            request_watchers::email,
            (
                service_requests::id,
                service_requests::reference,
                service_requests::subject,
            ),
        ))
        .load(conn)?)
}
