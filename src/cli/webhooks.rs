//! `kakao-auth webhooks replay`

use anyhow::{Context, bail};
use clap::Subcommand;

use super::runtime::block_on;
use crate::domain::Initiator;
use crate::flow::kakao::waiting_events::{Replayed, replay};
use crate::keys::MasterKeys;
use crate::settings::Settings;
use crate::store::Pool;

/// What Kakao's webhooks brought.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Stores events that a process could not store before it ended. It has logged each as an error.
    Replay {
        /// The `event` of such a log line.
        #[arg(required = true, value_name = "EVENT", allow_hyphen_values = true)]
        events: Vec<String>,
    },
}

pub(super) fn run(command: &Command, settings: &Settings) -> anyhow::Result<()> {
    let Command::Replay { events } = command;
    block_on(async {
        let previous = settings.secrets.previous_master_keys.iter().map(|key| &**key);
        let master = MasterKeys::new(&settings.secrets.master_key, previous)?;
        let pool = Pool::connect_lazy(settings.database.url.reveal(), 1)?;
        let mut db = pool.handle_for(Initiator::Command);
        let mut unread = 0;
        for event in events {
            let replayed = replay(&master, &mut db, event).await.context("the database does not take it")?;
            match replayed {
                Some(Replayed { event, new: true }) => println!("stored: {}", event.kind),
                Some(Replayed { event, new: false }) => println!("was there: {}", event.kind),
                None => {
                    unread += 1;
                    eprintln!("not an event that the master keys of the settings open: {event}");
                }
            }
        }
        if unread > 0 {
            bail!("{unread} of {} could not be read", events.len());
        }
        Ok(())
    })
}
