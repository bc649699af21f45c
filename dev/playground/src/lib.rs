//! What `cargo dev` starts, in one process: the service on SQLite and memory, a simulated Kakao, a demo frontend and a
//! demo backend service. Nothing to set up; restarting keeps the users.

mod backend;
mod frontend;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use actix_web::dev::Server;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakao_auth::app::{App, Migrate};
use kakao_auth::domain::Clock;
use kakao_auth::settings::Settings;
use kakao_simulator::{Options as SimulatorOptions, Simulator, Webhooks};
use tokio::task::JoinHandle;

/// Where the four listen, and where the service keeps its file.
pub struct Options {
    /// Ports of the service, Kakao, the frontend and the backend service; 0 takes a free one.
    pub ports: [u16; 4],
    /// Where the database and the master key are kept.
    pub folder: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self { ports: [8080, 8081, 3000, 3001], folder: PathBuf::from(".dev") }
    }
}

/// The running playground. Dropping it stops it.
pub struct Playground {
    /// The page to open.
    pub frontend: String,
    /// The issuer.
    pub issuer: String,
    /// The simulated Kakao.
    pub kakao: Simulator,
    /// The demo backend service.
    pub backend: String,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Playground {
    /// Starts everything.
    ///
    /// # Errors
    /// When a port is taken or the folder cannot be written.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let [service, kakao, page, orders] = options.ports.map(listener);
        let (service, kakao, page, orders) = (service?, kakao?, page?, orders?);
        let url = |listener: &TcpListener| {
            listener.local_addr().map(|address| format!("http://localhost:{}", address.port()))
        };
        let (issuer, frontend, backend) = (url(&service)?, url(&page)?, url(&orders)?);
        let (service_at, kakao_at) = (service.local_addr()?, kakao.local_addr()?);
        // The service and Kakao bind for themselves; their ports are known to be free now.
        drop((service, kakao));

        let kakao = Simulator::start(SimulatorOptions {
            bind: kakao_at,
            public_url: Some(format!("http://localhost:{}", kakao_at.port())),
            redirect_uris: vec![format!("{issuer}/kakao/callback")],
            // The buttons of the simulator's page have an effect.
            webhooks: Webhooks {
                unlink_url: Some(format!("{issuer}/kakao/webhooks/unlink")),
                account_status_url: Some(format!("{issuer}/kakao/webhooks/account-status")),
                ..Webhooks::default()
            },
            ..SimulatorOptions::default()
        })
        .await?;
        let settings = settings(&options.folder, service_at, &issuer, &frontend, &kakao)?;
        let app = App::build(settings, Clock::System, Migrate::First).await?;
        let tasks = vec![
            tokio::spawn(app.run(std::future::pending())),
            spawn(frontend::serve(page, &frontend, &issuer, backend.clone())?),
            spawn(backend::serve(orders, issuer.clone())?),
        ];
        Ok(Self { frontend, issuer, kakao, backend, tasks })
    }

    /// Runs until one of them ends by itself.
    ///
    /// # Errors
    /// Whatever ended it.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let tasks = std::mem::take(&mut self.tasks);
        for task in tasks {
            task.await??;
        }
        Ok(())
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn spawn(server: Server) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(async move { Ok(server.await?) })
}

fn listener(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
        format!("port {port} is taken; stop what uses it, or pass other ports (cargo dev --help)")
    })
}

fn settings(
    folder: &Path,
    bind: SocketAddr,
    issuer: &str,
    frontend: &str,
    kakao: &Simulator,
) -> anyhow::Result<Settings> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let clients = folder.join("clients.toml");
    std::fs::write(
        &clients,
        format!(
            r#"# Written by `cargo dev`.
[[clients]]
id = "demo"
name = "Demo"
type = "public"
redirect_uris = ["{frontend}/callback"]
post_logout_redirect_uris = ["{frontend}/"]
initiate_login_uri = "{frontend}/login"
allowed_origins = ["{frontend}"]
audience = ["orders"]
claims = ["nickname", "picture", "email"]

# An app on the device: logins ask the person first.
[[clients]]
id = "device"
name = "Demo app"
type = "public"
redirect_uris = ["http://127.0.0.1/callback"]
"#
        ),
    )?;
    let app = kakao.app();
    let environment = [
        ("SERVER__BIND", bind.to_string()),
        ("SERVER__MANAGEMENT_BIND", "127.0.0.1:0".to_owned()),
        ("SERVER__PUBLIC_URL", issuer.to_owned()),
        ("DATABASE__URL", format!("sqlite://{}", folder.join("kakao-auth.sqlite").display())),
        ("CACHE__URL", "memory:".to_owned()),
        ("SECRETS__MASTER_KEY", master_key(folder)?),
        ("KAKAO__CLIENT_ID", app.rest_api_key),
        ("KAKAO__CLIENT_SECRET", app.client_secret),
        ("KAKAO__ADMIN_KEY", app.admin_key),
        ("KAKAO__APP_ID", app.app_id.to_string()),
        ("KAKAO__APP_KEYS", format!("{},{}", app.native_app_key, app.javascript_key)),
        ("KAKAO__AUTH_BASE_URL", kakao.base_url().to_owned()),
        ("KAKAO__API_BASE_URL", kakao.base_url().to_owned()),
    ]
    .map(|(name, value)| (format!("KAKAO_AUTH__{name}"), value));
    Ok(Settings::load(Some(&clients), environment)?)
}

/// Made once and kept, so that a restart can decrypt what it encrypted.
fn master_key(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("master-key");
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(key);
    }
    let key = STANDARD.encode(kakao_auth::keys::random::<32>()?);
    std::fs::write(&file, &key)?;
    Ok(key)
}
