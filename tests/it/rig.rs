//! The actors of the tests: a service (instances in this process, or the program), a Kakao, and a browser that a person
//! sits at.

mod browser;
mod http;
mod kakao;
mod program;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakao_auth::app::{App, Migrate};
use kakao_auth::domain::Clock;
use kakao_auth::domain::rotation::KeyPolicy;
use kakao_auth::jobs::Job;
use kakao_auth::keys::MasterKeys;
use kakao_auth::settings::Settings;
use kakao_auth::store::{Db, Pool};
use kakao_simulator::{Autopilot, Options, Simulator};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
use tokio::sync::oneshot;
use url::Url;

pub(crate) use self::browser::{Browser, authorization_request};
pub(crate) use self::http::{
    access_token, claims, header, http, json, location, parameter, redirect, refresh_token, user_of,
};
pub(crate) use self::kakao::KAKAO_ID;
pub(crate) use self::program::Program;

/// The issuer of the tests. Nothing listens there: browsers of the tests know where the instances are.
pub(crate) const ISSUER: &str = "http://auth.localhost";
pub(crate) const WEB: &str = "https://app.example/cb";
pub(crate) const BACKEND: &str = "https://backend.example/cb";
pub(crate) const BACKEND_SECRET: &str = "kacs_backend-secret-of-the-tests-0123456789";
pub(crate) const SECOND_SECRET: &str = "kacs_the-next-secret-of-the-backend-987654321";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Which stores the service stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stores {
    PostgresAndRedis,
    SqliteAndMemory,
}

/// A service under test, with its Kakao.
pub(crate) struct Rig {
    pub(crate) kakao: Simulator,
    pub(crate) clock: Clock,
    pub(crate) database_url: String,
    /// A pool of the test's own, beside those of the instances.
    pub(crate) pool: Pool,
    instances: Vec<Instance>,
    folder: tempfile::TempDir,
    _database: Option<Database>,
}

struct Instance {
    key_policy: KeyPolicy,
    site: std::sync::Arc<kakao_auth::web::AppState>,
    management: String,
    address: String,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

/// `secrets.master_key` of every instance that was set up without another.
pub(crate) const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A database of one test, dropped with it.
struct Database {
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

/// The master keys of a service with these settings.
pub(crate) fn master_keys(current: &str, previous: &[&str]) -> Arc<MasterKeys> {
    let key = |text: &&str| <[u8; 32]>::try_from(STANDARD.decode(text).unwrap()).unwrap();
    let previous: Vec<[u8; 32]> = previous.iter().map(key).collect();
    Arc::new(MasterKeys::new(&key(&current), &previous).unwrap())
}

pub(crate) fn variable(name: &str) -> String {
    let given = Settings::environment().find(|(given, _)| given == name);
    given.map_or_else(
        || panic!("{name} is not set: run the tests with scripts/test, which brings the servers"),
        |(_, value)| value,
    )
}

/// Options of a rig.
pub(crate) struct Setup {
    /// Further `[[clients]]`.
    pub(crate) clients: String,
    pub(crate) stores: Stores,
    pub(crate) instances: usize,
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { clients: String::new(), stores: Stores::PostgresAndRedis, instances: 1, settings: Vec::new() }
    }
}

impl Rig {
    /// One instance on Postgres and Redis.
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn instances(instances: usize) -> Self {
        Self::with(Setup { instances, ..Setup::default() }).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let kakao = simulator(ISSUER).await;
        let folder = tempfile::tempdir().unwrap();
        let (database_url, database) = match setup.stores {
            Stores::SqliteAndMemory => (format!("sqlite://{}/test.sqlite", folder.path().display()), None),
            Stores::PostgresAndRedis => {
                let database = new_database().await;
                let mut url = Url::parse(&database.admin_url).unwrap();
                url.set_path(&database.name);
                (url.to_string(), Some(database))
            }
        };
        let clock = Clock::manual();
        let mut rig = Self {
            kakao,
            clock,
            pool: Pool::connect_lazy(&database_url, 2).unwrap(),
            database_url,
            instances: Vec::new(),
            folder,
            _database: database,
        };
        for _ in 0..setup.instances {
            rig.add_instance(&setup).await;
        }
        rig
    }

    pub(crate) async fn add_instance(&mut self, setup: &Setup) {
        let instance = self.launch(setup).await;
        self.instances.push(instance);
    }

    /// An instance that runs one job more.
    pub(crate) async fn add_instance_with_job(&mut self, setup: &Setup, job: Job) {
        let instance = self.launch_with(setup, Some(job)).await;
        self.instances.push(instance);
    }

    async fn launch(&self, setup: &Setup) -> Instance {
        self.launch_with(setup, None).await
    }

    async fn launch_with(&self, setup: &Setup, job: Option<Job>) -> Instance {
        let app = self.kakao.app();
        let cache = match setup.stores {
            Stores::PostgresAndRedis => variable("REDIS_URL"),
            Stores::SqliteAndMemory => "memory:".to_owned(),
        };
        let file = self.folder.path().join("clients.toml");
        std::fs::write(&file, clients() + &setup.clients).unwrap();
        let mut variables = settings(&self.kakao, ISSUER, &self.database_url, &cache);
        let of_the_rig = [
            ("SERVER__SHUTDOWN_GRACE", "2s".to_owned()),
            // Failures are counted in a cache that all tests share; the test of the limit names its own.
            ("LIMITS__CLIENT_AUTH_FAILURES", "10000".to_owned()),
            ("KAKAO__ADMIN_KEY", app.admin_key),
            ("KAKAO__APP_ID", app.app_id.to_string()),
            ("KAKAO__APP_KEYS", app.native_app_key),
        ];
        for (name, value) in of_the_rig.into_iter().chain(setup.settings.iter().cloned()) {
            variables.insert(format!("KAKAO_AUTH__{name}"), value);
        }
        let settings = Settings::load(Some(&file), variables).unwrap_or_else(|problems| panic!("{problems}"));
        let key_policy = settings.keys.clone();
        let mut app = App::build(settings, self.clock.clone(), Migrate::First).await.unwrap();
        if let Some(job) = job {
            app = app.with_job(job);
        }
        let address = format!("http://{}", app.address());
        let site = app.site();
        let management = format!("http://{}", app.management_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(app.run(async move { drop(stopped.await) }));
        Instance { key_policy, site, management, address, stop: Some(stop), ended: Some(ended) }
    }

    /// Instances that start at the same moment, on a database that nobody has prepared.
    pub(crate) async fn add_instances_together(&mut self, count: usize) {
        let setup = Setup::default();
        let starting = (0..count).map(|_| self.launch(&setup));
        let started = futures_util::future::join_all(starting).await;
        self.instances.extend(started);
    }

    /// What the flows of an instance stand on: a test steps its jobs.
    pub(crate) fn deps(&self, instance: usize) -> &kakao_auth::flow::Deps {
        &self.instances[instance % self.instances.len()].site.deps
    }

    /// The pool of an instance.
    pub(crate) fn pool(&self, instance: usize) -> &Pool {
        &self.instances[instance % self.instances.len()].site.pool
    }

    /// The test's own way to the database.
    pub(crate) fn db(&self) -> Db {
        self.pool.handle()
    }

    /// When an instance makes, uses and drops signing keys.
    pub(crate) fn key_policy(&self, instance: usize) -> &KeyPolicy {
        &self.instances[instance].key_policy
    }

    /// The management address of an instance.
    pub(crate) fn management_url(&self, instance: usize, path: &str) -> String {
        format!("{}{path}", self.instances[instance].management)
    }

    /// The address of an instance.
    pub(crate) fn url(&self, instance: usize, path: &str) -> String {
        format!("{}{path}", self.instances[instance % self.instances.len()].address)
    }

    /// Stops an instance as SIGTERM does.
    pub(crate) async fn stop(&mut self, instance: usize) -> anyhow::Result<()> {
        let instance = &mut self.instances[instance];
        drop(instance.stop.take());
        instance.ended.take().unwrap().await.unwrap()
    }

    /// What becomes of an instance that nobody stops.
    pub(crate) async fn end(&mut self, instance: usize) -> anyhow::Result<()> {
        self.instances[instance].ended.take().unwrap().await.unwrap()
    }

    /// Logs the autopilot's person in and redeems the code.
    pub(crate) async fn tokens(&self) -> Value {
        let code = self.code().await;
        let reply = self.redeem(0, &code).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    /// Logs the autopilot's person in at the web client.
    pub(crate) async fn code(&self) -> String {
        let landed = Browser::new(self).log_in(&authorization_request(&[])).await;
        parameter(&landed, "code").unwrap_or_else(|| panic!("no code in {landed}"))
    }

    pub(crate) async fn redeem(&self, instance: usize, code: &str) -> Response {
        self.token(
            instance,
            &[
                ("grant_type", "authorization_code"),
                ("client_id", "web"),
                ("code", code),
                ("redirect_uri", WEB),
                ("code_verifier", VERIFIER),
            ],
        )
        .await
    }

    pub(crate) async fn refresh(&self, instance: usize, token: &str) -> Response {
        let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", token)];
        self.token(instance, &form).await
    }

    pub(crate) async fn token(&self, instance: usize, form: &[(&str, &str)]) -> Response {
        http().post(self.url(instance, "/oauth/token")).form(form).send().await.unwrap()
    }

    /// A form to an endpoint, from a confidential client by Basic.
    pub(crate) async fn form_as(
        &self,
        instance: usize,
        client: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let request = http().post(self.url(instance, path)).basic_auth(client, Some(BACKEND_SECRET));
        request.form(form).send().await.unwrap()
    }

    /// What a sibling that the token is for is told of it.
    pub(crate) async fn introspected(&self, instance: usize, token: &str) -> Value {
        let reply = self.form_as(instance, "orders", "/oauth/introspect", &[("token", token)]).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    /// The token that a client gets for itself.
    pub(crate) async fn own_token(&self, client: &str) -> String {
        let reply = self.form_as(0, client, "/oauth/token", &[("grant_type", "client_credentials")]).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// A call of `/v1` with a bearer token.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Response {
        self.call_at(0, method, path, token, body).await
    }

    /// The same at another instance.
    pub(crate) async fn call_at(
        &self,
        instance: usize,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Response {
        let request = http().request(method, self.url(instance, path)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// How many rows each table has.
    pub(crate) async fn rows(&self) -> BTreeMap<String, i64> {
        let tables = match &self.pool {
            Pool::Postgres(_) => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            Pool::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
        };
        let tables: Vec<String> = match &self.pool {
            Pool::Postgres(pool) => sqlx::query_scalar(tables).fetch_all(pool).await.unwrap(),
            Pool::Sqlite(pool) => sqlx::query_scalar(tables).fetch_all(pool).await.unwrap(),
        };
        let mut rows = BTreeMap::new();
        for table in tables {
            let count = self.count(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).await;
            rows.insert(table, count);
        }
        rows
    }

    /// One number out of the database.
    pub(crate) async fn count(&self, sql: impl SqlSafeStr) -> i64 {
        match &self.pool {
            Pool::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }
}

/// A Kakao that knows this issuer's callback, and at which a person always logs in at once.
pub(crate) async fn simulator(issuer: &str) -> Simulator {
    let options = Options { redirect_uris: vec![format!("{issuer}/kakao/callback")], ..Options::default() };
    let kakao = Simulator::start(options).await.unwrap();
    kakao.autopilot(Autopilot::Person("all-consents".into()));
    kakao
}

/// What every service of the tests is told, in process or as a program, by its environment variable.
fn settings(kakao: &Simulator, issuer: &str, database_url: &str, cache_url: &str) -> HashMap<String, String> {
    let app = kakao.app();
    let values = [
        ("SERVER__BIND", "127.0.0.1:0"),
        ("SERVER__MANAGEMENT_BIND", "127.0.0.1:0"),
        ("SERVER__PUBLIC_URL", issuer),
        ("DATABASE__URL", database_url),
        // Whatever takes a second connection while it holds one waits in vain.
        ("DATABASE__MAX_CONNECTIONS", "1"),
        ("CACHE__URL", cache_url),
        ("SECRETS__MASTER_KEY", MASTER_KEY),
        ("KAKAO__CLIENT_ID", &app.rest_api_key),
        ("KAKAO__CLIENT_SECRET", &app.client_secret),
        ("KAKAO__AUTH_BASE_URL", kakao.base_url()),
        ("KAKAO__API_BASE_URL", kakao.base_url()),
    ];
    values.map(|(name, value)| (format!("KAKAO_AUTH__{name}"), value.to_owned())).into()
}

async fn new_database() -> Database {
    let admin_url = variable("DATABASE_URL");
    let name = format!("it_{}", uuid::Uuid::now_v7().simple());
    let mut admin = sqlx::PgConnection::connect(&admin_url).await.expect("DATABASE_URL answers");
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    Database { admin_url, name }
}

fn clients() -> String {
    let hash = |secret: &str| kakao_auth::domain::Fingerprint::of(secret.as_bytes()).to_hex();
    format!(
        r#"
[[clients]]
id = "web"
name = "<b>Shop</b>"
type = "public"
redirect_uris = ["{WEB}", "https://app.example/cb?tenant=7"]
post_logout_redirect_uris = ["https://app.example/bye", "https://app.example/bye?a=b"]
allowed_origins = ["https://app.example"]
audience = ["orders"]

[[clients]]
id = "other"
type = "public"
redirect_uris = ["https://other.example/cb"]
post_logout_redirect_uris = ["https://other.example/bye"]

[[clients]]
id = "wide"
type = "public"
redirect_uris = ["{WEB}"]
audience = ["https://a.example", "https://b.example"]

[[clients]]
id = "native"
type = "public"
redirect_uris = ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"]

[[clients]]
id = "backend"
type = "confidential"
secret_sha256 = ["{}", "{}"]
redirect_uris = ["{BACKEND}"]
require_pkce = false
claims = ["nickname", "email"]

[[clients]]
id = "orders"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
scopes = ["orders:read", "orders:write"]
audience = ["orders", "https://orders.example"]

[[clients]]
id = "app"
type = "public"
grants = ["urn:ietf:params:oauth:grant-type:token-exchange", "refresh_token"]
scopes = ["openid", "profile", "email", "phone"]
audience = ["orders"]

[[clients]]
id = "sibling"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
scopes = ["users:read", "kakao:token"]

[[clients]]
id = "ops"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
scopes = ["admin"]

[[clients]]
id = "codeless"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
"#,
        hash(BACKEND_SECRET),
        hash(SECOND_SECRET),
        hash(BACKEND_SECRET),
        hash(BACKEND_SECRET),
        hash(BACKEND_SECRET),
        hash(BACKEND_SECRET),
    )
}
