//! `Id<T>`: a UUIDv7 typed by its noun, so that a queue's id is never taken for a tenant's.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::columns::{Uuid, two_engines};
use super::moment::Moment;

/// How many ids this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A UUIDv7 (RFC 9562 §5.7), made by the application.
#[derive(AsExpression, FromSqlRow)]
#[diesel(sql_type = Uuid)]
pub struct Id<T: 'static>(uuid::Uuid, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// A new id whose time is `moment`: ids follow the injected clock.
    ///
    /// Those of one process are in the order they were made, also within a millisecond: 26 bits count and 48 are
    /// random (RFC 9562 §6.2, method 1).
    pub fn at(moment: Moment) -> Self {
        let millis = moment.unix_millis();
        let mut bytes = [0u8; 10];
        rand::fill(&mut bytes);
        let count = MADE.fetch_add(1, Ordering::Relaxed) & 0x03FF_FFFF;
        // Four bits of the first byte go to the version, two of the third to the variant.
        let [high, ..] = (count >> 22 << 24).to_be_bytes();
        let [second, ..] = (count >> 14 << 24).to_be_bytes();
        let [third, ..] = (count >> 8 << 26 >> 2).to_be_bytes();
        let [fourth, ..] = (count << 24).to_be_bytes();
        if let Some(head) = bytes.first_chunk_mut::<4>() {
            *head = [high, second, third, fourth];
        }
        Self::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }

    /// The least id whose time is in the millisecond of `moment`: where a range of time begins in a list by id.
    pub fn first_at(moment: Moment) -> Self {
        let builder = uuid::Builder::from_unix_timestamp_millis(moment.unix_millis(), &[0; 10]);
        Self::from_uuid(builder.into_uuid())
    }

    /// When it was made, to the millisecond; none of an id that is not a UUIDv7.
    pub fn made_at(self) -> Option<Moment> {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let millis = i64::try_from(millis)
            .ok()
            .filter(|_| self.0.get_version_num() == 7)?;
        chrono::DateTime::from_timestamp_millis(millis).map(Moment::from)
    }

    /// The id with exactly these bits.
    pub const fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The bits.
    pub fn uuid(self) -> uuid::Uuid {
        self.0
    }

    /// The same bits as the id of another noun, where one row stands for both (an event and its broadcast).
    pub fn of<U>(self) -> Id<U> {
        Id::from_uuid(self.0)
    }
}

// By hand: a derive would ask the same of `T`, which is only a name.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<T> FromStr for Id<T> {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::from_uuid)
    }
}
impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        uuid::Uuid::deserialize(deserializer).map(Self::from_uuid)
    }
}
impl<T> utoipa::PartialSchema for Id<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            .into()
    }
}
impl<T> utoipa::ToSchema for Id<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Id")
    }
}

impl<T> ToSql<Uuid, Pg> for Id<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}
impl<T> FromSql<Uuid, Pg> for Id<T> {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::from_uuid(uuid::Uuid::from_slice(bytes.as_bytes())?))
    }
}
impl<T> ToSql<Uuid, Sqlite> for Id<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}
impl<T> FromSql<Uuid, Sqlite> for Id<T> {
    fn from_sql(bytes: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<diesel::sql_types::Binary, Sqlite>>::from_sql(bytes)?;
        Ok(Self::from_uuid(uuid::Uuid::from_slice(&bytes)?))
    }
}
two_engines!(Uuid, Id<T>, T);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_millisecond_are_in_the_order_they_were_made() {
        let moment = Moment::from(chrono::DateTime::from_timestamp_millis(1_283_886_000_123).unwrap());
        let ids: Vec<Id<()>> = (0..100_000).map(|_| Id::at(moment)).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.uuid().get_version_num() == 7));
        let first: Id<()> = Id::first_at(moment);
        assert!(
            first < ids[0] && Id::first_at(moment.plus(chrono::TimeDelta::milliseconds(1))) > ids[99_999]
        );
        assert_eq!(ids[0].made_at(), Some(moment));
        assert_eq!(Id::<()>::from_uuid(uuid::Uuid::from_u128(1)).made_at(), None);
        let millis = ids[0].uuid().get_timestamp().unwrap().to_unix();
        assert_eq!(millis, (1_283_886_000, 123_000_000));
    }
}
