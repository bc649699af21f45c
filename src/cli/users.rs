//! `kakao-auth users delete | disable | enable`, `kakao-auth unlinks list | retry`

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::runtime::block_on;
use crate::domain::{Clock, Initiator, UserId};
use crate::flow::Error;
use crate::flow::admin::kakao_unlinks;
use crate::flow::chain;
use crate::flow::delete_account::{By, delete};
use crate::flow::refusal::AccountRefusal;
use crate::settings::Settings;
use crate::store::{Db, Pool, users};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Deletes an account: its logins end, its data go, Kakao is told.
    Delete(DeleteOptions),
    /// Keeps a user out: its logins end, and nobody logs in as it.
    Disable {
        /// The user's id.
        id: String,
    },
    /// Lets a user in again, as after `account.on_unlink = "disable"`.
    Enable {
        /// The user's id.
        id: String,
    },
}

#[derive(Args)]
pub(super) struct DeleteOptions {
    /// The user's id: the `sub` of its tokens.
    id: String,
    /// Do it. Without this only what would happen is said.
    #[arg(long)]
    yes: bool,
}

#[derive(Subcommand)]
pub(super) enum Unlinks {
    /// Shows the deleted accounts that Kakao does not know of yet, those that wait for you first.
    List {
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Has one tried again.
    Retry {
        /// The user's id.
        id: String,
    },
}

fn user(id: &str) -> anyhow::Result<UserId> {
    id.parse().map(UserId).ok().with_context(|| format!("{id:?} is not the id of a user: it is a UUID"))
}

pub(super) fn run(command: &Command, settings: &Settings) -> anyhow::Result<()> {
    match command {
        Command::Delete(options) => delete_one(options, settings),
        Command::Disable { id } => {
            let id = user(id)?;
            let done = with_db(settings, async |db| users::disable(db, id, Clock::System.now()).await)?;
            report(done, &format!("{id} is kept out"), &format!("{id} was kept out before, or is no user"))
        }
        Command::Enable { id } => {
            let id = user(id)?;
            let done = with_db(settings, async |db| users::enable(db, id, Clock::System.now()).await)?;
            report(done, &format!("{id} may log in again"), &format!("{id} was not kept out, or is no user"))
        }
    }
}

fn with_db(
    settings: &Settings,
    act: impl AsyncFnOnce(&mut Db) -> crate::store::Result<bool>,
) -> anyhow::Result<bool> {
    block_on(async {
        let mut db = Pool::connect_lazy(settings.database.url.reveal(), 1)?.handle_for(Initiator::Command);
        act(&mut db).await.map_err(|error| anyhow::anyhow!(chain(&error)))
    })
}

fn report(done: bool, yes: &str, no: &str) -> anyhow::Result<()> {
    if !done {
        bail!("{no}; nothing was changed");
    }
    println!("{yes}");
    Ok(())
}

fn delete_one(options: &DeleteOptions, settings: &Settings) -> anyhow::Result<()> {
    let id = user(&options.id)?;
    if !options.yes {
        println!(
            "{id}: its logins would end, its data would be erased, and Kakao would be told to unlink it"
        );
        bail!("nothing was changed; add --yes to do it");
    }
    block_on(async {
        let mut db = Pool::connect_lazy(settings.database.url.reveal(), 1)?.handle_for(Initiator::Command);
        let returning = settings.policy.account.returning;
        match delete(&mut db, returning, id, By::Operator(None), Clock::System.now()).await {
            Ok(()) => {
                println!("deleted; the running service tells Kakao within seconds");
                Ok(())
            }
            Err(Error::Refused(AccountRefusal::UserDeleted)) => {
                bail!("the account was deleted before")
            }
            Err(Error::Refused(_)) => bail!("there is no user {id}"),
            Err(error) => bail!("{}", chain(&error)),
        }
    })
}

pub(super) fn unlinks(command: &Unlinks, settings: &Settings) -> anyhow::Result<()> {
    block_on(async {
        let mut db = Pool::connect_lazy(settings.database.url.reveal(), 1)?.handle_for(Initiator::Command);
        let now = Clock::System.now();
        match command {
            Unlinks::List { json } => {
                let pending =
                    kakao_unlinks::pending(&mut db).await.map_err(|error| anyhow::anyhow!(chain(&error)))?;
                if pending.is_empty() && !json {
                    println!("Kakao knows of every deleted account");
                }
                for unlink in &pending {
                    if *json {
                        println!("{}", serde_json::to_string(unlink)?);
                    } else {
                        let state = if unlink.dead_at.is_some() { "waits for you" } else { "is tried again" };
                        let fault = unlink.last_fault.as_deref().unwrap_or("not tried yet");
                        println!("{}  {state}  {} tries  {fault}", unlink.user, unlink.attempts);
                    }
                }
                Ok(())
            }
            Unlinks::Retry { id } => {
                let id = user(id)?;
                let revived = match kakao_unlinks::retry(&mut db, id, now).await {
                    Ok(()) => true,
                    Err(Error::Refused(_)) => false,
                    Err(error) => bail!("{}", chain(&error)),
                };
                let no = format!("no unlink of {id} waits for you; see: kakao-auth unlinks list");
                report(revived, &format!("{id} is tried again within seconds"), &no)
            }
        }
    })
}
