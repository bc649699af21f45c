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
pub mod id_token_hint;
pub mod introspect;
pub mod issue;
pub mod kakao_tokens;
pub mod lockout;
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
pub mod tell_clients;
pub mod unlink;
pub mod userinfo;
pub mod users;
pub mod work_webhooks;

use std::sync::Arc;
use std::time::Duration;

pub use authenticate_client::{Credentials, authenticate_client};
pub use bearer::{Bearer, Service, bearer};
pub use broker_kakao_token::broker_kakao_token;
pub use client_credentials::client_credentials;
pub use delete_account::delete_account;
pub use error::{Error, chain};
pub use exchange_code::{CodeExchange, exchange_code};
pub use exchange_kakao_token::{KakaoTokenExchange, exchange_kakao_token};
pub(crate) use finish_login::{Callback, Finished, finish_login};
pub use introspect::introspect;
pub use params::Params;
pub use refresh::{Refresh, refresh};
pub use refusal::{FailedLogin, LoginFailure, Refusal};
pub use revoke::revoke;
pub use userinfo::userinfo;

use crate::cache::Cache;
use crate::domain::{AccountPolicy, Clients, Clock};
use crate::kakao::Kakao;
pub use crate::kakao::{Actor, KnownFault};
use crate::keys::Keys;
use crate::notify::Notifier;

/// What the flows stand on, built once by `app`, save the database: a flow is given its caller's one way to that.
pub struct Deps {
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
    /// What becomes of accounts whose person leaves.
    pub account: AccountPolicy,
    /// Whether the app at Kakao has terms of Kakao Sync, which a login then reads.
    pub asks_service_terms: bool,
    /// Whether KakaoTalk's own browser is tried without a page first.
    pub in_app_login: bool,
    /// How many links to Kakao are renewed a minute; 0: none.
    pub renew_per_minute: u32,
    /// Whoever asks Kakao for a person's token takes turns.
    pub turns: kakao_tokens::Turns,
    /// What Kakao's webhooks told and the database could not take yet.
    pub inbox: receive_webhook::Inbox,
    /// What siblings are told of ended logins.
    pub revocations: revocations::Revocations,
    /// Who guesses client secrets.
    pub lockout: lockout::Lockout,
}
