//! The Config OP plan.

use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

use super::suite::{ISSUER, Suite};

#[tokio::test]
async fn oidcc_discovery_endpoint_verification() {
    let suite = Suite::start().await;
    let reply = suite.get("/.well-known/openid-configuration").await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert!(reply.headers()["content-type"].to_str().unwrap().starts_with("application/json"));
    let metadata: Value = reply.json().await.unwrap();
    assert_eq!(metadata["issuer"], ISSUER);
    for (name, value) in metadata.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let url = Url::parse(value.as_str().unwrap()).unwrap();
            assert!(url.scheme() == "https" && url.fragment().is_none(), "{name}: {url}");
        }
    }
    let holds = |name: &str, value: &str| metadata[name].as_array().unwrap().contains(&json!(value));
    for (name, value) in [
        ("response_types_supported", "code"),
        ("subject_types_supported", "public"),
        ("id_token_signing_alg_values_supported", "RS256"),
        ("grant_types_supported", "authorization_code"),
        ("scopes_supported", "openid"),
        ("code_challenge_methods_supported", "S256"),
        ("token_endpoint_auth_methods_supported", "client_secret_basic"),
        ("token_endpoint_auth_methods_supported", "client_secret_post"),
        ("claims_supported", "sub"),
    ] {
        assert!(holds(name, value), "{name} lacks {value}");
    }
    for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"] {
        assert!(metadata[name].is_string(), "{name}");
    }
    for scope in metadata["scopes_supported"].as_array().unwrap() {
        let text = scope.as_str().unwrap();
        assert!(text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{text}");
    }
    assert_eq!(metadata["request_parameter_supported"], false);
    assert_eq!(metadata["request_uri_parameter_supported"], false, "written out: absent means true");

    let jwks: Value = suite.get("/.well-known/jwks.json").await.json().await.unwrap();
    for key in jwks["keys"].as_array().unwrap() {
        serde_json::from_value::<jsonwebtoken::jwk::Jwk>(key.clone()).unwrap();
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        for (name, value) in key.as_object().unwrap() {
            if ["n", "e", "x", "y"].contains(&name.as_str()) {
                let text = value.as_str().unwrap();
                assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            }
        }
    }
}
