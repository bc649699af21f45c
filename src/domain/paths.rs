//! Where this service answers, below its issuer. Others register these paths, read them in discovery and find them in
//! links, so each is written here once: `web` routes them, and whoever builds a link takes them from here.

pub(crate) const AUTHORIZE: &str = "/oauth/authorize";
pub(crate) const TOKEN: &str = "/oauth/token";
pub(crate) const REVOKE: &str = "/oauth/revoke";
pub(crate) const INTROSPECT: &str = "/oauth/introspect";
pub(crate) const USERINFO: &str = "/oauth/userinfo";
pub(crate) const LOGOUT: &str = "/oauth/logout";

/// The redirect URI that is registered at Kakao.
pub(crate) const KAKAO_CALLBACK: &str = "/kakao/callback";
/// The logout redirect URI that is registered at Kakao.
pub(crate) const KAKAO_LOGOUT: &str = "/kakao/logout";
/// Every error of Kakao Login, each with its id as the fragment.
pub(crate) const KAKAO_ERRORS: &str = "/kakao/errors";
pub(crate) const KAKAO_UNLINK_WEBHOOK: &str = "/kakao/webhooks/unlink";
pub(crate) const KAKAO_ACCOUNT_STATUS_WEBHOOK: &str = "/kakao/webhooks/account-status";

/// OpenID Connect Discovery §4: after the issuer's path.
pub(crate) const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
/// RFC 8414 §3.1: before the issuer's path; after it too, where many libraries look.
pub(crate) const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
pub(crate) const JWKS: &str = "/.well-known/jwks.json";

/// Our own API: every path of it, those that no endpoint has included.
pub(crate) const V1: [&str; 2] = ["/v1", "/v1/{path:.*}"];
pub(crate) const REVOCATIONS: &str = "/v1/revocations";
/// The member of the discovery documents that holds the feed's address. Not a registered one (RFC 8414 §7.1), hence the prefix.
pub(crate) const REVOCATIONS_MEMBER: &str = "kakao_auth_revocation_feed";
pub(crate) const NONCES: &str = "/v1/nonces";
pub(crate) const ME: &str = "/v1/me";
pub(crate) const MY_SESSIONS: &str = "/v1/me/sessions";
pub(crate) const MY_SESSION: &str = "/v1/me/sessions/{id}";
pub(crate) const USER: &str = "/v1/users/{id}";
pub(crate) const KAKAO_TOKEN: &str = "/v1/users/{id}/kakao-token";
pub(crate) const ADMIN_USER: &str = "/v1/admin/users/{id}";
pub(crate) const ADMIN_KAKAO_UNLINKS: &str = "/v1/admin/kakao-unlinks";
pub(crate) const ADMIN_KAKAO_UNLINK_RETRY: &str = "/v1/admin/kakao-unlinks/{id}/retry";

pub(crate) const LIVE: &str = "/health/live";
pub(crate) const READY: &str = "/health/ready";
/// At the management address only.
pub(crate) const METRICS: &str = "/metrics";
