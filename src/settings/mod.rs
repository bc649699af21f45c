//! Owns the settings: layers, the reading of every key, and the list of all that is wrong with them.
//!
//! Stands on `domain`; `config` is at home here, and so is the environment.

mod client;
mod layers;
mod reader;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;
use zeroize::Zeroizing;

use crate::domain::redirect::is_this_machine;
use crate::domain::rotation::KeyPolicy;
use crate::domain::{
    AccountPolicy, Clients, Issuer, KakaoApp, KakaoPolicy, Lifetimes, Limits, OnUnlink, Policy, Quota,
    RefreshPolicy, Returning, Secret, SessionPolicy, SigningAlg,
};

pub use reader::{Problem, Problems};
use reader::{Reader, base64_key, seconds};

/// `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// All settings, checked.
#[derive(Debug)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[database]`
    pub database: Database,
    /// `[cache]`
    pub cache: Cache,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[kakao]`: the app.
    pub kakao: KakaoApp,
    /// `[keys]`
    pub keys: KeyPolicy,
    /// What flows go by: `[refresh]`, `[session]`, `[account]`, `[limits]` and the rest of `[kakao]`.
    pub policy: Policy,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[[clients]]`
    pub clients: Clients,
}

/// `[server]`
#[derive(Debug)]
pub struct Server {
    /// Where the service listens.
    pub bind: SocketAddr,
    /// Where operators' endpoints listen.
    pub management_bind: SocketAddr,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Processes that share the database.
    pub replicas: u32,
    /// How long requests under way may take after SIGTERM.
    pub shutdown_grace: Duration,
}

/// `[database]`
#[derive(Debug)]
pub struct Database {
    /// Holds a password.
    pub url: Secret,
    /// Connections of this process.
    pub max_connections: u32,
}

/// `[cache]`
#[derive(Debug)]
pub struct Cache {
    /// May hold a password.
    pub url: Secret,
}

/// `[secrets]`
pub struct Secrets {
    /// Seals and proves.
    pub master_key: Zeroizing<[u8; 32]>,
    /// Still open.
    pub previous_master_keys: Vec<Zeroizing<[u8; 32]>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secrets]")
    }
}

/// `[telemetry]`
#[derive(Debug)]
pub struct Telemetry {
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Settings {
    /// Merges the layers and reads every key.
    ///
    /// `file` is `--config`; without it `KAKAO_AUTH_CONFIG` of `environment` counts.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let layers = layers::merge(file, environment)?;
        let mut reader = Reader::new(layers);
        let settings = read(&mut reader);
        reader.finish()?;
        // The reader had no problem, so every required key was there.
        settings.ok_or_else(|| Problems::of("settings", "a required key is missing"))
    }

    /// The environment of this process.
    pub fn environment() -> impl Iterator<Item = (String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
    }
}

fn read(r: &mut Reader) -> Option<Settings> {
    let issuer = r.required("server.public_url", Issuer::parse);
    let server = server(r);
    let database = database(r);
    let cache = cache(r);
    let secrets = secrets(r);
    let kakao = kakao_app(r, issuer.as_ref());
    let lifetimes = lifetimes(r);
    let algorithms = algorithms(r);
    let clients = client::read_all(r, lifetimes, &algorithms);
    let keys = keys(r, algorithms, longest(&clients, lifetimes, |life| life.access.max(life.id)));
    let policy = policy(r, issuer, longest(&clients, lifetimes, |life| life.access));
    let telemetry = telemetry(r);
    refuse_one_machine_stores(r, server.as_ref(), database.as_ref(), cache.as_ref());
    Some(Settings {
        server: server?,
        database: database?,
        cache: cache?,
        secrets: secrets?,
        kakao: kakao?,
        keys,
        policy: policy?,
        telemetry,
        clients,
    })
}

/// The longest that one kind of token lives, at any client: also one that has been taken out of the settings since.
fn longest(clients: &Clients, lifetimes: Lifetimes, life: fn(&Lifetimes) -> Duration) -> Duration {
    clients.longest(life).max(life(&lifetimes))
}

fn lifetimes(r: &mut Reader) -> Lifetimes {
    Lifetimes {
        access: r.duration("tokens.access_ttl", seconds(30)..=seconds(3_600)),
        id: r.duration("tokens.id_ttl", seconds(30)..=seconds(86_400)),
        code: r.duration("tokens.code_ttl", seconds(5)..=seconds(600)),
        refresh_idle: r.duration("refresh.idle_ttl", seconds(60)..=seconds(400 * 86_400)),
        refresh_absolute: r.duration("refresh.absolute_ttl", seconds(60)..=seconds(3_650 * 86_400)),
    }
}

fn keys(r: &mut Reader, algorithms: Vec<SigningAlg>, longest_token: Duration) -> KeyPolicy {
    KeyPolicy {
        algorithms,
        rotate_every: r.duration("keys.rotate_every", seconds(600)..=seconds(400 * 86_400)),
        jwks_max_age: r.duration("keys.jwks_max_age", seconds(10)..=seconds(3_600)),
        longest_token,
    }
}

fn policy(r: &mut Reader, issuer: Option<Issuer>, longest_access_token: Duration) -> Option<Policy> {
    let refresh =
        RefreshPolicy { reuse_window: r.duration("refresh.reuse_window", seconds(0)..=seconds(300)) };
    let session = SessionPolicy {
        idle: r.duration("session.idle_ttl", seconds(60)..=seconds(90 * 86_400)),
        absolute: r.duration("session.absolute_ttl", seconds(60)..=seconds(400 * 86_400)),
    };
    let account = account(r);
    let kakao = KakaoPolicy {
        service_terms: r.flag("kakao.service_terms"),
        in_app_login: r.flag("kakao.in_app_login"),
        renew_per_minute: r.number("kakao.renew_per_minute", 0..=600),
    };
    let limits = Limits {
        client_auth_failures: Quota {
            burst: r.number("limits.client_auth_failures", 1..=10_000),
            per: r.duration("limits.client_auth_window", seconds(1)..=seconds(86_400)),
        },
    };
    Some(Policy { issuer: issuer?, refresh, session, account, kakao, limits, longest_access_token })
}

fn refuse_one_machine_stores(
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

fn account(r: &mut Reader) -> AccountPolicy {
    let on_unlink = r.required("account.on_unlink", |text| match text {
        "keep" => Ok(OnUnlink::Keep),
        "disable" => Ok(OnUnlink::Disable),
        "erase" => Ok(OnUnlink::Erase),
        _ => Err("it must be keep, disable or erase".to_owned()),
    });
    let returning = r.required("account.returning", |text| match text {
        "new" => Ok(Returning::New),
        "old" => Ok(Returning::Old),
        _ => Err("it must be new or old".to_owned()),
    });
    AccountPolicy {
        on_unlink: on_unlink.unwrap_or(OnUnlink::Keep),
        returning: returning.unwrap_or(Returning::New),
    }
}

fn server(r: &mut Reader) -> Option<Server> {
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| "write address:port, such as 0.0.0.0:8080".into())
    };
    let bind = r.required("server.bind", address);
    let management_bind = r.required("server.management_bind", address);
    let trusted_proxies = r.list("server.trusted_proxies", |text| {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| format!("{text:?} is not a network; write 10.0.0.0/8"))
    });
    let replicas = r.number("server.replicas", 1..=10_000);
    let shutdown_grace = r.duration("server.shutdown_grace", seconds(0)..=seconds(600));
    Some(Server { bind: bind?, management_bind: management_bind?, trusted_proxies, replicas, shutdown_grace })
}

fn database(r: &mut Reader) -> Option<Database> {
    let url = r.required_secret("database.url", |text| {
        let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| text.starts_with(scheme));
        if known { Ok(Secret::new(text)) } else { Err("it must begin with postgres:// or sqlite://".into()) }
    });
    let max_connections = r.number("database.max_connections", 1..=1_000);
    Some(Database { url: url?, max_connections })
}

fn cache(r: &mut Reader) -> Option<Cache> {
    let url = r.required_secret("cache.url", |text| {
        let known = text == "memory:" || text.starts_with("redis://") || text.starts_with("rediss://");
        if known {
            Ok(Secret::new(text))
        } else {
            Err("it must be redis://…, rediss://… or memory:".into())
        }
    });
    Some(Cache { url: url? })
}

fn secrets(r: &mut Reader) -> Option<Secrets> {
    let master_key = r.required_secret("secrets.master_key", base64_key);
    let previous_master_keys = r.secret_list("secrets.previous_master_keys", base64_key);
    Some(Secrets { master_key: master_key?, previous_master_keys })
}

fn kakao_app(r: &mut Reader, issuer: Option<&Issuer>) -> Option<KakaoApp> {
    let plain = |text: &str| {
        let fits = !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(text.to_owned()) } else { Err("it must be printable ASCII without spaces".to_owned()) }
    };
    let client_id = r.required("kakao.client_id", plain);
    let client_secret = r.optional_secret("kakao.client_secret", |text| plain(text).map(Secret::new));
    let admin_key = r.optional_secret("kakao.admin_key", |text| plain(text).map(Secret::new));
    let app_id = r.optional("kakao.app_id", |text| {
        text.parse::<i64>().ok().filter(|id| *id > 0).ok_or_else(|| "it must be the app's number".to_owned())
    });
    let app_keys = r.list("kakao.app_keys", plain);
    let scopes = r.list("kakao.scopes", |text| {
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        if fits { Ok(text.to_owned()) } else { Err(format!("{text:?} is not the id of a consent item")) }
    });
    let auth_base_url = r.required("kakao.auth_base_url", base_url);
    let api_base_url = r.required("kakao.api_base_url", base_url);
    let timeout = r.duration("kakao.timeout", Duration::from_millis(100)..=seconds(30));
    let issuer = issuer?;
    Some(KakaoApp {
        client_id: client_id?,
        client_secret,
        admin_key,
        app_id,
        app_keys,
        scopes,
        auth_base_url: auth_base_url?,
        api_base_url: api_base_url?,
        redirect_uri: KakaoApp::redirect_uri_of(issuer),
        logout_redirect_uri: KakaoApp::logout_redirect_uri_of(issuer),
        timeout,
    })
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "it is not a URL".to_owned())?;
    let single_label = url.host_str().is_some_and(|host| !host.contains(['.', ':']));
    match url.scheme() {
        "https" => {}
        // A simulator beside us, on this machine or in the same container network.
        "http" if is_this_machine(&url) || single_label => {}
        _ => {
            return Err(
                "it must begin with https://; http is only for a simulator on this machine".to_owned()
            );
        }
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no path, query or fragment".to_owned());
    }
    Ok(url)
}

fn algorithms(r: &mut Reader) -> Vec<SigningAlg> {
    let algorithms = r.list("keys.algorithms", |text| {
        SigningAlg::from_name(text)
            .ok_or_else(|| format!("{text:?} is unknown; known are ES256, RS256 and EdDSA"))
    });
    if algorithms.is_empty() && !r.has_problem("keys.algorithms") {
        r.problem("keys.algorithms", "name at least one of ES256, RS256 and EdDSA");
    }
    algorithms
}

/// `level` or `module=level`. Whatever else the filter would take for a module that never logs is a mistake.
fn is_log_directive(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let (module, level) = text.trim().rsplit_once('=').map_or((None, text.trim()), |(m, l)| (Some(m), l));
    let is_module = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) && module.is_none_or(is_module)
}

fn telemetry(r: &mut Reader) -> Telemetry {
    let log_format = r
        .required("telemetry.log_format", |text| match text {
            "auto" => Ok(LogFormat::Auto),
            "json" => Ok(LogFormat::Json),
            "pretty" => Ok(LogFormat::Pretty),
            _ => Err("it must be auto, json or pretty".to_owned()),
        })
        .unwrap_or(LogFormat::Auto);
    let log_level = r
        .required("telemetry.log_level", |text| {
            if text.split(',').all(is_log_directive) {
                Ok(text.to_owned())
            } else {
                Err("it must be error, warn, info, debug or trace, or a list such as info,kakao_auth::flow=debug"
                    .to_owned())
            }
        })
        .unwrap_or_default();
    Telemetry { log_format, log_level }
}
