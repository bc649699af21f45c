//! The driver: so many workers, each as fast as the answers come, for so many seconds.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, ValueEnum};
use reqwest::{Client, Response};
use serde_json::Value;
use url::Url;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// A backend service for which the tokens are, and its secret.
const BACKEND: (&str, &str) = ("backend", "kacs_secret-of-the-backend-under-load");
const CALLBACK: &str = "https://app.example/cb";

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// The service or the floor.
    #[arg(long)]
    url: String,
    /// The simulated Kakao, for logins.
    #[arg(long)]
    kakao: String,
    #[arg(long, value_enum)]
    operation: Operation,
    /// Whether the floor is driven.
    #[arg(long)]
    floor: bool,
    /// Whose CPU time and memory are reported.
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The redirect URI registered at Kakao, client id and secret, for the floor's logins.
    #[arg(long, default_value = "http://auth.localhost/kakao/callback")]
    redirect_uri: String,
    #[arg(long, default_value = "51a051a051a051a051a051a051a051a0")]
    client_id: String,
    #[arg(long, default_value = "simulated-client-secret-0123456789")]
    client_secret: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operation {
    Jwks,
    Refresh,
    Login,
    Introspect,
    ClientCredentials,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let http = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()?;
    let mut workers = Vec::new();
    for row in 0..options.connections {
        let mut worker = Worker { http: http.clone(), options: options.clone(), row, token: String::new() };
        worker.prepare().await?;
        worker.step().await?;
        workers.push(worker);
    }
    let (cpu, began) = (cpu_seconds(options.pid)?, Instant::now());
    let until = began + Duration::from_secs(options.seconds);
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            tokio::spawn(async move {
                let mut micros = Vec::new();
                while Instant::now() < until {
                    let step = Instant::now();
                    worker.step().await?;
                    micros.push(u64::try_from(step.elapsed().as_micros())?);
                }
                anyhow::Ok(micros)
            })
        })
        .collect();
    let mut micros = Vec::new();
    for task in tasks {
        micros.extend(task.await??);
    }
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(options.pid)? - cpu);
    micros.sort_unstable();
    ensure!(!micros.is_empty(), "nothing was done");
    let count = u32::try_from(micros.len())?;
    let at = |share: usize| micros[(micros.len() - 1) * share / 100];
    println!(
        "{{\"operations\":{count},\"per_second\":{:.0},\"p50_ms\":{:.2},\"p99_ms\":{:.2},\"cpu_us\":{:.1},\"rss_mb\":{:.1}}}",
        f64::from(count) / elapsed,
        u32::try_from(at(50)).map(f64::from)? / 1_000.0,
        u32::try_from(at(99)).map(f64::from)? / 1_000.0,
        cpu * 1_000_000.0 / f64::from(count),
        rss_megabytes(options.pid)?,
    );
    Ok(())
}

struct Worker {
    http: Client,
    options: Options,
    row: usize,
    token: String,
}

impl Worker {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        let token = match (self.options.operation, self.options.floor) {
            (Operation::Refresh, false) => self.tokens().await?["refresh_token"].take(),
            (Operation::Introspect, false) => self.tokens().await?["access_token"].take(),
            (Operation::Introspect, true) => {
                let reply = self.http.post(format!("{}/sign", self.options.url)).send().await?;
                reply.error_for_status()?.json::<Value>().await?["access_token"].take()
            }
            _ => return Ok(()),
        };
        token.as_str().context("no token")?.clone_into(&mut self.token);
        Ok(())
    }

    /// A login at the service, redeemed.
    async fn tokens(&self) -> anyhow::Result<Value> {
        let landed = self.log_in_at_the_service().await?;
        let code = parameter(&landed, "code")?;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "load"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let reply = self.http.post(format!("{}/oauth/token", self.options.url)).form(&form).send().await?;
        Ok(reply.error_for_status()?.json().await?)
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        match (self.options.operation, self.options.floor) {
            (Operation::Jwks, floor) => {
                let path = if floor { "/jwks" } else { "/.well-known/jwks.json" };
                let reply = self.http.get(format!("{}{path}", self.options.url)).send().await?;
                reply.error_for_status()?.bytes().await?;
            }
            (Operation::Refresh, true) => {
                let url = format!("{}/refresh?row={}", self.options.url, self.row);
                self.http.post(url).send().await?.error_for_status()?.bytes().await?;
            }
            (Operation::Refresh, false) => {
                let token = std::mem::take(&mut self.token);
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "load"),
                    ("refresh_token", token.as_str()),
                ];
                self.token = self.redeem(&form).await?;
            }
            (Operation::Introspect, floor) => {
                let path = if floor { "/introspect" } else { "/oauth/introspect" };
                let mut request = self.http.post(format!("{}{path}", self.options.url));
                request = if floor {
                    request.query(&[("token", &self.token)])
                } else {
                    request.basic_auth(BACKEND.0, Some(BACKEND.1)).form(&[("token", &self.token)])
                };
                let said: Value = request.send().await?.error_for_status()?.json().await?;
                ensure!(said["active"] == true, "not active: {said}");
            }
            (Operation::ClientCredentials, true) => {
                let reply = self.http.post(format!("{}/sign", self.options.url)).send().await?;
                reply.error_for_status()?.bytes().await?;
            }
            (Operation::ClientCredentials, false) => {
                let request = self.http.post(format!("{}/oauth/token", self.options.url));
                let form = [("grant_type", "client_credentials")];
                let request = request.basic_auth(BACKEND.0, Some(BACKEND.1)).form(&form);
                request.send().await?.error_for_status()?.bytes().await?;
            }
            (Operation::Login, true) => self.log_in_at_the_floor().await?,
            (Operation::Login, false) => {
                parameter(&self.log_in_at_the_service().await?, "code")?;
            }
        }
        Ok(())
    }

    async fn redeem(&self, form: &[(&str, &str)]) -> anyhow::Result<String> {
        let reply = self.http.post(format!("{}/oauth/token", self.options.url)).form(form).send().await?;
        let tokens: Value = reply.error_for_status()?.json().await?;
        Ok(tokens["refresh_token"].as_str().context("no refresh token")?.to_owned())
    }

    /// Both requests that a login makes at the service: the authorization request and the callback.
    async fn log_in_at_the_service(&self) -> anyhow::Result<String> {
        let challenge = URL_SAFE_NO_PAD
            .encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes()));
        let query = [
            ("client_id", "load"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "profile"),
            ("state", "load"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let begun =
            self.http.get(format!("{}/oauth/authorize", self.options.url)).query(&query).send().await?;
        let cookie = begun.headers().get("set-cookie").context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let callback = location(&self.http.get(location(&begun)?).send().await?)?;
        let callback = Url::parse(&callback)?;
        let path =
            format!("{}{}?{}", self.options.url, callback.path(), callback.query().unwrap_or_default());
        location(&self.http.get(path).header("Cookie", cookie).send().await?)
    }

    async fn log_in_at_the_floor(&self) -> anyhow::Result<()> {
        let Options { kakao, url, redirect_uri, client_id, client_secret, .. } = &self.options;
        let query =
            [("client_id", client_id.as_str()), ("redirect_uri", redirect_uri), ("response_type", "code")];
        let reply = self.http.get(format!("{kakao}/oauth/authorize")).query(&query).send().await?;
        let code = parameter(&location(&reply)?, "code")?;
        let query = [&query[..2], &[("client_secret", client_secret.as_str()), ("code", &code)]].concat();
        location(&self.http.get(format!("{url}/login")).query(&query).send().await?).map(drop)
    }
}

fn location(reply: &Response) -> anyhow::Result<String> {
    let Some(target) = reply.headers().get("location") else { bail!("no redirect but {}", reply.status()) };
    Ok(target.to_str()?.to_owned())
}

fn parameter(url: &str, name: &str) -> anyhow::Result<String> {
    let parsed = Url::parse(url)?;
    let value = parsed.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned());
    value.with_context(|| format!("no {name} in {url}"))
}

/// User and system time of a process (proc(5)); a tick is a hundredth of a second on Linux.
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = text.rsplit_once(')').context("an unexpected /proc/PID/stat")?;
    let ticks: u32 =
        after.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    Ok(f64::from(ticks) / 100.0)
}

fn rss_megabytes(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kilobytes) / 1_024.0)
}
