//! The program itself, with settings and a database of its own.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kakao_simulator::Simulator;
use tokio::process::{Child, Command};

use super::{BACKEND_SECRET, ISSUER, Rig, WEB, http, settings};

/// A folder with a settings file, and the variables of a service on SQLite.
pub(crate) struct Program {
    folder: tempfile::TempDir,
    port: u16,
    variables: HashMap<String, String>,
}

impl Program {
    /// With a client of each kind, a secret in a file, and all that can be logged.
    pub(crate) fn new(kakao: &Simulator) -> Self {
        let mut program = Self::with(kakao, ISSUER, &clients());
        let secret = program.folder.path().join("secret");
        let value = program.unset("KAKAO__CLIENT_SECRET").unwrap();
        std::fs::write(&secret, value + "\n").unwrap();
        program.set("KAKAO__CLIENT_SECRET_FILE", &secret.display().to_string());
        program.set("TELEMETRY__LOG_LEVEL", "trace");
        program
    }

    /// With an issuer and clients of its own.
    pub(crate) fn with(kakao: &Simulator, issuer: &str, clients: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, clients).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let database_url = format!("sqlite://{}/db.sqlite", folder.path().display());
        let mut variables = settings(kakao, issuer, &database_url, "memory:");
        variables.insert("KAKAO_AUTH_CONFIG".into(), file.display().to_string());
        let mut program = Self { folder, port, variables };
        program.set("SERVER__BIND", &format!("127.0.0.1:{port}"));
        program
    }

    /// On the database and the Kakao of a rig.
    pub(crate) fn on(rig: &Rig) -> Self {
        let mut program = Self::new(&rig.kakao);
        program.set("DATABASE__URL", &rig.database_url);
        program
    }

    /// Gives a setting, by the name that comes behind `KAKAO_AUTH__`.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(format!("KAKAO_AUTH__{name}"), value.to_owned());
    }

    /// Takes a setting away, and gives its value.
    pub(crate) fn unset(&mut self, name: &str) -> Option<String> {
        self.variables.remove(&format!("KAKAO_AUTH__{name}"))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kakao-auth"));
        command.args(arguments).env_clear().envs(&self.variables).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The exit code, and what was said.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where `serve` writes its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Serves, and answers when it is ready. It ends when the child is dropped.
    pub(crate) async fn serve(&self) -> Child {
        // Into a file: a pipe that nobody reads fills up, and then whoever logs waits.
        let log = std::fs::File::create(self.log()).unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let began = Instant::now();
        while http().get(self.url("/health/ready")).send().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "the service did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child
    }
}

/// Sends SIGTERM.
pub(crate) async fn terminate(child: &Child) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
}

fn clients() -> String {
    let secret = kakao_auth::domain::Fingerprint::of(BACKEND_SECRET.as_bytes()).to_hex();
    format!(
        r#"
[[clients]]
id = "web"
type = "public"
redirect_uris = ["{WEB}"]
audience = ["orders"]

[[clients]]
id = "app"
type = "public"
grants = ["urn:ietf:params:oauth:grant-type:token-exchange", "refresh_token"]
scopes = ["openid", "profile", "email", "account"]

[[clients]]
id = "backend"
type = "confidential"
secret_sha256 = ["{secret}"]
grants = ["client_credentials"]
scopes = ["kakao:token"]
"#
    )
}
