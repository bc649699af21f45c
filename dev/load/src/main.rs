//! `scripts/load` runs this twice: as the floor, and as the driver of either.
//!
//! The floor is a bare actix-web program: the same bytes for the JWKS; one `UPDATE … RETURNING` and one ES256 signature for
//! a refresh; two upstream calls, one upsert and one insert for a login. What the service costs beyond it is ours.

#![expect(clippy::print_stdout, reason = "it reports figures")]

mod drive;
mod floor;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the floor.
    Floor(floor::Options),
    /// Drives a server and reports.
    Drive(drive::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Floor(options) => floor::run(options).await,
        Command::Drive(options) => drive::run(options).await,
    }
}
