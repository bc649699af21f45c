//! Revocation (RFC 7009): a token given back ends its login, on every instance, and tells nothing to strangers.

use futures_util::future::join_all;
use reqwest::{Response, StatusCode};

use crate::rig::{Rig, http, json};

async fn revoke(rig: &Rig, form: &[(&str, &str)]) -> Response {
    http().post(rig.url(0, "/oauth/revoke")).form(form).send().await.unwrap()
}

#[tokio::test]
async fn either_token_of_a_public_client_ends_the_login_everywhere() {
    for kind in ["refresh_token", "access_token"] {
        let rig = Rig::instances(2).await;
        let tokens = rig.tokens().await;
        for hint in ["", "access_token", "nonsense"] {
            let form =
                [("token", tokens[kind].as_str().unwrap()), ("client_id", "web"), ("token_type_hint", hint)];
            let reply = revoke(&rig, &form).await;
            assert_eq!(reply.status(), StatusCode::OK, "{kind} {hint}, again and again");
            assert!(reply.bytes().await.unwrap().is_empty());
        }
        let reply = rig.refresh(1, tokens["refresh_token"].as_str().unwrap()).await;
        assert_eq!(json(reply).await["error"], "invalid_grant", "{kind}");
        let userinfo = http().get(rig.url(1, "/oauth/userinfo"));
        let reply = userinfo.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{kind}");
    }
}

#[tokio::test]
async fn a_stranger_s_or_unknown_token_is_left_alone_and_nothing_tells() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    for token in [refresh, tokens["access_token"].as_str().unwrap(), "x", "kart_x", "a.b.c"] {
        assert_eq!(revoke(&rig, &[("token", token), ("client_id", "other")]).await.status(), StatusCode::OK);
    }
    assert_eq!(rig.refresh(0, refresh).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let rig = Rig::start().await;
    assert_eq!(json(revoke(&rig, &[("client_id", "web")]).await).await["error"], "invalid_request");
    assert_eq!(revoke(&rig, &[("token", "x")]).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        revoke(&rig, &[("token", "x"), ("client_id", "backend")]).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let get = http().get(rig.url(0, "/oauth/revoke?token=x&client_id=web")).send().await.unwrap();
    assert_eq!(
        (get.status(), &get.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    let own =
        json(rig.form_as(0, "orders", "/oauth/token", &[("grant_type", "client_credentials")]).await).await;
    let form = [("token", own["access_token"].as_str().unwrap())];
    let reply = rig.form_as(0, "orders", "/oauth/revoke", &form).await;
    assert_eq!(json(reply).await["error"], "unsupported_token_type");
}

/// A refresh that raced the revocation may have been answered, but no branch of the login lives on.
#[tokio::test]
async fn refreshes_at_the_same_moment_do_not_survive_it() {
    let rig = Rig::instances(2).await;
    let tokens = rig.tokens().await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("token", refresh), ("client_id", "web")];
    let racing = join_all((0..20).map(|i| rig.refresh(i, refresh)));
    let (answers, revoked) = tokio::join!(racing, revoke(&rig, &form));
    assert_eq!(revoked.status(), StatusCode::OK);
    for answer in answers {
        if answer.status() == StatusCode::OK {
            let survivor = json(answer).await["refresh_token"].as_str().unwrap().to_owned();
            assert_eq!(json(rig.refresh(0, &survivor).await).await["error"], "invalid_grant");
        }
    }
}
