//! Statements that are put together: text and values grow at the same time, so that no placeholder is counted by hand. The text
//! is the same for both databases, and the same for the same kind of call, so that it is prepared once.

use std::borrow::Cow;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{Conn, Result, on};
use crate::domain::Timestamp;

/// A value on its way into a column.
pub(super) enum Value<'q> {
    Uuid(Option<Uuid>),
    Text(Option<Cow<'q, str>>),
    Bytes(Option<&'q [u8]>),
    Time(Option<Timestamp>),
    Integer(i64),
    Flag(bool),
    Json(Option<Json<serde_json::Value>>),
}

macro_rules! values {
    ($($from:ty => |$value:ident| $into:expr;)*) => {
        $(impl<'q> From<$from> for Value<'q> {
            fn from($value: $from) -> Self {
                $into
            }
        })*
    };
}

values! {
    Uuid => |value| Value::Uuid(Some(value));
    Option<Uuid> => |value| Value::Uuid(value);
    &'q str => |value| Value::Text(Some(value.into()));
    Option<&'q str> => |value| Value::Text(value.map(Cow::from));
    Option<String> => |value| Value::Text(value.map(Cow::from));
    &'q [u8] => |value| Value::Bytes(Some(value));
    Option<&'q [u8]> => |value| Value::Bytes(value);
    Timestamp => |value| Value::Time(Some(value));
    Option<Timestamp> => |value| Value::Time(value);
    i64 => |value| Value::Integer(value);
    bool => |value| Value::Flag(value);
    Option<serde_json::Value> => |value| Value::Json(value.map(Json));
}

/// Binds all values to a query of either database.
macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Uuid(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Time(value) => query.bind(value),
                Value::Integer(value) => query.bind(value),
                Value::Flag(value) => query.bind(value),
                Value::Json(value) => query.bind(value),
            };
        }
        query
    }};
}

/// What one column of a new row holds.
enum Cell<'q> {
    Value(Value<'q>),
    /// An expression of ours, such as the column of another table.
    Of(&'static str),
}

/// A new row: each column stands beside what it holds.
#[derive(Default)]
pub(super) struct Row<'q>(Vec<(&'static str, Cell<'q>)>);

impl<'q> Row<'q> {
    /// The column holds this value.
    pub(super) fn set(mut self, column: &'static str, value: impl Into<Value<'q>>) -> Self {
        self.0.push((column, Cell::Value(value.into())));
        self
    }

    /// The column holds what this expression gives.
    pub(super) fn set_to(mut self, column: &'static str, expression: &'static str) -> Self {
        self.0.push((column, Cell::Of(expression)));
        self
    }
}

/// A statement that is put together.
#[derive(Default)]
pub(super) struct Statement<'q> {
    text: String,
    values: Vec<Value<'q>>,
}

impl<'q> Statement<'q> {
    /// Begins with this text.
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Appends text of ours.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder, and its value.
    pub(super) fn bind(&mut self, value: impl Into<Value<'q>>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// `INSERT INTO table (…) VALUES (…), (…)`, of rows with the same columns.
    pub(super) fn insert(&mut self, table: &str, rows: impl IntoIterator<Item = Row<'q>>) -> &mut Self {
        for (at, row) in rows.into_iter().enumerate() {
            if at == 0 {
                self.columns(table, &row).push(" VALUES (");
            } else {
                self.push(", (");
            }
            self.cells(row).push(")");
        }
        self
    }

    /// `INSERT INTO table (…) SELECT …`; the caller says from where.
    pub(super) fn insert_select(&mut self, table: &str, row: Row<'q>) -> &mut Self {
        self.columns(table, &row).push(" SELECT ").cells(row)
    }

    fn columns(&mut self, table: &str, row: &Row<'_>) -> &mut Self {
        let names: Vec<&str> = row.0.iter().map(|(column, _)| *column).collect();
        self.push("INSERT INTO ").push(table).push(" (").push(&names.join(", ")).push(")")
    }

    fn cells(&mut self, row: Row<'q>) -> &mut Self {
        for (at, (_, cell)) in row.0.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            match cell {
                Cell::Value(value) => self.bind(value),
                Cell::Of(expression) => self.push(expression),
            };
        }
        self
    }

    /// Runs it; how many rows it touched.
    pub(super) async fn execute(self, conn: &mut Conn) -> Result<u64> {
        let Self { text, values } = self;
        let done = on!(conn, c => bound!(sqlx::query(AssertSqlSafe(text)), values)
            .execute(c).await.map(|done| done.rows_affected()))?;
        Ok(done)
    }

    /// Runs it; the row that it gives, if any.
    pub(super) async fn fetch_optional<R>(self, conn: &mut Conn) -> Result<Option<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let Self { text, values } = self;
        on!(conn, c => bound!(sqlx::query_as(AssertSqlSafe(text)), values).fetch_optional(c).await)
    }

    /// Runs it; all rows that it gives.
    pub(super) async fn fetch_all<R>(self, conn: &mut Conn) -> Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let Self { text, values } = self;
        on!(conn, c => bound!(sqlx::query_as(AssertSqlSafe(text)), values).fetch_all(c).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_as_values_come() {
        let mut statement = Statement::new("WITH u AS (");
        statement.insert("users", [Row::default().set("id", 1_i64).set("name", "a")]).push(" RETURNING id) ");
        let grant = Row::default().set("id", 2_i64).set_to("user_id", "u.id").set("live", true);
        statement.insert_select("grants", grant).push(" FROM u WHERE u.id <> ").bind(3_i64);
        assert_eq!(
            statement.text,
            "WITH u AS (INSERT INTO users (id, name) VALUES ($1, $2) RETURNING id) \
             INSERT INTO grants (id, user_id, live) SELECT $3, u.id, $4 FROM u WHERE u.id <> $5"
        );
        assert_eq!(statement.values.len(), 5);
    }

    #[test]
    fn rows_of_one_statement_share_its_columns() {
        let mut statement = Statement::default();
        let row = |id: i64| Row::default().set("id", id);
        statement.insert("users", [row(1), row(2)]);
        assert_eq!(statement.text, "INSERT INTO users (id) VALUES ($1), ($2)");
    }
}
