//! What the logout endpoint may refuse.

use super::request::RequestRefusal;

/// Nobody is logged out (OpenID Connect RP-Initiated Logout 1.0 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutRefusal {
    /// `post_logout_redirect_uri` is not one of the client's.
    PostLogoutUriUnknown,
    /// Another parameter is wrong.
    Request(RequestRefusal),
}
