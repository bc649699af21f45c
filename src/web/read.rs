//! Reading requests: queries, forms, credentials, cookies.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{BytesMut, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;

use super::asked;
use super::cookie::Cookies;
use super::http_refusal::HttpRefusal;
use super::reply::Reply;
use super::state;
use crate::domain::{AccessToken, ClientAssertion, ClientSecret, UserId};
use crate::flow::login::begin::FromBrowser;
use crate::flow::refusal::{AccountRefusal, BearerRefusal, ClientRefusal, RequestRefusal};
use crate::flow::{Credentials, Error, Params};

/// The largest body, bytes: a token request has a few hundred bytes.
const LARGEST_BODY: usize = 16 * 1024;

/// How long a body may take: actix itself never cuts one that stalls.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The parameters of the query.
pub(super) fn query(request: &HttpRequest) -> Result<Params, RequestRefusal> {
    params(request, request.query_string().as_bytes())
}

fn params(request: &HttpRequest, bytes: &[u8]) -> Result<Params, RequestRefusal> {
    let params = Params::read(bytes).map_err(|why| RequestRefusal::Unreadable(why.sentence()))?;
    asked::note_params(request, &params);
    Ok(params)
}

const FORM: &str = "application/x-www-form-urlencoded";

fn unreadable(sentence: &'static str) -> Reply {
    RequestRefusal::Unreadable(sentence).into()
}

/// Whether the body says that it is of this media type.
fn is_type(request: &HttpRequest, wanted: &str) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(wanted)
}

/// The parameters of a form body (RFC 6749 Appendix B).
pub(super) async fn form(request: &HttpRequest, payload: Payload) -> Result<Params, Reply> {
    if !is_type(request, FORM) && !request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(unreadable("send the parameters in the body as application/x-www-form-urlencoded"));
    }
    let body = body(request, payload).await?;
    Ok(params(request, &body)?)
}

/// The parameters of a form body or of a flat JSON object: Kakao's pages speak of both.
pub(super) async fn form_or_json(request: &HttpRequest, payload: Payload) -> Result<Params, Reply> {
    if !is_type(request, "application/json") {
        return form(request, payload).await;
    }
    let object: serde_json::Map<String, serde_json::Value> = json(&body(request, payload).await?)?;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &object {
        form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Ok(params(request, form.finish().as_bytes())?)
}

/// A JSON body; an empty one is the default.
pub(super) async fn json_body<T: serde::de::DeserializeOwned + Default>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Reply> {
    let body = body(request, payload).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    if !is_type(request, "application/json") {
        return Err(unreadable("send the body as application/json"));
    }
    json(&body)
}

fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|_| {
        unreadable(
            "the body must be a JSON object with the documented members and types, each once, and no others",
        )
    })
}

/// The bytes of a body, within its size and its time.
pub(super) async fn body(request: &HttpRequest, mut payload: Payload) -> Result<BytesMut, Reply> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(HttpRefusal::BodyEncoded.into());
    }
    let mut body = BytesMut::new();
    let collect = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| unreadable("the body ended early"))?;
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(HttpRefusal::BodyTooLarge { most: LARGEST_BODY / 1024 }.into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok::<_, Reply>(())
    };
    let collected = tokio::time::timeout(BODY_TIME, collect);
    let collected = match state::traffic(request) {
        Some(traffic) => traffic.body(collected).await.map_err(HttpRefusal::from)?,
        None => collected.await,
    };
    collected.map_err(|_| HttpRefusal::BodyTooSlow { most: BODY_TIME.as_secs() })??;
    Ok(body)
}

/// The one way to send a client assertion (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the request shows of its client: Basic (RFC 6749 §2.3.1) or the body. Never the query.
pub(super) fn credentials(request: &HttpRequest, params: &Params) -> Result<Credentials, Error> {
    // Whoever takes the first and whoever takes the last would see two different clients.
    if is_ambiguous(request) {
        return Err(ClientRefusal::TwoCredentials.into());
    }
    let basic = match request.headers().get(header::AUTHORIZATION) {
        None => None,
        Some(value) => {
            let read = value.to_str().ok().and_then(basic);
            Some(read.ok_or(ClientRefusal::AuthenticationFailed { by_basic: true })?)
        }
    };
    if let Some((id, _)) = &basic {
        asked::note_client(request, id);
    }
    let assertion = params.one("client_assertion")?.map(ClientAssertion::new);
    if assertion.is_some() && params.one("client_assertion_type")? != Some(JWT_BEARER) {
        let sentence = "it must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        return Err(RequestRefusal::ParameterInvalid("client_assertion_type", sentence).into());
    }
    Ok(Credentials {
        assertion,
        basic,
        id: params.one("client_id")?.map(str::to_owned),
        secret: params.one("client_secret")?.map(ClientSecret::new),
    })
}

/// Whether there are two `Authorization` headers.
fn is_ambiguous(request: &HttpRequest) -> bool {
    request.headers().get_all(header::AUTHORIZATION).nth(1).is_some()
}

fn basic(value: &str) -> Option<(String, ClientSecret)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decode(id)?, ClientSecret::new(form_decode(secret)?)))
}

/// Id and secret are form-encoded before they are put together (RFC 6749 §2.3.1).
fn form_decode(text: &str) -> Option<String> {
    // Without `=` the whole text is one name.
    let text = text.replace('=', "%3D").replace('&', "%26");
    let name = url::form_urlencoded::parse(text.as_bytes())
        .next()
        .map_or(String::new(), |(name, _)| name.into_owned());
    (!name.contains(['\u{FFFD}', '\0'])).then_some(name)
}

/// What is kept of a browser's name for itself, characters.
const LONGEST_USER_AGENT: usize = 256;

/// What the browser shows with a request of the login.
pub(super) fn browser(request: &HttpRequest, cookies: Cookies) -> FromBrowser {
    let language = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    FromBrowser {
        language: language.map(str::to_owned),
        user_agent: user_agent(request),
        session: cookies.read_session(request),
    }
}

/// What the caller calls itself.
pub(super) fn user_agent(request: &HttpRequest) -> Option<String> {
    let text = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok())?;
    Some(text.chars().take(LONGEST_USER_AGENT).collect())
}

/// The user that a path names. What is no id names nobody.
pub(super) fn user_id(text: &str) -> Result<UserId, AccountRefusal> {
    text.parse().map(UserId).map_err(|_| AccountRefusal::NotFound)
}

/// The bearer token of the Authorization header (RFC 6750 §2.1). Never the query, never a cookie.
pub(super) fn bearer(request: &HttpRequest) -> Result<AccessToken, BearerRefusal> {
    let value = request.headers().get(header::AUTHORIZATION).ok_or(BearerRefusal::TokenMissing)?;
    if is_ambiguous(request) || has_token(request.query_string().as_bytes()) {
        return Err(BearerRefusal::TwoTokens);
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(BearerRefusal::TokenInvalid)?;
    if scheme.eq_ignore_ascii_case("Bearer") {
        Ok(AccessToken::new(token.trim()))
    } else {
        Err(BearerRefusal::TokenMissing)
    }
}

/// Refuses a form that holds an access token: the header has it (RFC 6750 §2).
pub(super) async fn no_second_token(request: &HttpRequest, payload: Payload) -> Result<(), Reply> {
    let in_header = request.headers().contains_key(header::AUTHORIZATION);
    if in_header && is_type(request, FORM) && has_token(&body(request, payload).await?) {
        return Err(BearerRefusal::TwoTokens.into());
    }
    Ok(())
}

fn has_token(parameters: &[u8]) -> bool {
    url::form_urlencoded::parse(parameters).any(|(name, _)| name == "access_token")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::flow::Refusal;

    fn credentials_of(authorization: &str, form: &str) -> Result<Credentials, Error> {
        let request =
            TestRequest::default().insert_header(("Authorization", authorization)).to_http_request();
        credentials(&request, &Params::read(form.as_bytes()).unwrap())
    }

    #[test]
    fn basic_is_the_base64_of_id_and_secret_each_form_encoded() {
        for (pair, id, secret) in [
            ("shop:kacs_1", "shop", "kacs_1"),
            // Only the first colon parts them.
            ("shop:a:b", "shop", "a:b"),
            ("shop:", "shop", ""),
            ("a%3Ab:c%26d%3De+f%25", "a:b", "c&d=e f%"),
            ("a=b&c:d=e&f", "a=b&c", "d=e&f"),
            ("%EA%B0%80:x", "가", "x"),
        ] {
            for scheme in ["Basic ", "basic ", "BASIC  "] {
                let read = credentials_of(&format!("{scheme}{}", STANDARD.encode(pair)), "").unwrap();
                let (read_id, read_secret) = read.basic.unwrap();
                assert_eq!((read_id.as_str(), read_secret.reveal()), (id, secret), "{pair}");
            }
        }
    }

    #[test]
    fn an_authorization_header_that_is_no_basic_is_no_proof() {
        let encoded = |pair: &[u8]| format!("Basic {}", STANDARD.encode(pair));
        for header in [
            "Basic",
            "Basic ",
            "Basic not-base64!",
            "Bearer c2hvcDpzZWNyZXQ=",
            &encoded(b"no colon"),
            &encoded(b"\xff:x"),
            &encoded(b"%FF:x"),
            &encoded(b"shop:%00"),
        ] {
            let refused = credentials_of(header, "client_id=shop&client_secret=s");
            let unproven = matches!(
                refused,
                Err(Error::Refused(Refusal::Client(ClientRefusal::AuthenticationFailed { by_basic: true })))
            );
            assert!(unproven, "{header}");
        }
    }

    #[test]
    fn a_client_assertion_needs_its_type() {
        let form = |kind: &str| format!("client_assertion=a.b.c&client_assertion_type={kind}");
        let request = TestRequest::default().to_http_request();
        let read = |form: String| credentials(&request, &Params::read(form.as_bytes()).unwrap());
        assert!(read(form(JWT_BEARER)).unwrap().assertion.is_some());
        for kind in ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"] {
            assert!(read(form(kind)).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_bearer_token_is_read_from_the_authorization_header_alone() {
        let read = |request: TestRequest| bearer(&request.to_http_request());
        let with = |value: &'static str| read(TestRequest::default().insert_header(("Authorization", value)));
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(with(value).unwrap().reveal(), "a.b.c", "{value}");
        }
        assert_eq!(with("Basic c2hvcDpz").unwrap_err(), BearerRefusal::TokenMissing);
        assert_eq!(with("Bearer").unwrap_err(), BearerRefusal::TokenInvalid);
        let elsewhere =
            TestRequest::with_uri("/?access_token=a.b.c").insert_header(("Cookie", "access_token=a"));
        assert_eq!(read(elsewhere).unwrap_err(), BearerRefusal::TokenMissing);
        let two = TestRequest::default().append_header(("Authorization", "Bearer a.b.c"));
        let two = two.append_header(("Authorization", "Bearer a.b.c"));
        assert_eq!(read(two).unwrap_err(), BearerRefusal::TwoTokens);
        let query =
            TestRequest::with_uri("/?access_token=a").insert_header(("Authorization", "Bearer a.b.c"));
        assert_eq!(read(query).unwrap_err(), BearerRefusal::TwoTokens);
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn basic_credentials() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Some((id, secret)) = basic(text) {
                assert!(!id.contains('\0') && !secret.reveal().contains('\0'));
            }
            // Whatever id and secret are, they come through as they were written.
            let Some((id, secret)) = text.split_once('\n') else { return };
            let encode =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
            let read = basic(&format!("Basic {pair}"));
            if text.contains(['\0', '\u{FFFD}']) {
                return;
            }
            let (read_id, read_secret) = read.unwrap();
            assert_eq!((read_id.as_str(), read_secret.reveal()), (id, secret));
        });
    }
}
