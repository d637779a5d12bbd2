//! THE SECOND WALL between tenants, on PostgreSQL: row-level security.
//!
//! The first is in the code: whoever reads rows of a tenant has a [`super::Scope`], and asks for that tenant. This one
//! is for the query that forgets to. The server works as a role that owns nothing; a policy on every table with rows of
//! tenants shows it those of the scope, which each transaction says first. It is raised after every migration and finds
//! the tables itself: a new one cannot be forgotten. SQLite has no such thing.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::connection::Broken;

/// The setting that the policies compare each row with: an id, or `all`; unset, they show none.
pub const SETTING: &str = "allclear.tenant";

/// Makes the role and the policies that are missing, as the owner of the tables.
pub fn raise(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute(include_str!("wall.sql"))
}

#[derive(QueryableByName)]
struct Standing {
    #[diesel(sql_type = Bool)]
    is_superuser: bool,
    #[diesel(sql_type = Text)]
    worker: String,
}

/// Has a connection of the owner work as the role that owns nothing, from now on.
pub fn step_behind(conn: &mut PgConnection) -> QueryResult<()> {
    let asked = "SELECT current_setting('is_superuser') = 'on' AS is_superuser, \
                 format('%I', current_database() || '_worker') AS worker";
    let Standing { is_superuser, worker } = diesel::sql_query(asked).get_result(conn)?;
    // Only a superuser may become another session; everybody else may take a role that was granted.
    let become_it = if is_superuser {
        "SET SESSION AUTHORIZATION"
    } else {
        "SET ROLE"
    };
    conn.batch_execute(&format!("{become_it} {worker}"))
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Bool)]
    held: bool,
}

/// Whether the policies hold for this connection; they do not for a superuser or a role with BYPASSRLS.
pub fn holds(conn: &mut PgConnection) -> Result<bool, Broken> {
    let asked = "SELECT row_security_active('service_requests') AS held";
    Ok(diesel::sql_query(asked).get_result::<Held>(conn)?.held)
}
