//! `[server]`, `[database]`, `[cache]`, `[secrets]`: where the process listens and what it stands on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::reader::Reader;
use super::value::{base64_key, seconds};
use crate::domain::StoreUrl;

/// `[server]`, but for the issuer.
#[derive(Debug)]
pub struct Server {
    /// Where the service listens.
    pub bind: SocketAddr,
    /// Where operators' endpoints listen.
    pub(crate) management_bind: SocketAddr,
    /// Peers whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Processes that share the database.
    pub(crate) replicas: u32,
    /// Connections at a time.
    pub(crate) max_connections: u32,
    /// Requests at a time.
    pub(crate) max_requests: u32,
    /// How long everything goes on after SIGTERM, save that the process says it is not ready.
    pub drain_delay: Duration,
    /// How long requests under way may take after that.
    pub shutdown_grace: Duration,
}

/// `[database]`
#[derive(Debug)]
pub(crate) struct Database {
    /// `postgres://…` or `sqlite://…`; holds a password.
    pub(crate) url: StoreUrl,
    /// Connections of this process.
    pub(crate) max_connections: u32,
}

/// `[cache]`
#[derive(Debug)]
pub(crate) struct Cache {
    /// `redis://…`, `rediss://…` or `memory:`; may hold a password.
    pub(crate) url: StoreUrl,
}

/// `[secrets]`
pub(crate) struct Secrets {
    /// Every symmetric key is derived from it.
    pub(crate) master_key: Zeroizing<[u8; 32]>,
    /// What these encrypted can still be decrypted.
    pub(crate) previous_master_keys: Vec<Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secrets]")
    }
}

pub(super) fn server(r: &mut Reader) -> Option<Server> {
    let bind = r.required("server.bind", address);
    let management_bind = r.required("server.management_bind", address);
    let trusted_proxies = r.list("server.trusted_proxies", network);
    let replicas = r.number("server.replicas", 1..=10_000);
    let shutdown_grace = r.duration("server.shutdown_grace", &(seconds(0)..=seconds(600)));
    let max_connections = r.number("server.max_connections", 1..=1_000_000);
    let max_requests = r.number("server.max_requests", 1..=1_000_000);
    let drain_delay = r.duration("server.drain_delay", &(seconds(0)..=seconds(600)));
    Some(Server {
        bind: bind?,
        management_bind: management_bind?,
        trusted_proxies,
        replicas,
        max_connections,
        max_requests,
        drain_delay,
        shutdown_grace,
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write address:port, such as 0.0.0.0:8080".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is not a network; write 10.0.0.0/8"))
}

pub(super) fn database(r: &mut Reader) -> Option<Database> {
    let url = r.required_secret("database.url", |text| {
        let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| text.starts_with(scheme));
        if known {
            Ok(StoreUrl::new(text))
        } else {
            Err("it must begin with postgres:// or sqlite://".into())
        }
    });
    let max_connections = r.number("database.max_connections", 1..=1_000);
    Some(Database { url: url?, max_connections })
}

pub(super) fn cache(r: &mut Reader) -> Option<Cache> {
    let url = r.required_secret("cache.url", |text| {
        let known = text == "memory:" || text.starts_with("redis://") || text.starts_with("rediss://");
        if known {
            Ok(StoreUrl::new(text))
        } else {
            Err("it must be redis://…, rediss://… or memory:".into())
        }
    });
    Some(Cache { url: url? })
}

pub(super) fn secrets(r: &mut Reader) -> Option<Secrets> {
    let master_key = r.required_secret("secrets.master_key", base64_key);
    let previous_master_keys = r.secret_list("secrets.previous_master_keys", base64_key);
    Some(Secrets { master_key: master_key?, previous_master_keys })
}

/// SQLite and the cache in memory are of one machine.
pub(super) fn refuse_one_machine_stores(
    r: &mut Reader,
    server: Option<&Server>,
    database: Option<&Database>,
    cache: Option<&Cache>,
) {
    if server.is_none_or(|server| server.replicas <= 1) {
        return;
    }
    if database.is_some_and(|database| database.url.reveal().starts_with("sqlite:")) {
        r.problem("database.url", "SQLite is for one machine; server.replicas says more: use postgres://");
    }
    if cache.is_some_and(|cache| cache.url.reveal() == "memory:") {
        r.problem("cache.url", "memory: is for one machine; server.replicas says more: use redis://");
    }
}
