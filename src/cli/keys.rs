//! `kakao-auth keys list | rotate | retire`

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::runtime::block_on;
use crate::domain::rotation::{KeyPolicy, KeyState, Stage};
use crate::domain::{Clock, Initiator, SigningAlg, Timestamp};
use crate::keys::MasterKeys;
use crate::keys::lifecycle::{self, Rotated};
use crate::settings::Settings;
use crate::store::{Db, Pool};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Shows every signing key, its stage, and when it goes.
    List(ListOptions),
    /// Has the next key sign now, before its time.
    Rotate(RotateOptions),
    /// Takes a key out, as after a leak.
    Retire(RetireOptions),
}

#[derive(Args)]
pub(super) struct ListOptions {
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct RotateOptions {
    /// ES256, RS256 or `EdDSA`; all of the settings unless named.
    #[arg(long)]
    alg: Option<String>,
}

#[derive(Args)]
pub(super) struct RetireOptions {
    // A thumbprint is base64url: one in 64 begins with a hyphen.
    /// The key, as `keys list` shows it.
    #[arg(allow_hyphen_values = true)]
    kid: String,
    /// Its tokens fail from now on. Without this only what would happen is said.
    #[arg(long)]
    now: bool,
}

struct Bench {
    db: Db,
    master: Arc<MasterKeys>,
    policy: KeyPolicy,
    now: Timestamp,
}

pub(super) fn run(command: &Command, settings: &Settings) -> anyhow::Result<()> {
    block_on(async {
        let previous = settings.secrets.previous_master_keys.iter().map(|key| &**key);
        // A pool needs the runtime that it is made in.
        let mut bench = Bench {
            db: Pool::connect_lazy(settings.database.url.reveal(), 1)?.handle_for(Initiator::Command),
            master: Arc::new(MasterKeys::new(&settings.secrets.master_key, previous)?),
            policy: settings.keys.clone(),
            now: Clock::System.now(),
        };
        match command {
            Command::List(options) => list(&mut bench, options).await,
            Command::Rotate(options) => rotate(&mut bench, options).await,
            Command::Retire(options) => retire(&mut bench, options, settings).await,
        }
    })
}

async fn list(bench: &mut Bench, options: &ListOptions) -> anyhow::Result<()> {
    let keys = lifecycle::states(&mut bench.db).await?;
    for key in keys {
        let stage = name(key.stage(bench.now));
        if options.json {
            println!(
                "{}",
                json!({
                    "kid": key.kid, "alg": key.alg, "stage": stage,
                    "published_at": key.published_at.secs(),
                    "activated_at": key.activated_at.map(Timestamp::secs),
                    "superseded_at": key.superseded_at.map(Timestamp::secs),
                    "expires_at": key.expires_at.map(Timestamp::secs),
                    "hints_until": key.hints_until.map(Timestamp::secs),
                })
            );
        } else {
            println!("{:<6} {:<9} {}  {}", key.alg.name(), stage, key.kid, story(bench, &key));
        }
    }
    Ok(())
}

const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Next => "next",
        Stage::Current => "current",
        Stage::Previous => "previous",
        Stage::Archived => "archived",
        Stage::Gone => "gone",
    }
}

fn story(bench: &Bench, key: &KeyState) -> String {
    let ago = |at: Timestamp| short(bench.now.since(at));
    match key.stage(bench.now) {
        Stage::Next => format!("published {} ago", ago(key.published_at)),
        Stage::Current => {
            let since = key.activated_at.map(ago).unwrap_or_default();
            let left = key
                .activated_at
                .map_or(Duration::ZERO, |at| (at + bench.policy.rotate_every).since(bench.now));
            format!("has signed for {since}, rotates in {}", short(left))
        }
        Stage::Previous => {
            let left = key.expires_at.map_or(Duration::ZERO, |end| end.since(bench.now));
            format!("verifies for another {}", short(left))
        }
        Stage::Archived => {
            let left = key.hints_until.map_or(Duration::ZERO, |end| end.since(bench.now));
            format!("not published; its ID tokens still identify logins for another {}", short(left))
        }
        Stage::Gone => "is removed within a minute".to_owned(),
    }
}

/// Without fractions of a second.
fn short(length: Duration) -> String {
    humantime::format_duration(Duration::from_secs(length.as_secs())).to_string()
}

async fn rotate(bench: &mut Bench, options: &RotateOptions) -> anyhow::Result<()> {
    let algorithms = match &options.alg {
        None => bench.policy.algorithms.clone(),
        Some(name) => {
            let alg = SigningAlg::from_name(name).filter(|alg| bench.policy.algorithms.contains(alg));
            vec![alg.with_context(|| format!("--alg {name} is not among keys.algorithms"))?]
        }
    };
    let mut early = Vec::new();
    for alg in algorithms {
        match lifecycle::rotate(&mut bench.db, &bench.master, &bench.policy, alg, bench.now).await? {
            Rotated::Now(kid) => println!("{}: {kid} signs now; the one before verifies on", alg.name()),
            Rotated::NotBefore(when) => {
                early.push(format!(
                    "{} in {}",
                    alg.name(),
                    short(when.since(bench.now) + Duration::from_secs(1))
                ));
            }
        }
    }
    if !early.is_empty() {
        bail!(
            "the next key is not in every backend's JWKS yet; run this again for {} \
             (or, after a leak: kakao-auth keys retire KID --now)",
            early.join(", ")
        );
    }
    Ok(())
}

async fn retire(bench: &mut Bench, options: &RetireOptions, settings: &Settings) -> anyhow::Result<()> {
    let keys = lifecycle::states(&mut bench.db).await?;
    let key = keys
        .iter()
        .find(|key| key.kid == options.kid && key.stage(bench.now) != Stage::Gone)
        .with_context(|| format!("there is no key {}; see: kakao-auth keys list", options.kid))?;
    let mut clients: Vec<&str> = settings
        .clients
        .iter()
        .filter(|client| client.access_token_alg == key.alg || client.id_token_alg == key.alg)
        .map(|client| client.id.as_str())
        .collect();
    clients.sort_unstable();
    println!("{} {} ({})", key.alg.name(), key.kid, name(key.stage(bench.now)));
    println!(
        "  concerns the clients: {}",
        if clients.is_empty() { "none".into() } else { clients.join(", ") }
    );
    println!("  at this service its tokens fail within seconds; people refresh, or log in again");
    println!(
        "  a logout with an ID token of it asks the person first, who it is for is not believed any more"
    );
    println!(
        "  at backends they are accepted until the cached JWKS ends, {} at the latest, and then fail",
        short(bench.policy.jwks_max_age)
    );
    println!(
        "  the next key signs at once; a backend without it in its cache fetches it, or fails for up to {}",
        short(bench.policy.jwks_max_age)
    );
    if !options.now {
        bail!("nothing was changed; add --now to do it");
    }
    if !lifecycle::retire(&mut bench.db, &bench.master, &bench.policy, &key.kid, bench.now).await? {
        bail!("the key was retired already");
    }
    println!("retired");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::RetireOptions;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RetireOptions,
    }

    #[test]
    fn a_key_id_may_begin_with_a_hyphen() {
        for line in [["retire", "-iNow", "--now"], ["retire", "--now", "-iNow"]] {
            let RetireOptions { kid, now } = Line::try_parse_from(line).map(|line| line.options).unwrap();
            assert_eq!((kid.as_str(), now), ("-iNow", true));
        }
    }
}
