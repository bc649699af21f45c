//! How the tables of other products look, and the SELECT that reads them.
//!
//! Their columns are found by name, because the adapters differ: `"providerAccountId"` with Auth.js' own schema is
//! `provider_account_id` where somebody maps names, and the tables are `accounts`, `account` or `"Account"`.

use crate::domain::import::Column;

/// A product whose users can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// Supabase Auth: `auth.identities` and `auth.users`.
    Supabase,
    /// Auth.js (`NextAuth`): `accounts` and `users`.
    AuthJs,
    /// Better Auth: `account` and `user`.
    BetterAuth,
}

/// Which database's SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// The schema in which a product's tables are unless somebody moved them.
pub(super) const fn home(product: Product) -> &'static str {
    match product {
        Product::Supabase => "auth",
        Product::AuthJs | Product::BetterAuth => "public",
    }
}

/// Names that the table of logins and the table of users may have, the product's own first.
pub(super) const fn candidates(product: Product) -> &'static [(&'static str, &'static str)] {
    match product {
        Product::Supabase => &[("identities", "users")],
        Product::AuthJs => &[("accounts", "users"), ("Account", "User"), ("account", "user")],
        Product::BetterAuth => &[("account", "user"), ("accounts", "users"), ("Account", "User")],
    }
}

/// A table as it was found.
pub(super) struct Found {
    alias: char,
    name: String,
    columns: Vec<String>,
}

impl Found {
    pub(super) fn new(alias: char, schema: Option<&str>, name: &str, columns: Vec<String>) -> Self {
        let schema = schema.map(|schema| quoted(schema) + ".").unwrap_or_default();
        Self { alias, name: schema + &quoted(name), columns }
    }

    /// The first of these columns that there is, as SQL.
    fn column(&self, names: &[&str]) -> Option<String> {
        let name = names.iter().find(|name| self.columns.iter().any(|column| column == *name))?;
        Some(format!("{}.{}", self.alias, quoted(name)))
    }

    /// A key of a JSON object, of the first of these columns.
    fn keys(&self, column: &str, keys: &[&str]) -> Vec<String> {
        let Some(column) = self.column(&[column]) else { return Vec::new() };
        keys.iter().map(|key| format!("{column}->>'{key}'")).collect()
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The SELECT of everybody who came through Kakao; `None` if these are not the product's tables.
pub(super) fn select(product: Product, dialect: Dialect, logins: &Found, users: &Found) -> Option<String> {
    let facts = match product {
        Product::Supabase => supabase(logins, users)?,
        Product::AuthJs => auth_js(logins, users)?,
        Product::BetterAuth => better_auth(dialect, logins, users)?,
    };
    let columns = Column::ALL.map(|column| {
        let source = facts.values.iter().find(|(given, _)| *given == column);
        // The first that says something, and no more of it than shows that it is too long.
        let text = source.map_or_else(Vec::new, |(_, sources)| sources.clone());
        format!("{} AS {}", first_text(dialect, &text), column.name())
    });
    let banned = facts.banned.unwrap_or_else(|| "false".into());
    let paging = match dialect {
        // Sorted, so that a second run meets the rows in the same order.
        Dialect::Postgres => "ORDER BY 1, 2".to_owned(),
        Dialect::Sqlite => format!("AND l.rowid > $1 ORDER BY l.rowid LIMIT {}", super::BATCH),
    };
    let position = if dialect == Dialect::Sqlite { ", l.rowid AS position" } else { "" };
    Some(format!(
        "SELECT {}, CAST({banned} AS text) AS banned{position} FROM {} l LEFT JOIN {} u ON {} = {} WHERE {} = 'kakao' {} {paging}",
        columns.join(", "),
        logins.name,
        users.name,
        users.column(&["id"])?,
        facts.user,
        facts.provider,
        facts.only,
    ))
}

fn first_text(dialect: Dialect, sources: &[String]) -> String {
    let text = |source: &String| match dialect {
        Dialect::Postgres => format!("NULLIF(substr(CAST({source} AS text), 1, 4096), '')"),
        // As bytes: SQLite's substr ends a text at its first NUL, and would hide it.
        Dialect::Sqlite => format!("NULLIF(substr(CAST({source} AS blob), 1, 8192), x'')"),
    };
    match sources {
        [] => "CAST(NULL AS text)".into(),
        [one] => text(one),
        more => format!("COALESCE({})", more.iter().map(text).collect::<Vec<_>>().join(", ")),
    }
}

/// What a product's tables mean, as SQL expressions.
struct Facts {
    provider: String,
    user: String,
    values: Vec<(Column, Vec<String>)>,
    banned: Option<String>,
    /// A further condition.
    only: String,
}

/// `name`, `full_name` and `user_name` all hold the Kakao nickname there; a legal name is not kept. Before November
/// 2023 the provider's id stood in `identities.id`, and always in `identity_data`.
fn supabase(logins: &Found, users: &Found) -> Option<Facts> {
    const NICKNAME: [&str; 5] = ["preferred_username", "user_name", "nickname", "name", "full_name"];
    const PICTURE: [&str; 2] = ["avatar_url", "picture"];
    let both = |keys: &[&str]| {
        let mut found = logins.keys("identity_data", keys);
        found.extend(users.keys("raw_user_meta_data", keys));
        found
    };
    let user = logins.column(&["user_id"])?;
    let mut kakao_id: Vec<String> = logins.column(&["provider_id"]).into_iter().collect();
    kakao_id.extend(logins.keys("identity_data", &["sub", "provider_id"]));
    let mut email = logins.keys("identity_data", &["email"]);
    email.extend(users.column(&["email"]));
    let deleted = users.column(&["deleted_at"]).map(|column| format!("AND {column} IS NULL"));
    Some(Facts {
        provider: logins.column(&["provider"])?,
        values: vec![
            (Column::KakaoId, kakao_id),
            (Column::Id, vec![user.clone()]),
            (Column::Nickname, both(&NICKNAME)),
            (Column::Picture, both(&PICTURE)),
            (Column::Email, email),
            (Column::CreatedAt, users.column(&["created_at"]).into_iter().collect()),
        ],
        user,
        banned: users.column(&["banned_until"]).map(|until| format!("({until} > now())")),
        only: deleted.unwrap_or_default(),
    })
}

/// The Kakao provider of Auth.js puts the nickname into `name`. Its own tables have no time; some people add one.
fn auth_js(logins: &Found, users: &Found) -> Option<Facts> {
    let user = logins.column(&["userId", "user_id"])?;
    let kakao_id = logins.column(&["providerAccountId", "provider_account_id"])?;
    Some(Facts {
        provider: logins.column(&["provider"])?,
        values: person(users, kakao_id, &user, users.column(&["createdAt", "created_at"])),
        user,
        banned: None,
        only: String::new(),
    })
}

/// The Kakao provider of Better Auth puts the nickname into `name`. Its admin plugin adds `banned`.
fn better_auth(dialect: Dialect, logins: &Found, users: &Found) -> Option<Facts> {
    const CREATED: [&str; 2] = ["createdAt", "created_at"];
    let user = logins.column(&["userId", "user_id"])?;
    let kakao_id = logins.column(&["accountId", "account_id"])?;
    let banned = users.column(&["banned"]).map(|banned| match users.column(&["banExpires", "ban_expires"]) {
        Some(until) if dialect == Dialect::Postgres => {
            format!("({banned} AND ({until} IS NULL OR {until} > now()))")
        }
        // A text, seconds or milliseconds, as the adapter had it; what cannot be read has no end.
        Some(until) => format!(
            "({banned} AND COALESCE(CASE WHEN typeof({until}) = 'text' THEN unixepoch({until})
                                         WHEN {until} > 100000000000 THEN {until} / 1000 ELSE {until} END
                                    > unixepoch(), 1))"
        ),
        None => banned,
    });
    Some(Facts {
        provider: logins.column(&["providerId", "provider_id"])?,
        values: person(users, kakao_id, &user, users.column(&CREATED).or_else(|| logins.column(&CREATED))),
        user,
        banned,
        only: String::new(),
    })
}

fn person(
    users: &Found,
    kakao_id: String,
    user: &str,
    created_at: Option<String>,
) -> Vec<(Column, Vec<String>)> {
    let column = |name| users.column(&[name]).into_iter().collect();
    vec![
        (Column::KakaoId, vec![kakao_id]),
        (Column::Id, vec![user.to_owned()]),
        (Column::Nickname, column("name")),
        (Column::Picture, column("image")),
        (Column::Email, column("email")),
        (Column::CreatedAt, created_at.into_iter().collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(alias: char, name: &str, columns: &[&str]) -> Found {
        Found::new(alias, Some("a\"b"), name, columns.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn both_ways_to_write_a_column_are_found_and_names_are_quoted() {
        let users = found('u', "User", &["id", "name"]);
        for (provider, number, user) in
            [("provider", "providerAccountId", "userId"), ("provider", "provider_account_id", "user_id")]
        {
            let logins = found('l', "Account", &[provider, number, user]);
            let sql = select(Product::AuthJs, Dialect::Postgres, &logins, &users).unwrap();
            for part in [
                "\"a\"\"b\".\"Account\" l",
                &format!("l.\"{number}\""),
                &format!("u.\"id\" = l.\"{user}\""),
                "l.\"provider\" = 'kakao'",
                "CAST(NULL AS text) AS email",
            ] {
                assert!(sql.contains(part), "{part} is missing in {sql}");
            }
        }
    }

    #[test]
    fn a_table_that_only_has_the_name_is_not_taken_for_the_products() {
        let users = found('u', "users", &["id"]);
        let bank = found('l', "accounts", &["id", "user_id", "balance"]);
        for product in [Product::Supabase, Product::AuthJs, Product::BetterAuth] {
            assert!(select(product, Dialect::Postgres, &bank, &users).is_none());
        }
    }
}
