//! Owns the settings: layers, the reading of every key, and the list of all that is wrong with them.
//!
//! Stands on `domain`; `config` is at home here, and so is the environment. `layers` merges, `reader` takes keys out of
//! the tree, and each section has a file that names its keys, their ranges and what they become.

mod client;
mod kakao;
mod layers;
mod policy;
mod problem;
mod reader;
mod server;
mod telemetry;
mod tokens;
mod value;

use std::path::Path;
use std::time::Duration;

pub use layers::DEFAULTS;
pub(crate) use problem::Problems;
pub(crate) use server::{Cache, Database, Secrets, Server};
pub(crate) use telemetry::{LogFormat, Telemetry};

use crate::domain::rotation::KeyPolicy;
use crate::domain::{Clients, Fingerprint, Issuer, KakaoApp, Lifetimes, Policy};
use reader::Reader;

/// All settings, checked.
#[derive(Debug)]
pub struct Settings {
    /// `[server]`, but for the issuer.
    pub server: Server,
    /// `[database]`
    pub(crate) database: Database,
    /// `[cache]`
    pub(crate) cache: Cache,
    /// `[secrets]`
    pub(crate) secrets: Secrets,
    /// `[kakao]`: the app.
    pub kakao: KakaoApp,
    /// `[keys]`
    pub keys: KeyPolicy,
    /// What flows go by: the issuer, `[refresh]`, `[session]`, `[account]`, `[limits]` and the rest of `[kakao]`.
    pub policy: Policy,
    /// `[telemetry]`
    pub(crate) telemetry: Telemetry,
    /// `[[clients]]`
    pub(crate) clients: Clients,
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
        let mut reader = Reader::new(layers.tree, layers.origins);
        let settings = read(&mut reader);
        reader.finish(settings)
    }

    /// Names what replicas share: a database, by its name alone, for they may reach it by different ways, and an issuer.
    pub(crate) fn installation(&self) -> String {
        let url = self.database.url.reveal();
        let url = url.split_once('?').map_or(url, |(url, _)| url);
        let name = url.rsplit_once('/').map_or(url, |(_, name)| name);
        let digest = Fingerprint::of(format!("{}\0{name}", self.policy.issuer.as_str()).as_bytes());
        digest.to_hex()[..32].to_owned()
    }

    /// The environment of this process.
    pub fn environment() -> impl Iterator<Item = (String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
    }
}

/// Reads every section before any is missed, so that all problems are found.
fn read(r: &mut Reader) -> Option<Settings> {
    let issuer = r.required("server.public_url", Issuer::parse);
    let server = server::server(r);
    let database = server::database(r);
    let cache = server::cache(r);
    server::refuse_one_machine_stores(r, server.as_ref(), database.as_ref(), cache.as_ref());
    let secrets = server::secrets(r);
    let kakao = kakao::app(r, issuer.as_ref());
    let lifetimes = tokens::lifetimes(r);
    let algorithms = tokens::algorithms(r);
    let clients = client::read_all(r, lifetimes, &algorithms);
    let session = policy::session(r);
    let longest_login = longest(&clients, lifetimes, |life| life.refresh_absolute).max(session.absolute);
    let longest_token = longest(&clients, lifetimes, |life| life.access.max(life.id));
    let keys = tokens::keys(r, algorithms, longest_token, longest_login);
    let policy = policy::policy(r, issuer, session, longest(&clients, lifetimes, |life| life.access));
    let telemetry = telemetry::telemetry(r);
    Some(Settings {
        server: server?,
        database: database?,
        cache: cache?,
        secrets: secrets?,
        kakao: kakao?,
        keys,
        policy: policy?,
        telemetry: telemetry?,
        clients,
    })
}

/// The longest that one kind of token lives at any client, also at one that is no longer in the settings.
fn longest(clients: &Clients, lifetimes: Lifetimes, life: fn(&Lifetimes) -> Duration) -> Duration {
    clients.longest(life).max(life(&lifetimes))
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// A file and variables of any kind give settings, or problems that name a key.
    #[test]
    fn settings() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let (variables, toml) = text.split_once("\n\n").unwrap_or(("", text));
            std::fs::write(file.path(), toml).unwrap();
            let variables = variables.lines().filter_map(|line| line.split_once('='));
            let environment = variables.filter(|(name, _)| !name.ends_with("_FILE") && !name.contains('\0'));
            let environment =
                environment.map(|(name, value)| (format!("KAKAO_AUTH__{name}"), value.to_owned()));
            if let Err(problems) = Settings::load(Some(file.path()), environment) {
                assert!(problems.to_string().contains("the settings have"));
            }
        });
    }
}
