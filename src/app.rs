//! The one door: [`App::build`], [`App::address`], [`App::run`], for `serve` and for every test alike.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App as Actix, HttpServer, web as actix};
use anyhow::Context;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::cache::{Cache, Quota};
use crate::domain::Clock;
use crate::flow::Deps;
use crate::flow::chain;
use crate::flow::kakao_tokens::Turns;
use crate::flow::lockout::Lockout;
use crate::flow::receive_webhook::Inbox;
use crate::flow::revocations::Revocations;
use crate::kakao::{self, Kakao};
use crate::keys::{self, Keys, MasterKeys};
use crate::notify::Notifier;
use crate::settings::Settings;
use crate::store::{self, Pool};
use crate::web::{Documents, Site, management_routes, routes};
use crate::{jobs, settings};

/// The path of the redirect URI that is registered at Kakao.
pub const KAKAO_CALLBACK: &str = "/kakao/callback";

/// The path of the logout redirect URI that is registered at Kakao.
pub const KAKAO_LOGOUT: &str = "/kakao/logout";

/// How long a periodic step that is under way may take at the end, beside a call to Kakao.
const JOBS_END: Duration = Duration::from_secs(10);

/// How often a database that is not up yet is asked again at the start.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A service that is ready to run: its port is bound, its schema and keys are there.
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    management: TcpListener,
    management_address: SocketAddr,
    site: Arc<Site>,
    grace: Duration,
}

/// What to do before serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Bring the schema up to date first.
    First,
    /// Somebody else did.
    No,
}

impl App {
    /// Builds the service. Waits for a database that is not up yet.
    ///
    /// # Errors
    /// When the port is taken, or the settings, the schema or the keys do not fit.
    pub async fn build(settings: Settings, clock: Clock, migrate: Migrate) -> anyhow::Result<Self> {
        // First the port: a second service on it is found out before anything else happens.
        let bind = settings.server.bind;
        let listener =
            TcpListener::bind(bind).with_context(|| format!("server.bind {bind} cannot be used"))?;
        let address = listener.local_addr()?;
        let bind = settings.server.management_bind;
        let management = TcpListener::bind(bind)
            .with_context(|| format!("server.management_bind {bind} cannot be used"))?;
        let management_address = management.local_addr()?;

        let pool = Pool::connect_lazy(settings.database.url.reveal(), settings.database.max_connections)?;
        let cache = Cache::open(settings.cache.url.reveal(), clock.clone())?;
        if migrate == Migrate::First {
            waiting_for_database(|| pool.migrate()).await?;
        }
        let keys = load_keys(&settings, &pool, &clock).await?;
        let kakao = kakao_client(&settings, clock.clone())?;
        let grace = settings.server.shutdown_grace;
        let notifier = Notifier::new().context("the client for back-channel logout cannot be made")?;
        let site = Arc::new(site(settings, Parts { pool, cache, keys, kakao, notifier }, clock));
        Ok(Self { listener, address, management, management_address, site, grace })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/metrics` is.
    pub fn management_address(&self) -> SocketAddr {
        self.management_address
    }

    /// What the flows stand on; a test steps jobs and looks into the stores through it.
    pub fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site)
    }

    /// Serves until `shutdown` is there, then lets requests under way end.
    ///
    /// # Errors
    /// When the server cannot start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { listener, address, management, management_address, site, grace } = self;
        let shared = Arc::clone(&site);
        let server = HttpServer::new(move || {
            let site = Arc::clone(&shared);
            Actix::new().configure(move |config: &mut actix::ServiceConfig| routes(config, &site))
        })
        .client_request_timeout(Duration::from_secs(5))
        .client_disconnect_timeout(Duration::from_secs(2))
        .shutdown_timeout(grace.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        let shared = Arc::clone(&site);
        let watched = HttpServer::new(move || {
            let site = Arc::clone(&shared);
            Actix::new().configure(move |config: &mut actix::ServiceConfig| management_routes(config, &site))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(management)?
        .run();
        let watch_handle = watched.handle();
        let watching = tokio::spawn(watched);
        let mut serving = tokio::spawn(server);
        let (stop_jobs, stopped) = watch::channel(false);
        let mut jobs = tokio::spawn(jobs::run(Arc::clone(&site.deps), site.pool.clone(), stopped));
        info!(%address, management = %management_address, issuer = %site.deps.issuer, "serving");

        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = shutdown => {
                info!("draining");
                handle.stop(true).await;
                serving.await
            }
        };
        // Watched until the last request is answered.
        watch_handle.stop(false).await;
        drop(watching.await);
        stop_jobs.send_replace(true);
        if tokio::time::timeout(site.deps.kakao.timeout() + JOBS_END, &mut jobs).await.is_err() {
            warn!("a periodic step did not end in time");
            jobs.abort();
        }
        site.pool.close().await;
        ended.context("the server ended by itself")?.context("the server failed")
    }
}

/// Waits for a database that does not answer; anything else that is wrong with it is an error at once.
async fn waiting_for_database<T, F: Future<Output = store::Result<T>>>(
    step: impl Fn() -> F,
) -> anyhow::Result<T> {
    let mut told = 0_u32;
    loop {
        match step().await {
            Ok(value) => return Ok(value),
            Err(error @ store::Error::Unavailable(_)) => {
                if told.is_multiple_of(10) {
                    warn!(cause = chain(&error), "waiting for the database");
                }
                told += 1;
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn load_keys(settings: &Settings, pool: &Pool, clock: &Clock) -> anyhow::Result<Keys> {
    let settings::Secrets { master_key, previous_master_keys } = &settings.secrets;
    let previous = previous_master_keys.iter().map(|key| &**key);
    let master = Arc::new(MasterKeys::new(master_key, previous)?);
    let load = || async {
        match Keys::load(&mut pool.handle(), Arc::clone(&master), settings.key_policy(), clock).await {
            Err(keys::Error::Store(error)) => Err(error),
            other => Ok(other),
        }
    };
    Ok(waiting_for_database(load).await??)
}

/// How long the revocation feed must remember.
fn longest_access(settings: &Settings) -> Duration {
    let own = settings.clients.iter().map(|client| client.lifetimes.access);
    own.max().unwrap_or_default().max(settings.lifetimes.access)
}

/// The client of Kakao's APIs that these settings describe.
///
/// # Errors
/// When the TLS set-up of this machine is unusable.
pub fn kakao_client(settings: &Settings, clock: Clock) -> anyhow::Result<Kakao> {
    Kakao::new(kakao_config(settings), clock).context("the Kakao client cannot be made")
}

fn kakao_config(settings: &Settings) -> kakao::Config {
    let ours = &settings.kakao;
    kakao::Config {
        client_id: ours.client_id.clone(),
        client_secret: ours.client_secret.clone(),
        admin_key: ours.admin_key.clone(),
        app_id: ours.app_id,
        app_keys: ours.app_keys.clone(),
        scopes: ours.scopes.clone(),
        auth_base_url: ours.auth_base_url.clone(),
        api_base_url: ours.api_base_url.clone(),
        redirect_uri: settings.server.public_url.join(KAKAO_CALLBACK),
        logout_redirect_uri: settings.server.public_url.join(KAKAO_LOGOUT),
        timeout: ours.timeout,
    }
}

/// What reaches beyond this process, and the keys.
struct Parts {
    pool: Pool,
    cache: Cache,
    keys: Keys,
    kakao: Kakao,
    notifier: Notifier,
}

fn site(settings: Settings, parts: Parts, clock: Clock) -> Site {
    let Parts { pool, cache, keys, kakao, notifier } = parts;
    let issuer = &settings.server.public_url;
    let origins = settings
        .clients
        .iter()
        .filter(|client| client.is_public())
        .flat_map(|client| &client.allowed_origins);
    let quota =
        Quota { burst: settings.limits.client_auth_failures, per: settings.limits.client_auth_window };
    let documents = Documents::new(
        issuer.as_str(),
        &settings.keys.algorithms,
        &settings.clients,
        settings.keys.jwks_max_age.as_secs(),
    );
    Site {
        https: issuer.is_https(),
        base_path: issuer.path().to_owned(),
        allowed_origins: origins.cloned().collect(),
        trusted_proxies: settings.server.trusted_proxies.clone(),
        documents,
        pool,
        deps: Arc::new(Deps {
            revocations: Revocations::new(longest_access(&settings)),
            account: settings.account,
            asks_service_terms: settings.kakao.service_terms,
            in_app_login: settings.kakao.in_app_login,
            renew_per_minute: settings.kakao.renew_per_minute,
            turns: Turns::default(),
            inbox: Inbox::default(),
            cache,
            keys,
            kakao,
            notifier,
            issuer: issuer.as_str().into(),
            clients: settings.clients,
            reuse_window: settings.reuse_window,
            session_idle: settings.session.idle,
            session_absolute: settings.session.absolute,
            lockout: Lockout::new(quota, clock.clone()),
            clock,
        }),
    }
}
