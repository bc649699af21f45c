//! JWKS and discovery: what everybody may read, from memory (RFC 7517, RFC 8414, OpenID Connect Discovery).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::{ISSUER, Rig, Setup, http, json};

async fn get(rig: &Rig, path: &str) -> Value {
    json(http().get(rig.url(0, path)).send().await.unwrap()).await
}

#[tokio::test]
async fn discovery_says_exactly_what_works() {
    let rig = Rig::start().await;
    let document = get(&rig, "/.well-known/openid-configuration").await;
    assert_eq!(document, get(&rig, "/.well-known/oauth-authorization-server").await);
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(
        document["grant_types_supported"],
        json!([
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange"
        ])
    );
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["request_parameter_supported"], json!(false));
    assert_eq!(document["request_uri_parameter_supported"], json!(false));
    assert_eq!(document["authorization_response_iss_parameter_supported"], json!(true));
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert!(document["id_token_signing_alg_values_supported"].as_array().unwrap().contains(&json!("RS256")));
    assert!(document["scopes_supported"].as_array().unwrap().contains(&json!("openid")));
    assert!(!document.to_string().contains("none\",\"S") && !document.to_string().contains("HS256"));
    let claims = document["claims_supported"].as_array().unwrap();
    for claim in
        ["sub", "auth_time", "sid", "nickname", "email", "email_verified", "phone_number", "updated_at"]
    {
        assert!(claims.contains(&json!(claim)), "{claim}");
    }
    // What only a client's own setting tells, in access tokens, is in no ID token and not at userinfo.
    assert!(
        !claims.iter().any(|claim| claim == "age_range" || claim.as_str().unwrap().starts_with("kakao_"))
    );
    for endpoint in ["token", "revocation", "introspection"] {
        let algs = &document[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(
            *algs,
            json!(["ES256", "RS256", "EdDSA"]),
            "{endpoint}: it lists private_key_jwt (RFC 8414 §2)"
        );
    }
    assert_eq!(document["kakao_auth_revocation_feed"], format!("{ISSUER}/v1/revocations"));
    assert_eq!(document["revocation_feed"], Value::Null, "the registry may give that name to something else");
    let endpoints = document
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| name.ends_with("_endpoint") || *name == "jwks_uri");
    for endpoint in endpoints {
        let path = document[endpoint].as_str().unwrap().strip_prefix(ISSUER).unwrap().to_owned();
        let status = http().get(rig.url(0, &path)).send().await.unwrap().status();
        assert_ne!(status, StatusCode::NOT_FOUND, "{endpoint}");
    }
}

#[tokio::test]
async fn the_jwks_has_public_members_only_and_the_current_and_next_key_of_each_algorithm() {
    let rig = Rig::with(Setup {
        settings: vec![("KEYS__ALGORITHMS", "ES256,RS256,EdDSA".into())],
        ..Setup::default()
    })
    .await;
    let jwks = get(&rig, "/.well-known/jwks.json").await;
    let keys = jwks["keys"].as_array().unwrap();
    let algorithms: BTreeSet<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"].into());
    let kids: BTreeSet<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids.len(), 6, "a current and a next one each");
    for key in keys {
        assert_eq!(key["use"], "sig");
        for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(secret).is_none(), "{secret}");
        }
    }
    let rsa = keys.iter().find(|key| key["kty"] == "RSA").unwrap();
    assert_eq!(rsa["n"].as_str().unwrap().len(), 342, "2048 bits");
}

#[tokio::test]
async fn documents_can_be_cached_and_read_by_any_page() {
    let rig = Rig::start().await;
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        let reply = http().get(rig.url(0, path)).send().await.unwrap();
        let headers = reply.headers().clone();
        assert_eq!(headers["cache-control"], "public, max-age=300");
        assert_eq!(headers["access-control-allow-origin"], "*");
        let etag = headers["etag"].to_str().unwrap();
        for tag in [etag.to_owned(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let again = http().get(rig.url(0, path)).header("If-None-Match", tag).send().await.unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            assert!(again.bytes().await.unwrap().is_empty());
        }
        let other = http().get(rig.url(0, path)).header("If-None-Match", "\"x\"").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK);
        assert_eq!(http().head(rig.url(0, path)).send().await.unwrap().status(), StatusCode::OK);
        let wrong = http().post(rig.url(0, path)).send().await.unwrap();
        assert_eq!(
            (wrong.status(), &wrong.headers()["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn headers_of_a_stranger_change_nothing() {
    let rig = Rig::start().await;
    let plain = get(&rig, "/.well-known/openid-configuration").await;
    let poisoned = http()
        .get(rig.url(0, "/.well-known/openid-configuration"))
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "ftp")
        .header("Forwarded", "host=evil.example;proto=ftp")
        .send()
        .await
        .unwrap();
    assert_eq!(json(poisoned).await, plain);
}

#[tokio::test]
async fn replicas_that_start_together_make_one_set_of_keys() {
    let mut rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    rig.add_instances_together(4).await;
    let documents = join_all((0..4).map(|i| {
        let request = http().get(rig.url(i, "/.well-known/jwks.json"));
        async move { request.send().await.unwrap().text().await.unwrap() }
    }))
    .await;
    assert_eq!(documents.iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(rig.count("SELECT count(*) FROM signing_keys").await, 4, "a current and a next one each");
}

#[tokio::test]
async fn an_issuer_with_a_path_answers_below_it() {
    let settings = vec![("SERVER__PUBLIC_URL", "http://auth.localhost/login".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    for path in [
        "/login/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/login",
        "/login/.well-known/oauth-authorization-server",
    ] {
        let document = get(&rig, path).await;
        assert_eq!(document["issuer"], "http://auth.localhost/login", "{path}");
        assert_eq!(document["token_endpoint"], "http://auth.localhost/login/oauth/token");
    }
    let reply = http().post(rig.url(0, "/login/oauth/token")).form(&[("a", "b")]).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
}
