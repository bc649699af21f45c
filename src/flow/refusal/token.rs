//! What the token endpoint, and revocation, may refuse to an authenticated client.

use super::access::AccessRefusal;
use super::request::RequestRefusal;

/// No token is issued (RFC 6749 §5.2) or revoked (RFC 7009 §2.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// There is no such grant type here.
    GrantTypeUnsupported,
    /// The code is unknown, spent or too old, or belongs to another client.
    CodeInvalid,
    /// The code was redeemed a moment ago, by the same client: nothing has ended.
    CodeSpentJustNow,
    /// The code was redeemed before; its grant has ended.
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
    /// The token to revoke is of a kind that cannot be revoked.
    TokenKindUnrevocable,
    /// It asks for what the client may not have, or was not granted.
    Access(AccessRefusal),
    /// A parameter is wrong.
    Request(RequestRefusal),
}
