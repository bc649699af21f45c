//! Users of another product become users here: from CSV, Supabase Auth, Auth.js and Better Auth, into both databases,
//! through the program itself.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kakao_auth::domain::{KakaoId, Timestamp, User};
use kakao_auth::store::{Pool, users};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::process::Command;
use uuid::Uuid;

use crate::rig::{KAKAO_ID, Program, Rig, Setup, Stores, claims};

const BOTH: [Stores; 2] = [Stores::PostgresAndRedis, Stores::SqliteAndMemory];
const APP: &str = "123456";
const FIRST: &str = "0a3b1f6e-9f0c-4b8e-8a54-0d6f1c2b3a4d";
const SECOND: &str = "7d9e2a10-5c41-4f0b-9b7e-2f6a8c1d0e3f";

/// A service with its database, and a folder for files.
struct Place {
    rig: Rig,
    folder: tempfile::TempDir,
    program: Program,
}

impl Place {
    async fn on(stores: Stores) -> Self {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let mut program = Program::on(&rig);
        program.set("KAKAO__APP_ID", APP);
        Self { rig, folder: tempfile::tempdir().unwrap(), program }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a source and gives its path.
    fn source(&self, bytes: impl AsRef<[u8]>) -> String {
        let path = self.file("users.csv");
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.program.command(&[&["import"], arguments].concat())
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.program.run(&[&["import"], arguments].concat()).await
    }

    /// Imports with a report, and gives the exit code, what was said, and the report's rows.
    async fn import(
        &self,
        from: &str,
        source: &str,
        more: &[&str],
    ) -> (Option<i32>, String, Vec<Vec<String>>) {
        let report = self.file("report.csv");
        let path = report.display().to_string();
        let first = ["--from", from, "--source", source, "--app-id", APP, "--report", &path];
        let (code, said) = self.run(&[&first, more].concat()).await;
        let Ok(mut reader) = csv::Reader::from_path(&report) else { return (code, said, Vec::new()) };
        assert_eq!(
            reader.headers().unwrap(),
            "line source_id kakao_id outcome user_id reason".split(' ').collect::<Vec<_>>()
        );
        let row = |row: Result<csv::StringRecord, _>| row.unwrap().iter().map(str::to_owned).collect();
        let rows = reader.records().map(row).collect();
        std::fs::remove_file(&report).unwrap();
        (code, said, rows)
    }

    async fn user(&self, kakao_id: i64) -> User {
        users::find_by_kakao_id(&mut self.rig.db(), KakaoId(kakao_id)).await.unwrap().unwrap()
    }

    async fn count(&self) -> i64 {
        self.rig.count("SELECT count(*) FROM users").await
    }

    /// Makes the tables of another product in this service's own Postgres.
    async fn prepare(&self, sql: &str) {
        let Pool::Postgres(pool, _) = &self.rig.pool else { panic!("Postgres") };
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    }

    /// Makes them in a SQLite file of their own.
    async fn sqlite(&self, sql: &str) -> String {
        let url = format!("sqlite://{}", self.file("foreign.sqlite").display());
        let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        url
    }
}

fn outcomes(rows: &[Vec<String>]) -> Vec<&str> {
    rows.iter().map(|row| row[3].as_str()).collect()
}

fn id(text: &str) -> Uuid {
    text.parse().unwrap()
}

/// That many rows.
fn many(count: i64) -> String {
    let mut text = String::from("kakao_id,id,nickname,email,created_at\n");
    for n in 1..=count {
        let (number, id) = (4_000_000_000 + n, Uuid::now_v7());
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{number},{id},사람 {n},p{n}@example.com,2024-03-01T09:30:00Z");
    }
    text
}

#[tokio::test]
async fn rows_of_a_csv_file_become_users_and_a_second_run_changes_nothing() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let source = place.source(format!(
            "\u{feff}kakao_id,id,nickname,name,picture,email,phone_number,created_at\r\n\
             1,{FIRST},\" 하늘, 바다 \",김하늘,http://k.kakaocdn.net/a.jpg,a@example.com,+82 10-1234-5678,2024-03-01T09:30:00Z\r\n\
             9223372036854775807,42,,  ,,,,\"\"\r\n"
        ));
        let (code, said, rows) = place.import("csv", &source, &[]).await;
        assert_eq!((code, said.as_str()), (Some(0), "2 rows: 2 created\n"));
        let user = place.user(1).await;
        assert_eq!(user.id.0, id(FIRST), "an id that is a UUID is kept");
        let profile = &user.profile;
        assert_eq!(profile.nickname.as_deref(), Some("하늘, 바다"));
        assert_eq!(profile.name.as_deref(), Some("김하늘"));
        assert_eq!(profile.picture.as_deref(), Some("https://k.kakaocdn.net/a.jpg"));
        assert_eq!((profile.email.as_deref(), profile.email_verified), (Some("a@example.com"), false));
        assert_eq!(profile.phone_number.as_deref(), Some("+82 10-1234-5678"));
        let came = Timestamp::from_secs(1_709_285_400);
        assert_eq!([user.created_at, user.updated_at, user.last_login_at], [came; 3]);
        assert_eq!((user.roles.len(), user.disabled_at), (0, None));
        let second = place.user(i64::MAX).await;
        assert_eq!(second.profile, kakao_auth::domain::Profile::default());
        let expected = [
            ["2", FIRST, "1", "created", FIRST, ""],
            ["3", "42", "9223372036854775807", "created", &second.id.to_string(), ""],
        ];
        assert_eq!(rows, expected);

        let (code, said, rows) = place.import("csv", &source, &[]).await;
        assert_eq!((code, said.as_str()), (Some(0), "2 rows: 2 exists\n"));
        assert_eq!((outcomes(&rows), &rows[1][4]), (vec!["exists"; 2], &second.id.to_string()));
        assert_eq!((place.user(1).await, place.user(i64::MAX).await), (user, second));
    }
}

#[tokio::test]
async fn a_bad_row_of_any_kind_is_reported_and_the_others_go_on() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let mut text = b"kakao_id,nickname,created_at\n".to_vec();
        let huge = format!("2,{},", "x".repeat(3_000_000));
        let bad: [(&[u8], &str, &str); 12] = [
            (b"1,first,", "created", ""),
            (huge.as_bytes(), "invalid", "nickname is longer than 1024 bytes"),
            (b"3,a\0b,", "invalid", "NUL"),
            (b"-4,x,", "invalid", "whole number"),
            (b"kim,x,", "invalid", "whole number"),
            (b"4.41235E+09,x,", "invalid", "spreadsheets"),
            (b",x,", "invalid", "kakao_id is missing"),
            (b"1,again,", "duplicate", "line 2 has the same kakao_id"),
            (b"8,\xb1\xe8,", "invalid", "nickname is not UTF-8"),
            (b"9,x,next tuesday", "invalid", "created_at is not a time"),
            (b"10,a, b,", "invalid", "4 fields, the header 3"),
            (b"11,last good,2024-03-01", "created", ""),
        ];
        for (line, _, _) in bad {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text.extend_from_slice(b"12,\"cut o");
        let source = place.source(&text);
        let (code, said, rows) = place.import("csv", &source, &[]).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("13 rows: 2 created, 1 duplicate, 10 invalid"), "{said}");
        for (at, (_, outcome, reason)) in bad.iter().enumerate() {
            let row = &rows[at];
            assert_eq!(
                (row[0].as_str(), row[3].as_str()),
                ((at + 2).to_string().as_str(), *outcome),
                "{row:?}"
            );
            assert!(row[5].contains(reason), "{row:?}");
        }
        assert!(rows[12][5].contains("cut off"), "{:?}", rows[12]);
        assert_eq!(place.count().await, 2);
        assert_eq!(place.user(1).await.profile.nickname.as_deref(), Some("first"));

        let (code, said) = place.run(&["--from", "csv", "--source", &source, "--app-id", APP]).await;
        assert_eq!(code, Some(3));
        assert!(
            said.contains("line 4: invalid: nickname holds a NUL byte: remove it"),
            "without a report: {said}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_it_should_be_is_refused_whole() {
    let place = Place::on(Stores::SqliteAndMemory).await;
    for (text, part) in [
        (
            "kakao_id,nick,mail\n1,a,b\n",
            "\"nick\", \"mail\"; known are kakao_id, id, nickname, name, picture, email",
        ),
        ("kakao_id;nickname\n1;a\n", "between commas"),
        ("id,nickname\n1,a\n", "does not name the column kakao_id"),
        ("kakao_id,name,name\n1,a,b\n", "names name twice"),
        ("", "the source is empty"),
    ] {
        let (code, said, rows) = place.import("csv", &place.source(text), &[]).await;
        assert_eq!((code, rows.len()), (Some(1), 0), "{said}");
        assert!(said.contains(part), "{said}");
    }
    let open = place.source(["kakao_id,nickname\n1,a\n2,\"".to_owned(), "x\n".repeat(9_000_000)].concat());
    let (code, said, _) = place.import("csv", &open, &[]).await;
    assert!(code == Some(1) && said.contains("from line 3") && said.contains("never closed"), "{said}");
    let (code, said, _) = place.import("csv", "/nowhere/users.csv", &[]).await;
    assert!(code == Some(1) && said.contains("cannot be read"), "{said}");
    for (from, source, more, part) in [
        ("csv", "postgres://u:geheim@h/db", vec![], "reads a file"),
        ("supabase", "sqlite://x", vec![], "postgres://"),
        ("authjs", "users.csv", vec![], "must be the URL"),
        ("authjs", "sqlite://x", vec!["--schema", "y"], "--schema is for a source in Postgres"),
        ("authjs", "postgres://u:geheim@127.0.0.1:1/db", vec![], "the source cannot be read"),
    ] {
        let (code, said, _) = place.import(from, source, &more).await;
        assert!(code == Some(1) && said.contains(part) && !said.contains("geheim"), "{said}");
    }
}

#[tokio::test]
async fn a_report_is_never_overwritten_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::on(Stores::SqliteAndMemory).await;
    let (source, report) = (place.source(many(3)), place.file("mine.csv"));
    let path = report.display().to_string();
    let arguments = ["--from", "csv", "--source", &source, "--app-id", APP, "--report", &path];
    assert_eq!(place.run(&arguments).await.0, Some(0));
    assert_eq!(report.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&report).unwrap();
    let (code, said) = place.run(&arguments).await;
    assert!(code == Some(1) && said.contains("exists already and is not overwritten"), "{said}");
    assert_eq!(std::fs::read(&report).unwrap(), before);
}

#[tokio::test]
async fn a_dry_run_judges_everything_and_writes_nothing() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let source = place.source(format!("kakao_id,id\n1,{FIRST}\n"));
        assert_eq!(place.import("csv", &source, &[]).await.0, Some(0));
        let source = place.source(format!("kakao_id,id\n1,{FIRST}\n2,{SECOND}\n3,17\n4,{FIRST}\n-1,\n"));
        let (code, said, rows) = place.import("csv", &source, &["--dry-run"]).await;
        assert_eq!(code, Some(3));
        assert!(said.contains("nothing was written"), "{said}");
        assert_eq!(outcomes(&rows), ["exists", "would_create", "would_create", "conflict", "invalid"]);
        assert_eq!([&rows[0][4], &rows[1][4], &rows[2][4]], [FIRST, SECOND, ""]);
        assert_eq!(place.count().await, 1);
    }
}

#[tokio::test]
async fn whoever_is_there_already_is_left_as_it_is() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let tokens = place.rig.tokens().await;
        let sub = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().to_owned();
        let before = place.user(KAKAO_ID).await;
        let source = place.source(format!(
            "kakao_id,id,nickname,created_at\n{KAKAO_ID},{FIRST},someone else,2020-01-01\n77,{sub},x,\n78,{SECOND},y,\n79,{SECOND},z,\n"
        ));
        let (code, said, rows) = place.import("csv", &source, &[]).await;
        assert_eq!(code, Some(3), "{said}");
        assert_eq!(outcomes(&rows), ["exists", "conflict", "created", "conflict"]);
        assert_eq!((&rows[0][4], rows[0][5].contains("another id")), (&sub, true));
        assert!(rows[1][5].contains("belongs to a user with another kakao_id"), "{:?}", rows[1]);
        assert!(rows[3][5].contains("line 4 has the same id"), "{:?}", rows[3]);
        assert_eq!(place.user(KAKAO_ID).await, before);

        let (code, _, rows) = place.import("csv", &source, &["--new-ids"]).await;
        assert_eq!(code, Some(0));
        assert_eq!(outcomes(&rows), ["exists", "created", "exists", "created"]);
        assert_ne!(place.user(77).await.id.to_string(), sub);
    }
}

#[tokio::test]
async fn an_imported_person_logs_in_to_the_user_that_was_imported() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let source = place
            .source(format!("kakao_id,id,email,created_at\n{KAKAO_ID},{FIRST},old@example.com,2020-01-01\n"));
        assert_eq!(place.import("csv", &source, &[]).await.0, Some(0));
        let tokens = place.rig.tokens().await;
        assert_eq!(claims(tokens["access_token"].as_str().unwrap())["sub"], FIRST);
        let user = place.user(KAKAO_ID).await;
        assert_eq!(user.profile.email.as_deref(), Some("all-consents@example.com"));
        assert!(user.profile.email_verified, "Kakao was asked");
        assert_eq!(user.created_at, Timestamp::from_secs(1_577_836_800));
    }
}

#[tokio::test]
async fn an_import_that_was_killed_is_run_again_and_ends_in_the_same_state() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let source = place.source(many(30_000));
        let arguments = ["--from", "csv", "--source", &source, "--app-id", APP];
        let mut child = place.command(&arguments).spawn().unwrap();
        let began = Instant::now();
        while place.count().await == 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "the import does not begin");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.unwrap();
        let half = place.count().await;
        assert!((1..30_000).contains(&half), "it was killed half-way: {half}");
        let (code, said) = place.run(&arguments).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(place.count().await, 30_000);
        assert!(said.contains("30000 rows: ") && said.contains(&format!("{half} exists")), "{half}: {said}");
    }
}

#[tokio::test]
async fn member_numbers_of_another_app_are_not_even_read() {
    let mut place = Place::on(Stores::SqliteAndMemory).await;
    let arguments = ["--from", "csv", "--source", "/nowhere", "--app-id", "654321"];
    let (code, said) = place.run(&arguments).await;
    assert!(code == Some(1) && said.contains("--app-id 654321 is not the Kakao app"), "{said}");
    place.program.unset("KAKAO__APP_ID");
    let (code, said) = place.run(&arguments).await;
    assert!(code == Some(1) && said.contains("kakao.app_id is not set"), "{said}");
    let (code, said) = place.run(&arguments[..4]).await;
    assert!(code == Some(2) && said.contains("--app-id"), "it is required: {said}");
}

#[tokio::test]
async fn a_database_without_the_schema_is_said_so() {
    let mut place = Place::on(Stores::SqliteAndMemory).await;
    let url = format!("sqlite://{}", place.file("new.sqlite").display());
    place.program.set("DATABASE__URL", &url);
    let (code, said, _) = place.import("csv", &place.source(many(1)), &[]).await;
    assert!(code == Some(1) && said.contains("run kakao-auth migrate first"), "{said}");
    let place = Place::on(Stores::PostgresAndRedis).await;
    place.prepare("DROP TABLE browser_sessions, grants, users").await;
    let (code, said, _) = place.import("csv", &place.source(many(1)), &[]).await;
    assert!(code == Some(1) && said.contains("run kakao-auth migrate first"), "{said}");
}

/// Reads from the first place's Postgres into the databases of both.
async fn into_both(prepare: &str, from: &str, more: &[&str], check: impl AsyncFn(&Place, Vec<Vec<String>>)) {
    let [source, other] = [Place::on(BOTH[0]).await, Place::on(BOTH[1]).await];
    source.prepare(prepare).await;
    for place in [&source, &other] {
        let (_, said, rows) = place.import(from, &source.rig.database_url, more).await;
        assert!(!rows.is_empty(), "{said}");
        check(place, rows).await;
    }
}

fn supabase(identities: &str) -> String {
    format!(
        r#"
CREATE SCHEMA auth;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY, email varchar(255), raw_user_meta_data jsonb, banned_until timestamptz,
    created_at timestamptz, deleted_at timestamptz
);
INSERT INTO auth.users VALUES
  ('{FIRST}', 'a@example.com', '{{"name": "meta"}}', NULL, '2024-03-01 18:30:00+09', NULL),
  ('{SECOND}', 'b@example.com', '{{"full_name": "이름", "avatar_url": "http://k.kakaocdn.net/b.jpg"}}', now() + interval '1 day', '2024-03-02', NULL),
  ('11111111-1111-4111-8111-111111111111', NULL, NULL, NULL, now(), now()),
  ('22222222-2222-4222-8222-222222222222', 'google@example.com', '{{}}', NULL, now(), NULL);
{identities}"#
    )
}

async fn supabases_people_are_here(place: &Place, rows: Vec<Vec<String>>) {
    assert_eq!(outcomes(&rows), ["created", "created"], "{rows:?}");
    let user = place.user(KAKAO_ID).await;
    assert_eq!(user.id.0, id(FIRST));
    assert_eq!(user.profile.nickname.as_deref(), Some("하늘"), "of the identity, before the user's");
    assert_eq!(user.profile.picture.as_deref(), Some("https://k.kakaocdn.net/a.jpg"));
    assert_eq!((user.profile.email.as_deref(), user.profile.name), (Some("a@example.com"), None));
    assert_eq!((user.created_at, user.disabled_at), (Timestamp::from_secs(1_709_285_400), None));
    let user = place.user(4_412_345_679).await;
    assert_eq!(user.profile.nickname.as_deref(), Some("이름"));
    assert_eq!(user.profile.picture.as_deref(), Some("https://k.kakaocdn.net/b.jpg"));
    assert!(user.disabled_at.is_some(), "who is banned there stays out here");
}

#[tokio::test]
async fn supabases_users_come_with_their_ids_times_and_bans_and_deleted_ones_stay_behind() {
    let tables = supabase(&format!(
        r#"
CREATE TABLE auth.identities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), provider_id text NOT NULL, user_id uuid NOT NULL REFERENCES auth.users,
    identity_data jsonb NOT NULL, provider text NOT NULL, UNIQUE (provider_id, provider)
);
INSERT INTO auth.identities (provider_id, user_id, identity_data, provider) VALUES
  ('4412345678', '{FIRST}', '{{"sub": "4412345678", "preferred_username": "하늘", "avatar_url": "http://k.kakaocdn.net/a.jpg", "email": "a@example.com"}}', 'kakao'),
  ('', '{SECOND}', '{{"sub": "4412345679"}}', 'kakao'),
  ('4412345680', '11111111-1111-4111-8111-111111111111', '{{}}', 'kakao'),
  ('107', '22222222-2222-4222-8222-222222222222', '{{}}', 'google');"#
    ));
    into_both(&tables, "supabase", &[], supabases_people_are_here).await;
}

#[tokio::test]
async fn a_supabase_of_before_provider_id_is_read_too() {
    let tables = supabase(&format!(
        r#"
CREATE TABLE auth.identities (
    id text NOT NULL, user_id uuid NOT NULL, identity_data jsonb NOT NULL, provider text NOT NULL, PRIMARY KEY (provider, id)
);
INSERT INTO auth.identities VALUES
  ('4412345678', '{FIRST}', '{{"sub": "4412345678", "user_name": "하늘", "avatar_url": "http://k.kakaocdn.net/a.jpg"}}', 'kakao'),
  ('4412345679', '{SECOND}', '{{"sub": "4412345679"}}', 'kakao');"#
    ));
    into_both(&tables, "supabase", &[], supabases_people_are_here).await;
}

#[tokio::test]
async fn auth_js_users_come_from_its_own_tables_in_another_schema() {
    let tables = r#"
CREATE SCHEMA shop;
CREATE TABLE shop.users (id SERIAL PRIMARY KEY, name VARCHAR(255), email VARCHAR(255), "emailVerified" TIMESTAMPTZ, image TEXT);
CREATE TABLE shop.accounts (
    id SERIAL PRIMARY KEY, "userId" INTEGER NOT NULL REFERENCES shop.users, type VARCHAR(255) NOT NULL,
    provider VARCHAR(255) NOT NULL, "providerAccountId" VARCHAR(255) NOT NULL, refresh_token TEXT, expires_at BIGINT
);
INSERT INTO shop.users (name, email, image) VALUES ('하늘', 'a@example.com', 'http://k.kakaocdn.net/a.jpg'), (NULL, NULL, NULL);
INSERT INTO shop.accounts ("userId", type, provider, "providerAccountId")
  VALUES (1, 'oauth', 'kakao', '1'), (2, 'oauth', 'kakao', 'oops'), (2, 'oauth', 'google', '3'), (2, 'oauth', 'kakao', '1');
"#;
    into_both(tables, "authjs", &["--schema", "shop"], async |place, rows| {
        assert_eq!(outcomes(&rows), ["created", "duplicate", "invalid"], "{rows:?}");
        assert_eq!([&rows[0][1], &rows[1][1]], ["1", "2"], "the source's own id stands in the report");
        let user = place.user(1).await;
        assert_eq!(rows[0][4], user.id.to_string());
        assert_eq!((user.profile.nickname.as_deref(), user.profile.name), (Some("하늘"), None));
        assert_eq!(user.profile.picture.as_deref(), Some("https://k.kakaocdn.net/a.jpg"));
        assert!(user.created_at > Timestamp::from_secs(1_709_285_400), "there is no time, so now");
    })
    .await;
}

#[tokio::test]
async fn auth_js_users_come_from_prismas_tables_and_from_snake_case() {
    let prisma = format!(
        r#"
CREATE TABLE "User" (id TEXT PRIMARY KEY, name TEXT, email TEXT, "emailVerified" TIMESTAMP(3), image TEXT);
CREATE TABLE "Account" ("userId" TEXT NOT NULL, type TEXT, provider TEXT NOT NULL, "providerAccountId" TEXT NOT NULL);
INSERT INTO "User" VALUES ('{FIRST}', '하늘', 'a@example.com', NULL, '/me.png');
INSERT INTO "Account" VALUES ('{FIRST}', 'oauth', 'kakao', '1');"#
    );
    let snake = format!(
        r"
CREATE SCHEMA shop;
CREATE TABLE shop.users (id uuid PRIMARY KEY, name text, email text, image text);
CREATE TABLE shop.accounts (user_id uuid NOT NULL, provider text NOT NULL, provider_account_id text NOT NULL);
INSERT INTO shop.users VALUES ('{FIRST}', '하늘', 'a@example.com', '/me.png');
INSERT INTO shop.accounts VALUES ('{FIRST}', 'kakao', '1');"
    );
    for (tables, more) in [(prisma, vec![]), (snake, vec!["--schema", "shop"])] {
        into_both(&tables, "authjs", &more, async |place, rows| {
            assert_eq!((rows[0][3].as_str(), rows[0][4].as_str()), ("created", FIRST));
            assert!(rows[0][5].contains("the picture was left out"), "{rows:?}");
            assert_eq!(place.user(1).await.profile.nickname.as_deref(), Some("하늘"));
        })
        .await;
    }
}

#[tokio::test]
async fn better_auth_users_come_with_their_times_and_bans_however_its_columns_are_written() {
    let camel = format!(
        r#"
CREATE TABLE "user" ("id" text PRIMARY KEY, "name" text NOT NULL, "email" text NOT NULL, "emailVerified" boolean NOT NULL,
    "image" text, "createdAt" timestamptz NOT NULL, "banned" boolean, "banExpires" timestamptz);
CREATE TABLE "account" ("id" text PRIMARY KEY, "accountId" text NOT NULL, "providerId" text NOT NULL, "userId" text NOT NULL,
    "createdAt" timestamptz NOT NULL);
INSERT INTO "user" VALUES ('{FIRST}', '하늘', 'a@example.com', true, NULL, '2024-03-01 18:30:00.25+09', NULL, NULL),
    ('Zx81kQ', '바다', 'b@example.com', true, NULL, '2024-03-01', true, NULL),
    ('Zx82kQ', '산', 'c@example.com', true, NULL, '2024-03-01', true, now() - interval '1 day');
INSERT INTO "account" VALUES ('a', '1', 'kakao', '{FIRST}', now()), ('b', '2', 'kakao', 'Zx81kQ', now()),
    ('c', '3', 'kakao', 'Zx82kQ', now()), ('d', 'x', 'credential', '{FIRST}', now());"#
    );
    let snake = format!(
        r#"
CREATE TABLE "user" (id text PRIMARY KEY, name text, email text, email_verified boolean, image text,
    created_at timestamp NOT NULL, banned boolean, ban_expires timestamp);
CREATE TABLE account (id text PRIMARY KEY, account_id text, provider_id text, user_id text);
INSERT INTO "user" VALUES ('{FIRST}', '하늘', 'a@example.com', true, NULL, '2024-03-01 09:30:00.25', false, NULL),
    ('Zx81kQ', '바다', 'b@example.com', true, NULL, '2024-03-01', true, now() + interval '2 days'),
    ('Zx82kQ', '산', 'c@example.com', true, NULL, '2024-03-01', NULL, NULL);
INSERT INTO account VALUES ('a', '1', 'kakao', '{FIRST}'), ('b', '2', 'kakao', 'Zx81kQ'), ('c', '3', 'kakao', 'Zx82kQ');"#
    );
    for tables in [camel, snake] {
        into_both(&tables, "better-auth", &[], async |place, rows| {
            assert_eq!(outcomes(&rows), ["created"; 3], "{rows:?}");
            let user = place.user(1).await;
            assert_eq!(
                (user.id.0, user.created_at),
                (id(FIRST), Timestamp::from_micros(1_709_285_400_250_000))
            );
            assert_eq!(
                (user.profile.nickname.as_deref(), user.profile.email_verified),
                (Some("하늘"), false)
            );
            let banned = [1, 2, 3].map(async |number| place.user(number).await.disabled_at.is_some());
            assert_eq!(futures_util::future::join_all(banned).await, [false, true, false]);
        })
        .await;
    }
}

#[tokio::test]
async fn better_auth_and_auth_js_are_read_from_sqlite_too() {
    for stores in BOTH {
        let place = Place::on(stores).await;
        let url = place
            .sqlite(&format!(
                r#"
CREATE TABLE "user" ("id" text PRIMARY KEY, "name" text, "email" text, "image" text, "createdAt" date, "banned" integer, "banExpires" date);
CREATE TABLE "account" ("id" text PRIMARY KEY, "accountId" text, "providerId" text, "userId" text);
INSERT INTO "user" VALUES ('{FIRST}', '하늘', 'a@example.com', NULL, '2024-03-01T09:30:00.000Z', 0, NULL),
    ('{SECOND}', '바다', NULL, NULL, 1709285400000, 1, NULL), ('x', CAST(X'b1e8' AS text), NULL, NULL, NULL, NULL, NULL),
    ('y', CAST(X'610062' AS text), NULL, NULL, NULL, NULL, NULL), ('over', '산', NULL, NULL, NULL, 1, '2024-03-01T09:30:00.000Z'),
    ('past', '산', NULL, NULL, NULL, 1, 1709285400000), ('past-s', '산', NULL, NULL, NULL, 1, 1709285400),
    ('ahead', '산', NULL, NULL, NULL, 1, '2924-03-01T09:30:00.000Z'), ('odd', '산', NULL, NULL, NULL, 1, 'soon');
INSERT INTO "account" VALUES ('a', '1', 'kakao', '{FIRST}'), ('b', '2', 'kakao', '{SECOND}'), ('c', '3', 'kakao', 'x'),
    ('d', '4', 'kakao', 'y'), ('e', '5', 'kakao', 'nobody'), ('f', '6', 'google', 'y'),
    ('g', '7', 'kakao', 'over'), ('h', '8', 'kakao', 'past'), ('i', '9', 'kakao', 'past-s'), ('j', '10', 'kakao', 'ahead'),
    ('k', '11', 'kakao', 'odd');"#
            ))
            .await;
        let (code, said, rows) = place.import("better-auth", &url, &[]).await;
        assert_eq!(code, Some(3), "{said}");
        assert_eq!(outcomes(&rows)[..5], ["created", "created", "invalid", "invalid", "created"]);
        for (kakao_id, banned) in [(7, false), (8, false), (9, false), (10, true), (11, true)] {
            assert_eq!(place.user(kakao_id).await.disabled_at.is_some(), banned, "{kakao_id}");
        }
        assert!(rows[2][5].contains("UTF-8") && rows[3][5].contains("NUL"), "{rows:?}");
        let [first, second] = [place.user(1).await, place.user(2).await];
        let came = Timestamp::from_secs(1_709_285_400);
        assert_eq!([first.created_at, second.created_at], [came; 2]);
        assert_eq!((first.id.0, first.disabled_at, second.disabled_at.is_some()), (id(FIRST), None, true));

        std::fs::remove_file(place.file("foreign.sqlite")).unwrap();
        let url = place
            .sqlite(
                r#"
CREATE TABLE users (id INTEGER PRIMARY KEY, name text, email text, image text);
CREATE TABLE accounts (id INTEGER PRIMARY KEY, "userId" integer, provider text, "providerAccountId" text);
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1234)
INSERT INTO users SELECT n, 'name ' || n, NULL, NULL FROM n;
INSERT INTO accounts SELECT id, id, 'kakao', 1000 + id FROM users;"#,
            )
            .await;
        let (code, said, rows) = place.import("authjs", &url, &[]).await;
        assert_eq!((code, said.as_str(), rows.len()), (Some(0), "1234 rows: 1234 created\n", 1_234));
        assert_eq!(place.user(2_234).await.profile.nickname.as_deref(), Some("name 1234"));
        let (code, said, _) = place.import("better-auth", &url, &[]).await;
        assert!(code == Some(1) && said.contains("no tables account and user"), "{said}");
    }
}

#[tokio::test]
async fn a_product_whose_tables_are_not_there_is_said_so() {
    let place = Place::on(Stores::PostgresAndRedis).await;
    let url = place.rig.database_url.clone();
    for (from, more, part) in [
        ("supabase", vec![], "the schema auth has no tables identities and users"),
        ("authjs", vec![], "the schema public has no tables accounts and users"),
        ("better-auth", vec!["--schema", "a\"b"], "the schema a\"b has no tables account and user"),
    ] {
        let (code, said, rows) = place.import(from, &url, &more).await;
        assert!(code == Some(1) && rows.is_empty() && said.contains(part), "{said}");
    }
}
