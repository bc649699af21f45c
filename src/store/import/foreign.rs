//! Reads the people of Supabase Auth, Auth.js and Better Auth who came through Kakao, a page at a time.
//!
//! Nothing is written there. Postgres is read in one READ ONLY transaction through a cursor, so that all pages show one
//! moment and none costs more than the last; SQLite is opened read-only and read along its rowids.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use tokio::time::timeout;

use super::BATCH;
pub(crate) use super::shape::Product;
use super::shape::{Dialect, Found, candidates, home, select};
use crate::domain::import::{Column, SourceRow};
use crate::store::{Error, Result};

/// How long the source may take to answer at first.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The database of another product, being read.
pub(crate) struct Foreign {
    line: u64,
    place: Place,
}

enum Place {
    Postgres(Box<PgConnection>),
    Sqlite { connection: Box<SqliteConnection>, sql: String, after: i64 },
}

impl Foreign {
    /// Connects and finds the product's tables.
    ///
    /// # Errors
    /// When the database does not answer, or has no such tables.
    pub(crate) async fn open(url: &str, product: Product, schema: Option<&str>) -> Result<Self> {
        let opening = async {
            if url.starts_with("sqlite:") {
                sqlite(url, product).await
            } else {
                postgres(url, product, schema).await
            }
        };
        let late = |_| refused("the source does not answer within 15 seconds".into());
        let place = timeout(TIMEOUT, opening).await.map_err(late)??;
        Ok(Self { line: 0, place })
    }

    /// The next rows, at most [`BATCH`]; none at the end.
    pub(crate) async fn page(&mut self) -> Result<Vec<SourceRow>> {
        macro_rules! read {
            ($row:expr) => {{
                self.line += 1;
                let mut read = SourceRow::new(self.line);
                for column in Column::ALL {
                    // Bytes, not text: what is no UTF-8 must damage its own row, not the run.
                    let bytes: Option<Vec<u8>> = $row.try_get_unchecked(column.name())?;
                    if let Some(bytes) = bytes {
                        read.put(column, &bytes);
                    }
                }
                let banned: Option<String> = $row.try_get_unchecked("banned")?;
                read.banned = banned.is_some_and(|banned| banned == "true" || banned == "1");
                read
            }};
        }
        let mut page = Vec::with_capacity(BATCH);
        match &mut self.place {
            Place::Postgres(connection) => {
                let fetch = AssertSqlSafe(format!("FETCH {BATCH} FROM people"));
                for row in sqlx::query(fetch).fetch_all(&mut **connection).await? {
                    page.push(read!(row));
                }
            }
            Place::Sqlite { connection, sql, after } => {
                let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(*after);
                for row in query.fetch_all(&mut **connection).await? {
                    *after = row.try_get("position")?;
                    page.push(read!(row));
                }
            }
        }
        Ok(page)
    }
}

fn refused(what: String) -> Error {
    Error::Broken { what, source: None }
}

fn unreadable(error: sqlx::Error) -> Error {
    Error::Broken { what: "--source cannot be read as a URL".into(), source: Some(Box::new(error)) }
}

fn not_found(product: Product, schema: &str) -> Error {
    let (logins, users) = candidates(product)[0];
    refused(format!(
        "{schema} has no tables {logins} and {users} of this product that this database user may read; \
         tables elsewhere are named by --schema"
    ))
}

async fn postgres(url: &str, product: Product, schema: Option<&str>) -> Result<Place> {
    const COLUMNS: &str = "SELECT column_name::text FROM information_schema.columns
                           WHERE table_schema = $1 AND table_name = $2";
    // Inside a transaction, so that a pooler between us keeps them together. UTC, for columns without a time zone.
    const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL TIME ZONE 'UTC'; SET LOCAL DateStyle = 'ISO, YMD';
                         SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
    let options = PgConnectOptions::from_str(url).map_err(unreadable)?.application_name("kakao-auth import");
    let mut connection = PgConnection::connect_with(&options).await?;
    sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
    let schema = schema.unwrap_or_else(|| home(product));
    for (logins, users) in candidates(product) {
        let mut found = Vec::new();
        for (alias, table) in [('l', *logins), ('u', *users)] {
            let columns =
                sqlx::query_scalar(COLUMNS).bind(schema).bind(table).fetch_all(&mut connection).await?;
            found.push(Found::new(alias, Some(schema), table, columns));
        }
        if let Some(sql) = select(product, Dialect::Postgres, &found[0], &found[1]) {
            let sql = format!("DECLARE people NO SCROLL CURSOR FOR {sql}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            return Ok(Place::Postgres(Box::new(connection)));
        }
    }
    Err(not_found(product, &format!("the schema {schema}")))
}

async fn sqlite(url: &str, product: Product) -> Result<Place> {
    // pragma_table_info takes any case, as SQLite's names do; so "Account" finds account too.
    const COLUMNS: &str = "SELECT name FROM pragma_table_info($1)";
    let options = SqliteConnectOptions::from_str(url).map_err(unreadable)?.read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    for (logins, users) in candidates(product) {
        let mut found = Vec::new();
        for (alias, table) in [('l', *logins), ('u', *users)] {
            let columns = sqlx::query_scalar(COLUMNS).bind(table).fetch_all(&mut connection).await?;
            found.push(Found::new(alias, None, table, columns));
        }
        if let Some(sql) = select(product, Dialect::Sqlite, &found[0], &found[1]) {
            return Ok(Place::Sqlite { connection: Box::new(connection), sql, after: i64::MIN });
        }
    }
    Err(not_found(product, "the database"))
}
