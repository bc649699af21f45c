//! An extractor for actix-web.
//!
//! ```
//! use actix_web::{App, web};
//! use kakao_auth_verifier::Verifier;
//! use kakao_auth_verifier::actix::{Bearer, Unauthorized};
//!
//! async fn orders(Bearer(claims): Bearer) -> Result<String, Unauthorized> {
//!     claims.require_scope("orders:read")?;
//!     Ok(format!("orders of {}", claims.sub))
//! }
//!
//! # fn main() -> Result<(), kakao_auth_verifier::BuildError> {
//! let verifier = Verifier::builder("https://auth.example.com", "orders").revocation_feed().build()?;
//! App::new().app_data(web::Data::new(verifier)).route("/orders", web::get().to(orders));
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};

pub use crate::reply::Unauthorized;
use crate::reply::bearer;
use crate::{Claims, Verifier};

/// The claims of the request's bearer token. Needs `web::Data<Verifier>` among the app's data.
pub struct Bearer(pub Claims);

impl ResponseError for Unauthorized {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(header) = self.header() {
            response.insert_header(header);
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
        let token = bearer(header).map(str::to_owned);
        Box::pin(async move {
            let token = token.ok_or(Unauthorized::Missing)?;
            let verifier = verifier.ok_or(Unauthorized::NoVerifier)?;
            Ok(Self(verifier.verify(&token).await?))
        })
    }
}
