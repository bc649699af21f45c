//! What the tables promise: ids that stay, and sentences that every channel can carry.

// The layers are for what is built: a test may read the environment.
#[cfg(test)]
use crate::settings::Settings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::domain::{Limit, Quota};
use crate::flow::refusal::{
    AccessRefusal, AccountRefusal, AuthorizeRefusal, BearerRefusal, CallbackRefusal, ClientRefusal,
    KakaoTokenRefusal, LimitRefusal, LoginRefusal, RequestRefusal, SubjectTokenRefusal, TokenRefusal,
    WebhookRefusal,
};
use crate::kakao::KnownFault;

const WAIT: Duration = Duration::from_secs(3);

const LIMITED: LimitRefusal = LimitRefusal {
    limit: Limit::ClientAuthentication,
    name: "client_authentication",
    quota: Quota { burst: 10, per: Duration::from_mins(1) },
    retry_after: WAIT,
};

fn fault(id: &str) -> &'static KnownFault {
    KnownFault::find(id).unwrap()
}

/// A door, and one of every kind that it refuses.
type Sample = (&'static str, Vec<Refusal>);

fn of<R: Into<Refusal>, const N: usize>(door: &'static str, refusals: [R; N]) -> Sample {
    (door, refusals.map(Into::into).into())
}

fn all() -> Vec<Sample> {
    [at_the_login(), at_the_token_endpoint(), at_the_api()].concat()
}

fn at_the_login() -> Vec<Sample> {
    vec![
        of("Any request", {
            use RequestRefusal as R;
            let repeated = R::ParameterRepeated("scope");
            let invalid = R::ParameterInvalid("max_age", "it must be a whole number of seconds");
            let unreadable = R::Unreadable("the body ended early");
            [repeated, R::ParameterMissing("token"), invalid, unreadable, R::ClientUnknown]
        }),
        of("Any request, while too many fail", [LIMITED]),
        of("What a client may have", {
            use AccessRefusal as R;
            [
                R::GrantTypeNotAllowed,
                R::ScopeInvalid,
                R::ScopeWider,
                R::AccountNeedsResource,
                R::ScopesOfTwoApis,
                R::ResourceUnknown,
            ]
        }),
        of("`/oauth/authorize`", {
            use AuthorizeRefusal as R;
            let duplicate = R::DuplicateClientOrRedirect("client_id");
            let (pkce, method) = (R::ChallengeMissing, R::ChallengeMethodUnsupported);
            let (access, request) =
                (R::Access(AccessRefusal::ScopeInvalid), R::Request(RequestRefusal::ClientUnknown));
            [
                R::ClientIdMissing,
                duplicate,
                R::RedirectUriMissing,
                R::RedirectUriUnknown,
                R::ResponseTypeUnsupported,
                pkce,
                R::ChallengeOrNonceMissing,
                method,
                R::LoginRequired,
                R::TooManyCodes,
                R::ConsentRequired,
                R::InteractionRequired,
                R::ConfirmationInvalid,
                R::RequestObject,
                R::RequestUri,
                R::Registration,
                access,
                request,
            ]
        }),
        of("`/kakao/callback`, on a page", {
            use CallbackRefusal as R;
            [R::AttemptUnknown, R::AttemptExpired, R::Contradictory]
        }),
        of("`/kakao/callback`, to the client", {
            use LoginRefusal as R;
            let of = |id| R::Kakao(fault(id));
            [
                of("redirect.access_denied"),
                of("redirect.under_age"),
                of("KOE005"),
                of("KOE320"),
                of("KOE010"),
                of("reply.unreadable"),
                of("network.timeout"),
                R::UserDisabled,
                R::OtherUser,
                R::LoginTimeUnknown,
                R::LoginTooOld,
                R::LoginTooOldInApp,
                R::StartAgain,
                R::TooManyCodes,
            ]
        }),
    ]
}

fn at_the_token_endpoint() -> Vec<Sample> {
    vec![
        of("Client authentication", {
            use ClientRefusal as R;
            [R::AuthenticationFailed { by_basic: true }, R::TwoCredentials, R::TooManyFailures(LIMITED)]
        }),
        of("`/oauth/token`, `/oauth/revoke`", {
            use TokenRefusal as R;
            let (access, request) =
                (R::Access(AccessRefusal::ScopeWider), R::Request(RequestRefusal::ParameterMissing("code")));
            [
                R::GrantTypeUnsupported,
                R::CodeInvalid,
                R::CodeSpentJustNow,
                R::CodeReplayed,
                R::RedirectUriDiffers,
                R::VerifierWrong,
                R::VerifierUnexpected,
                R::RefreshTokenInvalid,
                R::RefreshTokenReplayed,
                R::TokenKindUnrevocable,
                access,
                request,
            ]
        }),
        of("`/oauth/token`, for a token of Kakao's SDK", {
            use SubjectTokenRefusal as R;
            let invalid = R::Invalid("Kakao does not know this access token.".to_owned());
            let (account, access) =
                (R::Account(AccountRefusal::UserDisabled), R::Access(AccessRefusal::ResourceUnknown));
            [
                invalid,
                R::Repeated,
                R::Used,
                R::Busy { retry_after: WAIT },
                R::Kakao(fault("KOE010")),
                R::KakaoTryLater { fault: fault("KAPI-1"), retry_after: None },
                R::Limited(LIMITED),
                account,
                access,
            ]
        }),
    ]
}

fn at_the_api() -> Vec<Sample> {
    vec![
        of("Access tokens", {
            use BearerRefusal as R;
            [
                R::TokenMissing,
                R::TokenInvalid,
                R::TwoTokens,
                R::ScopeMissing("openid"),
                R::NotForUs,
                R::LoginTooOld { max_age: WAIT },
            ]
        }),
        of("`/v1`", {
            use AccountRefusal as R;
            [R::NotFound, R::UserDisabled, R::UserDeleted]
        }),
        of("`/v1/users/{id}/kakao-token`", {
            use KakaoTokenRefusal as R;
            let consent = R::ConsentRequired { items: vec!["talk_message".to_owned()] };
            let account = R::Account(AccountRefusal::NotFound);
            [
                R::ReauthenticationRequired,
                consent,
                R::Busy { retry_after: WAIT },
                R::Kakao(fault("KOE005")),
                account,
            ]
        }),
        of("`/kakao/webhooks/…`", {
            use WebhookRefusal as R;
            let event = R::EventTokenInvalid { err: "invalid_key", description: "it is not signed by Kakao" };
            [R::AdminKeyWrong, R::OtherApp, event, R::Request(RequestRefusal::ParameterMissing("user_id"))]
        }),
    ]
}

#[test]
fn the_samples_hold_one_of_every_kind() {
    let samples = format!("{:?}", all().into_iter().flat_map(|(_, refusals)| refusals).collect::<Vec<_>>());
    let samples: BTreeSet<&str> = samples.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flow/refusal");
    let mut variants = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("    ")) {
            let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            let ends =
                line.strip_prefix(&name).is_some_and(|rest| rest.starts_with([',', '(']) || rest == " {");
            if ends && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                assert!(samples.contains(name.as_str()), "there is no sample of {name}");
                variants += 1;
            }
        }
    }
    assert!(variants > 60, "the variants were found");
}

#[test]
fn an_id_says_one_thing_and_its_sentence_can_stand_in_a_header_and_a_url() {
    let mut sentences: BTreeMap<&str, String> = BTreeMap::new();
    for refusal in all().iter().flat_map(|(_, refusals)| refusals) {
        let body = refused(refusal);
        let (code, sentence) = (body.code, body.sentence.as_ref());
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        assert!(
            sentence.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
            "{code}: RFC 6749 §4.1.2.1: {sentence}"
        );
        let plain = match body.fault {
            Some(fault) => sentence.strip_suffix(&format!(" ({})", fault.id)).unwrap(),
            None => sentence,
        };
        assert!(plain.ends_with('.') && plain.len() > 10, "{code}: {sentence}");
        // What a sentence says of the one request stands before "occurs", "is missing", "is not valid".
        let general = ["occurs", "is missing", "is not valid"].into_iter().find_map(|words| {
            code.starts_with("parameter_").then(|| plain.find(words).map(|_| words.to_owned()))?
        });
        let general = general.unwrap_or_else(|| plain.to_owned());
        let first = sentences.entry(code).or_insert_with(|| general.clone());
        assert_eq!(*first, general, "{code} says two things");
    }
}

#[test]
fn only_unavailable_and_limited_answers_ask_to_wait() {
    for refusal in all().iter().flat_map(|(_, refusals)| refusals) {
        let body = refused(refusal);
        let waits = matches!(body.status, ErrorStatus::ServiceUnavailable | ErrorStatus::TooManyRequests);
        assert_eq!(body.retry_after.is_some(), waits, "{refusal:?}");
    }
}

/// `docs/errors.md`, as the tables have it.
fn document() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         What each endpoint may refuse. `code` is stable: programs branch on it, people search for it. OAuth endpoints answer \
         `error`, `error_description` and `code`; `/v1` answers `application/problem+json` with `code` and `detail`; at a redirect \
         URI there are `error` and `error_description`, and `error_uri` where Kakao is behind it. Each carries the request id, in \
         the body or in `X-Request-Id`. What Kakao itself says has a page of its own: [kakao-errors.md](kakao-errors.md).\n\n\
         What failed too often or proves nothing is 429, with `Retry-After` and the fields `RateLimit-Policy: \"NAME\";q=QUOTA;w=SECONDS` \
         and `RateLimit: \"NAME\";r=0;t=SECONDS` of draft-ietf-httpapi-ratelimit-headers-10; `config/default.toml` (`[limits]`) has the quotas. \
         A valid code, refresh token, session or client secret always passes.\n\n\
         Whatever cannot be done for now is 503 `store_unavailable`, or `busy` when a bound of `server.max_connections` or `server.max_requests` is reached, with `Retry-After`; a mistake of ours is 500 `internal`.\n\n\
         This file is made from `src/web/error`: `UPDATE_DOCS=1 cargo test -p kakao-auth --lib the_document` writes it.\n",
    );
    for (door, refusals) in all() {
        let head = "| `code` | status | `error` | sentence |";
        write!(text, "\n## {door}\n\n{head}\n|---|---|---|---|\n").unwrap();
        for body in refusals.iter().map(refused) {
            let (status, oauth) = (body.status.http().as_u16(), body.oauth.name());
            writeln!(text, "| `{}` | {status} | `{oauth}` | {} |", body.code, body.sentence).unwrap();
        }
    }
    text
}

#[test]
fn the_document_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    if Settings::environment().any(|(name, _)| name == "UPDATE_DOCS") {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document(),
        "docs/errors.md is not what the tables say: run this test with UPDATE_DOCS=1"
    );
}
