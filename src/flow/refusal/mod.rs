//! How a flow says no to whom asked.

pub(crate) mod fault;
pub(crate) mod login;

use std::time::Duration;

pub use login::LoginRefusal;

use crate::domain::access::{ScopeError, UnknownResource};
use crate::kakao::KnownFault;

/// A finding about a request. `web::error` has the one table of statuses, codes and sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `client_id` is missing.
    ClientMissing,
    /// No client of this id.
    ClientUnknown,
    /// This parameter of client or redirect URI stands twice: nobody knows which one counts.
    TargetRepeated(&'static str),
    /// `redirect_uri` is missing.
    RedirectUriMissing,
    /// `redirect_uri` is not one of the client's.
    RedirectUriUnknown,

    /// A parameter stands more than once.
    ParameterRepeated(&'static str),
    /// A required parameter is missing.
    ParameterMissing(&'static str),
    /// A parameter has a value that it cannot have; the sentence says which it can.
    ParameterInvalid(&'static str, &'static str),
    /// The body or query is not what this endpoint reads; the sentence says what it reads.
    RequestUnreadable(&'static str),
    /// `response_type` is not `code`.
    ResponseTypeUnsupported,
    /// The client may not use this grant type.
    GrantNotAllowed,
    /// No such grant type here.
    GrantTypeUnsupported,
    /// The client must send a PKCE challenge and did not.
    ChallengeMissing,
    /// The challenge is not S256.
    ChallengeMethodUnsupported,
    /// `scope` breaks the grammar, or nothing of it is left.
    ScopeInvalid,
    /// A refresh asked for more than was granted.
    ScopeWider,
    /// `prompt=none`, and nobody is logged in here.
    LoginRequired,
    /// More consent is asked for, and no page may be shown (OpenID Connect Core §3.1.2.6).
    ConsentNeedsPage,
    /// `request` is not supported.
    RequestObject,
    /// `request_uri` is not supported, and is not fetched.
    RequestUri,
    /// `registration` is not supported.
    Registration,

    /// The client did not prove who it is; whether it tried by Basic.
    ClientUnproven {
        /// It sent an Authorization header, so the answer names the scheme (RFC 6749 §5.2).
        by_basic: bool,
    },
    /// It sent credentials in two ways.
    TwoCredentials,
    /// Too many wrong secrets for this client from this address.
    TooManyFailures {
        /// When to try again.
        retry_after: Duration,
    },

    /// The code is unknown, spent or too old, or belongs to another client.
    CodeInvalid,
    /// The code was redeemed before.
    CodeReplayed,
    /// `redirect_uri` differs from the one at the authorization endpoint.
    RedirectUriDiffers,
    /// The verifier is missing, malformed or not that of the challenge.
    VerifierWrong,
    /// A verifier was sent, but the code has no challenge.
    VerifierUnexpected,
    /// The refresh token is not ours, of another client, expired or ended.
    RefreshTokenInvalid,
    /// The refresh token was used before; its grant has ended.
    RefreshTokenReplayed,

    /// No access token was sent.
    TokenMissing,
    /// The access token is not ours, or its time or its login is over.
    TokenInvalid,
    /// The access token lacks this scope.
    ScopeLacking(&'static str),
    /// The token to revoke is of a kind that cannot be revoked (RFC 7009 §2.2.1).
    TokenKindUnrevocable,
    /// `resource` names what the client may not reach, or what was not granted (RFC 8707 §2).
    ResourceUnknown,

    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// `id_token_hint` is not an ID token of ours, or contradicts the rest.
    HintInvalid,
    /// `post_logout_redirect_uri` is not one of the client's.
    PostLogoutUriUnknown,

    /// Kakao's token that an app hands in cannot be used; the sentence says what was expected.
    SubjectTokenInvalid(String),
    /// The operator keeps this user out.
    UserDisabled,
    /// The account was deleted.
    UserDeleted,
    /// What we hold of the person's Kakao tokens is dead: the person must log in again.
    ReauthenticationRequired,
    /// The person has not agreed to these consent items.
    KakaoConsentRequired {
        /// Which.
        items: Vec<String>,
    },
    /// Kakao asked to wait, and everybody does.
    KakaoBusy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Kakao did not do what it was asked.
    AtKakao(&'static KnownFault),
    /// Kakao has a fault that passes: what was handed in stays good.
    KakaoTryLater(&'static KnownFault),
    /// A claimed login attempt ended without a login.
    Login(LoginRefusal),
    /// A webhook without our admin key.
    WebhookUnproven,
    /// A security event token that is not one of Kakao's for this app.
    EventTokenInvalid {
        /// The code of RFC 8935 §2.4.
        err: &'static str,
        /// What is wrong with it.
        description: &'static str,
    },
    /// A webhook with our admin key, for another app.
    WebhookOfAnotherApp,

    /// The callback has no `state`, or one of no attempt of this browser.
    AttemptUnknown,
    /// The attempt is too old.
    AttemptExpired,
    /// The callback has both a code and an error, or a parameter twice.
    CallbackContradictory,
}
impl From<ScopeError> for Refusal {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::NotTheClients => Self::ScopeInvalid,
            ScopeError::Wider => Self::ScopeWider,
        }
    }
}

impl From<UnknownResource> for Refusal {
    fn from(_: UnknownResource) -> Self {
        Self::ResourceUnknown
    }
}
