//! Services and regions: what can break, and where. A slug never changes; the name is for people.

pub mod api;

use diesel::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::db::schema::{regions, services};
use crate::db::{Connection, Moment, PROVIDER};
use crate::identity::{Caller, Right};
use crate::journal::{self, Event, EventKind, SubjectKind};
use crate::problem::{Code, Problem};
use crate::text;

/// A service or a region.
#[derive(Clone, Debug, Queryable, Serialize, ToSchema)]
pub struct Entry {
    /// Its stable name in addresses and fields.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Moment,
}

/// A new service or region.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// 1 to 63 of a-z, 0-9 and inner hyphens.
    #[garde(custom(text::slug))]
    pub slug: String,
    /// Its name for people.
    #[garde(custom(text::line::<200>))]
    pub name: String,
}

macro_rules! shelf {
    ($table:ident, $noun:literal, $create:ident, $list:ident, $added:ident) => {
        #[doc = concat!("Adds a ", $noun, "; 409 when the slug is taken.")]
        pub fn $create(conn: &mut Connection, caller: &Caller, form: &NewEntry) -> Result<Entry, Problem> {
            caller.require(Right::EditCatalog)?;
            let taken: i64 = $table::table
                .filter($table::slug.eq(&form.slug))
                .count()
                .get_result(conn)?;
            if taken > 0 {
                return Err(Problem::new(
                    Code::AlreadyExists,
                    format!("{} `{}` exists", $noun, form.slug),
                ));
            }
            let now = caller.now();
            let entry = Entry {
                slug: form.slug.clone(),
                name: form.name.trim().to_owned(),
                created_at: now,
            };
            let row = (
                $table::slug.eq(&entry.slug),
                $table::name.eq(&entry.name),
                $table::created_at.eq(now),
            );
            diesel::insert_into($table::table)
                .values(row)
                .execute(conn)?;
            let event = Event::alone(
                EventKind::$added,
                SubjectKind::Catalog,
                PROVIDER,
                (&caller.actor(), now),
                json!({"to": {"slug": entry.slug, "name": entry.name}}),
            );
            journal::record(conn, &event, &[])?;
            Ok(entry)
        }

        #[doc = concat!("The ", $noun, "s after `after`, by slug.")]
        pub fn $list(conn: &mut Connection, after: Option<&str>, limit: i64) -> Result<Vec<Entry>, Problem> {
            let query = $table::table.filter($table::slug.gt(after.unwrap_or("").to_owned()));
            Ok(query.order($table::slug).limit(limit).load(conn)?)
        }
    };
}

shelf!(services, "service", create_service, list_services, ServiceAdded);
shelf!(regions, "region", create_region, list_regions, RegionAdded);
