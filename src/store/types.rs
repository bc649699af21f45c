//! How domain types stand in columns: timestamptz in Postgres, microseconds in SQLite.

use std::error::Error;
use std::time::Duration;

use sqlx::encode::IsNull;
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};
use time::OffsetDateTime;

use crate::domain::Timestamp;

type Failure = Box<dyn Error + Send + Sync>;

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, Failure> {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.micros()) * 1_000)?;
        <OffsetDateTime as Encode<'_, Postgres>>::encode_by_ref(&time, buffer)
    }
}

impl Decode<'_, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, Failure> {
        let time = <OffsetDateTime as Decode<'_, Postgres>>::decode(value)?;
        Ok(Self::from_micros(i64::try_from(time.unix_timestamp_nanos() / 1_000)?))
    }
}

impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, Failure> {
        <i64 as Encode<'_, Sqlite>>::encode_by_ref(&self.micros(), buffer)
    }
}

impl Decode<'_, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, Failure> {
        Ok(Self::from_micros(<i64 as Decode<'_, Sqlite>>::decode(value)?))
    }
}

/// A length of time that a statement adds to a column, or takes off it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl Type<Postgres> for Span {
    fn type_info() -> PgTypeInfo {
        <PgInterval as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Span {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, Failure> {
        let interval = PgInterval { months: 0, days: 0, microseconds: self.micros() };
        <PgInterval as Encode<'_, Postgres>>::encode_by_ref(&interval, buffer)
    }
}

impl Type<Sqlite> for Span {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Span {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, Failure> {
        <i64 as Encode<'_, Sqlite>>::encode_by_ref(&self.micros(), buffer)
    }
}
