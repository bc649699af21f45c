//! The demo backend service: a backend that verifies our tokens offline, with `kakao-auth-verifier`.

use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, web};
use kakao_auth_verifier::Verifier;
use kakao_auth_verifier::actix::Bearer;
use serde_json::json;

pub(crate) fn serve(listener: TcpListener, issuer: String) -> anyhow::Result<Server> {
    let verifier = Verifier::builder(issuer, "orders").revocation_feed().build()?;
    let server = HttpServer::new(move || {
        App::new().app_data(Data::new(verifier.clone())).route("/orders", web::get().to(orders))
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

async fn orders(Bearer(claims): Bearer) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "verified": true,
        "user": claims.sub,
        "scope": claims.scope,
        "orders": ["아메리카노", "카페라떼"],
    }))
}
