//! Browser sessions: whether a login that this browser had earlier is enough for what a client asks now.

use std::time::Duration;

use super::{BrowserSessionId, Fingerprint, Timestamp, UserId};

/// A session that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Its row.
    pub(crate) id: BrowserSessionId,
    /// Who logged in.
    pub(crate) user: UserId,
    /// When the person logged in at Kakao, if Kakao said so.
    pub(crate) auth_time: Option<Timestamp>,
    /// When Kakao vouched for the person in the login that began it: by this the login counts or is void.
    pub(crate) logged_in_at: Timestamp,
}

/// A browser session about to be stored.
#[derive(Clone, Debug)]
pub struct NewBrowserSession {
    /// Its row.
    pub id: BrowserSessionId,
    /// SHA-256 of its cookie.
    pub token: Fingerprint,
    /// Until when it lives unused.
    pub idle_expires_at: Timestamp,
    /// Until when it lives at all.
    pub expires_at: Timestamp,
}

/// How an authorization request wants its user authenticated (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthnRequirements {
    /// `prompt=none`: no page may be shown.
    pub(crate) prompt_none: bool,
    /// `prompt=login`, `select_account`, `create` or `consent`: each needs a page of Kakao's.
    pub(crate) prompt: Option<Prompt>,
    pub(crate) max_age: Option<Duration>,
    /// The user of `id_token_hint`.
    pub(crate) user: Option<UserId>,
}

/// Which page of Kakao's is to be shown (`prompt`, also Kakao's own).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Prove again who you are.
    Login,
    /// Choose among accounts.
    SelectAccount,
    /// Make an account.
    Create,
    /// Whatever Kakao finds fit.
    Any,
}

impl AuthnRequirements {
    /// How long before the login begins the person may have logged in at Kakao, if the client sets a limit.
    pub(crate) fn oldest_login(&self) -> Option<Duration> {
        if self.prompt == Some(Prompt::Login) { Some(Duration::ZERO) } else { self.max_age }
    }
}

impl Prompt {
    /// The value of `prompt`, which OpenID Connect and Kakao share; `None` where Kakao decides.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Login => Some("login"),
            Self::SelectAccount => Some("select_account"),
            Self::Create => Some("create"),
            Self::Any => None,
        }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The session is enough: a code at once.
    UseSession(BrowserSession),
    /// To Kakao.
    AskKakao(Prompt),
    /// A page would be needed and may not be shown: `login_required`.
    LoginRequired,
}

/// Judges a request by the session that the browser has, if any.
pub(crate) fn judge(
    requirements: &AuthnRequirements,
    session: Option<BrowserSession>,
    now: Timestamp,
) -> Verdict {
    let is_recent = |age: Duration| {
        let auth_time = session.and_then(|session| session.auth_time);
        !age.is_zero() && auth_time.is_some_and(|at| now.since(at) <= age)
    };
    let prompt = match (requirements.prompt, session) {
        // Whoever makes an account proves who they are.
        (Some(Prompt::Create), _) => Some(Prompt::Create),
        // How old Kakao's own session is, is not known.
        _ if requirements.max_age.is_some_and(|age| !is_recent(age)) => Some(Prompt::Login),
        (Some(prompt), _) => Some(prompt),
        (None, None) => Some(Prompt::Any),
        (None, Some(session)) if requirements.user.is_some_and(|user| user != session.user) => {
            Some(Prompt::SelectAccount)
        }
        (None, Some(_)) => None,
    };
    match (prompt, session) {
        (None, Some(session)) => Verdict::UseSession(session),
        _ if requirements.prompt_none => Verdict::LoginRequired,
        (prompt, _) => Verdict::AskKakao(prompt.unwrap_or(Prompt::Any)),
    }
}

/// How far Kakao's clock and ours may be apart, and what Kakao's whole seconds cut off.
const LEEWAY: Duration = Duration::from_secs(5);

/// Why a login at Kakao is not the recent one that the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRecent {
    /// Kakao did not say when it was.
    Unknown,
    /// It was too long ago: what we asked of Kakao did not reach it, or it did not do so.
    TooOld,
}

/// Judges at the end of a login whether the person logged in at Kakao as lately as the client asked ([`AuthnRequirements::
/// oldest_login`]): the browser carries to Kakao what we ask of it, and may leave it out.
pub(crate) fn judge_again(
    oldest: Option<Duration>,
    began_at: Timestamp,
    auth_time: Option<Timestamp>,
) -> Result<(), NotRecent> {
    match (oldest, auth_time) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(NotRecent::Unknown),
        (Some(oldest), Some(at)) if began_at.since(at) <= oldest.saturating_add(LEEWAY) => Ok(()),
        (Some(_), Some(_)) => Err(NotRecent::TooOld),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_enough_unless_the_request_says_otherwise() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let session = BrowserSession {
            id: BrowserSessionId::generate(),
            user: UserId::generate(),
            auth_time: Some(now - Duration::from_mins(5)),
            logged_in_at: now - Duration::from_mins(5),
        };
        let enough = Verdict::UseSession(session);
        let any = AuthnRequirements::default();
        let mins = |n| Some(Duration::from_mins(n));
        for (requirements, with, without) in [
            (any, enough, Verdict::AskKakao(Prompt::Any)),
            (AuthnRequirements { prompt_none: true, ..any }, enough, Verdict::LoginRequired),
            (
                AuthnRequirements { prompt: Some(Prompt::Login), ..any },
                Verdict::AskKakao(Prompt::Login),
                Verdict::AskKakao(Prompt::Login),
            ),
            (AuthnRequirements { max_age: mins(10), ..any }, enough, Verdict::AskKakao(Prompt::Login)),
            (AuthnRequirements { max_age: mins(5), ..any }, enough, Verdict::AskKakao(Prompt::Login)),
            (
                AuthnRequirements { max_age: mins(4), ..any },
                Verdict::AskKakao(Prompt::Login),
                Verdict::AskKakao(Prompt::Login),
            ),
            (
                AuthnRequirements { max_age: mins(0), ..any },
                Verdict::AskKakao(Prompt::Login),
                Verdict::AskKakao(Prompt::Login),
            ),
            (
                AuthnRequirements { max_age: mins(4), prompt_none: true, ..any },
                Verdict::LoginRequired,
                Verdict::LoginRequired,
            ),
            (
                AuthnRequirements { user: Some(session.user), prompt_none: true, ..any },
                enough,
                Verdict::LoginRequired,
            ),
            (
                AuthnRequirements { user: Some(UserId::generate()), prompt_none: true, ..any },
                Verdict::LoginRequired,
                Verdict::LoginRequired,
            ),
            (
                AuthnRequirements { user: Some(UserId::generate()), ..any },
                Verdict::AskKakao(Prompt::SelectAccount),
                Verdict::AskKakao(Prompt::Any),
            ),
        ] {
            assert_eq!(judge(&requirements, Some(session), now), with, "{requirements:?} with a session");
            assert_eq!(judge(&requirements, None, now), without, "{requirements:?} without one");
        }
        let undated = BrowserSession { auth_time: None, ..session };
        assert_eq!(judge(&any, Some(undated), now), Verdict::UseSession(undated));
        for (prompt, asked) in [
            (None, Prompt::Login),
            (Some(Prompt::SelectAccount), Prompt::Login),
            (Some(Prompt::Any), Prompt::Login),
            (Some(Prompt::Create), Prompt::Create),
        ] {
            let old = AuthnRequirements { prompt, max_age: mins(4), ..any };
            assert_eq!(judge(&old, Some(session), now), Verdict::AskKakao(asked), "{prompt:?}");
            let undated_and_old = judge(&AuthnRequirements { max_age: mins(60), ..old }, Some(undated), now);
            assert_eq!(undated_and_old, Verdict::AskKakao(asked), "{prompt:?}");
        }
        let recent = AuthnRequirements { prompt: Some(Prompt::SelectAccount), max_age: mins(10), ..any };
        assert_eq!(judge(&recent, Some(session), now), Verdict::AskKakao(Prompt::SelectAccount));
    }

    #[test]
    fn what_was_asked_of_a_login_is_judged_again_at_its_end() {
        let began = Timestamp::from_micros(1_800_000_000_000_000);
        let at = |seconds: u64| Some(began - Duration::from_secs(seconds));
        let secs = |n| Some(Duration::from_secs(n));
        for (oldest, auth_time, expected) in [
            (None, None, Ok(())),
            (None, at(1_000_000), Ok(())),
            (secs(0), None, Err(NotRecent::Unknown)),
            (secs(u32::MAX.into()), None, Err(NotRecent::Unknown)),
            (secs(0), Some(began + Duration::from_mins(1)), Ok(())),
            (secs(0), at(5), Ok(())),
            (secs(0), at(6), Err(NotRecent::TooOld)),
            (secs(60), at(65), Ok(())),
            (secs(60), at(66), Err(NotRecent::TooOld)),
        ] {
            assert_eq!(judge_again(oldest, began, auth_time), expected, "{oldest:?} {auth_time:?}");
        }
        let any = AuthnRequirements { max_age: secs(60), ..AuthnRequirements::default() };
        for (prompt, oldest) in
            [(None, secs(60)), (Some(Prompt::Login), secs(0)), (Some(Prompt::SelectAccount), secs(60))]
        {
            assert_eq!(AuthnRequirements { prompt, ..any }.oldest_login(), oldest);
        }
        assert_eq!(AuthnRequirements::default().oldest_login(), None);
    }
}
