//! The sweep: from one instant at which something changes to the next, knowing who is on duty between them.

use chrono::{DateTime, Utc};

use super::{Roster, Seat};
use crate::schedule::Window;

/// What changes at an instant. People, shifts and overrides are named by their positions.
#[derive(Clone, Copy, Debug)]
enum Change {
    ShiftBegins(usize),
    ShiftEnds(usize),
    PersonLeaves(usize),
    PersonReturns(usize),
    OverrideBegins(usize),
    OverrideEnds(usize),
}

/// A range of time, and what changes in it.
pub(super) struct Sweep<'a, P> {
    range: Option<Window>,
    changes: Vec<(DateTime<Utc>, Change)>,
    state: State<'a, P>,
}

impl<'a, P: Ord + Copy> Sweep<'a, P> {
    /// A sweep over `[from, until)`.
    pub(super) fn over(roster: &'a Roster<P>, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let state = State::before(roster);
        let range = Window::new(from, until);
        let mut sweep = Self {
            range,
            changes: Vec::new(),
            state,
        };
        for (place, duty) in roster.duties.iter().enumerate() {
            for window in merged(duty.shift.windows_within(from, until)) {
                sweep.note(window, Change::ShiftBegins(place), Change::ShiftEnds(place));
            }
        }
        for (person, window) in &roster.absences {
            if let Some(person) = sweep.state.place_of(*person) {
                sweep.note(
                    *window,
                    Change::PersonLeaves(person),
                    Change::PersonReturns(person),
                );
            }
        }
        for (place, change) in roster.overrides.iter().enumerate() {
            sweep.note(
                change.window,
                Change::OverrideBegins(place),
                Change::OverrideEnds(place),
            );
        }
        // Stable, because it profits from what is already in order: the windows of each shift.
        sweep.changes.sort_by_key(|(at, _)| *at);
        sweep
    }

    fn note(&mut self, window: Window, begins: Change, ends: Change) {
        if let Some(window) = self.range.and_then(|range| window.clipped_to(range)) {
            self.changes.extend([(window.from, begins), (window.until, ends)]);
        }
    }

    /// Shows the state in each stretch between two changes, in order, to the end of the range.
    pub(super) fn run(mut self, mut show: impl FnMut(&State<'a, P>, Window)) {
        let Some(range) = self.range else { return };
        let mut since = range.from;
        for (at, change) in self.changes {
            if let Some(window) = Window::new(since, at) {
                show(&self.state, window);
            }
            since = at;
            self.state.take(change);
        }
        if let Some(window) = Window::new(since, range.until) {
            show(&self.state, window);
        }
    }
}

/// The union of windows that are in order, in as few windows as possible.
fn merged(windows: Vec<Window>) -> Vec<Window> {
    let mut merged: Vec<Window> = Vec::with_capacity(windows.len());
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.from <= last.until => last.until = last.until.max(window.until),
            _ => merged.push(window),
        }
    }
    merged
}

/// What holds for one person.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// How many of their shifts run.
    shifts: usize,
    /// How many of their absences.
    absences: usize,
    /// How many of the overrides that add them.
    added: usize,
    /// How many of those that remove them.
    removed: usize,
}

impl Standing {
    fn is_on_duty(&self) -> bool {
        self.absences == 0 && (self.added > 0 || self.removed == 0 && self.shifts > 0)
    }
}

/// What holds between two changes.
pub(super) struct State<'a, P> {
    roster: &'a Roster<P>,
    /// Everybody, in order.
    people: Vec<P>,
    standings: Vec<Standing>,
    /// The members of each shift, as positions.
    members: Vec<Vec<usize>>,
    running: Vec<usize>,
    overriding: Vec<usize>,
    on_duty: usize,
}

impl<'a, P: Ord + Copy> State<'a, P> {
    /// Before anything has begun.
    fn before(roster: &'a Roster<P>) -> Self {
        let of_shifts = roster.duties.iter().flat_map(|duty| &duty.members);
        let of_overrides = roster
            .overrides
            .iter()
            .flat_map(|change| change.add.iter().chain(&change.remove));
        let mut people: Vec<P> = of_shifts.chain(of_overrides).copied().collect();
        people.sort_unstable();
        people.dedup();
        let places = |members: &Vec<P>| {
            let found = members
                .iter()
                .filter_map(|person| people.binary_search(person).ok());
            let mut places: Vec<usize> = found.collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        Self {
            roster,
            standings: vec![Standing::default(); people.len()],
            members: roster.duties.iter().map(|duty| places(&duty.members)).collect(),
            people,
            running: Vec::new(),
            overriding: Vec::new(),
            on_duty: 0,
        }
    }

    fn place_of(&self, person: P) -> Option<usize> {
        self.people.binary_search(&person).ok()
    }

    /// How many are on duty.
    pub(super) fn count(&self) -> usize {
        self.on_duty
    }

    /// Who is on duty, and by what.
    pub(super) fn seats(&self) -> Vec<Seat<P>> {
        let mut seats = Vec::with_capacity(self.on_duty);
        for duty in &self.running {
            let members = self.members.get(*duty).into_iter().flatten();
            seats.extend(members.filter_map(|place| self.seat(*place, Some(*duty))));
        }
        let orders = self
            .overriding
            .iter()
            .filter_map(|place| self.roster.overrides.get(*place));
        let added = orders.filter_map(|change| self.place_of(change.add?));
        let without_shift = added.filter(|place| self.standings.get(*place).is_some_and(|s| s.shifts == 0));
        seats.extend(without_shift.filter_map(|place| self.seat(place, None)));
        seats.sort_unstable();
        seats.dedup();
        seats
    }

    /// Somebody's seat, if they are on duty.
    fn seat(&self, place: usize, duty: Option<usize>) -> Option<Seat<P>> {
        let standing = self.standings.get(place)?;
        let person = *self.people.get(place)?;
        standing.is_on_duty().then_some(Seat { person, duty })
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::ShiftBegins(duty) => self.shift(duty, true),
            Change::ShiftEnds(duty) => self.shift(duty, false),
            Change::PersonLeaves(person) => {
                self.update(person, |standing| count(&mut standing.absences, true))
            }
            Change::PersonReturns(person) => {
                self.update(person, |standing| count(&mut standing.absences, false))
            }
            Change::OverrideBegins(place) => self.order(place, true),
            Change::OverrideEnds(place) => self.order(place, false),
        }
    }

    fn shift(&mut self, duty: usize, begins: bool) {
        toggle(&mut self.running, duty);
        // Taken out, so that the standings can be changed while they are walked.
        let members = self.members.get_mut(duty).map(std::mem::take).unwrap_or_default();
        for place in &members {
            self.update(*place, |standing| count(&mut standing.shifts, begins));
        }
        if let Some(slot) = self.members.get_mut(duty) {
            *slot = members;
        }
    }

    fn order(&mut self, place: usize, begins: bool) {
        toggle(&mut self.overriding, place);
        let Some(change) = self.roster.overrides.get(place) else {
            return;
        };
        if let Some(person) = change.add.and_then(|person| self.place_of(person)) {
            self.update(person, |standing| count(&mut standing.added, begins));
        }
        if let Some(person) = change.remove.and_then(|person| self.place_of(person)) {
            self.update(person, |standing| count(&mut standing.removed, begins));
        }
    }

    /// Changes what holds for somebody, and counts who is on duty.
    fn update(&mut self, place: usize, change: impl FnOnce(&mut Standing)) {
        let Some(standing) = self.standings.get_mut(place) else {
            return;
        };
        let before = standing.is_on_duty();
        change(standing);
        match (before, standing.is_on_duty()) {
            (false, true) => self.on_duty += 1,
            (true, false) => self.on_duty -= 1,
            _ => {}
        }
    }
}

/// Counts one more that begins, or one less.
fn count(of: &mut usize, begins: bool) {
    *of = if begins { *of + 1 } else { of.saturating_sub(1) };
}

/// Puts a position into a list that is in order, or takes it out.
fn toggle(list: &mut Vec<usize>, place: usize) {
    match list.binary_search(&place) {
        Ok(found) => {
            list.remove(found);
        }
        Err(free) => list.insert(free, place),
    }
}
