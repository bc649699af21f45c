//! The control API, `/simulator/…`: the methods of [`crate::Simulator`] over HTTP, and the page at `/`. What is about one
//! person, and what Kakao tells by itself, is in `events`.

mod events;

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use crate::api::rfc3339;
use crate::faults::Fault;
use crate::keys::Key;
use crate::people::Person;
use crate::state::{Happening, State, Term, Unconfirmed, Webhooks};
use crate::webhooks::KINDS;
use crate::{Autopilot, Endpoint};

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
        .route("/simulator/reset", web::post().to(reset))
        .configure(events::routes);
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    base_url: &'a str,
    app: &'a crate::App,
    people: &'a [Row],
    kinds: Vec<(&'static str, &'static str)>,
    happenings: &'a [Shown],
}

/// A person, and whether they are linked.
struct Row {
    person: Person,
    linked: bool,
    granted: String,
}

/// Something that happened, for people.
struct Shown {
    at: String,
    user: String,
    what: String,
}

async fn home(state: Data<State>) -> HttpResponse {
    let (people, happenings) = state.with(|inner| {
        let row = |person: &Person| Row {
            linked: inner.links.contains_key(&person.id),
            granted: inner.granted(person.id).into_iter().collect::<Vec<_>>().join(" "),
            person: person.clone(),
        };
        let shown = |one: &Happening| Shown {
            at: rfc3339(one.at),
            user: one.user.map(|user| user.to_string()).unwrap_or_default(),
            what: one.what.clone(),
        };
        let people: Vec<Row> = inner.people.iter().map(row).collect();
        (people, inner.happenings.iter().rev().take(100).map(shown).collect::<Vec<_>>())
    });
    let kinds = KINDS.map(|kind| (kind, kind.rsplit('/').next().unwrap_or(kind))).to_vec();
    let home =
        Home { base_url: &state.base_url, app: &state.app, people: &people, kinds, happenings: &happenings };
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
    /// All redirect URIs.
    redirect_uris: Option<Vec<String>>,
    login_enabled: Option<bool>,
    client_secret_required: Option<bool>,
    token_limits: Option<bool>,
    /// A consent item to switch on, and one to switch off.
    consent_item_on: Option<String>,
    consent_item_off: Option<String>,
    terms: Option<Vec<Term>>,
    /// APIs that the admin key may not use.
    admin_denied: Option<Vec<Endpoint>>,
    webhooks: Option<Webhooks>,
    unconfirmed: Option<Unconfirmed>,
}

async fn switch(state: Data<State>, switches: Json<Switches>) -> HttpResponse {
    let to = switches.into_inner();
    state.with(|inner| {
        if let Some(word) = to.autopilot {
            inner.autopilot = read_autopilot(&word);
        }
        set(&mut inner.oidc, to.oidc);
        set(&mut inner.log_calls, to.log_calls);
        set(&mut inner.redirect_uris, to.redirect_uris);
        inner.redirect_uris.extend(to.redirect_uri);
        set(&mut inner.login_enabled, to.login_enabled);
        set(&mut inner.secret_required, to.client_secret_required);
        set(&mut inner.token_limits, to.token_limits);
        inner.consent_items.extend(to.consent_item_on);
        if let Some(item) = to.consent_item_off {
            inner.consent_items.remove(&item);
        }
        set(&mut inner.terms, to.terms);
        set(&mut inner.admin_denied, to.admin_denied.map(|denied| denied.into_iter().collect()));
        set(&mut inner.webhooks, to.webhooks);
        set(&mut inner.unconfirmed, to.unconfirmed);
    });
    HttpResponse::NoContent().finish()
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
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
#[serde(deny_unknown_fields)]
struct Advance {
    /// Forward by so many.
    seconds: Option<u64>,
    /// So many off the machine's clock, either way.
    offset: Option<i64>,
}

async fn advance(state: Data<State>, by: Json<Advance>) -> HttpResponse {
    if let Some(offset) = by.offset {
        state.set_offset(offset);
    }
    state.advance(Duration::from_secs(by.seconds.unwrap_or(0)));
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
