//! Pages of the logout, in Korean or English.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::page::{Link, STYLE, Words, html, locale, policy};
use crate::domain::Locale;
use crate::flow::logout::{App, Confirmation};

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage<'a> {
    lang: &'static str,
    style: &'static str,
    title: &'static str,
    what: String,
    act: &'static str,
    form: Option<Form<'a>>,
    link: Option<Link<'a>>,
    /// Where the browser goes by itself.
    next: Option<&'a str>,
}

/// The question, with its two answers.
struct Form<'a> {
    action: String,
    fields: Vec<(&'a str, &'a str)>,
    stay: &'static str,
}

/// Asks whether the person means it: nothing shows that whoever linked here may end the login.
pub(super) fn confirm(request: &HttpRequest, confirmation: &Confirmation) -> HttpResponse {
    let locale = locale(request);
    let mut what = match (locale, &confirmation.app) {
        (Locale::Ko, None) => {
            "이 브라우저에서 이 서비스로 로그인한 모든 앱과 사이트에서 로그아웃돼요.".to_owned()
        }
        (Locale::Ko, Some(app)) => {
            format!(
                "{app}뿐 아니라 이 브라우저에서 이 서비스로 로그인한 다른 모든 앱과 사이트에서도 로그아웃돼요."
            )
        }
        (Locale::En, None) => {
            "You will be logged out of every app and site you are logged in to from this browser.".to_owned()
        }
        (Locale::En, Some(app)) => format!(
            "You will be logged out of {app}, and of every other app and site you are logged in to from this browser."
        ),
    };
    if confirmation.kakao {
        what.push_str(locale.pick(
            " 카카오계정에서도 로그아웃할지는 카카오가 이어서 물어봐요.",
            " Kakao then asks whether to log out of your Kakao account, too.",
        ));
    }
    let mut action = request.path().to_owned();
    let mut fields = vec![("confirm", confirmation.token.as_str())];
    for (name, value) in &confirmation.fields {
        // The language of a page stands in its address.
        if *name == "ui_locales" {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            action = format!("{action}?{}", query.append_pair(name, value).finish());
        } else {
            fields.push((name, value));
        }
    }
    let form = Form { action, fields, stay: locale.pick("로그인 유지하기", "Stay logged in") };
    let words =
        Words {
            title: ["로그아웃할까요?", "Log out?"], what: ["", ""], act: ["로그아웃", "Log out"]
        };
    render(locale, &LogoutPage { what, form: Some(form), ..LogoutPage::of(locale, &words) })
}

/// The person was asked, and changed nothing.
pub(super) fn stayed(request: &HttpRequest, app: Option<&App>) -> HttpResponse {
    let words = Words {
        title: ["로그아웃하지 않았어요", "You are still logged in"],
        what: ["로그인이 그대로 유지돼요.", "Nothing has changed."],
        act: ["이용하던 앱이나 사이트로 돌아가 주세요.", "Go back to the app or site that you came from."],
    };
    with_app(locale(request), &words, app)
}

/// The end of a logout that leads nowhere else.
pub(super) fn logged_out(request: &HttpRequest, address_unknown: bool) -> HttpResponse {
    let what = if address_unknown {
        [
            "이 브라우저에서 로그아웃됐어요. 앱이나 사이트가 요청한 주소는 등록되어 있지 않아서 그 주소로 이동하지 않았어요.",
            "Your session in this browser has ended. The app or site asked to send you on to an address that is not registered \
             for it, so you stay here.",
        ]
    } else {
        ENDED
    };
    with_app(locale(request), &Words { title: LOGGED_OUT, what, act: CLOSE }, None)
}

/// Nobody is logged in in this browser.
pub(super) fn nobody(request: &HttpRequest, app: Option<&App>) -> HttpResponse {
    let what = ["이 브라우저에는 로그인되어 있지 않아요.", "You are not logged in in this browser."];
    with_app(locale(request), &Words { title: LOGGED_OUT, what, act: CLOSE }, app)
}

/// The end of a logout that was confirmed, and goes on: by itself, or by the link where the browser does not.
pub(super) fn moving_on(request: &HttpRequest, to: &str) -> HttpResponse {
    let locale = locale(request);
    let words = Words {
        title: LOGGED_OUT,
        what: ENDED,
        act: ["잠시 후 자동으로 이동해요.", "You will be redirected in a moment."],
    };
    let link = Link { words: locale.pick("계속하기", "Continue"), href: to };
    render(locale, &LogoutPage { link: Some(link), next: Some(to), ..LogoutPage::of(locale, &words) })
}

const LOGGED_OUT: [&str; 2] = ["로그아웃했어요", "You are logged out"];
const ENDED: [&str; 2] = ["이 브라우저에서 로그아웃됐어요.", "Your session in this browser has ended."];
const CLOSE: [&str; 2] = ["이 창은 닫아도 돼요.", "You can close this window."];

fn with_app(locale: Locale, words: &Words, app: Option<&App>) -> HttpResponse {
    let label = app.map(|app| format!("{} · {}", app.name, locale.pick("돌아가기", "Back")));
    let link = app.zip(label.as_deref()).map(|(app, words)| Link { words, href: &app.href });
    render(locale, &LogoutPage { link, ..LogoutPage::of(locale, words) })
}

impl LogoutPage<'_> {
    fn of(locale: Locale, words: &Words) -> Self {
        let pick = |pair: [&'static str; 2]| locale.pick(pair[0], pair[1]);
        Self {
            lang: locale.tag(),
            style: STYLE,
            title: pick(words.title),
            what: pick(words.what).to_owned(),
            act: pick(words.act),
            form: None,
            link: None,
            next: None,
        }
    }
}

fn render(locale: Locale, page: &LogoutPage<'_>) -> HttpResponse {
    html(locale, &policy("'self'", None), page.render())
}
