//! `Moment`: an instant in UTC, in whole microseconds, as both engines keep it.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::columns::{Instant, two_engines};

/// Microseconds between 1970 and 2000, from where PostgreSQL counts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// An instant, UTC, microseconds. In JSON: RFC 3339 with `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Instant)]
pub struct Moment(DateTime<Utc>);

impl Moment {
    /// The instant as chrono has it.
    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }

    /// Later by `delta` (earlier when negative); stays put where the calendar ends.
    pub fn plus(self, delta: TimeDelta) -> Self {
        self.0.checked_add_signed(delta).map_or(self, Self::from)
    }

    /// Earlier by `delta`.
    pub fn minus(self, delta: TimeDelta) -> Self {
        self.plus(-delta)
    }

    /// How long after `earlier` this is.
    pub fn since(self, earlier: Self) -> TimeDelta {
        self.0 - earlier.0
    }

    /// Milliseconds since 1970; none before it.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.timestamp_millis()).unwrap_or(0)
    }

    fn from_micros(micros: i64) -> deserialize::Result<Self> {
        DateTime::from_timestamp_micros(micros)
            .map(Self)
            .ok_or_else(|| format!("{micros} µs since 1970 is outside the calendar").into())
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let instant = DateTime::<Utc>::deserialize(deserializer)?;
        // Both engines and every client can hold these; year 300000 or the last ice age they cannot.
        if !(0..=9999).contains(&chrono::Datelike::year(&instant)) {
            return Err(serde::de::Error::custom(
                "a time between the years 0 and 9999 is wanted",
            ));
        }
        Ok(Self::from(instant))
    }
}

impl utoipa::PartialSchema for Moment {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}
impl utoipa::ToSchema for Moment {}

impl ToSql<Instant, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.timestamp_micros() - POSTGRES_EPOCH;
        std::io::Write::write_all(out, &micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}
impl FromSql<Instant, Pg> for Moment {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = <i64 as FromSql<BigInt, Pg>>::from_sql(bytes)?;
        Self::from_micros(micros.saturating_add(POSTGRES_EPOCH))
    }
}
impl ToSql<Instant, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.timestamp_micros());
        Ok(IsNull::No)
    }
}
impl FromSql<Instant, Sqlite> for Moment {
    fn from_sql(bytes: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Self::from_micros(<i64 as FromSql<BigInt, Sqlite>>::from_sql(bytes)?)
    }
}
two_engines!(Instant, Moment);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_microseconds_and_is_written_with_a_z() {
        let instant = DateTime::parse_from_rfc3339("2010-09-07T21:00:00.123456789+02:00").unwrap();
        let moment = Moment::from(instant.with_timezone(&Utc));
        assert_eq!(moment.to_string(), "2010-09-07T19:00:00.123456Z");
        assert!(serde_json::from_str::<Moment>("\"+262000-01-01T00:00:00Z\"").is_err());
    }
}
