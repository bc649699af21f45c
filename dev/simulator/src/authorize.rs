//! `/oauth/authorize`: the page on which a person is picked, and the redirects that follow.

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::Autopilot;
use crate::faults::{Due, Endpoint, due};
use crate::keys::opaque;
use crate::people::Person;
use crate::state::{IssuedCode, State, pairs, query};

/// The browser's session at the Kakao account.
const SESSION: &str = "simulated_kakao_account";

#[derive(Template)]
#[template(path = "pick.html")]
struct Pick<'a> {
    query: &'a str,
    people: &'a [Person],
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage<'a> {
    code: &'a str,
    sentence: &'a str,
}

type Pairs = Vec<(String, String)>;

pub(crate) async fn get(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let asked = query(&request);
    state.log(&request, Endpoint::Authorize, &[]);
    if let Err(page) = check(&state, &asked) {
        return page;
    }
    match due(&state, Endpoint::Authorize).await {
        Due::Answer(response) => return response,
        Due::Redirect(error, description) => {
            let text = state.with(|inner| inner.unconfirmed.interaction_required_text.clone());
            let text = (error == "interaction_required").then_some(text);
            return redirect_error(&asked, &error, description.or(text).as_deref());
        }
        Due::Forge(_) | Due::Nothing => {}
    }
    let prompts: Vec<&str> = words(&asked, "prompt");
    match state.with(|inner| inner.autopilot.clone()) {
        Autopilot::Cancel => return redirect_error(&asked, "access_denied", Some("User denied access")),
        Autopilot::Person(slug) => return log_in(&state, &asked, &slug),
        Autopilot::Off => {}
    }
    let session = request.cookie(SESSION).map(|cookie| cookie.value().to_owned());
    let agreed = session.as_ref().is_some_and(|slug| state.with(|inner| inner.agreed.contains(slug)));
    let show = prompts.iter().any(|prompt| matches!(*prompt, "login" | "select_account" | "create"));
    match session {
        None if prompts.contains(&"none") => {
            redirect_error(&asked, "login_required", Some("user authentication required."))
        }
        Some(_) if prompts.contains(&"none") && !agreed => {
            redirect_error(&asked, "consent_required", Some("user consent required."))
        }
        Some(slug) if agreed && !show => log_in(&state, &asked, &slug),
        _ => page(&state, request.query_string()),
    }
}

/// The form of the page: the same query, and who was picked.
pub(crate) async fn choose(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let asked = query(&request);
    if let Err(page) = check(&state, &asked) {
        return page;
    }
    let form = pairs(&body);
    match get_value(&form, "person") {
        Some(slug) => {
            let mut response = log_in(&state, &asked, slug);
            let session =
                Cookie::build(SESSION, slug.to_owned()).path("/").http_only(true).same_site(SameSite::Lax);
            let _ = response.add_cookie(&session.finish());
            response
        }
        None => redirect_error(&asked, "access_denied", Some("User denied access")),
    }
}

/// "Logout with Kakao Account": ends the browser's session at Kakao and goes back. No page asks whether to.
pub(crate) async fn log_out(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let asked = query(&request);
    if get_value(&asked, "client_id") != Some(state.app.rest_api_key.as_str()) {
        return fault(&state, "KOE101", "invalid_client: wrong app key.");
    }
    let back = get_value(&asked, "logout_redirect_uri").unwrap_or_default();
    // Kakao has a list of its own for these; here whatever stands on the site of a registered redirect URI is on it.
    let origin = |uri: &str| url::Url::parse(uri).map(|url| url.origin());
    let registered = origin(back).is_ok_and(|wanted| {
        state.with(|inner| inner.redirect_uris.iter().any(|uri| origin(uri).is_ok_and(|mine| mine == wanted)))
    });
    let Some(mut target) = url::Url::parse(back).ok().filter(|_| registered) else {
        return fault(&state, "KOE007", "logout_redirect_uri is not registered.");
    };
    if let Some(text) = get_value(&asked, "state") {
        target.query_pairs_mut().append_pair("state", text);
    }
    let mut response =
        HttpResponse::build(StatusCode::FOUND).insert_header((header::LOCATION, target.as_str())).finish();
    let _ = response.add_removal_cookie(&Cookie::build(SESSION, "").path("/").finish());
    response
}

fn get_value<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    crate::state::get(pairs, name)
}

/// What Kakao shows on its own page instead of redirecting.
fn check(state: &State, asked: &Pairs) -> Result<(), HttpResponse> {
    let refuse = |code, sentence: &str| Err(fault(state, code, sentence));
    let Some(client_id) = get_value(asked, "client_id") else {
        return refuse("KOE207", "client_id is missing.");
    };
    let app = &state.app;
    if !state.with(|inner| inner.login_enabled) {
        return refuse("KOE004", "Kakao Login is not activated.");
    }
    let native = client_id == app.native_app_key || client_id == app.javascript_key;
    if client_id != app.rest_api_key && !native && client_id != app.admin_key {
        return refuse("KOE101", "invalid_client: wrong app key.");
    }
    let Some(redirect_uri) = get_value(asked, "redirect_uri") else {
        return refuse("KOE207", "redirect_uri is missing.");
    };
    let registered = state.with(|inner| inner.redirect_uris.iter().any(|uri| uri == redirect_uri));
    let of_an_sdk = native && redirect_uri == format!("kakao{client_id}://oauth");
    if client_id != app.rest_api_key && !of_an_sdk {
        return refuse("KOE008", "wrong type of app key.");
    }
    if !registered && !of_an_sdk {
        return refuse("KOE006", "redirect_uri is not registered.");
    }
    match get_value(asked, "response_type") {
        Some("code") => {}
        Some("token") => return refuse("KOE202", "invalid_request: implicit grant."),
        _ => return refuse("KOE201", "invalid_request: unsupported response_type."),
    }
    let (oidc, items) = state.with(|inner| (inner.oidc, inner.consent_items.clone()));
    for item in words(asked, "scope") {
        if !(items.contains(item) || item == "openid" && oidc) {
            return refuse("KOE205", &format!("Invalid scope: {item}"));
        }
    }
    if get_value(asked, "code_challenge").is_some()
        && get_value(asked, "code_challenge_method") != Some("S256")
    {
        return refuse("KOE204", "code_challenge_method must be S256.");
    }
    Ok(())
}

/// Lists are separated by commas; Kakao's SDKs send spaces, and both work.
fn words<'a>(asked: &'a Pairs, name: &str) -> Vec<&'a str> {
    get_value(asked, name).unwrap_or_default().split([',', ' ']).filter(|word| !word.is_empty()).collect()
}

fn log_in(state: &State, asked: &Pairs, slug: &str) -> HttpResponse {
    let person = state.with(|inner| inner.people.iter().find(|person| person.slug == slug).cloned());
    let Some(person) = person else {
        return fault(state, "KOE001", "there is no such person in the simulator.");
    };
    if person.under_14 {
        return redirect_error(asked, "access_denied", Some("Not allowed under age 14"));
    }
    let now = state.now();
    let scope = words(asked, "scope");
    let code = opaque(64);
    state.with(|inner| {
        inner.make_room();
        inner.agreed.insert(person.slug.clone());
        let id = inner.id_of(&person);
        let issued = IssuedCode {
            client_id: get_value(asked, "client_id").unwrap_or_default().to_owned(),
            redirect_uri: get_value(asked, "redirect_uri").unwrap_or_default().to_owned(),
            slug: person.slug.clone(),
            id,
            nonce: get_value(asked, "nonce").map(str::to_owned),
            challenge: get_value(asked, "code_challenge").map(str::to_owned),
            // With a scope parameter, `openid` must stand in it.
            with_id_token: inner.oidc && (scope.is_empty() || scope.contains(&"openid")),
            expires_at: now + i64::try_from(state.code_ttl.as_secs()).unwrap_or(600),
            auth_time: now,
            items: scope.iter().map(|item| (*item).to_owned()).collect(),
        };
        inner.codes.insert(code.clone(), issued);
    });
    redirect(asked, &[("code", &code)])
}

fn redirect_error(asked: &Pairs, error: &str, description: Option<&str>) -> HttpResponse {
    match description {
        Some(description) => redirect(asked, &[("error", error), ("error_description", description)]),
        None => redirect(asked, &[("error", error)]),
    }
}

fn redirect(asked: &Pairs, parameters: &[(&str, &str)]) -> HttpResponse {
    let target = get_value(asked, "redirect_uri").unwrap_or_default();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    if let Some(state) = get_value(asked, "state") {
        query.append_pair("state", state);
    }
    let separator = if target.contains('?') { '&' } else { '?' };
    HttpResponse::Found()
        .insert_header((header::LOCATION, format!("{target}{separator}{}", query.finish())))
        .finish()
}

fn page(state: &State, query: &str) -> HttpResponse {
    let people = state.with(|inner| inner.people.clone());
    let html = Pick { query, people: &people }.render().unwrap_or_default();
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html)
}

fn fault(state: &State, code: &str, sentence: &str) -> HttpResponse {
    let status = StatusCode::from_u16(state.error_page_status).unwrap_or(StatusCode::BAD_REQUEST);
    let html = FaultPage { code, sentence }.render().unwrap_or_default();
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html)
}
