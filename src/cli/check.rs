//! `kakao-auth check [--connect]`

use anyhow::bail;
use clap::Args;

use crate::cache::Cache;
use crate::domain::Clock;
use crate::flow::chain;
use crate::settings::Settings;
use crate::store::Pool;

#[derive(Args)]
pub(super) struct Options {
    /// Also ask the database and the cache.
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(options: &Options, settings: &Settings) -> anyhow::Result<()> {
    println!("the settings are good: issuer {}", settings.policy.issuer.as_str());
    println!("register at Kakao the redirect URI {}", settings.kakao.redirect_uri);
    let mut clients: Vec<&str> = settings.clients.iter().map(|client| client.id.as_str()).collect();
    clients.sort_unstable();
    println!("clients: {}", if clients.is_empty() { "none".to_owned() } else { clients.join(", ") });
    for line in patterns(settings) {
        println!("{line}");
    }
    if !options.connect {
        return Ok(());
    }
    super::runtime::block_on(async {
        let mut db = Pool::connect_lazy(settings.database.url.reveal(), 1)?.handle();
        let cache = Cache::open(settings.cache.url.reveal(), Clock::System)?;
        let database = db.ping().await.map_err(|error| chain(&error));
        let cached = cache.ping().await.map_err(|error| chain(&error));
        for (name, outcome) in [("database", &database), ("cache", &cached)] {
            match outcome {
                Ok(()) => println!("{name}: answers"),
                Err(cause) => println!("{name}: does not answer: {cause}"),
            }
        }
        if database.is_err() || cached.is_err() {
            bail!("not everything answers");
        }
        Ok(())
    })
}

/// A warning for each redirect URI that is a pattern.
fn patterns(settings: &Settings) -> Vec<String> {
    let mut lines = Vec::new();
    for client in settings.clients.iter() {
        for uri in client.redirect_uris.iter().filter(|uri| uri.is_pattern()) {
            lines.push(format!(
                "warning: clients[{}].redirect_uris: {} is a pattern: whoever can have a name there can get codes of this client",
                client.id.as_str(),
                uri.as_str()
            ));
        }
    }
    lines.sort_unstable();
    lines
}
