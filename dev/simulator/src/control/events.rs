//! What happens to one person, and what Kakao tells by itself: over HTTP for programs (JSON) and from the page's buttons (forms).

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Data, Form, Json, Path};
use serde::Deserialize;
use serde_json::json;

use crate::state::State;
use crate::webhooks::{self, Event};
use crate::{token, user};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/simulator/events", web::get().to(happenings))
        .route("/simulator/deliveries", web::get().to(deliveries))
        .route("/simulator/users", web::get().to(users))
        .route("/simulator/users/{id}/unlink", web::post().to(unlink))
        .route("/simulator/users/{id}/consents", web::delete().to(withdraw))
        .route("/simulator/users/{id}/terms", web::post().to(agree))
        .route("/simulator/users/{id}/tokens", web::delete().to(revoke))
        .route("/simulator/webhooks/unlink", web::post().to(fire_unlink))
        .route("/simulator/webhooks/account-status", web::post().to(fire_event))
        .route("/simulator/webhooks/account-status/sign", web::post().to(sign))
        .route("/simulator/sdk-login", web::post().to(sdk_login))
        .route("/simulator/press", web::post().to(press));
}

async fn happenings(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.with(|inner| inner.happenings.iter().cloned().collect::<Vec<_>>()))
}

async fn deliveries(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.with(|inner| inner.deliveries.clone()))
}

async fn users(state: Data<State>) -> HttpResponse {
    let users: Vec<_> = state.with(|inner| {
        let of = |(id, link): (&i64, &crate::state::Link)| {
            json!({ "id": id, "slug": link.slug, "connected_at": link.connected_at, "scopes": inner.granted(*id),
                    "terms": link.terms.keys().collect::<Vec<_>>() })
        };
        inner.links.iter().map(of).collect()
    });
    HttpResponse::Ok().json(users)
}

/// `UNLINK_FROM_APPS` unless named.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reason {
    referrer_type: Option<String>,
}

impl Reason {
    fn text(&self) -> &str {
        self.referrer_type.as_deref().unwrap_or("UNLINK_FROM_APPS")
    }
}

async fn unlink(state: Data<State>, id: Path<i64>, reason: Option<Json<Reason>>) -> HttpResponse {
    let reason = reason.map(Json::into_inner).unwrap_or_default();
    HttpResponse::Ok().json(webhooks::unlink_in_settings(&state, *id, reason.text()).await)
}

async fn withdraw(state: Data<State>, id: Path<i64>, items: Json<Vec<String>>) -> HttpResponse {
    let now = state.now();
    state.with(|inner| user::withdraw(inner, *id, &items, now));
    HttpResponse::NoContent().finish()
}

async fn agree(state: Data<State>, id: Path<i64>, tags: Json<Vec<String>>) -> HttpResponse {
    let now = state.now();
    state.with(|inner| user::agree(inner, *id, &tags, now, "KAUTH"));
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    access_only: bool,
}

async fn revoke(state: Data<State>, id: Path<i64>, which: web::Query<Which>) -> HttpResponse {
    state.with(|inner| inner.revoke(*id, !which.access_only));
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unlink {
    user: i64,
    #[serde(default)]
    referrer_type: Option<String>,
}

async fn fire_unlink(state: Data<State>, call: Json<Unlink>) -> HttpResponse {
    let reason = call.referrer_type.as_deref().unwrap_or("UNLINK_FROM_APPS");
    delivered(webhooks::fire_unlink(&state, call.user, reason).await)
}

async fn fire_event(state: Data<State>, event: Json<Event>) -> HttpResponse {
    delivered(webhooks::fire_event(&state, &event).await)
}

fn delivered(delivery: Option<webhooks::Delivery>) -> HttpResponse {
    match delivery {
        Some(delivery) => HttpResponse::Ok().json(delivery),
        None => HttpResponse::Conflict()
            .json(json!({ "error": "no such webhook is registered: PUT /simulator/switches" })),
    }
}

async fn sign(state: Data<State>, event: Json<Event>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/secevent+jwt").body(webhooks::sign(&state, &event))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SdkLogin {
    person: String,
    /// The native app key unless named.
    client_id: Option<String>,
    nonce: Option<String>,
}

async fn sdk_login(state: Data<State>, ask: Json<SdkLogin>) -> HttpResponse {
    if !state.with(|inner| inner.people.iter().any(|person| person.slug == ask.person)) {
        return HttpResponse::NotFound().json(json!({ "error": "there is no such person" }));
    }
    let key = ask.client_id.clone().unwrap_or_else(|| state.app.native_app_key.clone());
    HttpResponse::Ok().json(token::sdk_login(&state, &ask.person, &key, ask.nonce.as_deref(), None))
}

/// A button of the page.
#[derive(Deserialize)]
struct Press {
    button: String,
    user: Option<i64>,
    value: Option<String>,
}

async fn press(state: Data<State>, form: Form<Press>) -> HttpResponse {
    let value = form.value.as_deref().unwrap_or_default();
    match (form.button.as_str(), form.user) {
        ("unlink", Some(user)) => drop(webhooks::unlink_in_settings(&state, user, "UNLINK_FROM_APPS").await),
        ("event", Some(user)) => drop(webhooks::fire_event(&state, &Event::new(user, value)).await),
        ("withdraw", Some(user)) => {
            let now = state.now();
            state.with(|inner| user::withdraw(inner, user, &[value.to_owned()], now));
        }
        ("advance", _) => state.advance(Duration::from_secs(value.parse().unwrap_or(0))),
        _ => return HttpResponse::BadRequest().body("there is no such button"),
    }
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/")).finish()
}
