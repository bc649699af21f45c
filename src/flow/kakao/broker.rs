//! Hands a Kakao access token of a person to a backend service: one that lives long enough and holds the consent that is needed, or
//! the one thing that the person must do first.

use std::time::Duration;

use serde::Serialize;

use super::tokens::{self, CachedToken};
use crate::domain::{AuditEvent, ClientId, KakaoAccessToken, UserId, consent};
use crate::flow::refusal::{AccountRefusal, KakaoTokenRefusal};
use crate::flow::{Deps, Error, Service};
use crate::store::kakao_links::{self, Link};
use crate::store::leases::Pause;
use crate::store::{Db, Tx, audit};

/// What a backend service needs.
pub(crate) struct KakaoTokenRequest {
    /// Whose token.
    pub(crate) user: UserId,
    /// How long it must still live.
    pub(crate) min_ttl: Duration,
    /// Consent items that it must hold.
    pub(crate) scopes: Vec<String>,
    /// The token that Kakao refused (−401): it is not handed out again.
    pub(crate) refused: Option<KakaoAccessToken>,
}

/// What it gets.
#[derive(Serialize)]
pub(crate) struct HandedOut {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
}

/// Hands a token out, and records that.
pub(crate) async fn broker_kakao_token(
    deps: &Deps,
    db: &mut Db,
    caller: &Service,
    request: KakaoTokenRequest,
) -> Result<HandedOut, Error<KakaoTokenRefusal>> {
    let link = living_link(db, request.user).await?;
    let mut cached = tokens::fresh(deps, db, request.user, request.min_ttl, request.refused.as_ref()).await?;
    let mut granted = link.scope.as_deref().map(consent::items);
    if !missing(&request.scopes, granted.as_deref()).is_empty() {
        let (still, agreed) = ask_kakao(deps, db, &link, request.user, cached).await?;
        cached = still;
        let missing = missing(&request.scopes, Some(&agreed));
        if !missing.is_empty() {
            return Err(KakaoTokenRefusal::ConsentRequired { items: missing }.into());
        }
        granted = Some(agreed);
    }
    let now = deps.clock.now();
    let event = AuditEvent::KakaoTokenHandedOut {
        user: request.user,
        client: ClientId(caller.client.clone()),
        scopes: request.scopes,
        expires_at: cached.expires_at,
    };
    let mut tx = Tx::begin(db).await?;
    audit::record(&mut tx, now, &event).await?;
    tx.commit().await?;
    Ok(HandedOut {
        access_token: cached.token.reveal().to_owned(),
        token_type: "bearer",
        expires_in: cached.expires_at.since(now).as_secs(),
        scopes: granted,
    })
}

async fn living_link(db: &mut Db, user: UserId) -> Result<Link, Error<KakaoTokenRefusal>> {
    let link = kakao_links::find(db, user).await?.ok_or(AccountRefusal::NotFound)?;
    match &link {
        Link { deleted: true, .. } => Err(AccountRefusal::UserDeleted.into()),
        Link { disabled: true, .. } => Err(AccountRefusal::UserDisabled.into()),
        Link { unlinked: true, .. } | Link { kakao_id: None, .. } => {
            Err(KakaoTokenRefusal::ReauthenticationRequired.into())
        }
        _ => Ok(link),
    }
}

fn missing(wanted: &[String], granted: Option<&[String]>) -> Vec<String> {
    let granted = granted.unwrap_or_default();
    wanted.iter().filter(|item| !granted.contains(item)).cloned().collect()
}

/// Asks Kakao what the person has agreed to: it may be more than when they logged in. A token that turns out to be dead is
/// replaced once; if the new one is dead too, there is no link.
async fn ask_kakao(
    deps: &Deps,
    db: &mut Db,
    link: &Link,
    user: UserId,
    cached: CachedToken,
) -> Result<(CachedToken, Vec<String>), Error<KakaoTokenRefusal>> {
    tokens::check_backoff(deps, db, Pause::Scopes).await?;
    let (cached, agreed) = match deps.kakao.scopes(&cached.token).await {
        Err(fault) if fault.is_dead_token() => {
            let cached = tokens::fresh(deps, db, user, Duration::ZERO, Some(&cached.token)).await?;
            let agreed = deps.kakao.scopes(&cached.token).await;
            (cached, agreed)
        }
        outcome => (cached, outcome),
    };
    match agreed {
        Ok(agreed) => {
            kakao_links::set_scope(db, user, &agreed.join(" ")).await?;
            Ok((cached, agreed))
        }
        Err(fault) => Err(tokens::after_fault(deps, db, user, link, &fault).await?.into()),
    }
}
