//! Who is on duty when: shifts with their members, less absences, changed by overrides.
//!
//! Everything is answered by one sweep over the instants at which something changes, so that its cost grows with
//! their number and not with the length of the range. At every instant, the first of these that holds for somebody:
//!
//! 1. whoever is absent is not on duty;
//! 2. whom an override adds is;
//! 3. whom an override removes is not;
//! 4. whoever is a member of a shift that runs is.

mod sweep;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Shift, Window};
use sweep::Sweep;

/// A shift, and who works it.
#[derive(Clone, Debug)]
pub struct Duty<P> {
    /// When.
    pub shift: Shift,
    /// Who.
    pub members: Vec<P>,
}

/// A change of who works, for a time.
#[derive(Clone, Debug)]
pub struct Override<P> {
    /// When.
    pub window: Window,
    /// Who works then.
    pub add: Option<P>,
    /// Who does not.
    pub remove: Option<P>,
}

/// Everything that says who works when.
#[derive(Clone, Debug)]
pub struct Roster<P> {
    /// The shifts.
    pub duties: Vec<Duty<P>>,
    /// Who is away when.
    pub absences: Vec<(P, Window)>,
    /// What is otherwise than the shifts say, in no particular order.
    pub overrides: Vec<Override<P>>,
}

/// Somebody on duty by one of the shifts; by an override, where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat<P> {
    /// Who.
    pub person: P,
    /// The position of the shift in [`Roster::duties`].
    pub duty: Option<usize>,
}

/// A stretch of time during which the same people are on duty by the same shifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<P> {
    /// The stretch, as long as nothing changes.
    pub window: Window,
    /// Who is on duty, in the order of people, then of shifts; nobody twice by the same shift.
    pub seats: Vec<Seat<P>>,
}

impl<P: Ord + Copy> Segment<P> {
    /// Everybody on duty, each once, in order.
    pub fn team(&self) -> Vec<P> {
        let mut team: Vec<P> = self.seats.iter().map(|seat| seat.person).collect();
        team.dedup();
        team
    }
}

impl<P: Ord + Copy> Roster<P> {
    /// The stretches of `[from, until)` during which fewer than `minimum` people are on duty: all of them, as long as
    /// possible, in order.
    pub fn gaps(&self, minimum: usize, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
        let mut gaps: Vec<Window> = Vec::new();
        Sweep::over(self, from, until).run(|state, window| {
            if state.count() >= minimum {
                return;
            }
            match gaps.last_mut() {
                Some(last) if last.until == window.from => last.until = window.until,
                _ => gaps.push(window),
            }
        });
        gaps
    }

    /// The whole of `[from, until)`, cut wherever somebody's duty changes, in order; two neighbours are never the same.
    pub fn segments(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Segment<P>> {
        let mut segments: Vec<Segment<P>> = Vec::new();
        Sweep::over(self, from, until).run(|state, window| {
            let seats = state.seats();
            match segments.last_mut() {
                Some(last) if last.seats == seats => last.window.until = window.until,
                _ => segments.push(Segment { window, seats }),
            }
        });
        segments
    }

    /// Who is on duty at an instant, and by what.
    pub fn seats(&self, at: DateTime<Utc>) -> Vec<Seat<P>> {
        let soon = at.checked_add_signed(TimeDelta::microseconds(1));
        let mut segments = soon.map_or_else(Vec::new, |soon| self.segments(at, soon));
        segments.pop().map_or_else(Vec::new, |segment| segment.seats)
    }

    /// The times of duty that meet `[from, until)`, whole even where they reach beyond it: one for each window of a
    /// shift or an override and each person, in the order of time.
    pub fn stints(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<(Window, Seat<P>)> {
        let windows = self.windows(from, until);
        let earliest = windows.iter().map(|(window, _)| window.from).min();
        let latest = windows.iter().map(|(window, _)| window.until).max();
        let (Some(earliest), Some(latest)) = (earliest, latest) else {
            return Vec::new();
        };
        let mut stretches: BTreeMap<Seat<P>, Vec<Window>> = BTreeMap::new();
        for segment in self.segments(earliest, latest) {
            for seat in segment.seats {
                let stretch = stretches.entry(seat).or_default();
                match stretch.last_mut() {
                    Some(last) if last.until == segment.window.from => last.until = segment.window.until,
                    _ => stretch.push(segment.window),
                }
            }
        }
        let mut stints: Vec<(Window, Seat<P>)> = Vec::new();
        for (window, seat) in windows {
            let on_duty = stretches.get(&seat).into_iter().flatten();
            let within = on_duty.filter_map(|stretch| stretch.clipped_to(window));
            stints.extend(
                within
                    .filter(|w| w.from < until && from < w.until)
                    .map(|w| (w, seat)),
            );
        }
        stints.sort_unstable();
        stints.dedup();
        stints
    }

    /// The windows of shifts and overrides that meet a range, each with everybody whom it puts on duty.
    fn windows(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<(Window, Seat<P>)> {
        let mut windows = Vec::new();
        for (place, duty) in self.duties.iter().enumerate() {
            for window in duty.shift.windows(from, until) {
                windows.extend(duty.members.iter().map(|person| {
                    let seat = Seat {
                        person: *person,
                        duty: Some(place),
                    };
                    (window, seat)
                }));
            }
        }
        let meeting = self
            .overrides
            .iter()
            .filter(|change| change.window.from < until && from < change.window.until);
        windows.extend(meeting.filter_map(|change| {
            let person = change.add?;
            Some((change.window, Seat { person, duty: None }))
        }));
        windows
    }
}

#[cfg(test)]
mod tests;
