//! Logs a person in whom an app's Kakao SDK has logged in at Kakao (RFC 8693): the app hands in Kakao's ID token or access
//! token and gets ours. The same user, the same grant, the same tokens as a login in a browser.
//!
//! This flow finishes even when the caller hangs up: run it detached.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metrics::counter;

use super::issue::{self, Issue, TokenResponse};
use super::live_grants::end_oldest;
use crate::cache::Decision;
use crate::domain::access::{self, Access, Asked};
use crate::domain::{
    Client, Consent, Fingerprint, GrantRequest, KakaoAccessToken, KakaoId, KakaoIdToken, KakaoNonce, Limit,
    Quota, Scope, User,
};
use crate::flow::gauges::LOGINS;
use crate::flow::limits::{self, Caller};
use crate::flow::login::callback::{note_under_age, service_terms};
use crate::flow::login::complete::{Completed, Identity, ToGrant, Voucher, complete};
use crate::flow::nonces::{self, Origin};
use crate::flow::refusal::{AccountRefusal, SubjectTokenRefusal, fault};
use crate::flow::{Deps, Error};
use crate::kakao::{Fault, IdToken, Kakao, Person, TokenInfo};
use crate::store::{Db, Tx, assertions, kakao_links, users};

/// `subject_token_type` of an ID token (RFC 8693 §3).
pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// `subject_token_type`, and `issued_token_type`, of an access token.
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// How old an ID token may be that logs in: an app exchanges it at once.
const OLDEST: Duration = Duration::from_mins(10);

const _: () = assert!(OLDEST.as_secs() == 600 && nonces::LIFE.as_secs() == 600, "the sentences below say so");

/// Kakao's clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_mins(5);

/// How soon the same ID token of the same client is a repetition.
const REPEATED_WITHIN: Duration = Duration::from_secs(10);

/// Kakao's have about 64 characters.
const LONGEST_ACCESS_TOKEN: usize = 512;

/// How often one access token may log in.
const SAME_TOKEN: Quota = Quota { burst: 10, per: Duration::from_mins(1) };

const ENDED: &str =
    "The person's logins were ended after Kakao issued this token. Have Kakao's SDK log the person in again.";

/// What an app hands in.
pub(crate) struct KakaoTokenExchange {
    /// The authenticated client.
    pub(crate) client: Arc<Client>,
    /// Kakao's token.
    pub(crate) subject: Subject,
    pub(crate) scope: Option<Scope>,
    /// `resource`, `audience`
    pub(crate) resource: Vec<String>,
    /// The app, as it names itself.
    pub(crate) user_agent: Option<String>,
    /// Whom a token that logs nobody in is counted against.
    pub(crate) caller: Caller,
}

/// A token of Kakao's.
pub(crate) enum Subject {
    /// An ID token, and the nonce of its login if it had one: raw, as the app gave it to Kakao or hashed it for Kakao.
    IdToken {
        /// The token.
        token: KakaoIdToken,
        nonce: Option<String>,
    },
    /// An access token.
    AccessToken(KakaoAccessToken),
}

/// Logs the person in.
pub(crate) async fn exchange_kakao_token(
    deps: &Deps,
    db: &mut Db,
    request: KakaoTokenExchange,
) -> Result<TokenResponse, Error<SubjectTokenRefusal>> {
    // What the client may not have is refused before a nonce is spent.
    let issuer = deps.policy.issuer.as_str();
    access::refuse_unknown(issuer, &request.client, &request.resource)?;
    let scope = access::of_login(&request.client, request.scope.as_ref())?;
    let identity = match &request.subject {
        Subject::IdToken { token, nonce } => {
            by_id_token(deps, db, token, nonce.as_deref(), &request.client).await?
        }
        Subject::AccessToken(token) => by_access_token(deps, db, token, &request.caller).await?,
    };
    let client = &request.client;
    let to_grant = ToGrant {
        client,
        request: GrantRequest { client: client.id.clone(), scope, resource: request.resource },
        code: None,
        attempt: None,
        user_agent: request.user_agent,
    };
    let grant = match complete(deps, db, Voucher::Kakao(&identity, None), to_grant).await? {
        Completed::Granted(grant) => grant,
        Completed::UserDisabled => return Err(AccountRefusal::UserDisabled.into()),
        Completed::LoginsEnded => return Err(SubjectTokenRefusal::Invalid(ENDED.to_owned()).into()),
        Completed::TooManyCodes => return Err(Error::broken("a grant without a code waits for none")),
    };
    counter!(LOGINS, "outcome" => "logged_in").increment(1);
    let Access { scope, audience } = access::of_grant(issuer, client, &grant, Asked::default())?;
    let id_token = issue::IdToken::of_scope(&scope, None);
    let what = Issue { grant: &grant, scope: &scope, audience: &audience, id_token };
    let tokens = issue::issue(deps, db, client, what).await?;
    end_oldest(deps, db, &grant).await;
    Ok(tokens.of_exchange(ACCESS_TOKEN))
}

async fn by_id_token(
    deps: &Deps,
    db: &mut Db,
    token: &KakaoIdToken,
    nonce: Option<&str>,
    client: &Client,
) -> Result<Identity, Error<SubjectTokenRefusal>> {
    let id_token = deps.kakao.read_id_token(token).await.map_err(|fault| fault::of_id_token(&fault))?;
    let keys = deps.kakao.app_keys();
    if !id_token.audience.is_within(&keys) {
        return Err(SubjectTokenRefusal::Invalid(format!(
            "The ID token is for another app key. Accepted are {} (kakao.client_id and kakao.app_keys of the service).",
            keys.join(", ")
        ))
        .into());
    }
    check_age(deps, db, &id_token).await?;
    let nonce = find_nonce(deps, &id_token, nonce)?;
    // What can be sent again and be right is refused before this.
    spend(deps, db, token, &id_token, client).await?;
    if let Some((carried, nonce)) = nonce {
        spend_nonce(deps, db, carried, &nonce).await?;
    }
    let before = users::find_by_kakao_id(db, id_token.sub).await?;
    Ok(merged(id_token, before.filter(|user| user.deleted_at.is_none())))
}

/// An ID token stays valid for hours, whatever happens: one that logs in must be fresh, and no older than what ended the
/// person's logins.
async fn check_age(deps: &Deps, db: &mut Db, id_token: &IdToken) -> Result<(), Error<SubjectTokenRefusal>> {
    if deps.clock.now().since(id_token.issued_at) > OLDEST {
        return refuse(
            "The ID token was issued more than ten minutes ago. Have Kakao's SDK log the person in, and exchange it at once.",
        );
    }
    if kakao_links::ended_since(db, id_token.sub, id_token.issued_at).await? {
        return refuse(ENDED);
    }
    Ok(())
}

/// An ID token tells less than Kakao knows, and what Kakao knew then: what it cannot tell, or what is known since, stays.
fn merged(id_token: IdToken, before: Option<User>) -> Identity {
    let known_since = before.as_ref().and_then(|user| user.profile_read_at);
    let (mut profile, consent) = before.map(|user| (user.profile, user.consent)).unwrap_or_default();
    let claims = id_token.profile;
    // Kakao writes whole seconds.
    if known_since.is_none_or(|read_at| read_at < id_token.issued_at + Duration::from_secs(1)) {
        profile.nickname = claims.nickname.or(profile.nickname);
        profile.picture = claims.picture.or(profile.picture);
        if claims.email.is_some() {
            (profile.email, profile.email_verified) = (claims.email, claims.email_verified);
        }
    }
    Identity {
        kakao_id: id_token.sub,
        profile,
        consent,
        auth_time: id_token.auth_time,
        read_at: known_since.map_or(id_token.issued_at, |read_at| read_at.max(id_token.issued_at)),
        vouched_at: id_token.issued_at,
        access_token: None,
        refresh_token: None,
    }
}

fn refuse<T>(sentence: &str) -> Result<T, Error<SubjectTokenRefusal>> {
    Err(SubjectTokenRefusal::Invalid(sentence.to_owned()).into())
}

/// Each ID token is good once, whatever it carries. The client that shows one again at once has not got its answer yet, or runs its
/// effects twice: it is refused with a code of its own. Neither ends anything.
async fn spend(
    deps: &Deps,
    db: &mut Db,
    token: &KakaoIdToken,
    id_token: &IdToken,
    client: &Client,
) -> Result<(), Error<SubjectTokenRefusal>> {
    let now = deps.clock.now();
    // What is signed: the bytes of a signature can be written in other ways.
    let signed = token.reveal().rsplit_once('.').map_or(token.reveal(), |(signed, _)| signed);
    let mark = |whom: &str| Fingerprint::of(format!("kakao id token {whom} {signed}").as_bytes());
    let (token, by_client) = (mark(""), mark(client.id.as_str()));
    let mut tx = Tx::begin(db).await?;
    if assertions::spend(&mut tx, &token, id_token.issued_at + OLDEST + LEEWAY).await? {
        assertions::spend(&mut tx, &by_client, now + REPEATED_WITHIN).await?;
        tx.commit().await?;
        return Ok(());
    }
    drop(tx);
    Err(if assertions::lives(db, &by_client, now).await? {
        SubjectTokenRefusal::Repeated.into()
    } else {
        SubjectTokenRefusal::Used.into()
    })
}

/// The nonce that the token carries, and in what form it is that of the app's login: raw or hashed.
fn find_nonce<'a>(
    deps: &Deps,
    id_token: &'a IdToken,
    given: Option<&str>,
) -> Result<Option<(&'a KakaoNonce, String)>, Error<SubjectTokenRefusal>> {
    let (carried, nonce) = match (&id_token.nonce, given) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return refuse(
                "A nonce was sent, but the ID token has none. Give the nonce to Kakao's SDK when the login begins.",
            );
        }
        // One of ours needs no second copy: the token carries it.
        (Some(carried), None) if nonces::origin(deps, carried.reveal()) != Origin::Foreign => {
            (carried, carried.reveal().to_owned())
        }
        (Some(_), None) => {
            return refuse(
                "The ID token has a nonce. Send it as nonce: the raw value, also if the token holds its SHA-256.",
            );
        }
        (Some(carried), Some(raw)) => {
            let digest = Fingerprint::of(raw.as_bytes());
            let hashed = [digest.to_hex(), URL_SAFE_NO_PAD.encode(digest.as_bytes())];
            if !carried.matches(raw) && !hashed.iter().any(|text| carried.matches(text)) {
                return refuse(
                    "nonce is not that of the ID token: expected was the raw value whose text, SHA-256 in hex or SHA-256 in \
                     base64url the token holds.",
                );
            }
            (carried, raw.to_owned())
        }
    };
    Ok(Some((carried, nonce)))
}

/// One that we issued is good once.
async fn spend_nonce(
    deps: &Deps,
    db: &mut Db,
    carried: &KakaoNonce,
    nonce: &str,
) -> Result<(), Error<SubjectTokenRefusal>> {
    let used = "The nonce was used before. Ask for a new one and log in again.";
    match nonces::origin(deps, nonce) {
        Origin::Foreign if carried.matches(nonce) && !nonces::spend_foreign(deps, db, nonce).await? => {
            refuse(used)
        }
        Origin::Foreign => Ok(()),
        Origin::Expired => refuse("The nonce is older than ten minutes. Ask for a new one and log in again."),
        Origin::Ours(until) if nonces::spend(deps, db, nonce, carried.reveal(), until).await? => Ok(()),
        Origin::Ours(_) => refuse(used),
    }
}

/// Whose the token is. One of any other app at Kakao would log its person in here.
async fn token_of_app(
    deps: &Deps,
    token: &KakaoAccessToken,
    expected: i64,
) -> Result<TokenInfo, SubjectTokenRefusal> {
    let info = deps.kakao.token_info(token).await.map_err(|fault| fault::of_access_token(&fault))?;
    if info.app_id == expected {
        return Ok(info);
    }
    Err(SubjectTokenRefusal::Invalid(format!(
        "The Kakao access token is of another app: expected was one of app {expected} (kakao.app_id of the service)."
    )))
}

fn may_be_access_token(text: &str) -> bool {
    (1..=LONGEST_ACCESS_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn by_access_token(
    deps: &Deps,
    db: &mut Db,
    token: &KakaoAccessToken,
    caller: &Caller,
) -> Result<Identity, Error<SubjectTokenRefusal>> {
    let Some(expected) = deps.kakao.app_id() else {
        return Err(SubjectTokenRefusal::Invalid(
            "This service takes no Kakao access tokens, because kakao.app_id is not set. Send an ID token, or ask the operator."
                .to_owned(),
        )
        .into());
    };
    // Anybody can send anything in the name of a public client: what is no token costs no call to Kakao, one token costs only so
    // many, and so do unknown ones.
    if !may_be_access_token(token.reveal()) {
        return Err(fault::unknown_access_token().into());
    }
    let key = format!("kakao-auth:sdk-logins:{}", token.fingerprint().to_hex());
    if let Decision::Limited { retry_after } = deps.cache.hit(&key, SAME_TOKEN).await {
        return Err(SubjectTokenRefusal::Busy { retry_after }.into());
    }
    let read_at = deps.clock.now();
    let asking = token_of_app(deps, token, expected);
    let info = limits::guard(deps, Limit::KakaoAccessToken, caller, asking, Result::is_err).await??;
    let (person, scopes, service_terms) =
        tokio::join!(deps.kakao.me(token), deps.kakao.scopes(token), service_terms(deps, token));
    let Person { id, profile, needs_agreement, .. } = match person {
        Ok(person) => person,
        Err(fault) => {
            if let Some(id) = info.id.filter(|_| fault.is_under_age()) {
                note_under_age(deps, db, KakaoId(id)).await;
            }
            return Err(fault::of_access_token(&fault).into());
        }
    };
    // A login does not fail for them.
    let scopes = scopes.ok();
    if info.id.is_some_and(|said| said != id.0) {
        let fault = Kakao::record("a login", Fault::other_person());
        return Err(SubjectTokenRefusal::Kakao(fault.known).into());
    }
    Ok(Identity {
        kakao_id: id,
        profile,
        consent: Consent { scopes, needs_agreement, service_terms },
        auth_time: None,
        read_at,
        vouched_at: read_at,
        access_token: Some((token.clone(), Duration::from_secs(info.expires_in))),
        refresh_token: None,
    })
}
