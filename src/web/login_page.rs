//! The page before a login: which app asks, and one button.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::page::{STYLE, html, locale, policy};
use super::reply::Reply;
use super::state::State;
use crate::domain::paths;
use crate::flow::login::confirm::{ATTEMPT_FIELD, Button, Question, REQUEST_FIELD};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    lang: &'static str,
    style: &'static str,
    title: String,
    what: &'static str,
    action: String,
    fields: [(&'static str, &'a str); 2],
    /// The class of the button.
    look: &'static str,
    button: String,
}

/// Shows the page, with the cookie that its form fits.
pub(super) fn respond(
    request: &HttpRequest,
    state: &State,
    question: Question,
) -> Result<HttpResponse, Reply> {
    let locale = locale(request);
    let app = &question.client;
    let what = if question.unassured {
        locale.pick(
            "이 기기의 앱이나 확인되지 않은 주소에서 온 요청이에요. 직접 시작한 로그인이 아니면 이 창을 닫아 주세요.",
            "An app on this device, or an address that cannot be checked, asks for this login. If you did not start it, close \
             this window.",
        )
    } else {
        locale.pick("카카오계정으로 로그인해요.", "Log in with your Kakao account.")
    };
    let (look, button) = match question.button {
        Button::Kakao => ("kakao", locale.pick("카카오 로그인", "Login with Kakao").to_owned()),
        Button::Continue => ("", format!("{app} · {}", locale.pick("계속하기", "Continue"))),
    };
    let attempt = question.attempt.to_string();
    let page = LoginPage {
        lang: locale.tag(),
        style: STYLE,
        title: format!("{app} · {}", locale.pick("로그인", "Log in")),
        what,
        action: format!("{}{}", state.base_path, paths::AUTHORIZE),
        fields: [(ATTEMPT_FIELD, &attempt), (REQUEST_FIELD, &question.request)],
        look,
        button,
    };
    // Chromium holds redirects to this too: to Kakao, and back to the app.
    let schemes: Vec<String> = question.schemes.iter().map(|scheme| format!("{scheme}:")).collect();
    let mut response = html(locale, &policy(&format!("'self' {}", schemes.join(" ")), None), page.render());
    state.cookies().begin_attempt(request, &mut response, question.attempt, question.cookie)?;
    Ok(response)
}
