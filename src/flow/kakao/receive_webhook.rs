//! Takes what Kakao's webhooks tell: proven, stored, answered. It is processed afterwards
//! ([`super::process_webhook_events`]), so that the answer never waits for it.

use tracing::info;
use uuid::Uuid;

use super::waiting_events::{STORE_WITHIN, keep, put};
use crate::domain::kakao_event::{Source, USER_UNLINKED};
use crate::domain::{Fingerprint, KakaoEvent, KakaoId};
use crate::flow::error::chain;
use crate::flow::refusal::{RequestRefusal, WebhookRefusal};
use crate::flow::signals::inbox::Received;
use crate::flow::{Deps, Error, Params};
use crate::kakao::EventRefused;
use crate::store::Db;

/// Takes a call of the unlink webhook: the person was unlinked at Kakao, not by us.
///
/// # Errors
/// When the admin key is not ours, the app is another one, or there is no member number. Trouble of ours is no error: Kakao is
/// not known to call again.
pub(crate) async fn receive_unlink(
    deps: &Deps,
    db: &mut Db,
    authorization: Option<&str>,
    params: &Params,
) -> Result<(), WebhookRefusal> {
    if !authorization.is_some_and(|value| deps.kakao.is_admin_key(value)) {
        return Err(WebhookRefusal::AdminKeyWrong);
    }
    let app_id = params.one("app_id")?;
    if let (Some(ours), Some(given)) = (deps.kakao.app_id(), app_id)
        && given.parse() != Ok(ours)
    {
        return Err(WebhookRefusal::OtherApp);
    }
    let user = params.one("user_id")?;
    let user = user.ok_or(RequestRefusal::ParameterMissing("user_id"))?;
    let Some(user) = user.parse().ok().filter(|id| *id > 0).map(KakaoId) else {
        return Err(RequestRefusal::ParameterInvalid("user_id", "it must be a member number").into());
    };
    let event = KakaoEvent {
        source: Source::Unlink,
        kind: USER_UNLINKED.to_owned(),
        user,
        // The call has no time of its own, and comes after the fact.
        at: deps.clock.now(),
        reason: params.one("referrer_type").ok().flatten().map(|reason| reason.chars().take(64).collect()),
        items: Vec::new(),
    };
    store(deps, db, event, Uuid::now_v7()).await;
    Ok(())
}

/// Takes a security event token of the account status change webhook.
///
/// # Errors
/// What is wrong with the token, or that it cannot be proven or stored now.
pub(crate) async fn receive_events(
    deps: &Deps,
    db: &mut Db,
    token: &str,
) -> Result<(), Error<WebhookRefusal>> {
    let received = deps.kakao.read_security_events(token).await.map_err(|refused| match refused {
        EventRefused::Invalid { err, description } => {
            WebhookRefusal::EventTokenInvalid { err, description }.into()
        }
        EventRefused::Later(fault) => Error::unavailable(fault),
    })?;
    let now = deps.clock.now();
    let mut stored = true;
    for mut event in received.events {
        // What Kakao tells has happened. A time to come (its clock, or another unit) would end logins that are not yet.
        event.at = event.at.min(now);
        let key = key_of(&received.jti, &event.kind);
        stored &= store(deps, db, event, key).await;
    }
    // Kept all the same: whether Kakao sends a token again is not known.
    if stored { Ok(()) } else { Err(Error::unavailable("an event waits for the database")) }
}

/// Names an event of a security event token: the same whenever the token comes.
fn key_of(jti: &str, kind: &str) -> Uuid {
    let digest = Fingerprint::of(format!("{jti} {kind}").as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(first).into_uuid()
}

/// Stores an event; if not, keeps it for as long as the database does not answer.
async fn store(deps: &Deps, db: &mut Db, event: KakaoEvent, key: Uuid) -> bool {
    let received = Received { event, key, at: deps.clock.now(), shelved: false };
    let cause = match tokio::time::timeout(STORE_WITHIN, put(db, &received)).await {
        Ok(Ok(new)) => {
            let event = &received.event;
            info!(source = event.source.name(), kind = event.kind, new, "received a Kakao webhook event");
            deps.signals.inbox.ring();
            return true;
        }
        Ok(Err(error)) => chain(&error),
        Err(_) => "the database took too long".to_owned(),
    };
    keep(deps, received, &cause).await;
    false
}
