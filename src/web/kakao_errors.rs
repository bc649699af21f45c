//! `GET /kakao/errors`: every fault at Kakao, who must act, and what to do. `error_uri` of a failed login leads here.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::page;
use super::reply::Reply;
use crate::domain::Locale;
use crate::kakao::KnownFault;

#[derive(Template)]
#[template(path = "kakao_errors.html")]
struct Page {
    lang: &'static str,
    style: &'static str,
    title: &'static str,
    what: &'static str,
    who: &'static str,
    other: &'static str,
    other_name: &'static str,
    rows: Vec<Row>,
}

struct Row {
    id: &'static str,
    who: &'static str,
    sentence: &'static str,
}

pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Reply> {
    let locale = page::locale(&request);
    let row = |fault: &KnownFault| Row {
        id: fault.id,
        who: fault.actor.label(locale),
        sentence: fault.sentence(locale),
    };
    let body = Page {
        lang: locale.tag(),
        style: page::STYLE,
        title: locale.pick("카카오 로그인 오류", "Errors of Kakao Login"),
        what: locale.pick(
            "로그인이 안 될 때 받은 오류 코드를 여기서 찾아보세요. 누가 무엇을 하면 되는지 알려 드려요.",
            "Look up the code that a failed login gave you: who must act, and what to do.",
        ),
        who: locale.pick("담당", "Who must act"),
        other: locale.pick(Locale::En.tag(), Locale::Ko.tag()),
        other_name: locale.pick("English", "한국어"),
        rows: KnownFault::ALL.iter().map(row).collect(),
    };
    let mut response = page::html(locale, &page::policy("'none'", None), body.render());
    if response.status().is_success() {
        // The same for everybody who reads the same language; it changes with the release.
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    }
    Ok(response)
}
