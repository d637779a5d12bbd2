//! A limit that is part of the statement.
//!
//! `PostgreSQL` plans a statement with a bound `LIMIT` anew at every use: not knowing the number beforehand, it takes the
//! plan for every number to be far dearer than one for this number. With five tables, planning costs more than reading.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl};

/// The first rows of a query; [`first`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct First<Q> {
    query: Q,
    rows: i64,
}

/// At most `rows` rows of a query that has no limit of its own.
pub fn first<Q>(rows: i64, query: Q) -> First<Q> {
    First { query, rows }
}

impl<Q: Query> Query for First<Q> {
    type SqlType = Q::SqlType;
}

/// The number is in the text: only the text tells two such statements apart.
impl<Q> QueryId for First<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q, Conn> RunQueryDsl<Conn> for First<Q> {}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for First<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        out.push_sql(&self.rows.to_string());
        Ok(())
    }
}
