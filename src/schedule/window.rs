//! A stretch of time in UTC.

use chrono::{DateTime, Utc};

/// A half-open stretch of time, `[from, until)`, in UTC; windows are ordered by their beginning, then by their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first instant inside.
    pub from: DateTime<Utc>,
    /// The first instant no longer inside, later than `from`.
    pub until: DateTime<Utc>,
}

impl Window {
    /// The window between two instants, or none where it would be empty.
    pub fn new(from: DateTime<Utc>, until: DateTime<Utc>) -> Option<Self> {
        (from < until).then_some(Self { from, until })
    }

    /// Whether an instant lies inside.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }

    /// The part of this window that lies inside another.
    pub fn clipped_to(&self, range: Window) -> Option<Self> {
        Self::new(self.from.max(range.from), self.until.min(range.until))
    }
}

/// What windows inside `[from, until)` leave of it, in order, as long as possible.
pub(super) fn between(mut windows: Vec<Window>, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Window> {
    windows.sort();

    let mut gaps = Vec::new();
    let mut covered_until = from;
    for window in windows {
        gaps.extend(Window::new(covered_until, window.from));
        covered_until = covered_until.max(window.until);
    }
    gaps.extend(Window::new(covered_until, until));
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute)
    }

    fn window(from: i64, until: i64) -> Window {
        Window {
            from: at(from),
            until: at(until),
        }
    }

    #[test]
    fn a_window_is_never_empty() {
        assert_eq!(Window::new(at(1), at(2)), Some(window(1, 2)));
        assert_eq!(Window::new(at(1), at(1)), None);
        assert_eq!(Window::new(at(2), at(1)), None);
    }

    #[test]
    fn a_window_contains_its_beginning_and_not_its_end() {
        let cases = [(9, false), (10, true), (19, true), (20, false)];
        for (minute, inside) in cases {
            assert_eq!(window(10, 20).contains(at(minute)), inside, "minute {minute}");
        }
    }

    #[test]
    fn clipping_keeps_what_lies_in_the_range() {
        let cases = [
            ((0, 10), None),
            ((20, 30), None),
            ((0, 15), Some((10, 15))),
            ((15, 30), Some((15, 20))),
            ((12, 18), Some((12, 18))),
            ((0, 30), Some((10, 20))),
        ];
        for (range, clipped) in cases {
            assert_eq!(
                window(10, 20).clipped_to(window(range.0, range.1)),
                clipped.map(|(from, until)| window(from, until)),
                "clipped to {range:?}"
            );
        }
    }
}
