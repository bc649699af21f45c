//! `kakao-auth serve`

use std::io::IsTerminal;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

use crate::app::{App, Migrate};
use crate::domain::Clock;
use crate::settings::{LogFormat, Settings};
use crate::telemetry;

/// What a second signal exits with: as a shell reports a process that SIGTERM ended.
const IMPATIENT: i32 = 143;

#[derive(Args)]
pub(super) struct Options {
    /// Do not touch the schema: somebody ran `kakao-auth migrate`.
    #[arg(long)]
    no_migrate: bool,
}

pub(super) fn run(options: &Options, settings: Settings) -> anyhow::Result<()> {
    let json = match settings.telemetry.log_format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stdout().is_terminal(),
    };
    telemetry::init(json, &settings.telemetry.log_level).context("logging cannot be started")?;
    let migrate = if options.no_migrate { Migrate::No } else { Migrate::First };
    super::runtime::serve(async move {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // A signal ends the wait for a database too.
        let app = tokio::select! {
            app = App::build(settings, Clock::System, migrate) => app?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let shutdown = async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            // The first signal drains; whoever sends a second one does not want to wait.
            tokio::spawn(async move {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                warn!("ended by a second signal");
                std::process::exit(IMPATIENT);
            });
        };
        app.run(shutdown).await
    })
}
