//! Queries over the clocks of requests. A clock is saved only at the revision it was loaded at, and its ledger with it.

mod overwrite;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::prelude::*;

use super::clocks::{ClockState, Clocks, Cycle, Row};
use crate::db::schema::{sla_clocks, sla_intervals};
use crate::db::{Connection, Moment, RequestId, TenantId, on_each};
use crate::problem::Problem;
use crate::sla::{Book, Clock, Interval, Ledger};

/// An interval and its place.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sla_intervals, treat_none_as_default_value = false)]
struct Entry {
    tenant_id: TenantId,
    request_id: RequestId,
    clock: Clock,
    cycle: i32,
    seq: i32,
    #[diesel(embed)]
    interval: Interval,
}

/// The clocks of a request; of those that have ended only the rows.
pub fn clocks(conn: &mut Connection, whose: (TenantId, RequestId)) -> Result<Clocks, Problem> {
    let rows = rows(conn, whose)?;
    let (open, ended): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.stopped_at.is_none());
    let mut clocks = Clocks {
        ended,
        open: Vec::new(),
    };
    if open.is_empty() {
        return Ok(clocks);
    }
    let mut ledgers = ledgers(conn, whose)?;
    for row in open {
        let ledger = ledgers.remove(&(row.clock, row.cycle)).ok_or_else(hollow)?;
        clocks.open.push(Cycle { row, ledger });
    }
    Ok(clocks)
}

/// All cycles of a request, each with its ledger.
pub fn cycles(conn: &mut Connection, whose: (TenantId, RequestId)) -> Result<Vec<Cycle>, Problem> {
    let mut ledgers = ledgers(conn, whose)?;
    let rows = rows(conn, whose)?.into_iter();
    rows.map(|row| {
        let ledger = ledgers.remove(&(row.clock, row.cycle)).ok_or_else(hollow)?;
        Ok(Cycle { row, ledger })
    })
    .collect()
}

/// The cycles at these places that there are, each with its ledger.
pub fn cycles_at(conn: &mut Connection, places: &[Place]) -> Result<HashMap<Place, Cycle>, Problem> {
    let whose: Vec<_> = places.iter().map(|place| (place.0, place.1)).collect();
    let wanted: HashSet<Place> = places.iter().copied().collect();
    let mut found = cycles_of(conn, &whose)?;
    found.retain(|place, _| wanted.contains(place));
    Ok(found)
}

/// The open cycles of these requests, each with its ledger.
pub fn open_of(conn: &mut Connection, whose: &[(TenantId, RequestId)]) -> Result<Vec<Cycle>, Problem> {
    let found = cycles_of(conn, whose)?.into_values();
    Ok(found.filter(|cycle| cycle.row.stopped_at.is_none()).collect())
}

fn cycles_of(
    conn: &mut Connection,
    whose: &[(TenantId, RequestId)],
) -> Result<HashMap<Place, Cycle>, Problem> {
    let of_cycle = sla_intervals::tenant_id
        .eq(sla_clocks::tenant_id)
        .and(sla_intervals::request_id.eq(sla_clocks::request_id))
        .and(sla_intervals::clock.eq(sla_clocks::clock))
        .and(sla_intervals::cycle.eq(sla_clocks::cycle));
    let tenants: BTreeSet<TenantId> = whose.iter().map(|whose| whose.0).collect();
    let requests: BTreeSet<RequestId> = whose.iter().map(|whose| whose.1).collect();
    let found: Vec<(Row, Interval)> = on_each!(conn, conn => sla_clocks::table
        .filter(sla_clocks::tenant_id.eq_any(Vec::from_iter(tenants)))
        .filter(sla_clocks::request_id.eq_any(Vec::from_iter(requests)))
        .inner_join(sla_intervals::table.on(of_cycle))
        .order(sla_intervals::seq)
        .select((Row::as_select(), Interval::as_select()))
        .load(conn))?;
    let mut ledgers: HashMap<Place, (Row, Vec<Interval>)> = HashMap::new();
    for (row, interval) in found {
        let (_, intervals) = ledgers.entry(place(&row)).or_insert((row, Vec::new()));
        intervals.push(interval);
    }
    let cycle = |(place, (row, intervals))| {
        let ledger = Ledger::of(intervals)?;
        Some((place, Cycle { row, ledger }))
    };
    Ok(ledgers.into_iter().filter_map(cycle).collect())
}

fn place(row: &Row) -> Place {
    (row.tenant_id, row.request_id, row.clock, row.cycle)
}

/// A clock without a ledger, which nobody makes.
pub fn hollow() -> Problem {
    Problem::internal("a clock has no ledger")
}

fn rows(conn: &mut Connection, (tenant, request): (TenantId, RequestId)) -> Result<Vec<Row>, Problem> {
    Ok(on_each!(conn, conn => sla_clocks::table
        .filter(sla_clocks::tenant_id.eq(tenant))
        .filter(sla_clocks::request_id.eq(request))
        .order((sla_clocks::clock, sla_clocks::cycle))
        .select(Row::as_select())
        .load(conn))?)
}

fn ledgers(
    conn: &mut Connection,
    (tenant, request): (TenantId, RequestId),
) -> Result<HashMap<(Clock, i32), Ledger>, Problem> {
    let entries: Vec<Entry> = on_each!(conn, conn => sla_intervals::table
        .filter(sla_intervals::tenant_id.eq(tenant))
        .filter(sla_intervals::request_id.eq(request))
        .order((sla_intervals::clock, sla_intervals::cycle, sla_intervals::seq))
        .select(Entry::as_select())
        .load(conn))?;
    let mut intervals: HashMap<(Clock, i32), Vec<Interval>> = HashMap::new();
    for entry in entries {
        let key = (entry.clock, entry.cycle);
        intervals.entry(key).or_default().push(entry.interval);
    }
    let ledger = |(key, intervals)| Some((key, Ledger::of(intervals)?));
    Ok(intervals.into_iter().filter_map(ledger).collect())
}

/// The clocks of several requests, without their ledgers.
pub fn rows_of(conn: &mut Connection, whose: &[(TenantId, RequestId)]) -> Result<Vec<Row>, Problem> {
    let ids: Vec<RequestId> = whose.iter().map(|(_, request)| *request).collect();
    let mut tenants: Vec<TenantId> = whose.iter().map(|(tenant, _)| *tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    Ok(on_each!(conn, conn => sla_clocks::table
        .filter(sla_clocks::tenant_id.eq_any(tenants))
        .filter(sla_clocks::request_id.eq_any(ids))
        .order(sla_clocks::cycle)
        .select(Row::as_select())
        .load(conn))?)
}

/// Saves a cycle that was loaded as `before`, or is new.
pub fn save(conn: &mut Connection, before: Option<&Cycle>, after: &mut Cycle) -> Result<(), Problem> {
    if before.is_some_and(|before| before == after) {
        return Ok(());
    }
    after.row.revision += 1;
    let (row, known) = (
        &after.row,
        before.map_or(&[][..], |cycle| cycle.ledger.intervals()),
    );
    match before {
        None => {
            on_each!(conn, conn => diesel::insert_into(sla_clocks::table).values(row).execute(conn))?;
        }
        Some(before) => {
            let saved = on_each!(conn, conn => diesel::update(sla_clocks::table
                .find((row.tenant_id, row.request_id, row.clock, row.cycle))
                .filter(sla_clocks::revision.eq(before.row.revision)))
            .set(row)
            .execute(conn))?;
            if saved != 1 {
                return Err(Problem::lost_race());
            }
        }
    }
    let intervals = after.ledger.intervals();
    let same = known
        .iter()
        .zip(intervals)
        .take_while(|(old, new)| old == new)
        .count();
    if same < known.len() {
        forget(conn, row, same)?;
    }
    let entries: Vec<Entry> = entries(after, same).collect();
    if !entries.is_empty() {
        on_each!(conn, conn => diesel::insert_into(sla_intervals::table).values(&entries).execute(conn))?;
    }
    Ok(())
}

/// Forgets the intervals of a cycle after so many.
fn forget(conn: &mut Connection, row: &Row, kept: usize) -> Result<(), Problem> {
    let kept = i32::try_from(kept).unwrap_or(i32::MAX);
    on_each!(conn, conn => diesel::delete(sla_intervals::table
        .filter(sla_intervals::tenant_id.eq(row.tenant_id))
        .filter(sla_intervals::request_id.eq(row.request_id))
        .filter(sla_intervals::clock.eq(row.clock))
        .filter(sla_intervals::cycle.eq(row.cycle))
        .filter(sla_intervals::seq.gt(kept)))
    .execute(conn))?;
    Ok(())
}

/// The intervals of a cycle after so many, each with its place.
fn entries(cycle: &Cycle, after: usize) -> impl Iterator<Item = Entry> {
    let row = &cycle.row;
    let entry = |(seq, interval): (i32, &Interval)| Entry {
        tenant_id: row.tenant_id,
        request_id: row.request_id,
        clock: row.clock,
        cycle: row.cycle,
        seq,
        interval: interval.clone(),
    };
    (1..).zip(cycle.ledger.intervals()).skip(after).map(entry)
}

/// Saves cycles that were loaded as the first of each pair, in a few statements however many they are.
///
/// All are held first, at the revisions they were loaded at. Then nobody else changes them, and they may be written over.
pub fn save_all(conn: &mut Connection, mut pairs: Vec<(Cycle, Cycle)>) -> Result<(), Problem> {
    pairs.retain(|(before, after)| before != after);
    hold(conn, &pairs)?;
    let mut changed = Vec::new();
    for (before, after) in &mut pairs {
        after.row.revision += 1;
        let (old, new) = (before.ledger.intervals(), after.ledger.intervals());
        if new.len() < old.len() {
            forget(conn, &after.row, new.len())?;
        }
        let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        changed.extend(entries(after, same));
    }
    let rows: Vec<&Row> = pairs.iter().map(|(_, after)| &after.row).collect();
    overwrite::rows(conn, &rows)?;
    overwrite::entries(conn, &changed)
}

/// Counts a change in each of these, if it is as it was loaded.
fn hold(conn: &mut Connection, pairs: &[(Cycle, Cycle)]) -> Result<(), Problem> {
    let mut alike: BTreeMap<(Clock, i32, i32), Vec<&Row>> = BTreeMap::new();
    for (before, _) in pairs {
        let row = &before.row;
        let key = (row.clock, row.cycle, row.revision);
        alike.entry(key).or_default().push(row);
    }
    for ((clock, cycle, revision), rows) in alike {
        let tenants: BTreeSet<TenantId> = rows.iter().map(|row| row.tenant_id).collect();
        let requests: Vec<RequestId> = rows.iter().map(|row| row.request_id).collect();
        let held = diesel::update(
            sla_clocks::table
                .filter(sla_clocks::tenant_id.eq_any(Vec::from_iter(tenants)))
                .filter(sla_clocks::request_id.eq_any(requests))
                .filter(sla_clocks::clock.eq(clock))
                .filter(sla_clocks::cycle.eq(cycle))
                .filter(sla_clocks::revision.eq(revision)),
        )
        .set(sla_clocks::revision.eq(sla_clocks::revision + 1))
        .execute(conn)?;
        if held != rows.len() {
            return Err(Problem::lost_race());
        }
    }
    Ok(())
}

/// Enters the calendars of a ledger into a book.
pub fn enter(conn: &mut Connection, book: &mut Book, ledger: &Ledger) -> Result<(), Problem> {
    for interval in ledger.intervals() {
        crate::sla::store::enter(conn, book, interval.terms.calendar())?;
    }
    Ok(())
}

/// The earliest deadline of the clocks of a request that run.
pub fn due(conn: &mut Connection, tenant: TenantId, request: RequestId) -> Result<Option<Moment>, Problem> {
    let earliest: Option<Option<Moment>> = on_each!(conn, conn => sla_clocks::table
        .filter(sla_clocks::tenant_id.eq(tenant))
        .filter(sla_clocks::request_id.eq(request))
        .filter(sla_clocks::state.eq(ClockState::Running))
        .filter(sla_clocks::due_at.is_not_null())
        .order(sla_clocks::due_at)
        .select(sla_clocks::due_at)
        .first(conn))
    .optional()?;
    Ok(earliest.flatten())
}

/// Where a mark is to be made: in a cycle of a clock of a request.
pub type Place = (TenantId, RequestId, Clock, i32);

/// The clocks with a mark that is to be made by `now`, the earliest first.
pub fn marks(conn: &mut Connection, now: Moment, limit: i64) -> Result<Vec<(Moment, Place)>, Problem> {
    let rows: Vec<(Option<Moment>, Place)> = sla_clocks::table
        .filter(sla_clocks::next_at.le(now))
        .order((sla_clocks::next_at, sla_clocks::tenant_id, sla_clocks::request_id))
        .limit(limit)
        .select((
            sla_clocks::next_at,
            (
                sla_clocks::tenant_id,
                sla_clocks::request_id,
                sla_clocks::clock,
                sla_clocks::cycle,
            ),
        ))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .filter_map(|(at, place)| Some((at?, place)))
        .collect())
}

/// Whether any mark is to be made by `now`.
pub fn any_due(conn: &mut Connection, now: Moment) -> Result<bool, Problem> {
    let due = sla_clocks::table
        .filter(sla_clocks::next_at.le(now))
        .select(sla_clocks::cycle);
    Ok(due.first::<i32>(conn).optional()?.is_some())
}

/// How many marks were to be made by `now` and have not been, and for how many seconds the first of them, for the
/// metrics.
pub fn overdue(conn: &mut Connection, now: Moment) -> Result<(i64, i64), Problem> {
    let due = sla_clocks::table.filter(sla_clocks::next_at.le(now));
    let count = due.count().get_result(conn)?;
    let oldest: Option<Option<Moment>> = due
        .order(sla_clocks::next_at)
        .select(sla_clocks::next_at)
        .first(conn)
        .optional()?;
    Ok((
        count,
        oldest.flatten().map_or(0, |at| now.since(at).num_seconds()),
    ))
}

/// Requests with clocks that have not followed the changes up to a number, and up to which they have.
pub fn stale(
    conn: &mut Connection,
    terms: i32,
    limit: i64,
) -> Result<Vec<((TenantId, RequestId), i32)>, Problem> {
    Ok(sla_clocks::table
        .filter(sla_clocks::terms.lt(terms))
        .filter(sla_clocks::stopped_at.is_null())
        .order((sla_clocks::terms, sla_clocks::next_at))
        .limit(limit)
        .select(((sla_clocks::tenant_id, sla_clocks::request_id), sla_clocks::terms))
        .load(conn)?)
}

/// Whether any open clock has not followed every change of policies and calendars.
pub fn any_stale(conn: &mut Connection) -> Result<bool, Problem> {
    let terms = crate::sla::store::terms(conn)?;
    Ok(!stale(conn, terms, 1)?.is_empty())
}
