//! An extractor for actix-web: `async fn orders(Bearer(claims): Bearer) -> …`.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};

use crate::{Claims, Refused, Verifier};

/// The claims of the request's bearer token. Needs `web::Data<Verifier>` among the app's data.
pub struct Bearer(pub Claims);

/// What the extractor answers (RFC 6750 §3).
#[derive(Debug, thiserror::Error)]
pub enum Unauthorized {
    /// No bearer token was sent: 401 without an error attribute.
    #[error("no bearer token was sent")]
    Missing,
    /// The token was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The app has no verifier: 500.
    #[error("the app has no verifier")]
    NoVerifier,
}

impl ResponseError for Unauthorized {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Refused(Refused::InsufficientScope(_)) => StatusCode::FORBIDDEN,
            Self::Refused(Refused::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Missing | Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::NoVerifier => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Missing => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
            }
            Self::Refused(Refused::InsufficientScope(scope)) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                response.insert_header((WWW_AUTHENTICATE, challenge));
            }
            Self::Refused(Refused::Unavailable) => {
                response.insert_header(("Retry-After", "2"));
            }
            Self::Refused(refused) => {
                let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{refused}\"");
                response.insert_header((WWW_AUTHENTICATE, challenge));
            }
            Self::NoVerifier => {}
        }
        response.finish()
    }
}

impl FromRequest for Bearer {
    type Error = Unauthorized;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Unauthorized>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let verifier = request.app_data::<Data<Verifier>>().cloned();
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        // The scheme is case-insensitive (RFC 9110 §11.1).
        let token = header
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim().to_owned());
        Box::pin(async move {
            let token = token.ok_or(Unauthorized::Missing)?;
            let verifier = verifier.ok_or(Unauthorized::NoVerifier)?;
            Ok(Self(verifier.verify(&token).await?))
        })
    }
}
