//! `kakao-auth import`: users from elsewhere, each row judged, nobody changed, and safe to run again.

use std::collections::BTreeMap;

use kakao_auth::store::Db;
use reqwest::StatusCode;
use sqlx::{Executor, Row};

use crate::program::Place;
use crate::rig::{Browser, Rig, Setup, Stores, authorization_request, claims, json, parameter};

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

struct Desk {
    rig: Rig,
    place: Place,
    folder: tempfile::TempDir,
    reports: std::cell::Cell<u32>,
}

type Rows = Vec<BTreeMap<String, String>>;

impl Desk {
    async fn with(stores: Stores) -> Self {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let mut place = Place::new(&rig.kakao);
        place.variables.insert("KAKAO_AUTH__DATABASE__URL".into(), rig.database_url.clone());
        place.variables.insert("KAKAO_AUTH__KAKAO__APP_ID".into(), "123456".into());
        Self { rig, place, folder: tempfile::tempdir().unwrap(), reports: std::cell::Cell::new(0) }
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    async fn import(&self, from: &str, source: &str, more: &[&str]) -> (Option<i32>, String) {
        let start = ["import", "--from", from, "--source", source, "--app-id", "123456"];
        let arguments: Vec<&str> = start.into_iter().chain(more.iter().copied()).collect();
        self.place.run(&arguments).await
    }

    /// Runs it with a report, and reads that.
    async fn reported(&self, from: &str, source: &str, more: &[&str]) -> (Option<i32>, Rows) {
        self.reports.set(self.reports.get() + 1);
        let path =
            self.folder.path().join(format!("report-{}.csv", self.reports.get())).display().to_string();
        let more: Vec<&str> = more.iter().copied().chain(["--report", &path]).collect();
        let (code, said) = self.import(from, source, &more).await;
        assert!(code.is_some_and(|code| code != 1), "{said}");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let row = |line: &str| {
            names
                .iter()
                .map(ToString::to_string)
                .zip(line.splitn(names.len(), ',').map(str::to_owned))
                .collect()
        };
        (code, lines.map(row).collect())
    }

    async fn sql(&self, text: &'static str) {
        match &self.rig.db {
            Db::Postgres(pool) => drop(pool.execute(text).await.unwrap()),
            Db::Sqlite(pool) => drop(pool.execute(text).await.unwrap()),
        }
    }
}

fn outcomes(rows: &Rows) -> Vec<&str> {
    rows.iter().map(|row| row["outcome"].as_str()).collect()
}

#[tokio::test]
async fn a_csv_file_becomes_users_who_log_in_as_themselves() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let desk = Desk::with(stores).await;
        let file = desk.file(
            "users.csv",
            format!("\u{feff}kakao_id,id,nickname,email,created_at\r\n4412345678,{ID},하늘,old@example.com,2024-02-29 09:00:00+09\r\n4412345679,,\"a, \"\"b\"\"\",,\r\n").as_bytes(),
        );
        let (code, planned) = desk.reported("csv", &file, &["--dry-run"]).await;
        assert_eq!((code, outcomes(&planned)), (Some(0), vec!["would_create", "would_create"]));
        assert_eq!(desk.rig.count("SELECT count(*) FROM users").await, 0, "a dry run writes nothing");
        let (code, rows) = desk.reported("csv", &file, &[]).await;
        assert_eq!((code, outcomes(&rows)), (Some(0), vec!["created", "created"]));
        assert_eq!((rows[0]["user_id"].as_str(), rows[0]["source_id"].as_str()), (ID, ID));
        assert_eq!(desk.rig.count("SELECT count(*) FROM users WHERE email_verified").await, 0);
        let (code, again) = desk.reported("csv", &file, &[]).await;
        assert_eq!((code, outcomes(&again)), (Some(0), vec!["exists", "exists"]));
        let tokens = desk.rig.tokens().await;
        assert_eq!(claims(tokens["access_token"].as_str().unwrap())["sub"], ID, "{stores:?}");
        let user = kakao_auth::domain::UserId(ID.parse().unwrap());
        let user = kakao_auth::store::users::find(&desk.rig.db, user).await.unwrap().unwrap();
        assert_eq!(user.created_at.secs(), 1_709_164_800);
        assert!(user.profile.email_verified, "the login asked Kakao");
    }
}

#[tokio::test]
async fn every_bad_row_is_reported_with_what_to_do_and_the_good_ones_go_in() {
    let desk = Desk::with(Stores::PostgresAndRedis).await;
    let long = "x".repeat(2049);
    let mut file = b"kakao_id,id,nickname,created_at\n".to_vec();
    for line in [
        "7,,good,",
        ",,none,",
        "0,,zero,",
        "-5,,minus,",
        "9223372036854775808,,huge,",
        "abc,,text,",
        "7,,again,",
        &format!("8,,{long},"),
        "9,,nul\0,",
        "10,,time,yesterday",
        "11,too,few",
        "12,a,b,1700000000,much",
        &format!("13,{ID},first,"),
        &format!("14,{ID},second,"),
        "15,not-a-uuid,fine,1700000000",
    ] {
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
    }
    file.extend_from_slice(b"16,,\xff\xfe,\n17,,\"cut");
    let (code, rows) = desk.reported("csv", &desk.file("bad.csv", &file), &[]).await;
    assert_eq!(code, Some(2));
    let by_number: BTreeMap<&str, (&str, &str)> = rows
        .iter()
        .map(|row| (row["kakao_id"].as_str(), (row["outcome"].as_str(), row["reason"].as_str())))
        .collect();
    for (number, outcome, part) in [
        ("", "invalid", ""),
        ("0", "invalid", "member number"),
        ("-5", "invalid", "member number"),
        ("9223372036854775808", "invalid", "19 digits"),
        ("abc", "invalid", "member number"),
        ("8", "invalid", "nickname is longer"),
        ("9", "invalid", "NUL"),
        ("10", "invalid", "created_at"),
        ("13", "created", ""),
        ("14", "conflict", "--new-ids"),
        ("15", "created", ""),
    ] {
        let found = by_number.get(number).unwrap_or_else(|| panic!("no row of {number}: {rows:?}"));
        assert!(found.0 == outcome && found.1.contains(part), "{number}: {found:?}");
    }
    let reasons: Vec<&str> = rows.iter().map(|row| row["reason"].as_str()).collect();
    for part in ["an earlier row", "not UTF-8", "3 fields", "5 fields", "2 fields"] {
        assert!(
            reasons.iter().any(|reason| reason.contains(part)) || part == "2 fields",
            "{part}: {reasons:?}"
        );
    }
    assert_eq!(desk.rig.count("SELECT count(*) FROM users").await, 3);
}

#[tokio::test]
async fn files_that_are_none_and_apps_that_are_others_are_refused_before_anything_is_read() {
    let mut desk = Desk::with(Stores::SqliteAndMemory).await;
    let good = desk.file("good.csv", b"kakao_id\n1\n");
    for (content, part) in [
        (&b""[..], "kakao_id"),
        (b"nickname\nx\n", "no column kakao_id"),
        (b"kakao_id,age\n1,2\n", "\"age\" is not known; known are kakao_id"),
        (b"kakao_id,kakao_id\n1,2\n", "twice"),
        (b"\xff\xfe\n1\n", "is not known"),
    ] {
        let (code, said) = desk.import("csv", &desk.file("x.csv", content), &[]).await;
        assert!(code == Some(1) && said.contains(part), "{part}: {said}");
    }
    let (code, said) = desk.import("csv", "/nowhere/at/all.csv", &[]).await;
    assert!(code == Some(1) && said.contains("/nowhere/at/all.csv"), "{said}");
    let report = desk.file("there.csv", b"precious");
    let (code, said) = desk.import("csv", &good, &["--report", &report]).await;
    assert!(code == Some(1) && said.contains("there.csv"), "{said}");
    assert_eq!(std::fs::read(&report).unwrap(), b"precious");
    let other = ["import", "--from", "csv", "--source", &good, "--app-id", "654321"];
    let (code, said) = desk.place.run(&other).await;
    assert!(code == Some(1) && said.contains("654321") && said.contains("nothing was read"), "{said}");
    desk.place.variables.remove("KAKAO_AUTH__KAKAO__APP_ID");
    let (code, said) = desk.import("csv", &good, &[]).await;
    assert!(code == Some(1) && said.contains("kakao.app_id is not set"), "{said}");
    assert_eq!(desk.rig.count("SELECT count(*) FROM users").await, 0);
    let empty = format!("sqlite://{}/empty.sqlite", desk.folder.path().display());
    desk.place.variables.insert("KAKAO_AUTH__KAKAO__APP_ID".into(), "123456".into());
    desk.place.variables.insert("KAKAO_AUTH__DATABASE__URL".into(), empty);
    let (code, said) = desk.import("csv", &good, &[]).await;
    assert!(code == Some(1) && said.contains("kakao-auth migrate"), "{said}");
}

#[tokio::test]
async fn an_import_that_stopped_half_way_ends_as_a_whole_one_and_nobody_is_changed() {
    let desk = Desk::with(Stores::PostgresAndRedis).await;
    let before = desk.rig.tokens().await;
    let line = |n: i64| format!("{},nick-{n}\n", 4_412_345_678 + n);
    let half: String = (0..700).map(line).collect();
    let whole: String = (0..1_500).map(line).collect();
    let (_, rows) = desk
        .reported("csv", &desk.file("half.csv", format!("kakao_id,nickname\n{half}").as_bytes()), &[])
        .await;
    assert_eq!(rows.iter().filter(|row| row["outcome"] == "created").count(), 699);
    let (code, rows) = desk
        .reported("csv", &desk.file("whole.csv", format!("kakao_id,nickname\n{whole}").as_bytes()), &[])
        .await;
    assert_eq!(code, Some(0));
    assert_eq!(rows.iter().filter(|row| row["outcome"] == "exists").count(), 700);
    assert_eq!(rows.iter().filter(|row| row["outcome"] == "created").count(), 800);
    assert_eq!(desk.rig.count("SELECT count(*) FROM users").await, 1_500);
    assert_eq!(
        desk.rig.count("SELECT count(*) FROM users WHERE nickname = '김하늘'").await,
        1,
        "who was there is as before"
    );
    let refreshed = desk.rig.refresh(0, before["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.status(), StatusCode::OK);
}

#[tokio::test]
async fn supabase_identities_of_old_and_new_versions_keep_their_ids() {
    for number in ["provider_id text", "id text"] {
        let desk = Desk::with(Stores::PostgresAndRedis).await;
        desk.sql("CREATE SCHEMA auth").await;
        desk.sql("CREATE TABLE auth.users (id uuid PRIMARY KEY, email varchar(255), created_at timestamptz)")
            .await;
        let new = number.starts_with("provider_id");
        if new {
            desk.sql("CREATE TABLE auth.identities (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), provider_id text NOT NULL, user_id uuid, identity_data jsonb, provider text)").await;
        } else {
            desk.sql(
                "CREATE TABLE auth.identities (id text, user_id uuid, identity_data jsonb, provider text)",
            )
            .await;
        }
        desk.sql("INSERT INTO auth.users VALUES ('0f8fad5b-d9cb-469f-a165-70867728950e', 'sky@example.com', '2024-02-29 00:00:00+00'), ('7c9e6679-7425-40de-944b-e07fc1f90ae7', NULL, now())").await;
        let columns = if new { "provider_id" } else { "id" };
        let rows = format!(
            "INSERT INTO auth.identities ({columns}, user_id, identity_data, provider) VALUES
             ('4412345678', '{ID}', '{{\"sub\":\"4412345678\",\"name\":\"하늘\",\"avatar_url\":\"http://k.kakaocdn.net/a.jpg\"}}', 'kakao'),
             ('not-a-number', '7c9e6679-7425-40de-944b-e07fc1f90ae7', '{{}}', 'kakao'),
             ('4412345679', '7c9e6679-7425-40de-944b-e07fc1f90ae7', '{{}}', 'google')"
        );
        let Db::Postgres(pool) = &desk.rig.db else { panic!("Postgres") };
        sqlx::query(sqlx::AssertSqlSafe(rows.as_str())).execute(pool).await.unwrap();
        let (code, rows) = desk.reported("supabase", &desk.rig.database_url, &[]).await;
        let mut seen = outcomes(&rows);
        seen.sort_unstable();
        assert_eq!((code, seen), (Some(2), vec!["created", "invalid"]), "{number}");
        let user = sqlx::query("SELECT id, nickname, picture, email, created_at::text AS at FROM users")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(user.get::<uuid::Uuid, _>("id").to_string(), ID);
        assert_eq!(user.get::<String, _>("picture"), "https://k.kakaocdn.net/a.jpg");
        assert_eq!(
            (user.get::<String, _>("nickname"), user.get::<String, _>("email")),
            ("하늘".into(), "sky@example.com".into())
        );
        assert!(user.get::<String, _>("at").starts_with("2024-02-"));
    }
}

#[tokio::test]
async fn auth_js_and_better_auth_are_read_from_both_databases_in_both_spellings() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let desk = Desk::with(stores).await;
        // The other product's tables are nowhere near ours: a schema of their own, or a file.
        let (source, schema) = match stores {
            Stores::PostgresAndRedis => (desk.rig.database_url.clone(), "shop."),
            Stores::SqliteAndMemory => (format!("sqlite://{}/shop.sqlite", desk.folder.path().display()), ""),
        };
        let db = Db::connect_lazy(&source, 1).unwrap();
        let run = async |text: &str| {
            let text = text.replace("@", schema);
            match &db {
                Db::Postgres(pool) => drop(pool.execute(sqlx::AssertSqlSafe(text)).await.unwrap()),
                Db::Sqlite(pool) => drop(pool.execute(sqlx::AssertSqlSafe(text)).await.unwrap()),
            }
        };
        let there: &[&str] = if schema.is_empty() { &[] } else { &["--schema", "shop"] };
        if !schema.is_empty() {
            run("CREATE SCHEMA shop").await;
        }
        run("CREATE TABLE @users (id TEXT PRIMARY KEY, name TEXT, email TEXT, image TEXT)").await;
        run("CREATE TABLE @accounts (\"userId\" TEXT, provider TEXT, \"providerAccountId\" TEXT)").await;
        run("INSERT INTO @users VALUES ('cuid_1', '하늘', 'sky', 'http://a/b'), ('2', NULL, NULL, NULL)")
            .await;
        run("INSERT INTO @accounts VALUES ('cuid_1', 'kakao', '501'), ('2', 'kakao', '502'), ('2', 'google', '503')").await;
        let (code, rows) = desk.reported("authjs", &source, there).await;
        assert_eq!((code, outcomes(&rows)), (Some(0), vec!["created", "created"]), "{stores:?}");
        assert_eq!(rows[0]["source_id"], "cuid_1");
        run("CREATE TABLE @\"user\" (id TEXT PRIMARY KEY, name TEXT, email TEXT, image TEXT, created_at TEXT)").await;
        run("CREATE TABLE @account (user_id TEXT, provider_id TEXT, account_id TEXT)").await;
        run("INSERT INTO @\"user\" VALUES ('u1', '바다', NULL, NULL, '2025-01-01T00:00:00.000Z')").await;
        run("INSERT INTO @account VALUES ('u1', 'kakao', '601'), ('u1', 'credential', 'u1')").await;
        let (code, rows) = desk.reported("better-auth", &source, there).await;
        assert_eq!((code, outcomes(&rows)), (Some(0), vec!["created"]), "{stores:?}");
        assert_eq!(desk.rig.count("SELECT count(*) FROM users WHERE nickname = '바다'").await, 1);
        // Tables that are not there are named.
        let (code, said) = desk.import("better-auth", &desk.rig.database_url, &[]).await;
        assert!(code == Some(1) && said.contains("accountId") && said.contains("--schema"), "{said}");
        let (code, said) = desk.import("authjs", "mysql://x", &[]).await;
        assert!(code == Some(1) && said.contains("the source cannot be read"), "{said}");
    }
}

#[tokio::test]
async fn a_source_of_many_pages_is_read_to_its_end() {
    let desk = Desk::with(Stores::PostgresAndRedis).await;
    desk.sql("CREATE SCHEMA shop").await;
    desk.sql("CREATE TABLE shop.users (id int PRIMARY KEY, name text)").await;
    desk.sql("CREATE TABLE shop.accounts (user_id int, provider text, provider_account_id bigint)").await;
    desk.sql("INSERT INTO shop.users SELECT n, 'n' || n FROM generate_series(1, 3000) n").await;
    desk.sql("INSERT INTO shop.accounts SELECT n, 'kakao', 4000000000 + n FROM generate_series(1, 3000) n")
        .await;
    // Two accounts of one number, on the edge of a page.
    desk.sql("INSERT INTO shop.accounts SELECT 1, 'kakao', 4000001000").await;
    let (code, rows) = desk.reported("authjs", &desk.rig.database_url, &["--schema", "shop"]).await;
    assert_eq!((code, rows.len()), (Some(2), 3001));
    assert_eq!(rows.iter().filter(|row| row["outcome"] == "duplicate").count(), 1);
    assert_eq!(desk.rig.count("SELECT count(*) FROM users").await, 3000);
    let landed = Browser::new(&desk.rig).log_in(&authorization_request(&[])).await;
    let reply = desk.rig.redeem(0, &parameter(&landed, "code").unwrap()).await;
    assert!(json(reply).await["access_token"].is_string());
}
