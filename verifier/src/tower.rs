//! A layer for tower (axum, tonic, hyper): requests with a good token go on with [`Claims`] among their
//! extensions, others are answered as RFC 6750 says.
//!
//! ```
//! use kakao_auth_verifier::Verifier;
//! use kakao_auth_verifier::tower::RequireToken;
//!
//! # fn layer() -> Result<RequireToken, kakao_auth_verifier::BuildError> {
//! let verifier = Verifier::builder("https://auth.example.com", "orders").revocation_feed().build()?;
//! // axum: Router::new().route("/orders", get(orders)).layer(…), and `Extension(claims): Extension<Claims>` in `orders`.
//! Ok(RequireToken::new(verifier).scope("orders:read"))
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::reply::{Unauthorized, bearer};
use crate::{Claims, Verifier};

/// Lets requests through whose bearer token is good.
#[derive(Clone)]
pub struct RequireToken {
    verifier: Verifier,
    scope: Option<&'static str>,
}

impl RequireToken {
    /// Any good token.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier, scope: None }
    }

    /// A good token that was granted this scope; without it the answer is 403.
    #[must_use]
    pub fn scope(mut self, scope: &'static str) -> Self {
        self.scope = Some(scope);
        self
    }

    async fn check(&self, token: Option<String>) -> Result<Claims, Unauthorized> {
        let claims = self.verifier.verify(&token.ok_or(Unauthorized::Missing)?).await?;
        if let Some(scope) = self.scope {
            claims.require_scope(scope)?;
        }
        Ok(claims)
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = Authorized<S>;

    fn layer(&self, inner: S) -> Authorized<S> {
        Authorized { inner, rule: self.clone() }
    }
}

/// The service that [`RequireToken`] makes.
#[derive(Clone)]
pub struct Authorized<S> {
    inner: S,
    rule: RequireToken,
}

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, A, B> Service<Request<A>> for Authorized<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Boxed<Response<B>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        // The one that is ready is used; its clone waits for the next request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rule = self.rule.clone();
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer(header).map(str::to_owned);
        Box::pin(async move {
            match rule.check(token).await {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(refused) => Ok(answer(&refused)),
            }
        })
    }
}

fn answer<B: Default>(refused: &Unauthorized) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    if let Some((name, value)) = refused.header()
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
