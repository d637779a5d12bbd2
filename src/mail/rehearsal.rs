//! What a broadcast would be: whom it would reach, and what one of them would read.

use std::sync::Arc;

use super::dispatch::{Content, Render};
use super::model::{Broadcast, Delivery, Recipient};
use crate::db::{Connection, Moment};
use crate::problem::Problem;

/// Who knows whom a broadcast reaches.
pub trait Audience: Send + Sync {
    /// How many people, each once for a tenant.
    fn count(&self, conn: &mut Connection, broadcast: &Broadcast) -> Result<i64, Problem>;

    /// Somebody of them.
    fn sample(&self, conn: &mut Connection, broadcast: &Broadcast) -> Result<Option<Recipient>, Problem>;
}

/// What it takes to try a broadcast.
#[derive(Clone)]
pub struct Rehearsal {
    render: Arc<dyn Render>,
    audience: Arc<dyn Audience>,
}

impl Rehearsal {
    /// With these words, to these people.
    pub fn new(render: Arc<dyn Render>, audience: Arc<dyn Audience>) -> Self {
        Self { render, audience }
    }

    /// How many people would get it.
    pub fn count(&self, conn: &mut Connection, broadcast: &Broadcast) -> Result<i64, Problem> {
        self.audience.count(conn, broadcast)
    }

    /// What one of them would get.
    pub fn sample(
        &self,
        conn: &mut Connection,
        broadcast: &Broadcast,
        now: Moment,
    ) -> Result<Option<(Delivery, Content)>, Problem> {
        let Some(to) = self.audience.sample(conn, broadcast)? else {
            return Ok(None);
        };
        let delivery = broadcast.message(to, now);
        let mut contents = self.render.render(conn, std::slice::from_ref(&delivery));
        let content = contents
            .pop()
            .unwrap_or_else(|| Err(Problem::internal("there are no words")))?;
        Ok(Some((delivery, content)))
    }
}
