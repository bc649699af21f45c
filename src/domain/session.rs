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
    /// When the person proved to Kakao who they are.
    pub(crate) auth_time: Timestamp,
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
    let prompt = match (requirements.prompt, session) {
        (Some(prompt), _) => Some(prompt),
        // How old Kakao's own session is, is not known.
        (None, None) if requirements.max_age.is_some() => Some(Prompt::Login),
        (None, None) => Some(Prompt::Any),
        (None, Some(session)) if requirements.user.is_some_and(|user| user != session.user) => {
            Some(Prompt::SelectAccount)
        }
        (None, Some(session)) => {
            let too_old = |age: Duration| age.is_zero() || now.since(session.auth_time) > age;
            requirements.max_age.is_some_and(too_old).then_some(Prompt::Login)
        }
    };
    match (prompt, session) {
        (None, Some(session)) => Verdict::UseSession(session),
        _ if requirements.prompt_none => Verdict::LoginRequired,
        (prompt, _) => Verdict::AskKakao(prompt.unwrap_or(Prompt::Any)),
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
            auth_time: now - Duration::from_mins(5),
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
    }
}
