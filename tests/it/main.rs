//! The promises of the service, each in a module of its own, kept against a real Postgres and Redis and a simulated
//! Kakao. `scripts/test` brings them; without it, set `DATABASE_URL` and `REDIS_URL`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod account_deletion;
mod audit;
mod authorization_request;
mod backchannel_logout;
mod bounds;
mod callback;
mod client_credentials;
mod conformance;
mod consent;
mod doctor;
mod documents;
mod ending;
mod feed;
mod hang_up;
mod http_surface;
mod import;
mod interop;
mod introspection;
mod jobs;
mod kakao_errors;
mod kakao_token;
mod kakao_webhooks;
mod keys;
mod layering;
mod limits;
mod login_page;
mod logout;
mod lost_login;
mod me;
mod metrics;
mod native_login;
mod outages;
mod outbox;
mod own_api;
mod private_key_jwt;
mod program;
mod readiness;
mod refresh;
mod resource;
mod revocation;
mod rig;
mod secrets_at_rest;
mod session;
mod settings;
mod silence;
mod step_up;
mod stopping;
mod stores;
mod token_endpoint;
mod unanswered;
mod userinfo;
