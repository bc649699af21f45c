//! `cargo dev`

#![expect(clippy::print_stdout, reason = "it tells which page to open")]

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use kakao_auth::telemetry;
use kakao_playground::{Options, Playground};

/// Starts the service, a simulated Kakao, a demo frontend and a demo backend service. Nothing to set up.
#[derive(Parser)]
struct Arguments {
    /// Ports of the service, Kakao, the frontend and the backend service; 0 takes a free one.
    #[arg(long, num_args = 4, default_values_t = [8080, 8081, 3000, 3001])]
    ports: Vec<u16>,
    /// Where the users and keys are kept.
    #[arg(long, default_value_os_t = Options::default().folder)]
    folder: PathBuf,
    /// What to log.
    #[arg(long, default_value = "warn")]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    telemetry::init(false, &arguments.log)?;
    let folder = arguments.folder.display().to_string();
    let mut options = Options { folder: arguments.folder, ..Options::default() };
    for (port, given) in options.ports.iter_mut().zip(arguments.ports) {
        *port = given;
    }
    let playground = Playground::start(options).await.with_context(|| {
        format!(
            "the demo did not start (if {folder} is of an earlier version, delete it: it holds nothing else)"
        )
    })?;
    println!("\n  Open {}\n", playground.frontend);
    println!("  service   {}", playground.issuer);
    println!("  Kakao     {}  (simulated)", playground.kakao.base_url());
    println!("  backend   {}\n", playground.backend);
    println!("  Ctrl-C stops; {folder} keeps the users.");
    tokio::select! {
        ended = playground.run() => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
