//! Real clients, with their default options, against the built binary. `scripts/test-interop` brings them.

use tokio::process::Command;

use crate::conformance::suite::{BYE, CALLBACK, CLIENT, ISSUER, Suite};
use crate::rig::variable;

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
