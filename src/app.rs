//! The one door: [`App::build`], [`App::address`], [`App::run`], for `serve` and for every test alike.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App as Actix, HttpServer, web as actix};
use anyhow::Context;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{error, info, warn};

use crate::cache::Cache;
use crate::domain::Clock;
use crate::flow::kakao::waiting_events::store_before_the_end;
use crate::flow::{Deps, Signals, chain, gauges};
use crate::jobs::Job;
use crate::kakao::Kakao;
use crate::keys::{self, Keys, MasterKeys};
use crate::notify::Notifier;
use crate::settings::{Secrets, Server as ServerSettings, Settings};
use crate::store::{self, Pool};
use crate::telemetry::identify;
use crate::web::traffic::{self, Bounds};
use crate::web::{AppState, admission, management_routes, routes, transport_security};
use crate::{jobs, telemetry};

/// How long the step that a job is at may take at the end, beside a call to Kakao.
const JOBS_END: Duration = Duration::from_secs(10);

/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A balancer that has just noticed may still open a connection for so long, though there is none at the moment.
const CLOSE_AT_LEAST: Duration = Duration::from_secs(1);

/// How often a database that is not up yet is asked again at the start.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A service that is ready to run: its port is bound, its schema and keys are there.
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    management: TcpListener,
    management_address: SocketAddr,
    site: Arc<AppState>,
    jobs: Vec<Job>,
    stopping: Stopping,
    bounds: Bounds,
}

/// How long each step of a process' end takes.
#[derive(Clone, Copy, Debug)]
struct Stopping {
    /// Serving on, and saying that it is not ready.
    drain_delay: Duration,
    /// Closing connections by their next answer, at most.
    closing: Duration,
    /// Waiting for what is under way once the port is closed, at most.
    grace: Duration,
}

impl Stopping {
    /// Closing connections is part of the grace: all of it takes no longer than both together.
    fn new(drain_delay: Duration, shutdown_grace: Duration) -> Self {
        let closing = drain_delay.min(KEEP_ALIVE).min(shutdown_grace / 2);
        Self { drain_delay, closing, grace: shutdown_grace.saturating_sub(closing) }
    }
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
    /// Builds the service. Waits for a database that is not up yet. Connections to stores and to Kakao belong to the runtime that
    /// this is called on: it has to outlive the service.
    ///
    /// # Errors
    /// When the port is taken, or the settings, the schema or the keys do not fit.
    pub async fn build(settings: Settings, clock: Clock, migrate: Migrate) -> anyhow::Result<Self> {
        telemetry::metrics::install().context("metrics cannot be recorded")?;
        gauges::describe();
        traffic::describe_metrics();
        // First the port: a second service on it is found out before anything else happens.
        let (listener, address) = bind("server.bind", settings.server.bind)?;
        let (management, management_address) =
            bind("server.management_bind", settings.server.management_bind)?;

        let pool = Pool::connect_lazy(settings.database.url.reveal(), settings.database.max_connections)?;
        if migrate == Migrate::First {
            wait_for_database(|| pool.migrate()).await?;
        }
        let installation = settings.installation();
        let deps = Deps {
            cache: Cache::open(settings.cache.url.reveal(), clock.clone())?,
            keys: load_keys(&settings, &pool, &clock).await?,
            kakao: Kakao::new(settings.kakao, clock.clone()).context("the Kakao client cannot be made")?,
            notifier: Notifier::new().context("the client for back-channel logout cannot be made")?,
            clients: settings.clients,
            signals: Signals::new(&settings.policy, &installation, clock.clone()),
            policy: settings.policy,
            clock,
        };
        let bounds = bounds(&settings.server);
        let stopping = Stopping::new(settings.server.drain_delay, settings.server.shutdown_grace);
        let site = Arc::new(AppState::new(
            Arc::new(deps),
            pool,
            settings.server.trusted_proxies,
            &settings.keys,
            bounds,
        ));
        let jobs = jobs::all(&jobs::Context::new(Arc::clone(&site.deps), site.pool.clone()));
        Ok(Self { listener, address, management, management_address, site, jobs, stopping, bounds })
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
    pub fn site(&self) -> Arc<AppState> {
        Arc::clone(&self.site)
    }

    /// Runs one job more beside those of the service.
    #[must_use]
    pub fn with_job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }

    /// Serves until `shutdown` is there, then drains: it says that it is not ready and serves on, closes connections, and lets
    /// end what is under way, requests and the steps of jobs. When a job dies, the same happens as after `shutdown`.
    ///
    /// # Errors
    /// When the server cannot start or fails, or a job dies.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { listener, address, management, management_address, site, jobs, stopping, bounds } = self;
        let server = serve(listener, Arc::clone(&site), bounds, stopping.grace)?;
        let server_handle = server.handle();
        let mut server = tokio::spawn(server);
        let management_server = serve_management(management, Arc::clone(&site))?;
        let management_handle = management_server.handle();
        let management_server = tokio::spawn(management_server);
        let mut jobs = jobs::Running::start(jobs);
        let issuer = site.deps.policy.issuer.as_str();
        info!(%address, management = %management_address, issuer, "serving");

        let (died, ended_by_itself) = tokio::select! {
            ended = &mut server => (None, Some(ended)),
            died = jobs.died() => {
                error!(cause = chain(&died), "draining: a job ended unexpectedly");
                (Some(died), None)
            }
            () = shutdown => {
                info!("draining");
                (None, None)
            }
        };
        let jobs_within = stopping.grace.min(site.deps.kakao.timeout() + JOBS_END);
        let (ended, stopped) = if let Some(ended) = ended_by_itself {
            (ended, jobs.stop(jobs_within).await)
        } else {
            drain(&site, stopping).await;
            tokio::join!(stop(&site, server_handle, server, stopping.grace), jobs.stop(jobs_within))
        };
        // Metrics can be read until the last request is answered.
        management_handle.stop(false).await;
        drop(management_server.await);
        site.pool.close().await;
        ended.context("the server ended by itself")?.context("the server failed")?;
        died.map_or(stopped, Err)?;
        Ok(())
    }
}

/// Has balancers and callers go elsewhere: first those that ask whether it is ready, then those that keep a connection.
async fn drain(site: &AppState, stopping: Stopping) {
    site.deps.signals.draining.begin();
    sleep(stopping.drain_delay).await;
    site.traffic.close_connections();
    let closed = async {
        sleep(CLOSE_AT_LEAST).await;
        site.traffic.connections_end().await;
    };
    drop(timeout(stopping.closing, closed).await);
}

/// Closes the port, lets end what is under way, also what nobody waits for any more, and stores what waits in memory.
async fn stop<T>(
    site: &AppState,
    handle: ServerHandle,
    server: JoinHandle<T>,
    grace: Duration,
) -> Result<T, JoinError> {
    let end = Instant::now() + grace;
    handle.stop(true).await;
    let ended = server.await;
    if timeout_at(end, site.traffic.flows_end()).await.is_err() {
        warn!("a request was not finished in time");
    }
    store_before_the_end(&site.deps, &site.pool, end).await;
    ended
}

const fn bounds(server: &ServerSettings) -> Bounds {
    Bounds { connections: server.max_connections as usize, requests: server.max_requests as usize }
}

fn bind(key: &str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).with_context(|| format!("{key} {address} cannot be used"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The server of everybody's endpoints.
fn serve(
    listener: TcpListener,
    site: Arc<AppState>,
    bounds: Bounds,
    grace: Duration,
) -> std::io::Result<Server> {
    // Some beyond the bound are answered that there are too many; others wait outside.
    let connections = bounds.connections + bounds.connections / 8 + 16;
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let counted = Arc::clone(&site);
    let server = HttpServer::new(move || {
        let site = Arc::clone(&site);
        let https = site.deps.policy.issuer.is_https();
        let routes = move |config: &mut actix::ServiceConfig| routes(config, &site);
        let app = Actix::new().configure(routes).wrap(from_fn(admission::serve));
        app.wrap(from_fn(identify)).wrap(transport_security(https))
    });
    let server = server
        .on_connect(move |_, data| drop(data.insert(counted.traffic.connection())))
        .workers(workers)
        .max_connections(connections.div_ceil(workers))
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(Duration::from_secs(5))
        .client_disconnect_timeout(Duration::from_secs(2))
        .shutdown_timeout(grace.as_secs())
        .disable_signals();
    Ok(server.listen(listener)?.run())
}

/// The server of the operator's endpoints.
fn serve_management(listener: TcpListener, site: Arc<AppState>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        let site = Arc::clone(&site);
        let routes = move |config: &mut actix::ServiceConfig| management_routes(config, &site);
        Actix::new().configure(routes).wrap(from_fn(admission::serve)).wrap(from_fn(identify))
    });
    Ok(server.workers(1).shutdown_timeout(1).disable_signals().listen(listener)?.run())
}

/// Waits for a database that does not answer; anything else that is wrong with it is an error at once.
async fn wait_for_database<T, F: Future<Output = store::Result<T>>>(
    step: impl Fn() -> F,
) -> anyhow::Result<T> {
    let mut failures = 0_u32;
    loop {
        // On the heap: it would stand in the future of whoever builds the service.
        match Box::pin(step()).await {
            Ok(value) => return Ok(value),
            Err(error @ store::Error::Unavailable(_)) => {
                if failures.is_multiple_of(10) {
                    warn!(cause = chain(&error), "waiting for the database");
                }
                failures += 1;
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn load_keys(settings: &Settings, pool: &Pool, clock: &Clock) -> anyhow::Result<Keys> {
    let Secrets { master_key, previous_master_keys } = &settings.secrets;
    let previous = previous_master_keys.iter().map(|key| &**key);
    let master = Arc::new(MasterKeys::new(master_key, previous)?);
    let load = || async {
        match Keys::load(&mut pool.handle(), Arc::clone(&master), settings.keys.clone(), clock).await {
            Err(keys::Error::Store(error)) => Err(error),
            other => Ok(other),
        }
    };
    Ok(wait_for_database(load).await??)
}
