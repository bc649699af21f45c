//! Every code of Kakao, sorted by who must act. Sorted by code, never by status: Kakao dresses its own faults and used-up
//! quotas as 400.
//!
//! No text of Kakao's is kept: the one of KOE320 repeats the code, and one of −401 may hold the admin key.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// What a fault at Kakao means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The person cannot or does not want to log in.
    PersonRefused,
    /// The code or token is spent or too old: a new login helps.
    StartAgain,
    /// Our set-up at Kakao is wrong: the operator must act.
    SetupWrong,
    /// Kakao gave an answer that cannot be, or says that the fault is its own.
    KakaoBroken,
    /// Kakao does not answer, is under maintenance, or asks to wait.
    TryLater,
}

/// A code of Kakao's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Of kauth: `KOE320`.
    Koe(u32),
    /// Of kapi: `-401`.
    Api(i64),
    /// `error` of a redirect.
    Redirect(&'static str),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Koe(number) => write!(f, "KOE{number:03}"),
            Self::Api(number) => number.fmt(f),
            Self::Redirect(error) => f.write_str(error),
        }
    }
}

/// Something that went wrong at Kakao, without a word of Kakao's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it means.
    pub kind: FaultKind,
    /// Kakao's code, if it gave one.
    pub code: Option<Code>,
    /// For the operator: what is wrong, and what to do where that is known.
    pub cause: &'static str,
    /// How long to wait, where Kakao says it.
    pub retry_after: Option<Duration>,
}

type Row<N> = (N, FaultKind, &'static str);

use FaultKind::{KakaoBroken, PersonRefused, SetupWrong, StartAgain, TryLater};

/// developers.kakao.com, Kakao Login > Troubleshooting.
const KOE: &[Row<u32>] = &[
    (1, SetupWrong, "the request is malformed"),
    (2, SetupWrong, "the URL is wrong: check kakao.auth_base_url"),
    (3, TryLater, "a temporary fault of Kakao's login"),
    (4, SetupWrong, "Kakao Login is switched off: console, Kakao Login, switch it on"),
    (5, PersonRefused, "a test app, and the person is not a member of it"),
    (6, SetupWrong, "the redirect URI is not registered: console, Platform keys, REST API key"),
    (7, SetupWrong, "the logout redirect URI is not registered"),
    (8, SetupWrong, "kakao.client_id is an app key of the wrong type: use the REST API key"),
    (9, SetupWrong, "the token was asked from an unregistered platform"),
    (10, SetupWrong, "kakao.client_secret is missing or wrong; new REST API keys have it switched on"),
    (23, SetupWrong, "login by popup is not possible"),
    (101, SetupWrong, "kakao.client_id is not a REST API key of the app"),
    (102, SetupWrong, "no channel is linked to the app"),
    (201, SetupWrong, "the response type is not supported"),
    (202, SetupWrong, "the implicit grant is not supported"),
    (203, PersonRefused, "a required consent item was not agreed to"),
    (204, SetupWrong, "a parameter is not valid"),
    (205, SetupWrong, "kakao.scopes names a consent item that is not switched on in the console"),
    (207, SetupWrong, "a required parameter is missing"),
    (237, TryLater, "too many tokens were asked for this person"),
    (303, SetupWrong, "the redirect URI differs from the one of the login: check server.public_url"),
    (310, SetupWrong, "the grant type is not supported"),
    (319, SetupWrong, "the refresh token is missing"),
    (320, StartAgain, "Kakao's code was spent, too old or unknown"),
    (322, StartAgain, "Kakao's refresh token is expired or unknown"),
    (400, KakaoBroken, "Kakao does not know its own ID token"),
];

/// developers.kakao.com, REST API > Error codes.
const API: &[Row<i64>] = &[
    (-1, KakaoBroken, "an internal fault of Kakao"),
    (-2, SetupWrong, "an argument is missing or not valid"),
    (-3, SetupWrong, "the feature is not switched on, or the admin key may not use it"),
    (-4, PersonRefused, "the account is restricted"),
    (-5, SetupWrong, "the app has no permission for this API"),
    (-6, PersonRefused, "Kakao does not allow this"),
    (-7, TryLater, "maintenance or an internal problem of Kakao"),
    (-8, SetupWrong, "a header is wrong"),
    (-9, SetupWrong, "the API is retired"),
    (-10, TryLater, "the app's quota is used up"),
    (-11, TryLater, "the spending limit of a paid API is reached"),
    (-12, SetupWrong, "the app or its developer's account is blocked"),
    (-101, StartAgain, "the person is not linked to the app"),
    (-102, StartAgain, "the person is linked already"),
    (-103, PersonRefused, "the Kakao account is dormant or does not exist"),
    (-201, SetupWrong, "a user property is not registered"),
    (-301, SetupWrong, "the app does not exist"),
    (-401, StartAgain, "the token is expired or unknown, or this server's address is not on the app's list"),
    (-402, PersonRefused, "consent is missing"),
    (-405, PersonRefused, "the person's age must be verified"),
    (-406, PersonRefused, "the person is under 14, and the app refuses people under 14"),
    (-501, PersonRefused, "the person does not use KakaoTalk"),
    (-602, SetupWrong, "an image is too big"),
    (-603, KakaoBroken, "an internal time-out of Kakao"),
    (-606, SetupWrong, "too many images"),
    (-903, SetupWrong, "the key belongs to an unregistered developer"),
    (-911, SetupWrong, "an image has a bad format"),
    (-9798, TryLater, "Kakao is under maintenance"),
];

const CANCELLED: Code = Code::Redirect("access_denied");
const UNDER_AGE: Code = Code::Redirect("access_denied_under_age");

#[derive(Deserialize)]
struct AuthError {
    error_code: Option<String>,
}

#[derive(Deserialize)]
struct ApiError {
    code: i64,
}

impl Fault {
    fn new(kind: FaultKind, code: Option<Code>, cause: &'static str) -> Self {
        Self { kind, code, cause, retry_after: None }
    }

    /// An error reply of kauth.
    pub(super) fn of_auth(status: u16, body: &[u8]) -> Self {
        let code = serde_json::from_slice::<AuthError>(body).ok().and_then(|reply| reply.error_code);
        let Some(number) =
            code.as_deref().and_then(|code| code.strip_prefix("KOE")).and_then(|n| n.parse().ok())
        else {
            return Self::of_status(status);
        };
        let known = KOE.iter().find(|row| row.0 == number);
        let (kind, cause) =
            known.map_or((by_status(status), "an unknown code of Kakao's"), |row| (row.1, row.2));
        Self::new(kind, Some(Code::Koe(number)), cause)
    }

    /// An error reply of kapi.
    pub(super) fn of_api(status: u16, body: &[u8]) -> Self {
        let Ok(ApiError { code }) = serde_json::from_slice(body) else { return Self::of_status(status) };
        let known = API.iter().find(|row| row.0 == code);
        let (kind, cause) =
            known.map_or((by_status(status), "an unknown code of Kakao's"), |row| (row.1, row.2));
        Self::new(kind, Some(Code::Api(code)), cause)
    }

    fn of_status(status: u16) -> Self {
        Self::new(by_status(status), None, "an error without a code of Kakao's")
    }

    /// A reply that Kakao does not send.
    pub(super) fn unreadable(status: u16, what: &'static str) -> Self {
        let kind =
            if status == 200 || (300..400).contains(&status) { KakaoBroken } else { by_status(status) };
        Self::new(kind, None, what)
    }

    /// No reply. reqwest's own text names the URL, and a callback's URL holds a code: it is not kept.
    pub(super) fn network(error: &reqwest::Error) -> Self {
        let cause = if error.is_timeout() {
            "Kakao did not answer in time"
        } else if error.is_connect() {
            "Kakao cannot be reached"
        } else {
            "the connection to Kakao broke"
        };
        Self::new(TryLater, None, cause)
    }

    pub(super) fn resting(left: Duration) -> Self {
        Self { retry_after: Some(left), ..Self::new(TryLater, None, "a quota was used up a moment ago") }
    }

    /// Not now, for a reason of ours.
    pub fn later(cause: &'static str) -> Self {
        Self::new(TryLater, None, cause)
    }

    pub(super) fn setup(cause: &'static str) -> Self {
        Self::new(SetupWrong, None, cause)
    }

    pub(super) fn id_token(cause: &'static str) -> Self {
        Self::new(KakaoBroken, None, cause)
    }

    /// Whether everybody should wait. KOE237 is one person's limit, −10 the app's.
    pub(super) fn is_quota(&self) -> bool {
        matches!(self.code, Some(Code::Api(-10)))
    }

    /// Whether Kakao would have logged the person in with a page, and was asked not to show one.
    pub fn wants_page(&self) -> bool {
        const WITHOUT_PAGE: [&str; 3] = ["login_required", "consent_required", "interaction_required"];
        matches!(self.code, Some(Code::Redirect(error)) if WITHOUT_PAGE.contains(&error))
    }

    /// Whether the person is not linked to the app: −101.
    pub fn is_not_linked(&self) -> bool {
        self.code == Some(Code::Api(-101))
    }

    /// Whether the access token is dead: −401.
    pub fn is_dead_token(&self) -> bool {
        self.code == Some(Code::Api(-401)) && self.kind == StartAgain
    }

    /// Whether one person's tokens were asked for too often: KOE237.
    pub fn is_token_limit(&self) -> bool {
        self.code == Some(Code::Koe(237))
    }

    /// Whether the app's quota is used up: −10.
    pub fn is_app_quota(&self) -> bool {
        self.is_quota()
    }

    /// Whether the person pressed cancel.
    pub fn is_cancel(&self) -> bool {
        self.code.as_ref() == Some(&CANCELLED)
    }

    /// Whether Kakao refused the person for being under 14.
    pub fn is_under_age(&self) -> bool {
        self.code.as_ref() == Some(&UNDER_AGE) || self.code == Some(Code::Api(-406))
    }
}

/// What a status without a known code means.
fn by_status(status: u16) -> FaultKind {
    match status {
        408 | 429 | 500..=599 => TryLater,
        401 | 403 => SetupWrong,
        _ => KakaoBroken,
    }
}

/// What an `error` in Kakao's redirect means. A cancel and an under-14 refusal are both `access_denied`; only the
/// description tells them apart.
pub fn callback_fault(error: &str, description: Option<&str>) -> Fault {
    let (kind, code, cause) = match error {
        "access_denied"
            if description.is_some_and(|text| text.to_ascii_lowercase().contains("under age")) =>
        {
            (PersonRefused, UNDER_AGE, "the person is under 14")
        }
        "access_denied" => (PersonRefused, CANCELLED, "the person cancelled"),
        "login_required" => {
            (StartAgain, Code::Redirect("login_required"), "the person is not logged in at Kakao")
        }
        "consent_required" => {
            (StartAgain, Code::Redirect("consent_required"), "the person has not agreed yet")
        }
        "interaction_required" => {
            (StartAgain, Code::Redirect("interaction_required"), "Kakao must ask the person something")
        }
        "server_error" => (TryLater, Code::Redirect("server_error"), "a fault of Kakao"),
        "temporarily_unavailable" => {
            (TryLater, Code::Redirect("temporarily_unavailable"), "Kakao asks to wait")
        }
        "invalid_request"
        | "invalid_client"
        | "invalid_scope"
        | "invalid_grant"
        | "misconfigured"
        | "unauthorized"
        | "unauthorized_client"
        | "unsupported_response_type" => {
            (SetupWrong, Code::Redirect("set-up"), "Kakao refuses the request of this app")
        }
        _ => (KakaoBroken, Code::Redirect("unknown"), "an unknown error in Kakao's redirect"),
    };
    Fault::new(kind, Some(code), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_and_statuses_do_not() {
        let auth = |status, code: &str| {
            Fault::of_auth(status, format!(r#"{{"error":"x","error_code":"{code}"}}"#).as_bytes())
        };
        assert_eq!(auth(401, "KOE320").kind, StartAgain);
        assert_eq!(auth(429, "KOE237").kind, TryLater);
        assert_eq!(auth(400, "KOE237").kind, TryLater);
        assert_eq!(auth(400, "KOE010").kind, SetupWrong);
        assert_eq!(auth(400, "KOE303").kind, SetupWrong);
        let api =
            |status, code: i64| Fault::of_api(status, format!(r#"{{"msg":"x","code":{code}}}"#).as_bytes());
        assert_eq!(api(400, -1).kind, KakaoBroken);
        assert_eq!(api(400, -603).kind, KakaoBroken);
        assert_eq!(api(400, -10).kind, TryLater);
        assert!(api(400, -10).is_quota());
        assert_eq!(api(503, -9798).kind, TryLater);
        assert_eq!(api(401, -406).kind, PersonRefused);
    }

    #[test]
    fn without_a_code_the_status_counts() {
        for body in [&b"<html>"[..], b"", b"{}", br#"{"error_code":"XYZ"}"#] {
            assert_eq!(Fault::of_auth(502, body).kind, TryLater);
            assert_eq!(Fault::of_auth(400, body).kind, KakaoBroken);
        }
    }

    #[test]
    fn a_cancel_and_an_under_age_refusal_are_told_apart() {
        assert!(callback_fault("access_denied", Some("User denied access")).is_cancel());
        let young = callback_fault("access_denied", Some("Not allowed under age 14"));
        assert!(young.is_under_age() && !young.is_cancel());
        assert_eq!(callback_fault("consent_required", None).kind, StartAgain);
        assert_eq!(callback_fault("<script>", None).kind, KakaoBroken);
    }

    #[test]
    fn no_word_of_kakao_s_is_kept() {
        let body = br#"{"error":"invalid_grant","error_description":"authorization code not found for code=SECRET","error_code":"KOE320"}"#;
        assert!(!format!("{:?}", Fault::of_auth(400, body)).contains("SECRET"));
    }
}
