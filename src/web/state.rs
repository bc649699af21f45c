//! What the endpoints stand on.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::error::ErrorInternalServerError;
use actix_web::{Error, FromRequest, HttpRequest, web};
use ipnet::IpNet;

use super::address::{self, unlisted_proxy};
use super::cookie::Cookies;
use super::documents::Documents;
use super::traffic::{Bounds, Traffic};
use crate::domain::rotation::KeyPolicy;
use crate::domain::{Initiator, Issuer};
use crate::flow::Deps;
use crate::flow::limits::{Caller, note_unlisted_proxy};
use crate::store::{Db, Pool};
use crate::telemetry::request_id;

/// What the endpoints stand on, shared by all workers.
pub struct AppState {
    /// What the flows stand on.
    pub deps: Arc<Deps>,
    /// The database, of which each flow gets a handle.
    pub pool: Pool,
    /// Whether the issuer is https: cookies are Secure and named `__Host-…`.
    pub(crate) https: bool,
    /// The path of the issuer, mostly empty.
    pub(crate) base_path: String,
    /// Peers whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the token endpoint.
    pub(crate) allowed_origins: Vec<String>,
    pub(super) documents: Documents,
    /// Its connections and requests.
    pub(crate) traffic: Traffic,
}

/// The state, as handlers take it: what all share, and which request it is.
pub(super) struct State {
    shared: web::Data<AppState>,
    request_id: Arc<str>,
}

impl State {
    /// Whom the request is counted against, and which client it says it is of.
    pub(super) fn caller(request: &HttpRequest, client: Option<&str>) -> Caller {
        Caller::new(address(request), client)
    }

    /// A flow's way to the database, which knows the request: what the flow does is recorded with its id.
    pub(super) fn db(&self) -> Db {
        self.pool.handle_for(Initiator::Request(Arc::clone(&self.request_id)))
    }
}

impl Deref for State {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.shared
    }
}

impl FromRequest for State {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shared = request.app_data::<web::Data<AppState>>().cloned();
        if let Some(state) = &shared
            && let Some(peer) = unlisted_proxy(request, &state.trusted_proxies)
        {
            note_unlisted_proxy(&state.deps, &state.pool, peer);
        }
        let state = shared.map(|shared| Self { shared, request_id: request_id(request) });
        ready(state.ok_or_else(|| ErrorInternalServerError("the state is missing")))
    }
}

impl AppState {
    /// What of the settings the endpoints need beside their flows. They stand on the runtime that this is called on.
    pub(crate) fn new(
        deps: Arc<Deps>,
        pool: Pool,
        trusted_proxies: Vec<IpNet>,
        keys: &KeyPolicy,
        bounds: Bounds,
    ) -> Self {
        let issuer = &deps.policy.issuer;
        let public = deps.clients.iter().filter(|client| client.is_public());
        Self {
            https: issuer.is_https(),
            base_path: issuer.path().to_owned(),
            allowed_origins: public.flat_map(|client| client.allowed_origins.clone()).collect(),
            documents: Documents::new(issuer, &deps.clients, keys),
            traffic: Traffic::new(bounds),
            trusted_proxies,
            pool,
            deps,
        }
    }

    pub(super) const fn cookies(&self) -> Cookies {
        Cookies::new(self.https)
    }
}

/// Where a request comes from, where only the request is at hand.
pub(super) fn address(request: &HttpRequest) -> IpAddr {
    let trusted = request.app_data::<web::Data<AppState>>().map(|state| state.trusted_proxies.as_slice());
    address::address(request, trusted.unwrap_or_default())
}

/// The connections and requests of the process, where only the request is at hand.
pub(super) fn traffic(request: &HttpRequest) -> Option<&Traffic> {
    request.app_data::<web::Data<AppState>>().map(|state| &state.traffic)
}

/// The URL of a path of ours, where only the request is at hand.
pub(super) fn issuer(request: &HttpRequest) -> Option<&Issuer> {
    request.app_data::<web::Data<AppState>>().map(|state| &state.deps.policy.issuer)
}
