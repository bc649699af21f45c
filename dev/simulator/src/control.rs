//! The control API, `/simulator/…`: the methods of [`crate::Simulator`] over HTTP, and the page at `/`.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use crate::Autopilot;
use crate::faults::Fault;
use crate::keys::Key;
use crate::people::Person;
use crate::state::State;

/// Mounts the control API and the page.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(home))
        .route("/simulator/health", web::get().to(HttpResponse::Ok))
        .route("/simulator/people", web::get().to(people))
        .route("/simulator/people", web::put().to(put_person))
        .route("/simulator/people/{slug}/agreement", web::delete().to(disagree))
        .route("/simulator/faults", web::get().to(list_faults))
        .route("/simulator/faults", web::post().to(add_fault))
        .route("/simulator/faults", web::delete().to(clear_faults))
        .route("/simulator/calls", web::get().to(calls))
        .route("/simulator/calls", web::delete().to(clear_calls))
        .route("/simulator/switches", web::put().to(switch))
        .route("/simulator/clock", web::get().to(clock))
        .route("/simulator/clock", web::post().to(advance))
        .route("/simulator/keys/rotate", web::post().to(rotate))
        .route("/simulator/reset", web::post().to(reset));
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    base_url: &'a str,
    app: &'a crate::App,
    people: &'a [Person],
    calls: &'a [crate::Call],
}

async fn home(state: Data<State>) -> HttpResponse {
    let (people, calls) = state
        .with(|inner| (inner.people.clone(), inner.calls.iter().rev().take(20).cloned().collect::<Vec<_>>()));
    let home = Home { base_url: &state.base_url, app: &state.app, people: &people, calls: &calls };
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(home.render().unwrap_or_default())
}

async fn people(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.with(|inner| inner.people.clone()))
}

async fn put_person(state: Data<State>, person: Json<Person>) -> HttpResponse {
    state.with(|inner| inner.put_person(person.into_inner()));
    HttpResponse::NoContent().finish()
}

async fn disagree(state: Data<State>, slug: Path<String>) -> HttpResponse {
    state.with(|inner| inner.agreed.remove(slug.as_str()));
    HttpResponse::NoContent().finish()
}

async fn list_faults(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.with(|inner| inner.faults.clone()))
}

async fn add_fault(state: Data<State>, fault: Json<Fault>) -> HttpResponse {
    state.with(|inner| inner.faults.push(fault.into_inner()));
    HttpResponse::NoContent().finish()
}

async fn clear_faults(state: Data<State>) -> HttpResponse {
    state.with(|inner| inner.faults.clear());
    HttpResponse::NoContent().finish()
}

async fn calls(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.with(|inner| inner.calls.iter().cloned().collect::<Vec<_>>()))
}

async fn clear_calls(state: Data<State>) -> HttpResponse {
    state.with(|inner| inner.calls.clear());
    HttpResponse::NoContent().finish()
}

/// What can be switched; absent members stay as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    /// A person's slug, `cancel`, or `off`.
    autopilot: Option<String>,
    oidc: Option<bool>,
    log_calls: Option<bool>,
    /// A redirect URI to register.
    redirect_uri: Option<String>,
}

async fn switch(state: Data<State>, switches: Json<Switches>) -> HttpResponse {
    let Switches { autopilot, oidc, log_calls, redirect_uri } = switches.into_inner();
    state.with(|inner| {
        if let Some(word) = autopilot {
            inner.autopilot = read_autopilot(&word);
        }
        inner.oidc = oidc.unwrap_or(inner.oidc);
        inner.log_calls = log_calls.unwrap_or(inner.log_calls);
        inner.redirect_uris.extend(redirect_uri);
    });
    HttpResponse::NoContent().finish()
}

/// `off`, `cancel`, or a person's slug.
pub fn read_autopilot(word: &str) -> Autopilot {
    match word {
        "off" => Autopilot::Off,
        "cancel" => Autopilot::Cancel,
        slug => Autopilot::Person(slug.to_owned()),
    }
}

async fn clock(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "now": state.now() }))
}

#[derive(Deserialize)]
struct Advance {
    seconds: u64,
}

async fn advance(state: Data<State>, by: Json<Advance>) -> HttpResponse {
    state.advance(Duration::from_secs(by.seconds));
    HttpResponse::Ok().json(json!({ "now": state.now() }))
}

async fn rotate(state: Data<State>) -> HttpResponse {
    match Key::generate() {
        Some(key) => {
            state.with(|inner| inner.rotate(key));
            HttpResponse::NoContent().finish()
        }
        None => HttpResponse::InternalServerError().finish(),
    }
}

async fn reset(state: Data<State>) -> HttpResponse {
    state.reset();
    HttpResponse::NoContent().finish()
}
