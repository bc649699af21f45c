//! The demo frontend: authorization code and PKCE through a standard client library (`oauth2`), as any web app would.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::web::{Data, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields,
    HttpRequest as OAuthRequest, HttpResponse as OAuthResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, Scope, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

const SESSION: &str = "demo_session";

/// What OpenID Connect adds to a token response.
#[derive(Debug, Serialize, Deserialize)]
struct OpenId {
    id_token: Option<String>,
}

impl ExtraTokenFields for OpenId {}

type Tokens = StandardTokenResponse<OpenId, BasicTokenType>;

type Client<Auth = EndpointSet, Token = EndpointSet> = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    Auth,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Token,
>;

struct Frontend {
    client: Client,
    own: String,
    logout: Url,
    http: reqwest::Client,
    backend: String,
    sessions: Mutex<HashMap<String, Session>>,
}

#[derive(Default)]
struct Session {
    pending: Option<(CsrfToken, PkceCodeVerifier)>,
    tokens: Option<Tokens>,
    /// Kept for the logout: it shows the service which login is meant.
    id_token: Option<String>,
    refreshes: u32,
    message: Option<String>,
}

pub(crate) fn serve(
    listener: TcpListener,
    own: &str,
    issuer: &str,
    backend: String,
) -> anyhow::Result<Server> {
    let client = Client::<EndpointNotSet, EndpointNotSet>::new(ClientId::new("demo".to_owned()))
        .set_auth_uri(AuthUrl::new(format!("{issuer}/oauth/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{issuer}/oauth/token"))?)
        .set_redirect_uri(RedirectUrl::new(format!("{own}/callback"))?);
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()?;
    let frontend = Data::new(Frontend {
        client,
        own: format!("{own}/"),
        logout: Url::parse(&format!("{issuer}/oauth/logout"))?,
        http,
        backend,
        sessions: Mutex::default(),
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(frontend.clone())
            .route("/", web::get().to(home))
            .route("/login", web::get().to(login))
            .route("/callback", web::get().to(callback))
            .route("/refresh", web::post().to(refresh))
            .route("/orders", web::post().to(orders))
            .route("/forget", web::post().to(forget))
            .route("/logout", web::post().to(logout))
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    name: Option<String>,
    token: String,
    refreshes: u32,
    message: Option<String>,
}

async fn home(request: HttpRequest, site: Data<Frontend>) -> HttpResponse {
    let page = site.with(&request, |session| {
        let claims = session.tokens.as_ref().map(|tokens| claims(tokens.access_token().secret()));
        let text = |name: &str| claims.as_ref().and_then(|claims| claims[name].as_str()).map(str::to_owned);
        Home {
            name: claims
                .as_ref()
                .map(|_| text("nickname").or(text("email")).or(text("sub")).unwrap_or_default()),
            token: claims.as_ref().map(|claims| format!("{claims:#}")).unwrap_or_default(),
            refreshes: session.refreshes,
            message: session.message.take(),
        }
    });
    let page = page.unwrap_or(Home { name: None, token: String::new(), refreshes: 0, message: None });
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page.render().unwrap_or_default())
}

async fn login(site: Data<Frontend>) -> HttpResponse {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = site
        .client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(["openid", "profile", "email"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let id = CsrfToken::new_random().into_secret();
    let session = Session { pending: Some((state, verifier)), ..Session::default() };
    site.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), session);
    let cookie = Cookie::build(SESSION, id).path("/").http_only(true).same_site(SameSite::Lax).finish();
    HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, url.to_string())).finish()
}

#[derive(Deserialize)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

async fn callback(request: HttpRequest, site: Data<Frontend>, answer: Query<Answer>) -> HttpResponse {
    let Answer { code, state, error, error_description } = answer.into_inner();
    let pending = site.with(&request, |session| session.pending.take()).flatten();
    let outcome = match (pending, code) {
        (Some((expected, verifier)), Some(code)) if state.as_ref() == Some(expected.secret()) => {
            let exchange =
                site.client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
            exchange.request_async(&|request| site.send(request)).await.map_err(|error| error.to_string())
        }
        _ => Err(error_description.or(error).unwrap_or_else(|| "This login was not begun here.".to_owned())),
    };
    site.with(&request, |session| match outcome {
        Ok(tokens) => {
            session.id_token.clone_from(&tokens.extra_fields().id_token);
            session.tokens = Some(tokens);
        }
        Err(sentence) => session.message = Some(sentence),
    });
    go_home()
}

async fn refresh(request: HttpRequest, site: Data<Frontend>) -> HttpResponse {
    let token = site.with(&request, |session| {
        session.tokens.as_ref().and_then(|tokens| tokens.refresh_token()).map(|token| token.secret().clone())
    });
    if let Some(token) = token.flatten().map(RefreshToken::new) {
        let exchange = site.client.exchange_refresh_token(&token);
        let outcome = exchange.request_async(&|request| site.send(request)).await;
        site.with(&request, |session| match outcome {
            Ok(tokens) => {
                session.tokens = Some(tokens);
                session.refreshes += 1;
            }
            Err(error) => session.message = Some(error.to_string()),
        });
    }
    go_home()
}

async fn orders(request: HttpRequest, site: Data<Frontend>) -> HttpResponse {
    let token = site.with(&request, |session| {
        session.tokens.as_ref().map(|tokens| tokens.access_token().secret().clone())
    });
    let message = match site.ask_backend(token.flatten().unwrap_or_default()).await {
        Ok(message) => message,
        Err(error) => format!("{error:#}"),
    };
    site.with(&request, |session| session.message = Some(message));
    go_home()
}

/// The page forgets; the login service and Kakao do not: the next login needs no click.
async fn forget(request: HttpRequest, site: Data<Frontend>) -> HttpResponse {
    site.end(&request);
    go_home()
}

/// Logs out of the login service and, with `kakao=true`, of the Kakao account too.
async fn logout(request: HttpRequest, site: Data<Frontend>) -> HttpResponse {
    let Some(hint) = site.end(&request).and_then(|session| session.id_token) else { return go_home() };
    let mut url = site.logout.clone();
    url.query_pairs_mut()
        .append_pair("id_token_hint", &hint)
        .append_pair("post_logout_redirect_uri", &site.own)
        .append_pair("kakao", "true");
    HttpResponse::SeeOther().insert_header((header::LOCATION, url.as_str())).finish()
}

impl Frontend {
    fn end(&self, request: &HttpRequest) -> Option<Session> {
        let id = request.cookie(SESSION)?;
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(id.value())
    }

    fn with<T>(&self, request: &HttpRequest, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let id = request.cookie(SESSION)?;
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get_mut(id.value()).map(act)
    }

    /// Carries the library's requests.
    async fn send(&self, request: OAuthRequest) -> Result<OAuthResponse, reqwest::Error> {
        let (parts, body) = request.into_parts();
        let response = self
            .http
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body)
            .send()
            .await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut reply = OAuthResponse::new(response.bytes().await?.to_vec());
        *reply.status_mut() = status;
        *reply.headers_mut() = headers;
        Ok(reply)
    }

    async fn ask_backend(&self, token: String) -> anyhow::Result<String> {
        let response = self.http.get(format!("{}/orders", self.backend)).bearer_auth(token).send().await?;
        let status = response.status();
        let body = response.text().await.context("the backend's answer cannot be read")?;
        Ok(format!("backend: {status} {body}"))
    }
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap_or_default();
    let json = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

fn go_home() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish()
}
