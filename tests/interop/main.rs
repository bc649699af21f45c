//! Real clients, with their default options, against the built binary. `scripts/test-interop` brings them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "../conformance/suite.rs"]
#[expect(dead_code, reason = "the conformance modules use the rest")]
mod suite;

use kakao_auth::settings::Settings;
use suite::{BYE, CALLBACK, CLIENT, ISSUER, Suite};
use tokio::process::Command;

fn variable(name: &str) -> String {
    let given = Settings::environment().find(|(given, _)| given == name);
    given.unwrap_or_else(|| panic!("{name} is not set: run scripts/test-interop")).1
}

async fn run(mut command: Command) {
    let suite = Suite::start().await;
    command
        .env("ISSUER", ISSUER)
        .env("BASE", suite.reach(""))
        .env("CLIENT_ID", CLIENT.0)
        .env("CLIENT_SECRET", CLIENT.1)
        .env("REDIRECT_URI", CALLBACK)
        .env("BYE", BYE);
    let output = command.output().await.unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

#[tokio::test]
#[ignore = "scripts/test-interop brings openid-client"]
async fn openid_client_logs_in_refreshes_introspects_revokes_and_logs_out() {
    let mut command = Command::new(variable("INTEROP_NODE"));
    command.arg("login.mjs").current_dir(variable("INTEROP_OPENID_CLIENT"));
    run(command).await;
}

#[tokio::test]
#[ignore = "scripts/test-interop brings openidconnect"]
async fn openidconnect_logs_in_refreshes_introspects_revokes_and_logs_out() {
    run(Command::new(variable("INTEROP_OPENIDCONNECT"))).await;
}
