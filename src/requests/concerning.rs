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

/// Requests that are read at once.
const CHUNK: usize = 1_000;

/// Whose mail it is: a tenant and an address.
type Reader = (TenantId, String);
/// A request as it is listed.
type Row = (RequestId, String, String);

/// Of each of these readers whom any request concerns: at most the first `most`, and how many.
///
/// Somebody may have a hundred thousand of them: so they are counted first, and whoever has more than `most` is read
/// alone. The addresses are asked for, and not the tenants beside them: the two lists together would be looked up pair by
/// pair.
pub fn each(
    conn: &mut Connection,
    incident: IncidentId,
    readers: &[(TenantId, &str)],
    most: usize,
) -> Result<HashMap<Reader, Concerned>, Problem> {
    let emails: BTreeSet<&str> = readers.iter().map(|reader| reader.1).collect();
    let people: Vec<(PersonId, String)> = people::table
        .filter(people::email.eq_any(emails.iter().copied()))
        .select((people::id, people::email))
        .load(conn)?;
    let names: HashMap<PersonId, &str> = people.iter().map(|(id, email)| (*id, email.as_str())).collect();
    let many = with_many(conn, incident, &names, &emails, most)?;
    let mut found: HashMap<(TenantId, &str), BTreeMap<RequestId, (String, String)>> = HashMap::new();
    let mut note = |tenant: TenantId, email, (id, reference, subject): Row| {
        found
            .entry((tenant, email))
            .or_default()
            .insert(id, (reference, subject));
    };
    let few = |email: &&str| !many.contains(*email);
    let requesters = names.iter().filter(|(_, email)| few(email)).map(|(id, _)| *id);
    for (tenant, person, row) in filed(conn, incident, requesters.collect())? {
        if let Some(email) = names.get(&person) {
            note(tenant, *email, row);
        }
    }
    for (tenant, email, row) in watched(conn, incident, emails.iter().copied().filter(few).collect())? {
        if let Some(email) = emails.get(email.as_str()) {
            note(tenant, *email, row);
        }
    }
    let mut concerned: HashMap<Reader, Concerned> = HashMap::new();
    for reader in readers {
        let its = match many.contains(reader.1) {
            true => Some(one(conn, incident, *reader, most)?),
            false => found.remove(reader).map(|rows| Concerned {
                count: i64::try_from(rows.len()).unwrap_or(i64::MAX),
                first: rows.into_values().take(most).collect(),
            }),
        };
        if let Some(its) = its {
            concerned.insert((reader.0, reader.1.to_owned()), its);
        }
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
    names: &HashMap<PersonId, &str>,
    emails: &BTreeSet<&str>,
    most: usize,
) -> Result<BTreeSet<String>, Problem> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let filed: Vec<(TenantId, PersonId, i64)> = service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::requester_id.eq_any(names.keys().copied()))
        .group_by((service_requests::tenant_id, service_requests::requester_id))
        .select((
            service_requests::tenant_id,
            service_requests::requester_id,
            count_star(),
        ))
        .load(conn)?;
    let watched: Vec<(TenantId, String, i64)> = request_watchers::table
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
    people: Vec<PersonId>,
) -> Result<Vec<(TenantId, PersonId, Row)>, Problem> {
    Ok(service_requests::table
        .filter(service_requests::incident_id.eq(incident))
        .filter(service_requests::requester_id.eq_any(people))
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

/// What is watched from these addresses. First what they watch and then what that is: in one query, SQLite would look
/// through the watchers of every request of the incident.
fn watched(
    conn: &mut Connection,
    incident: IncidentId,
    emails: Vec<&str>,
) -> Result<Vec<(TenantId, String, Row)>, Problem> {
    let watching: Vec<(TenantId, RequestId, String)> = request_watchers::table
        .filter(request_watchers::email.eq_any(emails))
        .select((
            request_watchers::tenant_id,
            request_watchers::request_id,
            request_watchers::email,
        ))
        .load(conn)?;
    let ids: BTreeSet<RequestId> = watching.iter().map(|row| row.1).collect();
    let ids: Vec<RequestId> = ids.into_iter().collect();
    let mut requests: HashMap<(TenantId, RequestId), Row> = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<(TenantId, Row)> = service_requests::table
            .filter(service_requests::id.eq_any(chunk.to_vec()))
            .filter(service_requests::incident_id.eq(incident))
            .select((
                service_requests::tenant_id,
                (
                    service_requests::id,
                    service_requests::reference,
                    service_requests::subject,
                ),
            ))
            .load(conn)?;
        requests.extend(rows.into_iter().map(|(tenant, row)| ((tenant, row.0), row)));
    }
    let its = |(tenant, id, email)| Some((tenant, email, requests.get(&(tenant, id))?.clone()));
    Ok(watching.into_iter().filter_map(its).collect())
}
