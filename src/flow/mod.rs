//! Owns what the service does: one verb per file, each a rule of OAuth, OpenID Connect or Kakao.
//!
//! Stands on `kakao`, `keys`, `store` and `cache`. Knows nothing of HTTP: it takes what was asked and answers what is
//! to be said, or a [`Refusal`] that `web::error` turns into a status and a code.

pub(crate) mod admin;
pub mod backchannel_logout;
pub(crate) mod bearer;
pub mod delete_account;
pub(crate) mod doctor;
pub(crate) mod error;
pub(crate) mod gauges;
mod health;
pub(crate) mod id_token_hint;
mod jwks;
pub mod kakao;
pub(crate) mod limits;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod nonces;
mod outbox;
pub(crate) mod params;
mod readiness;
pub(crate) mod refusal;
pub mod revocations;
pub(crate) mod sessions;
mod signals;
pub(crate) mod token;
pub mod user_endings;
pub(crate) mod userinfo;
pub(crate) mod users;

pub(crate) use bearer::{Bearer, Service, bearer};
pub(crate) use delete_account::delete_account;
pub(crate) use error::{Error, chain};
pub(crate) use health::{Health, health};
pub(crate) use jwks::jwks;
pub(crate) use kakao::broker::broker_kakao_token;
pub(crate) use login::callback::{Callback, Finished, finish_login};
pub(crate) use params::Params;
pub(crate) use readiness::{Readiness, readiness};
pub(crate) use refusal::Refusal;
pub(crate) use signals::Signals;
pub(crate) use signals::bell::Bell;
pub(crate) use token::authenticate_client::{Credentials, authenticate_client};
pub(crate) use token::client_credentials::client_credentials;
pub(crate) use token::code::{CodeExchange, exchange_code};
pub(crate) use token::exchange::{KakaoTokenExchange, exchange_kakao_token};
pub(crate) use token::introspect::introspect;
pub(crate) use token::refresh::{Refresh, refresh};
pub(crate) use token::revoke::revoke;
pub(crate) use token::unanswered::write_notes as write_unanswered_notes;
pub(crate) use userinfo::userinfo;

use crate::cache::Cache;
use crate::domain::{Clients, Clock, EndReason, Ending, Policy};
use crate::kakao::Kakao;
use crate::keys::Keys;
use crate::notify::Notifier;

/// What the flows stand on, built once by `app`, save the database: a flow is given its caller's one way to that.
pub struct Deps {
    /// What may be lost.
    pub(crate) cache: Cache,
    /// Signing, encrypting, proving.
    pub(crate) keys: Keys,
    /// The one way in.
    pub(crate) kakao: Kakao,
    /// Calls the servers of clients.
    pub(crate) notifier: Notifier,
    /// The clients that the settings list.
    pub(crate) clients: Clients,
    /// What the operator decided.
    pub(crate) policy: Policy,
    /// Where the time comes from.
    pub(crate) clock: Clock,
    /// What the flows of this process tell each other.
    pub(crate) signals: Signals,
}

impl Deps {
    /// Ends grants now, and has their clients notified.
    pub(crate) fn ending(&self, reason: EndReason) -> Ending<'_> {
        Ending { reason, at: self.clock.now(), notify: self.clients.notified_of_logouts() }
    }
}
