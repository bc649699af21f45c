//! What the services of the tests are told.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakao_auth::keys::MasterKeys;
use kakao_auth::settings::Settings;
use kakao_simulator::Simulator;

use super::{BACKEND, BACKEND_SECRET, SECOND_SECRET, WEB};

/// `secrets.master_key` of every instance that was set up without another.
pub(crate) const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The master keys of a service with these settings.
pub(crate) fn master_keys(current: &str, previous: &[&str]) -> Arc<MasterKeys> {
    let key = |text: &&str| <[u8; 32]>::try_from(STANDARD.decode(text).unwrap()).unwrap();
    let previous: Vec<[u8; 32]> = previous.iter().map(key).collect();
    Arc::new(MasterKeys::new(&key(&current), &previous).unwrap())
}

pub(crate) fn variable(name: &str) -> String {
    let given = Settings::environment().find(|(given, _)| given == name);
    given.map_or_else(
        || panic!("{name} is not set: run the tests with scripts/test, which brings the servers"),
        |(_, value)| value,
    )
}

/// What every service of the tests is told, in process or as a program, by its environment variable.
pub(super) fn settings(
    kakao: &Simulator,
    issuer: &str,
    database_url: &str,
    cache_url: &str,
) -> HashMap<String, String> {
    let app = kakao.app();
    let values = [
        ("SERVER__BIND", "127.0.0.1:0"),
        ("SERVER__MANAGEMENT_BIND", "127.0.0.1:0"),
        ("SERVER__PUBLIC_URL", issuer),
        ("SERVER__DRAIN_DELAY", "0s"),
        ("DATABASE__URL", database_url),
        // Whatever takes a second connection while it holds one waits in vain.
        ("DATABASE__MAX_CONNECTIONS", "1"),
        ("CACHE__URL", cache_url),
        ("SECRETS__MASTER_KEY", MASTER_KEY),
        ("KAKAO__CLIENT_ID", &app.rest_api_key),
        ("KAKAO__CLIENT_SECRET", &app.client_secret),
        ("KAKAO__AUTH_BASE_URL", kakao.base_url()),
        ("KAKAO__API_BASE_URL", kakao.base_url()),
    ];
    values.map(|(name, value)| (format!("KAKAO_AUTH__{name}"), value.to_owned())).into()
}

/// Every kind of client that a test needs.
pub(super) fn clients() -> String {
    let hash = |secret: &str| kakao_auth::domain::Fingerprint::of(secret.as_bytes()).to_hex();
    format!(
        r#"
[[clients]]
id = "web"
name = "<b>Shop</b>"
type = "public"
redirect_uris = ["{WEB}", "https://app.example/cb?tenant=7"]
post_logout_redirect_uris = ["https://app.example/bye", "https://app.example/bye?a=b"]
allowed_origins = ["https://app.example"]
scopes = ["openid", "profile", "email", "account"]
audience = ["orders"]

[[clients]]
id = "other"
type = "public"
redirect_uris = ["https://other.example/cb"]
post_logout_redirect_uris = ["https://other.example/bye"]

[[clients]]
id = "wide"
type = "public"
redirect_uris = ["{WEB}"]
audience = ["https://a.example", "https://b.example"]

[[clients]]
id = "native"
type = "public"
redirect_uris = ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"]

[[clients]]
id = "backend"
type = "confidential"
secret_sha256 = ["{}", "{}"]
redirect_uris = ["{BACKEND}"]
require_pkce = false
claims = ["nickname", "email"]

[[clients]]
id = "orders"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
scopes = ["orders:read", "orders:write"]
audience = ["orders", "https://orders.example"]

[[clients]]
id = "app"
type = "public"
grants = ["urn:ietf:params:oauth:grant-type:token-exchange", "refresh_token"]
scopes = ["openid", "profile", "email", "phone"]
audience = ["orders"]

[[clients]]
id = "service"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
scopes = ["users:read", "kakao:token"]

[[clients]]
id = "ops"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
scopes = ["admin"]

[[clients]]
id = "codeless"
type = "confidential"
secret_sha256 = ["{}"]
grants = ["client_credentials"]
"#,
        hash(BACKEND_SECRET),
        hash(SECOND_SECRET),
        hash(BACKEND_SECRET),
        hash(BACKEND_SECRET),
        hash(BACKEND_SECRET),
        hash(BACKEND_SECRET),
    )
}
