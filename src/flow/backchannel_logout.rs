//! Tells clients of grants that have ended (OpenID Connect Back-Channel Logout 1.0), attempt after attempt until they know.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::{info, warn};
use uuid::Uuid;

use super::error::chain;
use super::{Deps, Error, outbox};
use crate::domain::{Client, Grant, GrantId, LogoutToken, UserId};
use crate::keys;
use crate::keys::signer::TokenType;
use crate::store::outbox::{Attempt, BACKCHANNEL_LOGOUTS, Item};
use crate::store::{self, Db, Pool, grants};

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
pub(crate) fn is_wanted(deps: &Deps) -> bool {
    !deps.clients.notified_of_logouts().is_empty()
}

/// Tells every client what is due; how many logouts they now know of.
pub async fn notify_clients(deps: &Deps, pool: &Pool) -> Result<usize, Error> {
    let mut delivered = 0;
    for client in deps.clients.iter() {
        let Some(uri) = &client.backchannel_logout_uri else { continue };
        let lane = Some(client.id.as_str());
        let due = outbox::claim(deps, &mut pool.handle(), &BACKCHANNEL_LOGOUTS, lane).await?;
        let notify =
            async |item: &Item<()>| notify(deps, &mut pool.handle(), client, uri, &item.attempt).await;
        for outcome in join_all(due.iter().map(notify)).await {
            delivered += usize::from(outcome?);
        }
    }
    Ok(delivered)
}

async fn notify(
    deps: &Deps,
    db: &mut Db,
    client: &Client,
    uri: &str,
    attempt: &Attempt,
) -> Result<bool, Error> {
    let queue = &BACKCHANNEL_LOGOUTS;
    let Some(grant) = grants::find(db, GrantId(attempt.key)).await? else {
        store::outbox::done(db, queue, attempt, "the grant is gone", deps.clock.now()).await?;
        return Ok(false);
    };
    let token = logout_token(deps, client, &grant)?;
    match deps.notifier.logged_out(uri, &token).await {
        Ok(()) => {
            store::outbox::done(db, queue, attempt, "delivered", deps.clock.now()).await?;
            info!(client = %client.id, grant = %grant.id, "the back-channel logout was delivered");
            Ok(true)
        }
        Err(error) => {
            let cause = chain(&error);
            if !outbox::fail(deps, db, queue, attempt, &cause).await? {
                warn!(client = %client.id, grant = %grant.id, cause, "the back-channel logout could not be delivered");
            }
            Ok(false)
        }
    }
}

/// A logout token (§2.4): each delivery has one of its own.
fn logout_token(deps: &Deps, client: &Client, grant: &Grant) -> Result<LogoutToken, keys::Error> {
    let now = deps.clock.now();
    let claims = LogoutClaims {
        iss: deps.policy.issuer.as_str(),
        sub: grant.user,
        aud: client.id.as_str(),
        iat: now.secs(),
        exp: (now + TOKEN_LIFE).secs(),
        jti: Uuid::now_v7(),
        sid: grant.id,
        events: json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
    };
    let token = deps.keys.ring().sign(client.id_token_alg, TokenType::LogoutToken, &claims)?;
    Ok(LogoutToken::new(token))
}
