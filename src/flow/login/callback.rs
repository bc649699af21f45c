//! Kakao's callback: the one claimed attempt fetches the identity and completes the login.
//!
//! The attempt is claimed by one insert. Whoever loses the claim waits for the winner and gives the same response, so a
//! callback that arrives twice (a double tap, a prefetch, a re-render) is one login and one call to Kakao.
//!
//! This flow finishes even when the caller hangs up: run it detached.

use std::time::Duration;

use metrics::counter;
use tracing::{info, warn};

use super::attempt::{self, ATTEMPT_TTL, keys_of};
use super::begin::FromBrowser;
use super::complete::{Completed, Identity, SessionToBegin, ToGrant, Voucher, complete};
use super::failure::{of_failure, to_failure};
use super::request::ClientResponseTarget;
use super::resume;
use crate::domain::session::{NotRecent, judge_again};
use crate::domain::{
    AttemptId, AttemptOutcome, AuthorizationCode, Consent, KakaoAccessToken, KakaoCode, KakaoId,
    LoginAttempt, ServiceTerm, SessionCookie, consent,
};
use crate::flow::error::{Error, chain};
use crate::flow::gauges::LOGINS;
use crate::flow::refusal::{CallbackRefusal, LoginRefusal, fault};
use crate::flow::{Deps, Params};
use crate::kakao::{Fault, Kakao, callback_fault};
use crate::store::{Db, attempts, kakao_links, users};

/// How long after a claim its losers wait for the winner: longer than the winner may take at Kakao.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// How often the loser looks.
const POLL_INTERVAL: Duration = Duration::from_millis(40);

/// What Kakao sent to the redirect URI, together with the attempt that this browser holds.
pub(crate) struct Callback {
    /// The attempt of the `state`.
    pub(crate) id: AttemptId,
    /// Opened from the browser's cookie.
    pub(crate) attempt: LoginAttempt,
    /// A code, or the error instead of one.
    pub(crate) response: KakaoResponse,
    /// What the browser shows.
    pub(crate) browser: FromBrowser,
}

/// What Kakao answered.
pub(crate) enum KakaoResponse {
    Code(KakaoCode),
    /// `error` and `error_description`, already classified.
    Error(Fault),
}

/// Where to send the browser.
pub(crate) struct Finished {
    /// Where the response goes.
    pub(crate) target: ClientResponseTarget,
    /// The one-time code and the session's cookie, or why there are none.
    pub(crate) outcome: Result<LoggedIn, Error<LoginRefusal>>,
}

impl Finished {
    /// Whether Kakao did not know the code: what a stranger can have as often as they like. A failure of ours, of Kakao's or
    /// of the person's is none of that.
    pub(crate) fn code_was_unknown(&self) -> bool {
        matches!(&self.outcome, Err(Error::Refused(refusal)) if refusal.is_start_again())
    }
}

/// What a login gives: the same for every repetition of its callback.
pub(crate) struct LoggedIn {
    /// The one-time code.
    pub(crate) code: AuthorizationCode,
    /// The value of the session's cookie.
    pub(crate) session: SessionCookie,
}

impl Callback {
    /// Whether Kakao could not log the person in without a page, and has not shown one yet.
    pub(crate) fn needs_interaction(&self) -> bool {
        self.attempt.prompt_none
            && matches!(&self.response, KakaoResponse::Error(fault) if fault.wants_page())
    }

    /// Reads the parameters of a callback. `sealed` is the value of the browser's cookie for the attempt that the
    /// `state` names, if it has one.
    ///
    /// # Errors
    /// When the callback contradicts itself, or this browser holds no such attempt (RFC 9700 §4.7).
    pub(crate) fn read(
        deps: &Deps,
        params: &Params,
        browser: FromBrowser,
        sealed: impl FnOnce(AttemptId) -> Option<String>,
    ) -> Result<Self, CallbackRefusal> {
        let contradictory = |_| CallbackRefusal::Contradictory;
        if params.any_repeated() {
            return Err(CallbackRefusal::Contradictory);
        }
        let state = params.one("state").map_err(contradictory)?.ok_or(CallbackRefusal::AttemptUnknown)?;
        let state = resume::attempt_state(state);
        let id = AttemptId::of_state(state);
        let attempt = sealed(id).and_then(|cookie| attempt::open(&deps.keys, state, &cookie));
        let attempt = attempt.ok_or(CallbackRefusal::AttemptUnknown)?;
        if deps.clock.now().since(attempt.began_at) > ATTEMPT_TTL {
            return Err(CallbackRefusal::AttemptExpired);
        }
        let one = |name| params.one(name).map_err(contradictory);
        let response = match (one("code")?, one("error")?) {
            (Some(code), None) => KakaoResponse::Code(KakaoCode::new(code)),
            (None, Some(error)) => KakaoResponse::Error(callback_fault(error, one("error_description")?)),
            _ => return Err(CallbackRefusal::Contradictory),
        };
        Ok(Self { id, attempt, response, browser })
    }
}

/// Finishes the attempt, once, however often it is called.
pub(crate) async fn finish_login(deps: &Deps, db: &mut Db, callback: Callback) -> Finished {
    let Callback { id, attempt, .. } = &callback;
    let target = ClientResponseTarget::of(attempt);
    let now = deps.clock.now();
    let expires_at = attempt.began_at + 2 * ATTEMPT_TTL;
    let outcome = match attempts::claim(db, *id, now, expires_at).await {
        Ok(true) => claimed(deps, db, &callback).await,
        Ok(false) => wait_for_winner(deps, db, *id).await,
        Err(error) => Err(error.into()),
    };
    let keys = keys_of(&deps.keys, attempt);
    let logged_in = |()| LoggedIn { code: keys.code(), session: keys.session_cookie() };
    Finished { target, outcome: outcome.map(logged_in) }
}

async fn claimed(deps: &Deps, db: &mut Db, callback: &Callback) -> Result<(), Error<LoginRefusal>> {
    let outcome = match &callback.response {
        KakaoResponse::Code(code) => log_in(deps, db, callback, code).await,
        KakaoResponse::Error(fault) => {
            let fault = Kakao::record("redirect", fault.clone());
            Err(refuse(&fault))
        }
    };
    let failure = outcome.as_ref().err().map(to_failure);
    let how = failure.as_ref().map_or_else(|| "logged_in".to_owned(), |failure| failure.code.clone());
    counter!(LOGINS, "outcome" => how).increment(1);
    if let Some(failure) = &failure
        && let Err(error) = attempts::fail(db, callback.id, failure).await
    {
        // Whoever waits gives up by itself after its patience.
        warn!(cause = chain(&error), "the outcome of a login attempt could not be recorded");
    }
    outcome
}

async fn wait_for_winner(deps: &Deps, db: &mut Db, id: AttemptId) -> Result<(), Error<LoginRefusal>> {
    let look = async {
        loop {
            match attempts::outcome(db, id).await? {
                AttemptOutcome::LoggedIn => return Ok(()),
                AttemptOutcome::Failed(failure) => return Err(of_failure(&failure)),
                AttemptOutcome::Unclaimed => return Err(LoginRefusal::StartAgain.into()),
                // So old a claim is of a winner that died: there is nobody to wait for.
                AttemptOutcome::Running { claimed_at } if deps.clock.now().since(claimed_at) >= MAX_WAIT => {
                    return Err(LoginRefusal::StartAgain.into());
                }
                AttemptOutcome::Running { .. } => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    };
    // A winner that died mid-way leaves its claim behind: the code at Kakao is spent, so only a new start helps.
    tokio::time::timeout(MAX_WAIT, look).await.unwrap_or(Err(LoginRefusal::StartAgain.into()))
}

/// Asks Kakao who it is: code, ID token, profile. All of it within one call's time, so that a Kakao that answers each
/// call at the last moment does not keep the person waiting three times as long.
async fn ask_kakao(
    deps: &Deps,
    db: &mut Db,
    attempt: &LoginAttempt,
    code: &KakaoCode,
) -> Result<Identity, Error<LoginRefusal>> {
    let fetching = fetch_identity(deps, db, attempt, code);
    let late = |_| Err(refuse(&Kakao::record("a login", Fault::late())));
    tokio::time::timeout(deps.kakao.timeout(), fetching).await.unwrap_or_else(late)
}

async fn fetch_identity(
    deps: &Deps,
    db: &mut Db,
    attempt: &LoginAttempt,
    code: &KakaoCode,
) -> Result<Identity, Error<LoginRefusal>> {
    let fault = |fault: Fault| refuse(&fault);
    let asked_at = deps.clock.now();
    let keys = keys_of(&deps.keys, attempt);
    let tokens = deps.kakao.exchange_code(code, &keys.verifier()).await.map_err(fault)?;
    // The ID token is checked before anything it vouches for is used.
    let id_token = match &tokens.id_token {
        Some(token) => Some(deps.kakao.verify_id_token(token, &keys.nonce()).await.map_err(fault)?),
        None => None,
    };
    let (person, service_terms) =
        tokio::join!(deps.kakao.me(&tokens.access_token), service_terms(deps, &tokens.access_token));
    let person = match person {
        Ok(person) => person,
        Err(met) => {
            if let Some(id_token) = id_token.filter(|_| met.is_under_age()) {
                note_under_age(deps, db, id_token.sub).await;
            }
            return Err(fault(met));
        }
    };
    if id_token.as_ref().is_some_and(|token| token.sub != person.id) {
        return Err(refuse(&Kakao::record("a login", Fault::other_person())));
    }
    Ok(Identity {
        kakao_id: person.id,
        profile: person.profile,
        consent: Consent {
            scopes: tokens.scope.as_deref().map(consent::items),
            needs_agreement: person.needs_agreement,
            service_terms,
        },
        auth_time: id_token.and_then(|token| token.auth_time),
        read_at: asked_at,
        vouched_at: asked_at,
        access_token: Some((tokens.access_token, tokens.expires_in)),
        refresh_token: tokens.refresh_token.map(|token| (token, tokens.refresh_token_expires_in)),
    })
}

/// The terms of Kakao Sync, if the settings say that the app has some. A login does not fail for them.
pub(crate) async fn service_terms(deps: &Deps, access_token: &KakaoAccessToken) -> Option<Vec<ServiceTerm>> {
    if !deps.policy.kakao.service_terms {
        return None;
    }
    deps.kakao.service_terms(access_token).await.ok()
}

/// Whoever was a user and is refused now is marked; the login fails either way.
pub(crate) async fn note_under_age(deps: &Deps, db: &mut Db, kakao_id: KakaoId) {
    if let Err(error) = kakao_links::refused_under_age(db, kakao_id, deps.clock.now()).await {
        warn!(cause = chain(&error), "an under-14 refusal was not recorded");
    }
}

async fn log_in(
    deps: &Deps,
    db: &mut Db,
    callback: &Callback,
    code: &KakaoCode,
) -> Result<(), Error<LoginRefusal>> {
    let Callback { id, attempt, browser, .. } = callback;
    let identity = ask_kakao(deps, db, attempt, code).await?;
    let client = deps.clients.find(attempt.request.client.as_str()).ok_or_else(|| {
        Error::<LoginRefusal>::broken("the client of a login attempt is gone from the settings")
    })?;
    judge_recency(attempt, browser, &identity)?;
    if let Some(expected) = attempt.expected {
        let found = users::find_by_kakao_id(db, identity.kakao_id).await?;
        if found.is_none_or(|user| user.id != expected) {
            info!(client = %client.id, "another user than the client expects logged in");
            return Err(LoginRefusal::OtherUser.into());
        }
    }
    let keys = keys_of(&deps.keys, attempt);
    let (our_code, cookie) = (keys.code(), keys.session_cookie());
    let session = SessionToBegin { cookie: &cookie, replaces: browser.session.as_ref() };
    let to_grant = ToGrant {
        client,
        request: attempt.request.clone(),
        code: Some((&our_code, attempt.binding.clone())),
        attempt: Some(*id),
        user_agent: browser.user_agent.clone(),
    };
    match complete(deps, db, Voucher::Kakao(&identity, Some(session)), to_grant).await? {
        Completed::Granted(_) => Ok(()),
        Completed::UserDisabled => Err(LoginRefusal::UserDisabled.into()),
        Completed::LoginsEnded => Err(LoginRefusal::StartAgain.into()),
        Completed::TooManyCodes => Err(LoginRefusal::TooManyCodes.into()),
    }
}

/// What the client asked of the login is judged again: what was to reach Kakao went through the person's address bar.
fn judge_recency(
    attempt: &LoginAttempt,
    browser: &FromBrowser,
    identity: &Identity,
) -> Result<(), LoginRefusal> {
    let oldest = attempt.oldest_login.map(Duration::from_secs);
    judge_again(oldest, attempt.began_at, identity.auth_time).map_err(|why| match why {
        NotRecent::Unknown => LoginRefusal::LoginTimeUnknown,
        NotRecent::TooOld if browser.is_kakaotalk() => LoginRefusal::LoginTooOldInApp,
        NotRecent::TooOld => LoginRefusal::LoginTooOld,
    })
}

fn refuse(fault: &Fault) -> Error<LoginRefusal> {
    fault::of_login(fault).into()
}
