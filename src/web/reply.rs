//! How anything but success is answered. A handler says what happened ([`Reply`], by `?`); the [`Family`] of its route
//! says how that is shown.

use std::borrow::Cow;

use actix_web::body::BoxBody;
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Handler, HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tracing::info;

use super::error::{ErrorBody, ErrorStatus, describe};
use super::http_refusal::HttpRefusal;
use super::{page, redirect, state};
use crate::domain::paths;
use crate::flow::login::begin::AuthorizeError;
use crate::flow::login::request::ClientResponseTarget;
use crate::flow::refusal::{
    BearerRefusal, ClientRefusal, KakaoTokenRefusal, LimitRefusal, SubjectTokenRefusal, WebhookRefusal,
};
use crate::flow::{Error, Refusal};
use crate::telemetry::request_id;

/// What remains of a limit.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a limit allows.
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Why a handler has no success to answer with.
pub(super) enum Reply {
    /// A flow said no, or could not say anything.
    Failed(Error),
    /// HTTP itself says no.
    Http(HttpRefusal),
    /// An authorization request was refused whose redirect URI is proven: the client is told, whatever the family.
    ToClient {
        /// What is wrong.
        error: Error,
        /// Where the client is.
        target: ClientResponseTarget,
    },
    /// The handler has built the answer itself.
    Built(HttpResponse),
}

impl Reply {
    /// Whether the caller was refused for what it sent, and not by a limit.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Failed(Error::Refused(Refusal::SubjectToken(SubjectTokenRefusal::Limited(_)))) => false,
            Self::Failed(Error::Refused(_)) => true,
            _ => false,
        }
    }
}

impl<E: Into<Error>> From<E> for Reply {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<AuthorizeError> for Reply {
    fn from(AuthorizeError { error, target }: AuthorizeError) -> Self {
        match target {
            Some(target) => Self::ToClient { error: error.into(), target },
            None => Self::Failed(error.into()),
        }
    }
}

impl From<HttpRefusal> for Reply {
    fn from(refusal: HttpRefusal) -> Self {
        Self::Http(refusal)
    }
}

/// The routes that show their errors in one way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    /// A browser shows them to a person: HTML, in Korean or English.
    Page,
    /// OAuth JSON (RFC 6749 §5.2).
    OAuth,
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// What a transmitter of security event tokens reads (RFC 8935 §2.3).
    SecurityEvents,
}

impl Family {
    /// The answer that this reply becomes.
    pub(super) fn show(self, request: &HttpRequest, reply: Reply) -> HttpResponse {
        match reply {
            Reply::Built(response) => response,
            Reply::ToClient { error, target } => redirect::error(request, &error, &target),
            Reply::Failed(error) => self.failed(request, &error),
            Reply::Http(refusal) => self.refused_by_http(request, &refusal),
        }
    }

    fn failed(self, request: &HttpRequest, error: &Error) -> HttpResponse {
        let body = describe(request, error);
        let mut response = match self {
            Self::Page => page::failed(request, &body, error),
            Self::OAuth => oauth_json(request, &body),
            Self::Problem => problem(request, &body, extension(error, request)),
            Self::SecurityEvents => security_event_error(error, &body),
        };
        if let Some(limit) = &body.limit {
            rate_limit(&mut response, limit, body.retry_after.unwrap_or_default());
        }
        let challenge = challenge(error, &body).and_then(|text| HeaderValue::from_str(&text).ok());
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn refused_by_http(self, request: &HttpRequest, refusal: &HttpRefusal) -> HttpResponse {
        let body = refusal.body();
        let mut response = match self {
            Self::Page => page::refused_by_http(request, &body, refusal),
            Self::OAuth => oauth_json(request, &body),
            Self::Problem => problem(request, &body, Value::Null),
            // Whatever is wrong with the request, the transmitter reads it from a 400.
            Self::SecurityEvents => {
                security_event_body(ErrorStatus::BadRequest, &body, body.oauth.name(), &body.sentence)
            }
        };
        if let HttpRefusal::MethodNotAllowed { allow } = refusal
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if refusal.leaves_body() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

/// A handler, with the family that shows its errors.
#[derive(Clone)]
pub(super) struct Shown<H> {
    /// The handler.
    pub(super) handler: H,
    /// How its errors are shown.
    pub(super) family: Family,
}

/// What a [`Shown`] handler answers: it is turned into a response where the request is at hand.
pub(super) struct Answer {
    result: Result<HttpResponse, Reply>,
    family: Family,
}

impl<H, Args> Handler<Args> for Shown<H>
where
    H: Handler<Args, Output = Result<HttpResponse, Reply>>,
    Args: 'static,
{
    type Output = Answer;
    type Future = LocalBoxFuture<'static, Answer>;

    fn call(&self, args: Args) -> Self::Future {
        let Self { handler, family } = self.clone();
        async move { Answer { result: handler.call(args).await, family } }.boxed_local()
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.result.unwrap_or_else(|reply| self.family.show(request, reply))
    }
}

/// The status and the headers of every error in JSON.
fn json_error(status: ErrorStatus, body: &ErrorBody) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status.http());
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(seconds) = body.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response
}

fn oauth_json(request: &HttpRequest, body: &ErrorBody) -> HttpResponse {
    json_error(body.status, body).json(json!({
        "error": body.oauth.name(),
        "error_description": body.sentence,
        "code": body.code,
        "request_id": request_id(request),
    }))
}

/// With the members of `extension` beside those of RFC 9457 §3.1.
fn problem(request: &HttpRequest, body: &ErrorBody, extension: Value) -> HttpResponse {
    let status = body.status.http();
    let mut document = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": body.sentence,
        "code": body.code,
        "request_id": request_id(request),
    });
    if let (Value::Object(document), Value::Object(extension)) = (&mut document, extension) {
        document.extend(extension);
    }
    json_error(body.status, body).content_type("application/problem+json").body(document.to_string())
}

fn security_event_error(error: &Error, body: &ErrorBody) -> HttpResponse {
    match error {
        Error::Refused(Refusal::Webhook(WebhookRefusal::EventTokenInvalid { err, description })) => {
            info!(target: "kakao_auth::sampled", err, description, "a security event token was refused");
            let sentence = format!("The security event token is not accepted: {description}.");
            security_event_body(body.status, body, err, &sentence)
        }
        // Nothing can be said about the token before Kakao's keys are there, nor accepted before it is stored
        // (RFC 8935 §2.2).
        Error::Unavailable(_) => security_event_body(
            body.status,
            body,
            body.oauth.name(),
            "The token cannot be taken now. Send it again.",
        ),
        _ => security_event_body(body.status, body, body.oauth.name(), &body.sentence),
    }
}

fn security_event_body(status: ErrorStatus, body: &ErrorBody, err: &str, description: &str) -> HttpResponse {
    json_error(status, body).json(json!({ "err": err, "description": description }))
}

/// The `RateLimit` fields, as structured fields (draft-ietf-httpapi-ratelimit-headers-10): the policy, what remains of it, and in
/// how many seconds there is more.
fn rate_limit(response: &mut HttpResponse, limit: &LimitRefusal, seconds: u64) {
    let LimitRefusal { name, quota, .. } = limit;
    let policy = format!("\"{name}\";q={};w={}", quota.burst, quota.per.as_secs());
    let remaining = format!("\"{name}\";r=0;t={seconds}");
    for (field, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, remaining)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(field, value);
        }
    }
}

/// What helps a program beyond the sentence (RFC 9457 §3.2): where to send the person. The client adds the rest of its
/// own request, as for any login.
fn extension(error: &Error, request: &HttpRequest) -> Value {
    let endpoint = state::issuer(request).map(|issuer| issuer.join(paths::AUTHORIZE)).unwrap_or_default();
    let authorize = |query: &str| format!("{endpoint}?{query}");
    match error {
        Error::Refused(Refusal::KakaoToken(KakaoTokenRefusal::ConsentRequired { items })) => {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("kakao_scope", &items.join(" "))
                .finish();
            json!({ "authorize_url": authorize(&query), "required_scopes": items })
        }
        // Not by the browser's session: Kakao must issue new tokens.
        Error::Refused(Refusal::KakaoToken(KakaoTokenRefusal::ReauthenticationRequired)) => {
            json!({ "authorize_url": authorize("prompt=consent") })
        }
        Error::Refused(Refusal::Bearer(BearerRefusal::LoginTooOld { max_age })) => {
            json!({ "max_age": max_age.as_secs() })
        }
        _ => Value::Null,
    }
}

/// How the caller can prove itself (RFC 9110 §11.6.1), where that is what was lacking (RFC 6749 §5.2, RFC 6750 §3).
fn challenge(error: &Error, body: &ErrorBody) -> Option<Cow<'static, str>> {
    let Error::Refused(refusal) = error else { return None };
    let bearer =
        || format!("Bearer error=\"{}\", error_description=\"{}\"", body.oauth.name(), body.sentence);
    Some(match refusal {
        Refusal::Client(ClientRefusal::AuthenticationFailed { by_basic: true }) => {
            "Basic realm=\"kakao-auth\", charset=\"UTF-8\"".into()
        }
        Refusal::Bearer(BearerRefusal::TokenMissing) => "Bearer".into(),
        Refusal::Bearer(BearerRefusal::TokenInvalid | BearerRefusal::TwoTokens | BearerRefusal::NotForUs) => {
            bearer().into()
        }
        Refusal::Bearer(BearerRefusal::LoginTooOld { max_age }) => {
            format!("{}, max_age=\"{}\"", bearer(), max_age.as_secs()).into()
        }
        Refusal::Bearer(BearerRefusal::ScopeMissing(scope)) => {
            format!("{}, scope=\"{scope}\"", bearer()).into()
        }
        Refusal::Webhook(WebhookRefusal::AdminKeyWrong) => "KakaoAK".into(),
        _ => return None,
    })
}
