//! Which files are kept, of all that come. Pure.

use crate::settings::Files;

/// What there is of a request's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many there are.
    pub files: i64,
    /// How many bytes they have.
    pub bytes: i64,
}

/// Why a file is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It is empty.
    Empty,
    /// It has too many bytes.
    TooLarge,
    /// There are too many with it.
    TooMany,
    /// The request has as much as it may have.
    Full,
}

impl LeftOut {
    /// As it is said beside its name.
    pub fn said(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too large",
            Self::TooMany => "too many files",
            Self::Full => "the request has too many",
        }
    }
}

impl Used {
    /// A request has so many files at most, however small they are.
    pub const MOST: i64 = 500;

    /// With one more of so many bytes; or why not.
    pub fn and(self, size: usize, limits: &Files) -> Result<Self, LeftOut> {
        if size == 0 {
            return Err(LeftOut::Empty);
        }
        if size > limits.most_of_file {
            return Err(LeftOut::TooLarge);
        }
        let bytes = i64::try_from(size).map_or(i64::MAX, |size| self.bytes.saturating_add(size));
        let more = Self {
            files: self.files.saturating_add(1),
            bytes,
        };
        more.is_within(limits).then_some(more).ok_or(LeftOut::Full)
    }

    /// Whether a request may have as much.
    pub fn is_within(self, limits: &Files) -> bool {
        self.files <= Self::MOST && self.bytes <= limits.most_of_request
    }
}

/// Which files of a mail are kept, in their order: each as long as there is room for it.
pub fn of_mail(sizes: &[usize], mut used: Used, limits: &Files) -> Vec<Result<(), LeftOut>> {
    let mut kept = 0_usize;
    let judge = |size: &usize| {
        if kept >= limits.most_of_mail {
            return Err(LeftOut::TooMany);
        }
        used = used.and(*size, limits)?;
        kept += 1;
        Ok(())
    };
    sizes.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Place;

    #[test]
    fn files_are_kept_as_long_as_there_is_room() {
        let limits = Files {
            place: Place::DataDir,
            most_of_file: 10,
            most_of_mail: 3,
            most_of_request: 25,
        };
        let kept = Ok(());
        let used = |files, bytes| Used { files, bytes };
        use LeftOut::{Empty, Full, TooLarge, TooMany};
        for (sizes, used, expected) in [
            (&[][..], used(0, 0), vec![]),
            (&[10, 10, 5], used(0, 0), vec![kept, kept, kept]),
            (&[11, 0, 10], used(0, 0), vec![Err(TooLarge), Err(Empty), kept]),
            (&[10, 10, 6, 5], used(0, 0), vec![kept, kept, Err(Full), kept]),
            (&[1, 1, 1, 1], used(0, 0), vec![kept, kept, kept, Err(TooMany)]),
            (&[10, 5], used(2, 20), vec![Err(Full), kept]),
            (&[1], used(Used::MOST - 1, 0), vec![kept]),
            (&[1], used(Used::MOST, 0), vec![Err(Full)]),
            (&[1], used(1, i64::MAX), vec![Err(Full)]),
        ] {
            assert_eq!(of_mail(sizes, used, &limits), expected, "{sizes:?} {used:?}");
        }
    }
}
