//! Tells clients of logins that have ended (OpenID Connect Back-Channel Logout 1.0), from an outbox, until they know.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::{info, warn};
use uuid::Uuid;

use super::error::chain;
use super::{Deps, Error};
use crate::domain::{Client, GrantId, LogoutToken, UserId};
use crate::keys::signer::TokenType;
use crate::store::logout_outbox::{self, Due, MOST_ATTEMPTS};
use crate::store::{Db, Pool};

/// How long a claimed entry is nobody else's: longer than a call may take.
const CLAIM: Duration = Duration::from_secs(30);

/// After a failed try; doubled each time.
const BACK_OFF: Duration = Duration::from_secs(5);

/// How long a logout token is good (§2.4 suggests two minutes).
const TOKEN_LIFE: Duration = Duration::from_mins(2);

#[derive(Serialize)]
struct LogoutClaims<'a> {
    iss: &'a str,
    sub: UserId,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: Uuid,
    sid: GrantId,
    events: Value,
}

/// Whether any client wants to be told.
pub fn is_wanted(deps: &Deps) -> bool {
    deps.clients.iter().any(|client| client.backchannel_logout_uri.is_some())
}

/// Tells every client what is due; how many logins they now know of.
pub async fn notify_clients(deps: &Deps, pool: &Pool) -> Result<usize, Error> {
    let mut told = 0;
    for client in deps.clients.iter() {
        let Some(uri) = &client.backchannel_logout_uri else { continue };
        let now = deps.clock.now();
        let due = logout_outbox::claim(&mut pool.handle(), &client.id, now, now + CLAIM).await?;
        let tell = async |due| tell(deps, &mut pool.handle(), client, uri, due).await;
        let outcomes = join_all(due.into_iter().map(tell)).await;
        for outcome in outcomes {
            told += usize::from(outcome?);
        }
    }
    Ok(told)
}

async fn tell(deps: &Deps, db: &mut Db, client: &Client, uri: &str, due: Due) -> Result<bool, Error> {
    let now = deps.clock.now();
    let claims = LogoutClaims {
        iss: deps.policy.issuer.as_str(),
        sub: due.user,
        aud: client.id.as_str(),
        iat: now.secs(),
        exp: (now + TOKEN_LIFE).secs(),
        jti: Uuid::now_v7(),
        sid: due.grant,
        events: json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
    };
    let token = deps.keys.ring().sign(client.id_token_alg, TokenType::LogoutToken, &claims)?;
    match deps.notifier.logged_out(uri, &LogoutToken::new(token)).await {
        Ok(()) => {
            logout_outbox::told(db, due.grant, now).await?;
            info!(client = %client.id, grant = %due.grant, "the client knows of the logout");
            Ok(true)
        }
        Err(error) => {
            let last = due.attempt >= MOST_ATTEMPTS;
            warn!(client = %client.id, grant = %due.grant, attempt = due.attempt, last, cause = chain(&error),
                "the client was not told of a logout");
            let wait = BACK_OFF * 2_u32.saturating_pow(due.attempt.unsigned_abs().saturating_sub(1));
            logout_outbox::put_off(db, due.grant, now + wait).await?;
            Ok(false)
        }
    }
}
