//! How a flow says no to whom asked: one file and one enum for each door, so that it shows what an endpoint may refuse.
//! `web::error` has the tables of statuses, codes and sentences.

mod access;
mod account;
mod authorize;
mod bearer;
mod callback;
mod client;
pub(crate) mod fault;
mod kakao_token;
mod limit;
mod login;
mod request;
mod subject_token;
mod token;
mod webhook;

use std::fmt::Debug;

pub(crate) use access::AccessRefusal;
pub(crate) use account::AccountRefusal;
pub(crate) use authorize::AuthorizeRefusal;
pub(crate) use bearer::BearerRefusal;
pub(crate) use callback::CallbackRefusal;
pub(crate) use client::ClientRefusal;
pub(crate) use kakao_token::KakaoTokenRefusal;
pub(crate) use limit::LimitRefusal;
pub(crate) use login::LoginRefusal;
pub(crate) use request::RequestRefusal;
pub(crate) use subject_token::SubjectTokenRefusal;
pub(crate) use token::TokenRefusal;
pub(crate) use webhook::WebhookRefusal;

use super::params::Repeated;
use crate::domain::access::AccessError;

/// What one door may refuse.
pub(crate) trait Door: Debug + Into<Refusal> {}

/// Declares [`Refusal`] out of the enums of the doors.
macro_rules! refusal {
    ($($(#[$doc:meta])* $door:ident($refusal:ident),)*) => {
        /// A refusal of any door.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $door($refusal),)*
        }

        $(
            impl Door for $refusal {}

            impl From<$refusal> for Refusal {
                fn from(refusal: $refusal) -> Self {
                    Self::$door(refusal)
                }
            }
        )*
    };
}

refusal! {
    /// Any request.
    Request(RequestRefusal),
    /// Any request, for now.
    Limited(LimitRefusal),
    /// Whatever a client asks for.
    Access(AccessRefusal),
    Authorize(AuthorizeRefusal),
    /// `/kakao/callback`, while there is no client to go back to.
    Callback(CallbackRefusal),
    /// `/kakao/callback`, once it is known which client asked.
    Login(LoginRefusal),
    /// Client authentication.
    Client(ClientRefusal),
    /// `/oauth/token`, `/oauth/revoke`
    Token(TokenRefusal),
    /// `/oauth/token`, for a token of Kakao's SDK.
    SubjectToken(SubjectTokenRefusal),
    /// Access tokens of ours.
    Bearer(BearerRefusal),
    /// `/v1/me`, `/v1/users`, `/v1/admin`
    Account(AccountRefusal),
    KakaoToken(KakaoTokenRefusal),
    Webhook(WebhookRefusal),
}

/// A door that is entered by way of another may refuse what that one refuses, and what becomes such a refusal.
macro_rules! nested {
    ($($outer:ident::$variant:ident($inner:ident $(, $cause:ty)*),)*) => {
        $(
            impl From<$inner> for $outer {
                fn from(refusal: $inner) -> Self {
                    Self::$variant(refusal)
                }
            }

            becomes!($outer: $inner $(, $cause)*);
        )*
    };
}

macro_rules! becomes {
    ($outer:ident: $inner:ident $(, $cause:ty)*) => {
        $(
            impl From<$cause> for $outer {
                fn from(cause: $cause) -> Self {
                    $inner::from(cause).into()
                }
            }
        )*
    };
}

becomes!(Refusal: RequestRefusal, Repeated);
becomes!(Refusal: AccessRefusal, AccessError);

nested! {
    AuthorizeRefusal::Access(AccessRefusal, AccessError),
    AuthorizeRefusal::Request(RequestRefusal, Repeated),
    TokenRefusal::Access(AccessRefusal, AccessError),
    TokenRefusal::Request(RequestRefusal, Repeated),
    WebhookRefusal::Request(RequestRefusal, Repeated),
    SubjectTokenRefusal::Access(AccessRefusal, AccessError),
    SubjectTokenRefusal::Account(AccountRefusal),
    SubjectTokenRefusal::Limited(LimitRefusal),
    ClientRefusal::TooManyFailures(LimitRefusal),
    KakaoTokenRefusal::Account(AccountRefusal),
}
