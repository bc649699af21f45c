//! What Kakao's webhooks may be refused.

use super::request::RequestRefusal;

/// A call is not proven to be Kakao's, for this app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookRefusal {
    /// It does not show our admin key.
    AdminKeyWrong,
    /// It shows our admin key, and is for another app.
    OtherApp,
    /// It is not a security event token of Kakao's for this app.
    EventTokenInvalid {
        /// The code of RFC 8935 §2.4.
        err: &'static str,
        /// What is wrong with it.
        description: &'static str,
    },
    /// A parameter is wrong.
    Request(RequestRefusal),
}
