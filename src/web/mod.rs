//! Owns HTTP: one endpoint per file, each reads, calls one flow, and replies. `actix-web` is at home here.
//!
//! This screen shows every route. The documents that verifiers fetch all day are served from memory, beside the spans
//! and headers of the rest.

mod authorize;
mod callback;
mod documents;
mod error;
mod health;
mod introspect;
mod kakao_errors;
mod kakao_webhooks;
mod logout;
mod me;
mod metrics;
mod page;
mod read;
mod redirect;
mod reply;
mod revocations;
mod revoke;
mod token;
mod userinfo;
mod users;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{HttpRequest, Resource, web};
use ipnet::IpNet;
use tracing::Instrument;
use tracing_actix_web::TracingLogger;

use documents::Documents;

use crate::domain::paths;
use crate::domain::rotation::KeyPolicy;
use crate::flow::{Deps, Error};
use crate::store::{Db, Pool};
use crate::telemetry::{RequestSpan, identify};

/// What the endpoints stand on, shared by all workers.
pub struct Site {
    /// What the flows stand on.
    pub deps: Arc<Deps>,
    /// The database, of which each request gets a handle.
    pub pool: Pool,
    /// Whether the issuer is https: cookies are Secure and named `__Host-…`.
    pub https: bool,
    /// The path of the issuer, mostly empty.
    pub base_path: String,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the token endpoint.
    pub allowed_origins: Vec<String>,
    /// Discovery.
    documents: Documents,
}

impl Site {
    /// What of the settings the endpoints need beside their flows.
    pub(crate) fn new(deps: Arc<Deps>, pool: Pool, trusted_proxies: Vec<IpNet>, keys: &KeyPolicy) -> Self {
        let issuer = &deps.policy.issuer;
        let public = deps.clients.iter().filter(|client| client.is_public());
        Self {
            https: issuer.is_https(),
            base_path: issuer.path().to_owned(),
            allowed_origins: public.flat_map(|client| client.allowed_origins.clone()).collect(),
            documents: Documents::new(issuer, &deps.clients, keys),
            trusted_proxies,
            pool,
            deps,
        }
    }
}

impl Site {
    /// A request's way to the database.
    fn db(&self) -> Db {
        self.pool.handle()
    }
}

type Shared = web::Data<Arc<Site>>;

/// How long a caller waits for a flow. The flow goes on without it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Every route.
pub fn routes(config: &mut web::ServiceConfig, site: &Arc<Site>) {
    let base = site.base_path.as_str();
    let at = |path: &str| format!("{base}{path}");

    config.app_data(web::Data::new(Arc::clone(site)));
    // --- from memory
    config.service(get(&at(paths::JWKS), web::get().to(documents::jwks), web::head().to(documents::jwks)));
    for path in documents::discovery_paths(base) {
        let resource = get(&path, web::get().to(documents::discovery), web::head().to(documents::discovery));
        config.service(resource);
    }
    config.service(get(
        &at(paths::REVOCATIONS),
        web::get().to(revocations::get),
        web::head().to(revocations::get),
    ));
    config.service(get(&at(paths::LIVE), web::get().to(health::live), web::head().to(health::live)));
    config.service(get(&at(paths::READY), web::get().to(health::ready), web::head().to(health::ready)));
    // --- the login
    config.service(
        web::scope(base)
            .service(
                web::resource(paths::AUTHORIZE)
                    .route(web::get().to(authorize::get))
                    .route(web::post().to(authorize::post))
                    .default_service(not_allowed("GET, POST")),
            )
            .service(
                web::resource(paths::KAKAO_CALLBACK)
                    .route(web::get().to(callback::get))
                    .default_service(not_allowed("GET")),
            )
            .service(get(
                paths::KAKAO_ERRORS,
                web::get().to(kakao_errors::get),
                web::head().to(kakao_errors::get),
            ))
            .service(
                web::resource(paths::LOGOUT)
                    .route(web::get().to(logout::get))
                    .route(web::post().to(logout::post))
                    .default_service(not_allowed("GET, POST")),
            )
            .service(
                web::resource(paths::KAKAO_LOGOUT)
                    .route(web::get().to(logout::back_from_kakao))
                    .default_service(not_allowed("GET")),
            )
            .service(
                web::resource(paths::KAKAO_UNLINK_WEBHOOK)
                    .route(web::get().to(kakao_webhooks::unlink_get))
                    .route(web::post().to(kakao_webhooks::unlink_post))
                    .default_service(not_allowed("GET, POST")),
            )
            .service(
                web::resource(paths::KAKAO_ACCOUNT_STATUS_WEBHOOK)
                    .route(web::post().to(kakao_webhooks::account_status))
                    .default_service(not_allowed("POST")),
            )
            .service(
                web::resource(paths::TOKEN)
                    .wrap(cors(&site.allowed_origins))
                    .route(web::post().to(token::post))
                    .default_service(not_allowed("POST")),
            )
            .service(
                web::resource(paths::REVOKE)
                    .wrap(cors(&site.allowed_origins))
                    .route(web::post().to(revoke::post))
                    .default_service(not_allowed("POST")),
            )
            .service(
                web::resource(paths::INTROSPECT)
                    .route(web::post().to(introspect::post))
                    .default_service(not_allowed("POST")),
            )
            .service(
                web::resource(paths::USERINFO)
                    .wrap(cors(&site.allowed_origins))
                    .route(web::get().to(userinfo::answer))
                    .route(web::post().to(userinfo::answer))
                    .default_service(not_allowed("GET, POST")),
            )
            .configure(|config| api(config, site))
            .default_service(web::to(page::not_found))
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(from_fn(identify))
            .wrap(security_headers(site.https)),
    );
}

/// Every route of `/v1` that is not served from memory.
fn api(config: &mut web::ServiceConfig, site: &Arc<Site>) {
    config
        .service(
            web::resource(paths::ME)
                .wrap(cors(&site.allowed_origins))
                .route(web::get().to(me::profile))
                .route(web::delete().to(me::delete))
                .default_service(not_allowed("GET, DELETE")),
        )
        .service(
            web::resource(paths::MY_SESSIONS)
                .wrap(cors(&site.allowed_origins))
                .route(web::get().to(me::sessions))
                .route(web::delete().to(me::end_many))
                .default_service(not_allowed("GET, DELETE")),
        )
        .service(
            web::resource(paths::MY_SESSION)
                .wrap(cors(&site.allowed_origins))
                .route(web::delete().to(me::end_one))
                .default_service(not_allowed("DELETE")),
        )
        .service(
            web::resource(paths::NONCES)
                .wrap(cors(&site.allowed_origins))
                .route(web::post().to(users::nonce))
                .default_service(not_allowed("POST")),
        )
        .service(
            web::resource(paths::USER)
                .route(web::get().to(users::profile))
                .default_service(not_allowed("GET")),
        )
        .service(
            web::resource(paths::KAKAO_TOKEN)
                .route(web::post().to(users::kakao_token))
                .default_service(not_allowed("POST")),
        )
        .service(
            web::resource(paths::ADMIN_USER)
                .route(web::delete().to(users::delete))
                .default_service(not_allowed("DELETE")),
        )
        .service(
            web::resource(paths::ADMIN_KAKAO_UNLINKS)
                .route(web::get().to(users::unlinks))
                .default_service(not_allowed("GET")),
        )
        .service(
            web::resource(paths::ADMIN_KAKAO_UNLINK_RETRY)
                .route(web::post().to(users::retry_unlink))
                .default_service(not_allowed("POST")),
        );
}

/// Every route of the management address. Nothing here is for the internet.
pub fn management_routes(config: &mut web::ServiceConfig, site: &Arc<Site>) {
    config.app_data(web::Data::new(Arc::clone(site)));
    config.service(get(paths::METRICS, web::get().to(metrics::get), web::head().to(metrics::get)));
    config.service(get(paths::LIVE, web::get().to(health::live), web::head().to(health::live)));
    config.service(get(paths::READY, web::get().to(health::ready), web::head().to(health::ready)));
}

/// A resource that is only read.
fn get(path: &str, get: actix_web::Route, head: actix_web::Route) -> Resource {
    web::resource(path).route(get).route(head).default_service(not_allowed("GET, HEAD"))
}

/// 405 with `Allow` (RFC 9110 §15.5.6).
fn not_allowed(allow: &'static str) -> actix_web::Route {
    web::route().to(move |request: HttpRequest| async move {
        let mut response = reply::method_not_allowed(&request);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        response
    })
}

/// Pages of public clients call the token endpoint from their registered origins; nobody else's page may read the answer.
fn cors(origins: &[String]) -> Cors {
    let origins: Vec<String> = origins.to_vec();
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|text| origins.iter().any(|o| o == text))
        })
        .allowed_methods([Method::GET, Method::POST, Method::DELETE])
        .allowed_headers([header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION])
        .expose_headers([crate::telemetry::REQUEST_ID, header::RETRY_AFTER])
        .block_on_origin_mismatch(false)
        .max_age(600)
}

/// What every answer of the login carries, unless it says otherwise.
fn security_headers(https: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"));
    if https {
        headers.add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"))
    } else {
        headers
    }
}

/// Runs a flow so that it finishes even when the caller hangs up: actix drops a handler whose connection was reset at
/// its next await, which could cut a rotation in half.
async fn detached<T: Send + 'static>(flow: impl Future<Output = T> + Send + 'static) -> Result<T, Error> {
    let task = tokio::spawn(flow.in_current_span());
    match tokio::time::timeout(DEADLINE, task).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(panic)) => Err(Error::broken(panic)),
        Err(_) => Err(Error::unavailable("a flow took too long")),
    }
}

/// A flow that only reads may be dropped half-way, so it needs no task of its own; its time is bounded all the same.
async fn in_time<T>(flow: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::unavailable("a flow took too long"));
    tokio::time::timeout(DEADLINE, flow).await.unwrap_or_else(late)
}
