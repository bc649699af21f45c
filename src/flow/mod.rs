//! Owns what the service does: one verb per file, each a rule of OAuth, OpenID Connect or Kakao.
//!
//! Stands on `kakao`, `keys`, `store` and `cache`. Knows nothing of HTTP: it takes what was asked and answers what is
//! to be said, or a [`Refusal`] that `web::error` turns into a status and a code.

pub mod authenticate_client;
pub mod bearer;
pub mod begin_login;
pub mod client_credentials;
pub mod devices;
pub mod exchange_code;
pub mod finish_login;
pub mod id_token_hint;
pub mod introspect;
pub mod issue;
pub mod lockout;
pub mod logout;
pub mod params;
pub mod refresh;
pub mod refusal;
pub mod revocations;
pub mod revoke;
pub mod tell_clients;
pub mod userinfo;

use std::sync::Arc;
use std::time::Duration;

pub use authenticate_client::{Credentials, authenticate_client};
pub use bearer::{Bearer, bearer};
pub use begin_login::{AuthorizeError, Begun, begin_login};
pub use client_credentials::client_credentials;
pub use exchange_code::{CodeExchange, exchange_code};
pub use finish_login::{Callback, Finished, finish_login};
pub use introspect::introspect;
pub use params::Params;
pub use refresh::{Refresh, refresh};
pub use refusal::{Error, FailedLogin, LoginFailure, Refusal};
pub use revoke::revoke;
pub use userinfo::userinfo;

use crate::cache::Cache;
use crate::domain::{Clients, Clock};
use crate::kakao::Kakao;
pub use crate::kakao::{Actor, KnownFault};
use crate::keys::Keys;
use crate::notify::Notifier;
use crate::store::Db;

/// What the flows stand on, built once by `app`.
pub struct Deps {
    /// The truth.
    pub db: Db,
    /// What may be lost.
    pub cache: Cache,
    /// Signing, sealing, proving.
    pub keys: Keys,
    /// The one way in.
    pub kakao: Kakao,
    /// Speaks to clients' own servers.
    pub notifier: Notifier,
    /// Who may ask.
    pub clients: Clients,
    /// `server.public_url`, byte for byte: the `iss` of everything.
    pub issuer: Arc<str>,
    /// Where the time comes from.
    pub clock: Clock,
    /// How long the previous refresh token is answered with the current one.
    pub reuse_window: Duration,
    /// How long a browser session lives unused.
    pub session_idle: Duration,
    /// How long a browser session lives at all.
    pub session_absolute: Duration,
    /// What siblings are told of ended logins.
    pub revocations: revocations::Revocations,
    /// Who guesses client secrets.
    pub lockout: lockout::Lockout,
}
