//! How many calls are under way, so that the background steps back for those who wait for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many at once are a crowd.
const CROWD: usize = 16;

/// Counts the calls of this process.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<AtomicUsize>);

/// One call, counted while it lives.
#[derive(Debug)]
pub struct Passing(Traffic);

impl Traffic {
    /// One more, until what is returned is dropped.
    pub fn pass(&self) -> Passing {
        self.0.fetch_add(1, Ordering::Relaxed);
        Passing(self.clone())
    }

    /// Whether many wait at once.
    pub fn is_dense(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= CROWD
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_one_while_it_is_there() {
        let traffic = Traffic::default();
        let mut calls: Vec<_> = (1..CROWD).map(|_| traffic.pass()).collect();
        assert!(!traffic.is_dense());
        calls.push(traffic.pass());
        assert!(traffic.is_dense());
        calls.pop();
        assert!(!traffic.is_dense());
    }
}
