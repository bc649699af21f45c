//! Browser sessions: whether a login that this browser had earlier is enough for what a client asks now.

use std::time::Duration;

use super::{SessionId, Timestamp, UserId};

/// A session that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its row.
    pub id: SessionId,
    /// Who logged in.
    pub user: UserId,
    /// When the person proved to Kakao who they are.
    pub auth_time: Timestamp,
}

/// What an authorization request says about the person's presence (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// `prompt=none`: no page may be shown.
    pub silent: bool,
    /// `prompt=login`, `select_account`, `create` or `consent`: what Kakao is to be told. Each needs a page.
    pub page: Option<Page>,
    /// `max_age`
    pub max_age: Option<Duration>,
    /// The user of `id_token_hint`.
    pub user: Option<UserId>,
}

/// Which page of Kakao's a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Prove again who you are.
    Login,
    /// Choose among accounts.
    SelectAccount,
    /// Make an account.
    Create,
    /// Whatever Kakao finds fit.
    Any,
}

impl Page {
    /// The value of Kakao's `prompt`.
    pub const fn kakao_prompt(self) -> Option<&'static str> {
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
pub enum Verdict {
    /// The session is enough: a code at once.
    UseSession(Session),
    /// To Kakao.
    AskKakao(Page),
    /// A page would be needed and may not be shown: `login_required`.
    LoginRequired,
}

/// Judges a request by the session that the browser has, if any.
pub fn judge(wish: &Wish, session: Option<Session>, now: Timestamp) -> Verdict {
    let needs_page = match (wish.page, session) {
        (Some(page), _) => Some(page),
        // How old Kakao's own session is, is not known.
        (None, None) if wish.max_age.is_some() => Some(Page::Login),
        (None, None) => Some(Page::Any),
        (None, Some(session)) if wish.user.is_some_and(|user| user != session.user) => {
            Some(Page::SelectAccount)
        }
        (None, Some(session)) => {
            let too_old = |age: Duration| age.is_zero() || now.since(session.auth_time) > age;
            wish.max_age.is_some_and(too_old).then_some(Page::Login)
        }
    };
    match (needs_page, session) {
        (None, Some(session)) => Verdict::UseSession(session),
        _ if wish.silent => Verdict::LoginRequired,
        (page, _) => Verdict::AskKakao(page.unwrap_or(Page::Any)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_enough_unless_the_request_says_otherwise() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let session = Session {
            id: SessionId::generate(),
            user: UserId::generate(),
            auth_time: now - Duration::from_mins(5),
        };
        let enough = Verdict::UseSession(session);
        let wish = Wish::default();
        let mins = |n| Some(Duration::from_mins(n));
        for (wish, with, without) in [
            (wish, enough, Verdict::AskKakao(Page::Any)),
            (Wish { silent: true, ..wish }, enough, Verdict::LoginRequired),
            (
                Wish { page: Some(Page::Login), ..wish },
                Verdict::AskKakao(Page::Login),
                Verdict::AskKakao(Page::Login),
            ),
            (Wish { max_age: mins(10), ..wish }, enough, Verdict::AskKakao(Page::Login)),
            (Wish { max_age: mins(5), ..wish }, enough, Verdict::AskKakao(Page::Login)),
            (
                Wish { max_age: mins(4), ..wish },
                Verdict::AskKakao(Page::Login),
                Verdict::AskKakao(Page::Login),
            ),
            (
                Wish { max_age: mins(0), ..wish },
                Verdict::AskKakao(Page::Login),
                Verdict::AskKakao(Page::Login),
            ),
            (Wish { max_age: mins(4), silent: true, ..wish }, Verdict::LoginRequired, Verdict::LoginRequired),
            (Wish { user: Some(session.user), silent: true, ..wish }, enough, Verdict::LoginRequired),
            (
                Wish { user: Some(UserId::generate()), silent: true, ..wish },
                Verdict::LoginRequired,
                Verdict::LoginRequired,
            ),
            (
                Wish { user: Some(UserId::generate()), ..wish },
                Verdict::AskKakao(Page::SelectAccount),
                Verdict::AskKakao(Page::Any),
            ),
        ] {
            assert_eq!(judge(&wish, Some(session), now), with, "{wish:?} with a session");
            assert_eq!(judge(&wish, None, now), without, "{wish:?} without one");
        }
    }
}
