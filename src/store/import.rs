//! Users who come from elsewhere: reading the tables of other products, and writing many users at once.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, QueryBuilder};
use uuid::Uuid;

use super::{Db, Error, Result, on, row};
use crate::domain::import::{Candidate, Found};
use crate::domain::{KakaoId, UserId};

/// Rows that are read from a source at once.
const PAGE: i64 = 1_000;

/// A product whose tables are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Supabase Auth: `auth.identities`, `auth.users`.
    Supabase,
    /// Auth.js (NextAuth): `accounts`, `users`.
    AuthJs,
    /// Better Auth: `account`, `user`.
    BetterAuth,
}

/// A source that is read page by page.
pub struct Source {
    db: Db,
    sql: String,
    /// Where the next page begins.
    after: Option<(String, String)>,
    done: bool,
}

row!(FoundRow {
    kakao_id: Option<String>,
    source_id: Option<String>,
    nickname: Option<String>,
    picture: Option<String>,
    email: Option<String>,
    created_at: Option<String>,
});

row!(ColumnRow { table_name: String, column_name: String });

impl Source {
    /// Looks at the source's tables. `schema` matters to Postgres alone.
    ///
    /// # Errors
    /// When the tables are not those of the product; the sentence says what is missing.
    pub async fn open(url: &str, product: Product, schema: &str) -> Result<Self> {
        let db = Db::connect_lazy(url, 2)?;
        let columns = columns(&db, schema).await?;
        let prefix =
            if matches!(db, Db::Postgres(_)) { format!("{}.", quoted(schema)) } else { String::new() };
        let tables = Tables { columns: &columns, prefix: &prefix };
        let sql = match (product, &db) {
            (Product::Supabase, Db::Sqlite(_)) => {
                return Err(missing("Supabase Auth lives in Postgres: give a postgres:// URL"));
            }
            (Product::Supabase, Db::Postgres(_)) => tables.supabase()?,
            (Product::AuthJs, _) => tables.accounts(&AUTH_JS)?,
            (Product::BetterAuth, _) => tables.accounts(&BETTER_AUTH)?,
        };
        Ok(Self { db, sql, after: None, done: false })
    }

    /// The next rows; none once all were read.
    pub async fn next(&mut self) -> Result<Vec<Found>> {
        if self.done {
            return Ok(Vec::new());
        }
        let (number, id) = self.after.clone().unwrap_or_default();
        let sql = self.sql.as_str();
        let rows: Vec<FoundRow> = on!(&self.db, pool => sqlx::query_as(AssertSqlSafe(sql))
            .bind(&number).bind(&id).bind(PAGE).fetch_all(pool).await)?;
        self.done = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        if let Some(last) = rows.last() {
            self.after =
                Some((last.kakao_id.clone().unwrap_or_default(), last.source_id.clone().unwrap_or_default()));
        }
        let found = |row: FoundRow| Found {
            source_id: row.source_id,
            kakao_id: row.kakao_id,
            nickname: row.nickname,
            picture: row.picture,
            email: row.email,
            created_at: row.created_at,
            ..Found::default()
        };
        Ok(rows.into_iter().map(found).collect())
    }
}

fn missing(sentence: impl Into<String>) -> Error {
    Error::Broken { what: sentence.into(), source: None }
}

/// Names come out of the catalogue of the source; quoting keeps them names.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn columns(db: &Db, schema: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    const POSTGRES: &str =
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = $1";
    const SQLITE: &str = "SELECT m.name AS table_name, c.name AS column_name
                          FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND $1 = $1";
    let rows: Vec<ColumnRow> = match db {
        Db::Postgres(pool) => sqlx::query_as(POSTGRES).bind(schema).fetch_all(pool).await?,
        Db::Sqlite(pool) => sqlx::query_as(SQLITE).bind(schema).fetch_all(pool).await?,
    };
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        tables.entry(row.table_name).or_default().insert(row.column_name);
    }
    Ok(tables)
}

/// How a product names its tables and columns, each in its spellings.
struct AccountNames {
    accounts: &'static str,
    users: &'static str,
    number: &'static [&'static str],
    provider: &'static [&'static str],
}

const AUTH_JS: AccountNames = AccountNames {
    accounts: "accounts",
    users: "users",
    number: &["providerAccountId", "provider_account_id"],
    provider: &["provider"],
};

const BETTER_AUTH: AccountNames = AccountNames {
    accounts: "account",
    users: "user",
    number: &["accountId", "account_id"],
    provider: &["providerId", "provider_id"],
};

struct Tables<'a> {
    columns: &'a BTreeMap<String, BTreeSet<String>>,
    prefix: &'a str,
}

impl Tables<'_> {
    /// A column by any of its spellings; adapters write `providerAccountId` or `provider_account_id`.
    fn find(&self, table: &str, names: &[&str]) -> Option<String> {
        let columns = self.columns.get(table)?;
        names.iter().find(|name| columns.contains(**name)).map(|name| quoted(name))
    }

    fn need(&self, table: &str, names: &[&str]) -> Result<String> {
        self.find(table, names).ok_or_else(|| {
            missing(format!(
                "the source has no column {} in a table {table}: check --from, --schema and the database",
                names[0]
            ))
        })
    }

    fn table(&self, name: &str) -> String {
        format!("{}{}", self.prefix, quoted(name))
    }

    /// Newer versions have `provider_id`; older ones put the number into `id`.
    fn supabase(&self) -> Result<String> {
        self.need("identities", &["identity_data"])?;
        let number = match self.find("identities", &["provider_id"]) {
            Some(column) => {
                format!("COALESCE(NULLIF(CAST(i.{column} AS TEXT), ''), i.identity_data->>'sub')")
            }
            None => format!("CAST(i.{} AS TEXT)", self.need("identities", &["id"])?),
        };
        let user = self.need("identities", &["user_id"])?;
        Ok(page(
            &number,
            &format!("CAST(i.{user} AS TEXT)"),
            "COALESCE(i.identity_data->>'preferred_username', i.identity_data->>'user_name', i.identity_data->>'name',
                      i.identity_data->>'full_name')",
            "COALESCE(i.identity_data->>'avatar_url', i.identity_data->>'picture')",
            "COALESCE(i.identity_data->>'email', CAST(u.email AS TEXT))",
            "CAST(u.created_at AS TEXT)",
            &format!("{} i JOIN {} u ON u.id = i.{user}", self.table("identities"), self.table("users")),
            "i.provider = 'kakao'",
        ))
    }

    /// Tables that know a person's accounts at providers: the same idea in Auth.js and Better Auth, under other names.
    fn accounts(&self, names: &AccountNames) -> Result<String> {
        let (accounts, users) = (names.accounts, names.users);
        let number = self.need(accounts, names.number)?;
        let user = self.need(accounts, &["userId", "user_id"])?;
        let provider = self.need(accounts, names.provider)?;
        let id = self.need(users, &["id"])?;
        Ok(page(
            &format!("CAST(i.{number} AS TEXT)"),
            &format!("CAST(i.{user} AS TEXT)"),
            &self.optional(users, &["name"]),
            &self.optional(users, &["image"]),
            &self.optional(users, &["email"]),
            &self.optional(users, &["createdAt", "created_at"]),
            &format!("{} i JOIN {} u ON u.{id} = i.{user}", self.table(accounts), self.table(users)),
            &format!("i.{provider} = 'kakao'"),
        ))
    }

    fn optional(&self, table: &str, names: &[&str]) -> String {
        self.find(table, names)
            .map_or_else(|| "NULL".to_owned(), |column| format!("CAST(u.{column} AS TEXT)"))
    }
}

/// One page, in the order of number and user, after the last one.
#[expect(clippy::too_many_arguments, reason = "they are the parts of one statement, in its order")]
fn page(
    number: &str,
    user: &str,
    nickname: &str,
    picture: &str,
    email: &str,
    created_at: &str,
    from: &str,
    which: &str,
) -> String {
    format!(
        "SELECT {number} AS kakao_id, {user} AS source_id, {nickname} AS nickname, {picture} AS picture, {email} AS email,
                {created_at} AS created_at
         FROM {from}
         WHERE {which} AND (COALESCE({number}, ''), {user}) > ($1, $2)
         ORDER BY COALESCE({number}, ''), {user} LIMIT $3"
    )
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is a user now.
    Created,
    /// Somebody of this number was a user before, and was left as they were.
    Exists(UserId),
    /// The id belongs to another user.
    Conflict,
}

row!(NumberRow { kakao_id: i64 });
row!(PairRow { id: Uuid, kakao_id: Option<i64> });

/// Makes users of many rows in one statement: all of them or, if it fails, none. Nobody who is there is changed.
pub async fn write(db: &Db, batch: &[Candidate]) -> Result<Vec<Written>> {
    const INSERT: &str =
        "INSERT INTO users (id, kakao_id, nickname, name, picture, email, email_verified, phone_number,
                                             created_at, updated_at, last_login_at) ";
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let made: Vec<NumberRow> = on!(db, pool => {
        let mut query = QueryBuilder::new(INSERT);
        query.push_values(batch, |mut row, one| {
            let profile = &one.profile;
            row.push_bind(one.id.0).push_bind(one.kakao_id.0).push_bind(profile.nickname.as_deref())
                .push_bind(profile.name.as_deref()).push_bind(profile.picture.as_deref())
                .push_bind(profile.email.as_deref()).push_bind(profile.email_verified)
                .push_bind(profile.phone_number.as_deref()).push_bind(one.created_at).push_bind(one.created_at)
                .push_bind(one.created_at);
        });
        query.push(" ON CONFLICT DO NOTHING RETURNING kakao_id");
        query.build_query_as().fetch_all(pool).await
    })?;
    let made: BTreeSet<i64> = made.into_iter().map(|row| row.kakao_id).collect();
    let rest: Vec<Candidate> = batch.iter().filter(|one| !made.contains(&one.kakao_id.0)).cloned().collect();
    let there = look(db, &rest).await?;
    let mut there = there.into_iter();
    Ok(batch
        .iter()
        .map(|one| {
            if made.contains(&one.kakao_id.0) {
                Written::Created
            } else {
                there.next().unwrap_or(Written::Conflict)
            }
        })
        .collect())
}

/// What would become of these rows.
pub async fn look(db: &Db, batch: &[Candidate]) -> Result<Vec<Written>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<PairRow> = on!(db, pool => {
        let mut query = QueryBuilder::new("SELECT id, kakao_id FROM users WHERE kakao_id IN (");
        let mut numbers = query.separated(", ");
        for one in batch {
            numbers.push_bind(one.kakao_id.0);
        }
        query.push(") OR id IN (");
        let mut ids = query.separated(", ");
        for one in batch {
            ids.push_bind(one.id.0);
        }
        query.push(")");
        query.build_query_as().fetch_all(pool).await
    })?;
    let by_number: BTreeMap<KakaoId, UserId> =
        rows.iter().filter_map(|row| Some((KakaoId(row.kakao_id?), UserId(row.id)))).collect();
    let ids: BTreeSet<UserId> = rows.iter().map(|row| UserId(row.id)).collect();
    let judge = |one: &Candidate| match by_number.get(&one.kakao_id) {
        Some(user) => Written::Exists(*user),
        None if ids.contains(&one.id) => Written::Conflict,
        None => Written::Created,
    };
    Ok(batch.iter().map(judge).collect())
}
