//! Owns HTTP: one endpoint per file, each reads, runs one flow, and replies. `actix-web` is at home here.
//!
//! This screen shows every route and how its errors are shown. What stands on nothing but memory is served beside the
//! spans and headers of the rest.

mod address;
mod admin;
pub(crate) mod admission;
mod asked;
mod authorize;
mod begun;
mod callback;
mod caller;
mod cookie;
mod cors;
mod discovery;
mod documents;
mod endpoint;
mod error;
mod health;
mod http_refusal;
mod introspect;
mod jwks;
mod kakao_errors;
mod kakao_logout;
mod kakao_webhooks;
mod login_page;
mod logout;
mod logout_page;
mod me;
mod metrics;
mod nonces;
mod page;
mod read;
mod redirect;
mod reply;
mod revocations;
mod revoke;
mod run;
mod state;
mod token;
pub(crate) mod traffic;
mod userinfo;
mod users;

use std::sync::Arc;

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{Data, ServiceConfig, resource, scope};
use tracing_actix_web::TracingLogger;

pub use state::AppState;

use self::endpoint::{endpoint, not_found};
use self::reply::Family::{OAuth, Page, Problem, SecurityEvents};
use crate::domain::paths::{self, V1};
use crate::telemetry::RequestSpan;

/// Every route.
pub(crate) fn routes(config: &mut ServiceConfig, state: &Arc<AppState>) {
    let base = state.base_path.as_str();
    let at = |path: &str| format!("{base}{path}");
    config.app_data(Data::from(Arc::clone(state)));
    for path in documents::discovery_paths(base) {
        config.service(endpoint(OAuth, &path).get(discovery::get).unbounded());
    }
    config
        .service(endpoint(OAuth, &at(paths::JWKS)).get(jwks::get).unbounded())
        .service(endpoint(Problem, &at(paths::REVOCATIONS)).get(revocations::get).unbounded())
        .service(endpoint(OAuth, &at(paths::LIVE)).get(health::live).unbounded())
        .service(endpoint(OAuth, &at(paths::READY)).get(health::ready).unbounded())
        .service(
            scope(base)
                .configure(|config| login(config, &state.allowed_origins))
                .configure(|config| api(config, &state.allowed_origins))
                .default_service(not_found(Page))
                .wrap(TracingLogger::<RequestSpan>::new())
                .wrap(security_headers()),
        );
}

/// OAuth, OpenID Connect and Kakao's side of the login.
fn login(config: &mut ServiceConfig, origins: &[String]) {
    config
        .service(endpoint(Page, paths::AUTHORIZE).get_only(authorize::get).post(authorize::post))
        .service(endpoint(Page, paths::LOGOUT).get_only(logout::get).post(logout::post))
        .service(endpoint(OAuth, paths::TOKEN).post(token::post).cors(origins))
        .service(endpoint(OAuth, paths::REVOKE).post(revoke::post).cors(origins))
        .service(endpoint(OAuth, paths::INTROSPECT).post(introspect::post))
        .service(endpoint(OAuth, paths::USERINFO).get(userinfo::get).post(userinfo::post).cors(origins))
        .service(endpoint(Page, paths::KAKAO_CALLBACK).get_only(callback::get))
        .service(endpoint(Page, paths::KAKAO_LOGOUT).get_only(kakao_logout::get))
        .service(endpoint(Page, paths::KAKAO_ERRORS).get(kakao_errors::get))
        .service(
            endpoint(Problem, paths::KAKAO_UNLINK_WEBHOOK)
                .get_only(kakao_webhooks::unlink::get)
                .post(kakao_webhooks::unlink::post),
        )
        .service(
            endpoint(SecurityEvents, paths::KAKAO_ACCOUNT_STATUS_WEBHOOK)
                .post(kakao_webhooks::account_status::post),
        );
}

/// Our own API.
fn api(config: &mut ServiceConfig, origins: &[String]) {
    config
        .service(endpoint(Problem, paths::ME).get(me::account::get).delete(me::account::delete).cors(origins))
        .service(
            endpoint(Problem, paths::MY_SESSIONS)
                .get(me::sessions::get)
                .delete(me::sessions::delete)
                .cors(origins),
        )
        .service(endpoint(Problem, paths::MY_SESSION).delete(me::session::delete).cors(origins))
        .service(endpoint(Problem, paths::NONCES).post(nonces::post).cors(origins))
        .service(endpoint(Problem, paths::USER).get(users::profile::get))
        .service(endpoint(Problem, paths::KAKAO_TOKEN).post(users::kakao_token::post))
        .service(endpoint(Problem, paths::ADMIN_USER).delete(admin::user::delete))
        .service(endpoint(Problem, paths::ADMIN_KAKAO_UNLINKS).get(admin::kakao_unlinks::list))
        .service(endpoint(Problem, paths::ADMIN_KAKAO_UNLINK_RETRY).post(admin::kakao_unlinks::retry))
        .service(resource(V1).default_service(not_found(Problem)));
}

/// Every route of the management address. Nothing here is for the internet.
pub(crate) fn management_routes(config: &mut ServiceConfig, state: &Arc<AppState>) {
    config
        .app_data(Data::from(Arc::clone(state)))
        .service(endpoint(OAuth, paths::METRICS).get(metrics::get).unbounded())
        .service(endpoint(OAuth, paths::LIVE).get(health::live).unbounded())
        .service(endpoint(OAuth, paths::READY).get(health::ready).unbounded());
}

/// What every answer of the login carries, unless it says otherwise.
fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
}

/// What every answer carries, also those from memory.
pub(crate) fn transport_security(https: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new();
    if https {
        headers.add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"))
    } else {
        headers
    }
}
