//! A database of each test's own, and what a test looks up in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kakao_auth::store::Pool;
use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
use url::Url;

use super::{Rig, variable};

/// A database of one test, dropped with it.
pub(super) struct Database {
    admin_url: String,
    name: String,
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut admin = sqlx::PgConnection::connect(&url).await?;
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                admin.execute(AssertSqlSafe(sql)).await.map(drop)
            })
        });
        if let Err(error) = dropped.join().unwrap() {
            eprintln!("a test database stays behind: {error}");
        }
    }
}

impl Database {
    pub(super) async fn new() -> Self {
        let admin_url = variable("DATABASE_URL");
        let name = format!("it_{}", uuid::Uuid::now_v7().simple());
        let mut admin = sqlx::PgConnection::connect(&admin_url).await.expect("DATABASE_URL answers");
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        Self { admin_url, name }
    }

    pub(super) fn url(&self) -> String {
        let mut url = Url::parse(&self.admin_url).unwrap();
        url.set_path(&self.name);
        url.to_string()
    }
}

impl Rig {
    /// How many rows each table has.
    pub(crate) async fn rows(&self) -> BTreeMap<String, i64> {
        let tables = match &self.pool {
            Pool::Postgres(..) => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            Pool::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
        };
        let tables: Vec<String> = match &self.pool {
            Pool::Postgres(pool, _) => sqlx::query_scalar(tables).fetch_all(pool).await.unwrap(),
            Pool::Sqlite(pool) => sqlx::query_scalar(tables).fetch_all(pool).await.unwrap(),
        };
        let mut rows = BTreeMap::new();
        for table in tables {
            let count = self.count(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).await;
            rows.insert(table, count);
        }
        rows
    }

    /// Runs statements of the test's own.
    pub(crate) async fn run(&self, sql: impl Into<String>) {
        let sql = AssertSqlSafe(sql.into());
        match &self.pool {
            Pool::Postgres(pool, _) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Pool::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        }
    }

    /// Waits until the database counts so many.
    pub(crate) async fn until(&self, sql: &'static str, expected: i64, within: Duration) {
        let began = Instant::now();
        while self.count(sql).await != expected {
            assert!(began.elapsed() < within, "never {expected}: {sql}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One number out of the database.
    pub(crate) async fn count(&self, sql: impl SqlSafeStr) -> i64 {
        match &self.pool {
            Pool::Postgres(pool, _) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }
}
