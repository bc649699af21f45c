//! The actors of the tests: a service (instances in this process, or the program), a Kakao, and a browser that a person
//! sits at.

mod browser;
mod database;
mod front;
mod http;
mod kakao;
mod program;
mod requests;
mod settings;
mod tcp_proxy;

use kakao_auth::app::{App, Migrate};
use kakao_auth::domain::Clock;
use kakao_auth::domain::rotation::KeyPolicy;
use kakao_auth::jobs::Job;
use kakao_auth::settings::Settings;
use kakao_auth::store::{Db, Pool};
use kakao_simulator::{Autopilot, Options, Simulator};
use tokio::sync::oneshot;

pub(crate) use self::browser::{Browser, authorization_request};
use self::database::Database;
pub(crate) use self::front::Front;
pub(crate) use self::http::{
    access_token, claims, feed_entry, header, http, json, location, parameter, redirect, refresh_token,
    user_of,
};
pub(crate) use self::kakao::KAKAO_ID;
pub(crate) use self::program::{Program, terminate};
pub(crate) use self::settings::{MASTER_KEY, master_keys, variable};
use self::settings::{clients, settings};
pub(crate) use self::tcp_proxy::{TcpProxy, host_of, through};

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

    /// One instance, with a proxy before its database.
    pub(crate) async fn behind_a_proxy(settings: Vec<(&'static str, String)>) -> (Self, TcpProxy) {
        let mut rig = Self::with(Setup { instances: 0, ..Setup::default() }).await;
        let proxy = TcpProxy::to(host_of(&rig.database_url, 5432)).await;
        let mut all = vec![("DATABASE__URL", through(&rig.database_url, &proxy))];
        all.extend(settings);
        rig.add_instance(&Setup { settings: all, ..Setup::default() }).await;
        (rig, proxy)
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let kakao = simulator(ISSUER).await;
        let folder = tempfile::tempdir().unwrap();
        let (database_url, database) = match setup.stores {
            Stores::SqliteAndMemory => (format!("sqlite://{}/test.sqlite", folder.path().display()), None),
            Stores::PostgresAndRedis => {
                let database = Database::new().await;
                (database.url(), Some(database))
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
            // All tests have one address and share one cache; tests of limits have addresses of their own.
            ("LIMITS__CLIENT_AUTH_FAILURES", "10000".to_owned()),
            ("LIMITS__ANONYMOUS", "1000000".to_owned()),
            ("LIMITS__FAILURES", "1000000".to_owned()),
            ("LIMITS__CALLBACK_FAILURES", "1000000".to_owned()),
            ("LIMITS__KAKAO_TOKEN_FAILURES", "1000000".to_owned()),
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
}

/// A Kakao that knows this issuer's callback, and at which a person always logs in at once.
pub(crate) async fn simulator(issuer: &str) -> Simulator {
    let options = Options { redirect_uris: vec![format!("{issuer}/kakao/callback")], ..Options::default() };
    let kakao = Simulator::start(options).await.unwrap();
    kakao.autopilot(Autopilot::Person("all-consents".into()));
    kakao
}
