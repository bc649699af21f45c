//! What went wrong at Kakao, as a row of the table in [`codes`]. Sorted by code, never by status: Kakao dresses its own
//! faults and used-up quotas as 400.
//!
//! No text of Kakao's is kept: the one of KOE320 repeats the code, and one of −401 may hold the admin key.
//!
//! [`codes`]: super::codes

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::codes::{self, Actor, FaultKind, KnownFault};
use crate::domain::Locale;

/// A code of Kakao's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Code {
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
pub(crate) struct Fault {
    /// Its row in the table.
    pub(crate) known: &'static KnownFault,
    /// Kakao's code, if it gave one.
    pub(crate) code: Option<Code>,
    /// For the log: the row's sentence, or something more exact.
    pub(crate) cause: &'static str,
    /// How long to wait, where Kakao says it.
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct AuthError {
    error_code: Option<String>,
}

#[derive(Deserialize)]
struct ApiError {
    code: i64,
    /// Only ever looked at for one word. It may change its form.
    #[serde(default)]
    msg: Value,
}

impl Fault {
    /// Of this row.
    pub(super) fn of(known: &'static KnownFault) -> Self {
        let cause = known.sentence(Locale::En);
        Self { known, code: None, cause, retry_after: None }
    }

    /// Says more exactly than the row what is wrong.
    fn because(self, cause: &'static str) -> Self {
        Self { cause, ..self }
    }

    fn with_code(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }

    /// An error reply of kauth.
    pub(super) fn of_auth(status: u16, body: &[u8]) -> Self {
        let code = serde_json::from_slice::<AuthError>(body).ok().and_then(|reply| reply.error_code);
        let Some(number) =
            code.as_deref().and_then(|code| code.strip_prefix("KOE")).and_then(|n| n.parse().ok())
        else {
            return Self::of_status(status);
        };
        Self::of_koe(status, number)
    }

    /// An error reply of kapi.
    pub(super) fn of_api(status: u16, body: &[u8]) -> Self {
        let Ok(ApiError { code, msg }) = serde_json::from_slice(body) else { return Self::of_status(status) };
        let fault = Self::of_code(status, &format!("KAPI{code}"));
        // −401 is also what a caller gets who is not on the app's lists (address, domain, key hash, bundle). A new login
        // would not help then.
        let mismatch = fault.known == codes::DEAD_TOKEN
            && msg.as_str().is_some_and(|text| text.to_ascii_lowercase().contains("mismatched!"));
        let fault = if mismatch { Self::of(codes::MISMATCH) } else { fault };
        fault.with_code(Code::Api(code))
    }

    fn of_code(status: u16, id: &str) -> Self {
        KnownFault::find(id)
            .map_or_else(|| Self::of(by_status(status)).because("an unknown code of Kakao's"), Self::of)
    }

    /// A KOE code that stands on a page.
    pub(super) fn of_koe(status: u16, number: u32) -> Self {
        Self::of_code(status, &format!("KOE{number:03}")).with_code(Code::Koe(number))
    }

    fn of_status(status: u16) -> Self {
        Self::of(by_status(status)).because("an error without a code of Kakao's")
    }

    /// A reply that Kakao does not send.
    pub(super) fn unreadable(status: u16, what: &'static str) -> Self {
        let is_answer = status == 200 || (300..400).contains(&status);
        let known = if is_answer { codes::REPLY_UNREADABLE } else { by_status(status) };
        Self::of(known).because(what)
    }

    /// No reply. reqwest's own text names the URL, and a callback's URL holds a code: it is not kept.
    pub(super) fn network(error: &reqwest::Error) -> Self {
        Self::of(if error.is_timeout() {
            codes::TIMEOUT
        } else if error.is_connect() {
            codes::UNREACHABLE
        } else {
            codes::BROKEN_OFF
        })
    }

    /// The calls of one login together took longer than one call may.
    pub(crate) fn late() -> Self {
        Self::of(codes::TIMEOUT).because("the calls to Kakao together took too long")
    }

    /// The ID token and the profile name different people.
    pub(crate) fn other_person() -> Self {
        Self::id_token(codes::ID_TOKEN_PERSON, "Kakao's ID token and /v2/user/me name different people")
    }

    pub(super) fn backing_off(left: Duration) -> Self {
        Self { retry_after: Some(left), ..Self::of(codes::QUOTA_BACKOFF) }
    }

    /// A key that Kakao may have published since its keys were read; they may be read again when this time is over.
    pub(super) fn key_unseen(left: Duration) -> Self {
        Self { retry_after: Some(left), ..Self::of(codes::ID_TOKEN_KEY_UNSEEN) }
    }

    /// The same reply of Kakao, where it means that the token is none that Kakao knows.
    pub(super) fn into_dead_token(self) -> Self {
        Self { code: self.code, ..Self::of(codes::DEAD_TOKEN) }
    }

    pub(super) fn setup(cause: &'static str) -> Self {
        Self::of(codes::SETTING).because(cause)
    }

    pub(super) fn id_token(known: &'static KnownFault, cause: &'static str) -> Self {
        Self::of(known).because(cause)
    }

    /// What it means.
    pub(crate) fn kind(&self) -> FaultKind {
        self.known.kind
    }

    /// The stable id of its row.
    pub(crate) fn id(&self) -> &'static str {
        self.known.id
    }

    /// Who must act.
    pub(crate) fn actor(&self) -> Actor {
        self.known.actor
    }

    /// What is wrong and what to do, for people.
    pub(crate) fn sentence(&self, locale: Locale) -> &'static str {
        self.known.sentence(locale)
    }

    /// Whether the app's quota is used up, so that everybody should wait: −10. KOE237 is the limit of one person.
    pub(crate) fn is_quota(&self) -> bool {
        matches!(self.code, Some(Code::Api(-10)))
    }

    /// Whether Kakao would have logged the person in with a page, and was asked not to show one.
    pub(crate) fn wants_page(&self) -> bool {
        const WITHOUT_PAGE: [&str; 3] = ["login_required", "consent_required", "interaction_required"];
        matches!(self.code, Some(Code::Redirect(error)) if WITHOUT_PAGE.contains(&error))
    }

    /// Whether it is Kakao's own, and the same call may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.kind(), FaultKind::TryLater | FaultKind::KakaoBroken)
    }

    /// Whether the key or the app may not call this API: −3.
    pub(crate) fn is_not_allowed(&self) -> bool {
        self.code == Some(Code::Api(-3))
    }

    /// Whether the person is not linked to the app: −101.
    pub(crate) fn is_not_linked(&self) -> bool {
        self.code == Some(Code::Api(-101))
    }

    /// Whether the access token is dead: −401.
    pub(crate) fn is_dead_token(&self) -> bool {
        self.known == codes::DEAD_TOKEN
    }

    /// Whether one person's tokens were asked for too often: KOE237.
    pub(crate) fn is_token_limit(&self) -> bool {
        self.code == Some(Code::Koe(237))
    }

    /// Whether a code was spent, too old or unknown: KOE320.
    pub(super) fn is_spent_code(&self) -> bool {
        self.code == Some(Code::Koe(320))
    }

    /// Whether an argument is missing or wrong: −2.
    pub(super) fn is_bad_argument(&self) -> bool {
        self.code == Some(Code::Api(-2))
    }

    /// Whether a consent item is not switched on in the console: KOE205.
    pub(crate) fn is_scope_off(&self) -> bool {
        self.code == Some(Code::Koe(205))
    }

    /// Whether our key is not the app's REST API key: KOE101, KOE008.
    pub(crate) fn is_wrong_key(&self) -> bool {
        matches!(self.code, Some(Code::Koe(101 | 8)))
    }

    /// Whether Kakao refused the person for being under 14.
    pub(crate) fn is_under_age(&self) -> bool {
        self.kind() == FaultKind::UnderAge
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id(), self.cause)
    }
}

impl std::error::Error for Fault {}

/// What a status without a known code means.
fn by_status(status: u16) -> &'static KnownFault {
    match status {
        408 | 429 | 500..=599 => codes::REPLY_BUSY,
        401 | 403 => codes::REPLY_REFUSED,
        _ => codes::REPLY_UNKNOWN,
    }
}

/// What an `error` in Kakao's redirect means. A cancel and an under-14 refusal are both `access_denied`; only the
/// description tells them apart.
pub(crate) fn callback_fault(error: &str, description: Option<&str>) -> Fault {
    let is_under_age = || description.is_some_and(|text| text.to_ascii_lowercase().contains("under age"));
    let known = match error {
        "access_denied" if is_under_age() => Some(codes::REDIRECT_UNDER_14),
        // These two ids are ours: Kakao has no such errors.
        "under_age" | "unknown" => None,
        _ => KnownFault::find(&format!("redirect.{error}")),
    };
    let known = known.unwrap_or(codes::REDIRECT_UNKNOWN);
    let code = match known.id.strip_prefix("redirect.") {
        Some("under_age") => "access_denied",
        Some(error) => error,
        None => "unknown",
    };
    Fault::of(known).with_code(Code::Redirect(code))
}

#[cfg(test)]
mod tests {
    use super::FaultKind::{Cancelled, KakaoBroken, SetupWrong, StartAgain, TryLater, UnderAge};
    use super::*;

    #[test]
    fn codes_count_and_statuses_do_not() {
        let auth = |status, code: &str| {
            Fault::of_auth(status, format!(r#"{{"error":"x","error_code":"{code}"}}"#).as_bytes())
        };
        assert_eq!(auth(401, "KOE320").kind(), StartAgain);
        assert_eq!(auth(429, "KOE237").kind(), TryLater);
        assert_eq!(auth(400, "KOE237").kind(), TryLater);
        assert_eq!(auth(400, "KOE010").kind(), SetupWrong);
        assert_eq!(auth(400, "KOE303").kind(), SetupWrong);
        let api =
            |status, code: i64| Fault::of_api(status, format!(r#"{{"msg":"x","code":{code}}}"#).as_bytes());
        assert_eq!(api(400, -1).kind(), TryLater);
        assert_eq!(api(400, -603).kind(), TryLater);
        assert_eq!(api(400, -10).kind(), TryLater);
        assert!(api(400, -10).is_quota());
        assert_eq!(api(503, -9798).kind(), TryLater);
        assert_eq!(api(401, -406).kind(), UnderAge);
        for (fault, id) in [
            (auth(401, "KOE010"), "KOE010"),
            (auth(401, "KOE10"), "KOE010"),
            (api(400, -10), "KAPI-10"),
            (auth(401, "KOE999"), "reply.refused"),
            (api(400, 401), "reply.unknown"),
        ] {
            assert_eq!(fault.id(), id);
        }
    }

    #[test]
    fn a_caller_who_is_not_on_the_lists_is_not_a_dead_token() {
        let of = |msg: &str| Fault::of_api(401, format!(r#"{{"msg":{msg},"code":-401}}"#).as_bytes());
        for msg in [
            r#""ip mismatched! callerIp=1.2.3.4. check out registered ips.""#,
            r#""domain mismatched! caller=https://x. check out registered web domains.""#,
            r#""android keyhash mismatched! x""#,
            r#""ios bundle id mismatched! x""#,
        ] {
            let fault = of(msg);
            assert_eq!((fault.id(), fault.kind()), ("KAPI-401-mismatch", SetupWrong), "{msg}");
            assert_eq!(fault.code, Some(Code::Api(-401)));
        }
        for msg in
            [r#""this access token does not exist""#, r#""appKey(x) is already deactivated""#, "7", "null"]
        {
            let fault = of(msg);
            assert_eq!((fault.id(), fault.kind()), ("KAPI-401", StartAgain), "{msg}");
        }
    }

    #[test]
    fn without_a_code_the_status_counts() {
        for body in [&b"<html>"[..], b"", b"{}", br#"{"error_code":"XYZ"}"#] {
            assert_eq!(Fault::of_auth(502, body).kind(), TryLater);
            assert_eq!(Fault::of_auth(400, body).kind(), KakaoBroken);
        }
    }

    #[test]
    fn a_cancel_and_an_under_age_refusal_are_told_apart() {
        assert_eq!(callback_fault("access_denied", Some("User denied access")).kind(), Cancelled);
        assert_eq!(callback_fault("access_denied", Some("Not allowed under age 14")).kind(), UnderAge);
        assert_eq!(callback_fault("consent_required", None).kind(), StartAgain);
        assert_eq!(callback_fault("invalid_scope", None).kind(), SetupWrong);
        for unknown in ["<script>", "", "under_age", "unknown", "../KOE010"] {
            let fault = callback_fault(unknown, None);
            assert_eq!((fault.id(), fault.kind()), ("redirect.unknown", KakaoBroken), "{unknown}");
        }
    }

    #[test]
    fn no_word_of_kakao_s_is_kept() {
        let body = br#"{"error":"invalid_grant","error_description":"authorization code not found for code=SECRET","error_code":"KOE320"}"#;
        assert!(!format!("{:?}", Fault::of_auth(400, body)).contains("SECRET"));
        for msg in ["SECRET", "ip mismatched! SECRET"] {
            let body = format!(r#"{{"msg":"{msg}","code":-401}}"#);
            assert!(!format!("{:?}", Fault::of_api(401, body.as_bytes())).contains("SECRET"));
        }
    }
}
