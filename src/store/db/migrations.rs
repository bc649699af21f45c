//! The schema, and how it is brought up to date.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, SqlitePool};

use super::patience::within;
use crate::store::error::{Error, Result};

/// Number, name and text of each migration, in order.
type Step = (i64, &'static str, &'static str);

const POSTGRES: &[Step] = &[(1, "first", include_str!("../../../migrations/postgres/0001_first.sql"))];
const SQLITE: &[Step] = &[(1, "first", include_str!("../../../migrations/sqlite/0001_first.sql"))];

/// To connect, to begin and to commit.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// To become the one process that migrates.
const LOCK_WITHIN: Duration = Duration::from_secs(25);

/// For all that is to migrate. A large table takes its time.
const MIGRATE_WITHIN: Duration = Duration::from_mins(10);

const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '20s'";

/// The lock of the one process that migrates ("kakao-au" in ASCII). It is the transaction's, not the session's: a pooler
/// gives each transaction another session, where a session's lock would stay for ever.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7737583701020467573)";

/// From here on, a lock is one on a table that others use: whoever queues for it keeps them all waiting.
const IMPATIENT: &str = "SET LOCAL lock_timeout = '4s'";

/// All of it in one transaction, on a connection of its own that is closed afterwards.
pub(super) async fn postgres(options: &PgConnectOptions) -> Result<()> {
    let mut connection = within(BEGIN_WITHIN, PgConnection::connect_with(options)).await?;
    let mut tx = within(BEGIN_WITHIN, connection.begin_with(BEGIN)).await?;
    within(LOCK_WITHIN, sqlx::query(LOCK).execute(&mut *tx)).await?;
    within(BEGIN_WITHIN, sqlx::query(IMPATIENT).execute(&mut *tx)).await?;
    let mut migrator = migrator(POSTGRES);
    migrator.set_locking(false);
    let migrated = tokio::time::timeout(MIGRATE_WITHIN, migrator.run_direct(None, &mut *tx, false)).await;
    migrated.map_err(|_| Error::Unavailable("the migrations took too long".into()))??;
    within(BEGIN_WITHIN, tx.commit()).await?;
    drop(tokio::time::timeout(BEGIN_WITHIN, connection.close()).await);
    Ok(())
}

pub(super) async fn sqlite(pool: &SqlitePool) -> Result<()> {
    Ok(migrator(SQLITE).run(pool).await?)
}

fn migrator(steps: &'static [Step]) -> Migrator {
    let migrations = steps
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(
                *version,
                Cow::Borrowed(*name),
                MigrationType::Simple,
                sqlx::SqlStr::from_static(sql),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_file_is_compiled_in_for_both_databases() {
        for (folder, steps) in [("postgres", POSTGRES), ("sqlite", SQLITE)] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let compiled: Vec<String> =
                steps.iter().map(|(n, name, _)| format!("{n:04}_{name}.sql")).collect();
            assert_eq!(files, compiled);
        }
    }
}
