//! Owns the command line: a subcommand is a file with its options and `run`. Stands on `app` and `settings`; `clap` is at
//! home here, and so is printing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a terminal")]

mod check;
mod clients;
mod doctor;
mod health;
mod import;
mod keys;
mod migrate;
mod runtime;
mod serve;
mod users;
mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// The settings are wrong (sysexits.h, `EX_CONFIG`).
const EX_CONFIG: u8 = 78;

/// A login service for Kakao that issues its own JWTs.
#[derive(Parser)]
#[command(name = "kakao-auth", version, about)]
struct Arguments {
    /// The settings file; without it `KAKAO_AUTH_CONFIG` counts.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the service.
    Serve(serve::Options),
    /// Brings the database's schema up to date.
    Migrate,
    /// Reads the settings and says what is wrong with them.
    Check(check::Options),
    /// Examines what a login needs, at Kakao too, and says what to change.
    Doctor(doctor::Options),
    /// Brings users from Supabase Auth, Auth.js, Better Auth or a CSV file.
    Import(import::Options),
    #[command(subcommand)]
    Clients(clients::Command),
    /// Signing keys.
    #[command(subcommand)]
    Keys(keys::Command),
    #[command(subcommand)]
    Users(users::Command),
    /// Deleted accounts that Kakao must still be told of.
    #[command(subcommand)]
    Unlinks(users::Unlinks),
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Asks the service of these settings whether it is ready; for container health checks.
    Health,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    if let Command::Clients(command) = command {
        return finish(clients::run(&command));
    }
    let settings = match Settings::load(config.as_deref(), Settings::environment()) {
        Ok(settings) => settings,
        Err(problems) => {
            eprint!("{problems}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    // These two have exit codes of their own.
    let with_code = match &command {
        Command::Doctor(options) => Some(doctor::run(options, &settings)),
        Command::Import(options) => Some(import::run(options, &settings)),
        _ => None,
    };
    if let Some(outcome) = with_code {
        return outcome.unwrap_or_else(|error| finish(Err(error)));
    }
    finish(match command {
        Command::Doctor(_) | Command::Import(_) => Ok(()),
        Command::Serve(options) => serve::run(&options, settings),
        Command::Migrate => migrate::run(&settings),
        Command::Check(options) => check::run(&options, &settings),
        Command::Health => health::run(&settings),
        Command::Keys(command) => keys::run(&command, &settings),
        Command::Users(command) => users::run(&command, &settings),
        Command::Unlinks(command) => users::unlinks(&command, &settings),
        Command::Webhooks(command) => webhooks::run(&command, &settings),
        Command::Clients(command) => clients::run(&command),
    })
}

fn finish(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kakao-auth: {error:#}");
            ExitCode::FAILURE
        }
    }
}
