//! What callers are told of errors: one table for each door, in a file of its own, and every row typed. Errors are logged
//! here, once.

mod access;
mod account;
mod authorize;
mod bearer;
mod body;
mod callback;
mod client;
mod code;
mod kakao;
mod kakao_token;
mod limit;
mod login;
mod request;
mod subject_token;
#[cfg(test)]
mod tests;
mod token;
mod webhook;

use actix_web::HttpRequest;
use tracing::{error, info, warn};

pub(super) use body::ErrorBody;
pub(super) use code::{ErrorStatus, OAuthError};

use super::asked::Asked;
use super::state;
use crate::flow::error::{BROKEN, UNAVAILABLE};
use crate::flow::{Error, Refusal, chain};

/// What the caller is told of an error. The log is told of it here, with all that lies behind it.
pub(super) fn describe(request: &HttpRequest, error: &Error) -> ErrorBody {
    match error {
        Error::Refused(refusal) => {
            let body = refused(refusal);
            let Asked { client, uri } = Asked::of(request);
            let address = state::address(request).to_string();
            info!(target: "kakao_auth::sampled", code = body.code, client_id = client, uri, address, "refused");
            body
        }
        Error::Unavailable(source) => {
            warn!(target: "kakao_auth::sampled", cause = chain(source.as_ref()), "unavailable");
            ErrorBody::new(
                ErrorStatus::ServiceUnavailable,
                OAuthError::TemporarilyUnavailable,
                UNAVAILABLE,
                "The service cannot reach its database. Try again in a moment.",
            )
            .retry_soon()
        }
        Error::Broken(source) => {
            error!(cause = chain(source.as_ref()), "broken");
            ErrorBody::new(
                ErrorStatus::InternalServerError,
                OAuthError::ServerError,
                BROKEN,
                "Something is wrong with the service. Tell its operator the request id.",
            )
        }
    }
}

fn refused(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::Request(refusal) => request::body(refusal),
        Refusal::Limited(refusal) => limit::body(refusal),
        Refusal::Access(refusal) => access::body(*refusal),
        Refusal::Authorize(refusal) => authorize::body(refusal),
        Refusal::Callback(refusal) => callback::body(*refusal),
        Refusal::Login(refusal) => login::body(*refusal),
        Refusal::Client(refusal) => client::body(*refusal),
        Refusal::Token(refusal) => token::body(refusal),
        Refusal::SubjectToken(refusal) => subject_token::body(refusal),
        Refusal::Bearer(refusal) => bearer::body(*refusal),
        Refusal::Account(refusal) => account::body(*refusal),
        Refusal::KakaoToken(refusal) => kakao_token::body(refusal),
        Refusal::Webhook(refusal) => webhook::body(refusal),
    }
}
