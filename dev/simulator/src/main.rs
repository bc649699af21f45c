//! The `kakao-simulator` program.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a terminal")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kakao_simulator::control::read_autopilot;
use kakao_simulator::{Options, Simulator, UnlinkMethod, Webhooks};
use tokio::signal::unix::{SignalKind, signal};

/// A fake Kakao for development and tests.
#[derive(Parser)]
#[command(name = "kakao-simulator", version, about)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "KAKAO_SIMULATOR_BIND", default_value = "127.0.0.1:8081")]
    bind: SocketAddr,
    /// The address in ID tokens and discovery, as browsers and services reach it.
    #[arg(long, env = "KAKAO_SIMULATOR_PUBLIC_URL")]
    public_url: Option<String>,
    /// A registered redirect URI; repeatable.
    #[arg(
        long = "redirect-uri",
        env = "KAKAO_SIMULATOR_REDIRECT_URI",
        default_value = "http://localhost:8080/kakao/callback"
    )]
    redirect_uris: Vec<String>,
    /// The client secret.
    #[arg(long, env = "KAKAO_SIMULATOR_CLIENT_SECRET")]
    client_secret: Option<String>,
    /// How long a code lives, seconds.
    #[arg(long, env = "KAKAO_SIMULATOR_CODE_TTL", default_value_t = 600)]
    code_ttl: u64,
    /// Switches OpenID Connect off.
    #[arg(long)]
    no_oidc: bool,
    /// A person's slug or `cancel`: who logs in without a page.
    #[arg(long, env = "KAKAO_SIMULATOR_AUTOPILOT", default_value = "off")]
    autopilot: String,
    /// Kakao's limits on tokens per person (KOE237) do not hold.
    #[arg(long)]
    no_token_limits: bool,
    /// Where the unlink webhook goes.
    #[arg(long, env = "KAKAO_SIMULATOR_UNLINK_WEBHOOK_URL")]
    unlink_webhook_url: Option<String>,
    /// get or post.
    #[arg(long, env = "KAKAO_SIMULATOR_UNLINK_WEBHOOK_METHOD", default_value = "post", value_parser = ["get", "post"])]
    unlink_webhook_method: String,
    /// Where the account status change webhook goes.
    #[arg(long, env = "KAKAO_SIMULATOR_ACCOUNT_STATUS_WEBHOOK_URL")]
    account_status_webhook_url: Option<String>,
    /// How often a webhook call is repeated that was not answered as it should be.
    #[arg(long, env = "KAKAO_SIMULATOR_WEBHOOK_RETRIES", default_value_t = 0)]
    webhook_retries: u32,
    /// Keeps no log of calls, for load tests.
    #[arg(long)]
    no_call_log: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome =
        runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kakao-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let mut options = Options {
        bind: arguments.bind,
        public_url: arguments.public_url,
        redirect_uris: arguments.redirect_uris,
        code_ttl: Duration::from_secs(arguments.code_ttl),
        oidc: !arguments.no_oidc,
        autopilot: read_autopilot(&arguments.autopilot),
        token_limits: !arguments.no_token_limits,
        webhooks: Webhooks {
            unlink_url: arguments.unlink_webhook_url,
            unlink_method: match arguments.unlink_webhook_method.as_str() {
                "get" => UnlinkMethod::Get,
                _ => UnlinkMethod::Post,
            },
            account_status_url: arguments.account_status_webhook_url,
            retries: arguments.webhook_retries,
        },
        ..Options::default()
    };
    if let Some(secret) = arguments.client_secret {
        options.app.client_secret = secret;
    }
    let redirect_uris = options.redirect_uris.join(", ");
    let simulator =
        Simulator::start(options).await.map_err(|error| format!("{error}: {}", arguments.bind))?;
    simulator.log_calls(!arguments.no_call_log);
    let (app, url) = (simulator.app(), simulator.base_url());
    println!(
        "A simulated Kakao at {url}\nRegistered redirect URI: {redirect_uris}\nSettings for kakao-auth:\n"
    );
    for (name, value) in [
        ("CLIENT_ID", app.rest_api_key.as_str()),
        ("CLIENT_SECRET", app.client_secret.as_str()),
        ("ADMIN_KEY", app.admin_key.as_str()),
        ("APP_ID", &app.app_id.to_string()),
        ("APP_KEYS", &app.native_app_key),
        ("AUTH_BASE_URL", url),
        ("API_BASE_URL", url),
    ] {
        println!("KAKAO_AUTH__KAKAO__{name}={value}");
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    simulator.stop().await;
    Ok(())
}
