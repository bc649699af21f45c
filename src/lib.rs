//! A standalone login service for Kakao that issues its own JWTs.
//!
//! Read it in this order: [`domain`] has the nouns and the decisions, [`flow`] the verbs, [`web`] the endpoints, and
//! [`app`] puts them together. `docs/architecture.md` walks through a login and through a stolen refresh token.

pub mod app;
pub mod cache;
pub mod cli;
pub mod domain;
pub mod flow;
pub mod jobs;
pub mod kakao;
pub mod keys;
pub mod notify;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod web;
