//! Pages for people: in Korean or English, with what happened, what to do, and what to tell whom. Those of the logout are in
//! [`super::logout_page`].

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{ErrorBody, describe};
use super::http_refusal::HttpRefusal;
use crate::domain::{Locale, paths};
use crate::flow::login::attempt::ATTEMPT_TTL;
use crate::flow::refusal::{AuthorizeRefusal, CallbackRefusal};
use crate::flow::{Error, Refusal};
use crate::telemetry::request_id;

pub(super) const STYLE: &str = include_str!("templates/page.css");

const _: () = assert!(ATTEMPT_TTL.as_secs() == 600, "a page says so in both languages");

/// Of a page that only says something.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| policy("'none'", None));

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    lang: &'static str,
    style: &'static str,
    title: &'static str,
    what: &'static str,
    act: &'static str,
    details: &'static str,
    sentence: &'a str,
    code: &'a str,
    request_id: &'a str,
    again: Option<Link<'a>>,
}

/// The one way on.
pub(super) struct Link<'a> {
    pub(super) words: &'a str,
    pub(super) href: &'a str,
}

/// The way back to the client of a lost login.
pub(super) struct LinkBack {
    /// The client's name.
    pub(super) client: String,
    pub(super) href: String,
    /// Whether the client begins the login there, rather than being told that there is none.
    pub(super) begins: bool,
}

/// The page for a login that this browser has lost: one tap leads back to the client, if the callback tells which it is.
pub(super) fn lost(request: &HttpRequest, error: &Error, back: Option<&LinkBack>) -> HttpResponse {
    let body = describe(request, error);
    let Some(back) = back else { return failed(request, &body, error) };
    let mut words = words(error, false);
    let (act, button) = if back.begins {
        (
            [
                "아래 버튼을 누르면 이 브라우저에서 처음부터 다시 로그인해요.",
                "The button below begins the login again in this browser.",
            ],
            ["다시 로그인하기", "Log in again"],
        )
    } else {
        (
            [
                "아래 버튼을 누르면 이용하려던 앱이나 사이트로 돌아가요. 거기에서 다시 로그인해 주세요.",
                "The button below leads back to the app or site. Log in again there.",
            ],
            ["돌아가기", "Go back"],
        )
    };
    words.act = act;
    let label = format!("{} · {}", back.client, locale(request).pick(button[0], button[1]));
    render(request, &body, &words, Some(Link { words: &label, href: &back.href }))
}

/// The page for an error that has no client to go back to.
pub(super) fn failed(request: &HttpRequest, body: &ErrorBody, error: &Error) -> HttpResponse {
    render(request, body, &words(error, is_logout(request)), another_logout(request))
}

fn is_logout(request: &HttpRequest) -> bool {
    request.path().ends_with(paths::LOGOUT)
}

/// The person wanted out, and is not: the logout without the parameters that were wrong.
fn another_logout(request: &HttpRequest) -> Option<Link<'_>> {
    is_logout(request)
        .then(|| Link { words: locale(request).pick("로그아웃하기", "Log out"), href: request.path() })
}

/// The page for what HTTP itself refuses.
pub(super) fn refused_by_http(
    request: &HttpRequest,
    body: &ErrorBody,
    refusal: &HttpRefusal,
) -> HttpResponse {
    let busy;
    let words = match refusal {
        HttpRefusal::Busy => {
            busy = words(&Error::unavailable("busy"), is_logout(request));
            &busy
        }
        HttpRefusal::PathUnknown => &PATH_UNKNOWN,
        _ if is_logout(request) => &LOGOUT_INVALID,
        _ => &REQUEST_INVALID,
    };
    render(request, body, words, another_logout(request))
}

fn words(error: &Error, is_logout: bool) -> Words {
    match error {
        Error::Refused(_) if is_logout => LOGOUT_INVALID,
        Error::Unavailable(_) | Error::Broken(_) if is_logout => Words {
            title: ["로그아웃하지 못했어요", "You are not logged out"],
            what: [
                "지금은 로그인 서비스를 이용할 수 없어요. 아직 로그인되어 있어요.",
                "The login service cannot work right now. You are still logged in.",
            ],
            act: ["잠시 기다렸다가 다시 로그아웃해 주세요.", "Wait a moment, then log out again."],
        },
        Error::Refused(
            Refusal::Callback(CallbackRefusal::AttemptUnknown)
            | Refusal::Authorize(AuthorizeRefusal::ConfirmationInvalid),
        ) => Words {
            title: ["로그인을 이어갈 수 없어요", "This login cannot go on here"],
            what: [
                "이 브라우저에서 시작한 로그인이 아니거나, 로그인 정보가 사라졌어요. 카카오톡 안의 브라우저에서 다른 브라우저로 옮겨 왔을 때 자주 생겨요.",
                "This browser did not begin this login, or has lost it. That often happens on the way from KakaoTalk's own browser to another one.",
            ],
            act: [
                "이용하려던 앱이나 사이트로 돌아가서, 같은 브라우저에서 다시 로그인해 주세요.",
                "Go back to the app or site you came from and log in again in this browser.",
            ],
        },
        Error::Refused(Refusal::Callback(CallbackRefusal::AttemptExpired)) => Words {
            title: ["로그인 시간이 지났어요", "This login took too long"],
            what: ["로그인을 시작한 지 10분이 넘었어요.", "It began more than ten minutes ago."],
            act: [
                "이용하려던 앱이나 사이트로 돌아가서 다시 로그인해 주세요.",
                "Go back to the app or site you came from and log in again.",
            ],
        },
        Error::Refused(Refusal::Limited(_)) => Words {
            title: ["잠시 후 다시 시도해 주세요", "Please try again in a moment"],
            what: [
                "지금 이용 중인 네트워크에서 로그인 요청이 너무 많이 들어왔어요.",
                "Too many login requests came from your network.",
            ],
            act: ["1분쯤 기다렸다가 다시 로그인해 주세요.", "Wait a minute, then log in again."],
        },
        Error::Refused(_) => REQUEST_INVALID,
        Error::Unavailable(_) => Words {
            title: ["잠시 후 다시 시도해 주세요", "Please try again in a moment"],
            what: ["지금은 로그인 서비스를 이용할 수 없어요.", "The login service cannot work right now."],
            act: ["잠시 기다렸다가 다시 로그인해 주세요.", "Wait a moment, then log in again."],
        },
        Error::Broken(_) => Words {
            title: ["문제가 생겼어요", "Something went wrong"],
            what: ["로그인 서비스에 문제가 생겼어요.", "Something is wrong with the login service."],
            act: [
                "다시 로그인해 보시고, 계속되면 운영자에게 아래 내용을 알려 주세요.",
                "Log in again; if it stays, tell the operator what stands below.",
            ],
        },
    }
}

const REQUEST_INVALID: Words = Words {
    title: ["잘못된 로그인 요청이에요", "This login request is not valid"],
    what: [
        "앱이나 사이트가 보낸 요청에 문제가 있어서 로그인을 시작할 수 없어요.",
        "The app or site sent a request that cannot be used, so the login cannot begin.",
    ],
    act: [
        "앱이나 사이트의 운영자에게 아래 내용을 알려 주세요.",
        "Tell whoever runs the app or site what stands below.",
    ],
};

const LOGOUT_INVALID: Words = Words {
    title: ["잘못된 로그아웃 요청이에요", "This logout request is not valid"],
    what: [
        "앱이나 사이트가 보낸 요청에 문제가 있어서 로그아웃하지 못했어요. 아래 버튼으로 로그아웃할 수 있어요.",
        "The app or site sent a request that cannot be used, so you are not logged out. The button below logs you out.",
    ],
    act: REQUEST_INVALID.act,
};

const PATH_UNKNOWN: Words = Words {
    title: ["페이지를 찾을 수 없어요", "There is no such page"],
    what: ["주소가 잘못되었거나 사라진 페이지예요.", "The address is wrong, or the page is gone."],
    act: ["이용하려던 앱이나 사이트로 돌아가 주세요.", "Go back to the app or site you came from."],
};

/// Sends the form without a click where scripts run.
const SUBMIT: &str = "document.forms[0].submit()";

#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPost<'a> {
    lang: &'static str,
    style: &'static str,
    title: &'static str,
    action: &'a str,
    fields: &'a [(&'a str, &'a str)],
    script: &'static str,
}

/// Has the browser post an authorization response to the client (Form Post Response Mode §2).
pub(super) fn form_post(request: &HttpRequest, action: &str, fields: &[(&str, &str)]) -> HttpResponse {
    let locale = locale(request);
    let title = locale.pick("계속하기", "Continue");
    let page = FormPost { lang: locale.tag(), style: STYLE, title, action, fields, script: SUBMIT };
    // The action is a registered redirect URI. A policy cannot name every one of them (private schemes, say), so it names
    // the scheme alone.
    let scheme = action.split(':').next().unwrap_or("https");
    html(locale, &policy(&format!("{scheme}:"), Some(SUBMIT)), page.render())
}

/// Only this style, and only this script, named by their hashes: no injected one would run.
pub(super) fn policy(form_action: &str, script: Option<&str>) -> String {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let script = script.map_or_else(String::new, |script| format!(" script-src 'sha256-{}';", hash(script)));
    format!(
        "default-src 'none'; style-src 'sha256-{}';{script} base-uri 'none'; form-action {form_action}; \
         frame-ancestors 'none'",
        hash(STYLE)
    )
}

pub(super) fn html(locale: Locale, policy: &str, body: Result<String, askama::Error>) -> HttpResponse {
    match body {
        Ok(body) => HttpResponse::Ok()
            .insert_header((header::CONTENT_SECURITY_POLICY, policy))
            .insert_header((header::CONTENT_LANGUAGE, locale.tag()))
            .content_type("text/html; charset=utf-8")
            .body(body),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// Korean and English, in that order.
pub(super) struct Words {
    pub(super) title: [&'static str; 2],
    pub(super) what: [&'static str; 2],
    pub(super) act: [&'static str; 2],
}

fn render(request: &HttpRequest, body: &ErrorBody, words: &Words, again: Option<Link<'_>>) -> HttpResponse {
    let locale = locale(request);
    let pick = |pair: [&'static str; 2]| locale.pick(pair[0], pair[1]);
    let page = ErrorPage {
        lang: locale.tag(),
        style: STYLE,
        title: pick(words.title),
        what: pick(words.what),
        act: pick(words.act),
        details: pick(["자세한 내용", "Details"]),
        sentence: &body.sentence,
        code: body.code,
        request_id: &request_id(request),
        again,
    };
    let mut response = HttpResponse::build(body.status.http());
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.as_str()))
        .insert_header((header::CONTENT_LANGUAGE, locale.tag()));
    if let Some(seconds) = body.retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response
        .content_type("text/html; charset=utf-8")
        .body(page.render().unwrap_or_else(|_| body.sentence.to_string()))
}

pub(super) fn locale(request: &HttpRequest) -> Locale {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let wished =
        query.into_iter().find(|(name, _)| name == "ui_locales").map(|(_, value)| value.into_owned());
    Locale::choose(wished.as_deref(), header)
}
