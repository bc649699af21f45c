//! Owns what the service does: one verb per file, each a rule of OAuth, OpenID Connect or Kakao.
//!
//! Stands on `kakao`, `keys`, `store` and `cache`. Knows nothing of HTTP: it takes what was asked and answers what is
//! to be said, or a [`Refusal`] that `web::error` turns into a status and a code.

pub mod authenticate_client;
pub mod bearer;
pub(crate) mod begin_login;
pub mod broker_kakao_token;
pub mod client_credentials;
pub mod delete_account;
pub mod devices;
pub mod doctor;
pub mod error;
pub mod exchange_code;
pub mod exchange_kakao_token;
pub(crate) mod finish_login;
pub(crate) mod gauges;
mod health;
pub mod id_token_hint;
pub mod introspect;
pub mod issue;
mod jwks;
pub mod kakao_tokens;
pub(crate) mod login;
pub mod logout;
pub mod nonces;
pub mod params;
pub mod read_profile;
pub mod receive_webhook;
pub mod refresh;
pub mod refusal;
pub mod revocations;
pub mod revoke;
mod signals;
pub mod tell_clients;
pub mod unlink;
pub mod userinfo;
pub mod users;
pub mod work_webhooks;

pub use authenticate_client::{Credentials, authenticate_client};
pub use bearer::{Bearer, Service, bearer};
pub use broker_kakao_token::broker_kakao_token;
pub use client_credentials::client_credentials;
pub use delete_account::delete_account;
pub use error::{Error, chain};
pub use exchange_code::{CodeExchange, exchange_code};
pub use exchange_kakao_token::{KakaoTokenExchange, exchange_kakao_token};
pub(crate) use finish_login::{Callback, Finished, finish_login};
pub(crate) use health::{Health, health};
pub use introspect::introspect;
pub(crate) use jwks::jwks;
pub use params::Params;
pub use refresh::{Refresh, refresh};
pub use refusal::Refusal;
pub use revoke::revoke;
pub(crate) use signals::Signals;
pub(crate) use signals::feed::Feed;
pub use userinfo::userinfo;

use crate::cache::Cache;
use crate::domain::{Clients, Clock, Policy};
use crate::kakao::Kakao;
pub use crate::kakao::{Actor, FaultKind, KnownFault};
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
