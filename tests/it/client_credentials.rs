//! A client gets a token of its own (RFC 6749 §4.4).

use reqwest::StatusCode;

use crate::rig::{BACKEND_SECRET, Rig, access_token, claims, header, json};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn a_confidential_client_gets_a_token_without_a_user() {
    let rig = Rig::start().await;
    let reply = rig.form_as(0, "orders", "/oauth/token", &[GRANT]).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let tokens = json(reply).await;
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none(), "{tokens}");
    assert_eq!(tokens["scope"], "orders:read orders:write");
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(header(token)["typ"], "at+jwt");
    let said = claims(token);
    assert_eq!((&said["sub"], &said["client_id"]), (&"orders".into(), &"orders".into()));
    assert!(said.get("sid").is_none() && said.get("auth_time").is_none(), "{said}");
    assert_eq!(rig.introspected(0, token).await["active"], true);
    // It opens nothing that is a person's.
    let userinfo =
        crate::rig::http().get(rig.url(0, "/oauth/userinfo")).bearer_auth(token).send().await.unwrap();
    assert_eq!(userinfo.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_scope_narrows_and_never_widens() {
    let rig = Rig::start().await;
    let narrow = rig.form_as(0, "orders", "/oauth/token", &[GRANT, ("scope", "orders:read")]).await;
    let narrow = json(narrow).await;
    assert_eq!(narrow["scope"], "orders:read");
    assert_eq!(claims(access_token(&narrow))["scope"], "orders:read");
    for scope in ["orders:delete", "openid", "orders:read profile", "\"", "orders:read openid"] {
        let reply = rig.form_as(0, "orders", "/oauth/token", &[GRANT, ("scope", scope)]).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{scope}");
        assert_eq!(json(reply).await["error"], "invalid_scope", "{scope}");
    }
}

#[tokio::test]
async fn nobody_gets_one_who_is_public_unproven_or_not_allowed() {
    let rig = Rig::start().await;
    for (form, status, error) in [
        (vec![GRANT, ("client_id", "web")], 400, "unauthorized_client"),
        (vec![GRANT, ("client_id", "orders")], 401, "invalid_client"),
        (vec![GRANT, ("client_id", "orders"), ("client_secret", "kacs_wrong")], 401, "invalid_client"),
        (
            vec![GRANT, ("client_id", "backend"), ("client_secret", BACKEND_SECRET)],
            400,
            "unauthorized_client",
        ),
    ] {
        let reply = rig.token(0, &form).await;
        assert_eq!(reply.status().as_u16(), status, "{form:?}");
        assert_eq!(json(reply).await["error"], error, "{form:?}");
    }
}
