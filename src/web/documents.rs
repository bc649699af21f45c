//! The documents that anyone may read and keep. They are served from memory, whatever happens to the stores.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::domain::rotation::KeyPolicy;
use crate::domain::{Clients, Fingerprint, GrantType, Issuer, Scope, SigningAlg, paths};
use crate::flow::token::claims::ProfileClaims;

/// The discovery document, made once.
pub(super) struct Documents {
    pub(super) body: Vec<u8>,
    pub(super) etag: String,
    pub(super) cache_control: String,
}

/// Where discovery is read: OpenID Connect appends to the issuer, RFC 8414 §3.1 inserts before the issuer's path.
pub(super) fn discovery_paths(base: &str) -> Vec<String> {
    let mut found = vec![
        format!("{base}{}", paths::OPENID_CONFIGURATION),
        format!("{base}{}", paths::AUTHORIZATION_SERVER),
    ];
    if !base.is_empty() {
        found.push(format!("{}{base}", paths::AUTHORIZATION_SERVER));
    }
    found
}

impl Documents {
    /// Says exactly what works, nothing else.
    pub(super) fn new(issuer: &Issuer, clients: &Clients, keys: &KeyPolicy) -> Self {
        let known = ["openid", "profile", "email", "phone"].into_iter();
        let custom: Vec<&str> = clients.iter().flat_map(|client| client.scopes.iter()).collect();
        let scopes: Scope = known.chain(custom).collect();
        let mut claims = vec!["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid"];
        claims.extend(ProfileClaims::names_by_scope());
        let assertion_algs = SigningAlg::ALL.map(SigningAlg::name);
        let document = json!({
            "issuer": issuer.as_str(),
            "authorization_endpoint": issuer.join(paths::AUTHORIZE),
            "token_endpoint": issuer.join(paths::TOKEN),
            "userinfo_endpoint": issuer.join(paths::USERINFO),
            "introspection_endpoint": issuer.join(paths::INTROSPECT),
            "revocation_endpoint": issuer.join(paths::REVOKE),
            "end_session_endpoint": issuer.join(paths::LOGOUT),
            paths::REVOCATIONS_MEMBER: issuer.join(paths::REVOCATIONS),
            "jwks_uri": issuer.join(paths::JWKS),
            "scopes_supported": scopes.iter().collect::<Vec<_>>(),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
            "grant_types_supported": GrantType::ALL.map(GrantType::name),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": keys.algorithms.iter().map(|alg| alg.name()).collect::<Vec<_>>(),
            "token_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
            "token_endpoint_auth_signing_alg_values_supported": assertion_algs,
            "introspection_endpoint_auth_signing_alg_values_supported": assertion_algs,
            "revocation_endpoint_auth_signing_alg_values_supported": assertion_algs,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "introspection_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "revocation_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": claims,
            "claims_parameter_supported": false,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "authorization_response_iss_parameter_supported": true,
            "ui_locales_supported": ["ko", "en"],
        });
        let body = document.to_string().into_bytes();
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Fingerprint::of(&body).as_bytes()[..12]));
        Self { body, etag, cache_control: format!("public, max-age={}", keys.jwks_max_age.as_secs()) }
    }
}

/// Answers with a document that anyone may read and keep.
pub(super) fn document(
    request: &HttpRequest,
    cache_control: &str,
    etag: &str,
    media_type: &str,
    body: &[u8],
) -> HttpResponse {
    let unchanged = is_known(request, etag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if unchanged {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, media_type)).body(body.to_vec())
}

/// Whether the reader has this version already.
fn is_known(request: &HttpRequest, etag: &str) -> bool {
    known_tags(request).any(|tag| tag == "*" || tag == etag)
}

/// The entity tags that the reader has, for weak comparison (RFC 9110 §13.1.2).
pub(super) fn known_tags(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.into_iter().flat_map(|list| list.split(',')).map(|tag| tag.trim().trim_start_matches("W/"))
}
