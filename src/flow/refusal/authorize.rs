//! What the authorization endpoint may refuse.

use super::access::AccessRefusal;
use super::request::RequestRefusal;

/// A login cannot begin (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeRefusal {
    /// `client_id` is missing.
    ClientIdMissing,
    /// `client_id` or `redirect_uri` occurs twice: nobody knows which of them counts.
    DuplicateClientOrRedirect(&'static str),
    /// `redirect_uri` is missing.
    RedirectUriMissing,
    /// `redirect_uri` is not one of the client's.
    RedirectUriUnknown,
    /// `response_type` is not `code`.
    ResponseTypeUnsupported,
    /// The client must send a PKCE challenge and did not.
    ChallengeMissing,
    /// The client must send a PKCE challenge, or a nonce with the scope `openid`, and sent neither.
    ChallengeOrNonceMissing,
    /// The challenge is not S256.
    ChallengeMethodUnsupported,
    /// `prompt=none`, and nobody is logged in here.
    LoginRequired,
    /// Too many codes of the user wait at the client, which exchanges none.
    TooManyCodes,
    /// More consent is asked for, and no page may be shown.
    ConsentRequired,
    /// The person must be asked first, and no page may be shown.
    InteractionRequired,
    /// The form of the page that asks is not of this browser, or too old.
    ConfirmationInvalid,
    /// `request` is not supported.
    RequestObject,
    /// `request_uri` is not supported, and is not fetched.
    RequestUri,
    /// `registration` is not supported.
    Registration,
    /// It asks for what the client may not have.
    Access(AccessRefusal),
    /// Another parameter is wrong.
    Request(RequestRefusal),
}
