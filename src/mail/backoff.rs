//! When a message that could not be handed over is tried again. Pure.

use chrono::TimeDelta;

/// The first pause.
const FIRST: TimeDelta = TimeDelta::seconds(5);
/// The longest pause.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// What becomes of a message after an attempt that may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this long.
    After(TimeDelta),
    /// The deadline would pass first.
    GiveUp,
}

/// The pause after the `attempts`-th attempt (from 1) of a message of this `age`: doubling from five seconds to an
/// hour, of which `jitter` (0 to 1) takes away up to half, so that messages do not come back all at once.
///
/// The deadline is for trying. A message that lay while no relay could be reached is older than it was tried for, which is
/// never longer than its whole pauses together.
pub fn next(attempts: i32, age: TimeDelta, deadline: TimeDelta, jitter: f64) -> Next {
    let whole = pause(attempts);
    let millis = i32::try_from(whole.num_milliseconds()).unwrap_or(i32::MAX);
    let kept = f64::from(millis) * (1.0 - jitter.clamp(0.0, 1.0) / 2.0);
    let pause = std::time::Duration::try_from_secs_f64(kept / 1000.0)
        .ok()
        .and_then(|pause| TimeDelta::from_std(pause).ok())
        .unwrap_or(whole);
    if age.min(tried(attempts)) + pause > deadline {
        Next::GiveUp
    } else {
        Next::After(pause)
    }
}

/// The whole pause after this attempt.
fn pause(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts.clamp(1, 11) - 1).unwrap_or(0);
    (FIRST * 2i32.pow(doublings)).min(LONGEST)
}

/// All whole pauses before this attempt.
fn tried(attempts: i32) -> TimeDelta {
    let doubling = (1..attempts.min(11)).fold(TimeDelta::zero(), |sum, attempt| sum + pause(attempt));
    doubling + LONGEST * (attempts - 11).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_end_at_the_deadline() {
        let day = TimeDelta::days(1);
        for (attempts, seconds) in [
            (1, 5),
            (2, 10),
            (3, 20),
            (9, 1280),
            (10, 2560),
            (11, 3600),
            (1000, 3600),
        ] {
            let expected = Next::After(TimeDelta::seconds(seconds));
            assert_eq!(
                next(attempts, TimeDelta::zero(), day, 0.0),
                expected,
                "attempt {attempts}"
            );
        }
        assert_eq!(
            next(1, TimeDelta::zero(), day, 1.0),
            Next::After(TimeDelta::milliseconds(2500))
        );
        assert_eq!(next(100, day, day, 0.0), Next::GiveUp);
    }

    #[test]
    fn time_in_which_a_message_was_not_tried_does_not_count() {
        let day = TimeDelta::days(1);
        assert_eq!(next(1, day * 100, day, 0.0), Next::After(TimeDelta::seconds(5)));
        // 5,115 s to the eleventh attempt, then an hour each.
        let last = (1..).find(|&attempts| next(attempts, day * 100, day, 0.0) == Next::GiveUp);
        assert_eq!(last, Some(33));
    }
}
