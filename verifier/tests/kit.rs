//! The kit for backend services: the tower layer, and the mint for their own tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use kakao_auth_verifier::testing::Issuer;
use kakao_auth_verifier::tower::RequireToken;
use kakao_auth_verifier::{Claims, Refused};
use tower_layer::Layer;
use tower_service::Service;
use uuid::Uuid;

/// A handler that tells who is calling.
#[derive(Clone)]
struct WhoAmI;

impl Service<Request<()>> for WhoAmI {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(Response::new(request.extensions().get::<Claims>().unwrap().sub.clone())))
    }
}

#[tokio::test]
async fn the_layer_lets_good_tokens_through_and_answers_the_rest() {
    let issuer = Issuer::new("https://auth.example.com", "orders");
    let other = Issuer::new("https://auth.example.com", "payments");
    let mut service = RequireToken::new(issuer.verifier()).scope("orders:read").layer(WhoAmI);
    let good = issuer.token().scope("orders:read").user("u");
    let good = format!("bearer {}", good.mint());
    let narrow = format!("Bearer {}", issuer.token().mint());
    let expired = format!("Bearer {}", issuer.token().scope("orders:read").expired().mint());
    let forged = format!("Bearer {}", other.token().scope("orders:read").mint());
    for (header, status, challenge) in [
        (Some(good.as_str()), StatusCode::OK, ""),
        (None, StatusCode::UNAUTHORIZED, "Bearer"),
        (Some("Basic eDp5"), StatusCode::UNAUTHORIZED, "Bearer"),
        (Some(&narrow), StatusCode::FORBIDDEN, "insufficient_scope"),
        (Some(&expired), StatusCode::UNAUTHORIZED, "invalid_token"),
        (Some(&forged), StatusCode::UNAUTHORIZED, "invalid_token"),
        (Some("Bearer"), StatusCode::UNAUTHORIZED, "Bearer"),
        (Some("Bearer x"), StatusCode::UNAUTHORIZED, "invalid_token"),
    ] {
        let mut request = Request::new(());
        if let Some(value) = header {
            request.headers_mut().insert("authorization", value.parse().unwrap());
        }
        let response = service.call(request).await.unwrap();
        assert_eq!(response.status(), status, "{header:?}");
        let said = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        assert!(said.unwrap_or_default().contains(challenge), "{header:?}");
        assert_eq!(response.body().is_empty(), status != StatusCode::OK, "{header:?}");
    }
}

#[tokio::test]
async fn a_revoked_login_s_tokens_are_refused() {
    let issuer = Issuer::new("https://auth.example.com", "orders");
    let verifier = issuer.verifier();
    let (mine, theirs) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let token = issuer.token().sid(mine).mint();
    verifier.verify(&token).await.unwrap();
    verifier.revoke(theirs);
    verifier.verify(&token).await.unwrap();
    verifier.revoke(mine);
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Refused::Revoked);
}

/// What the issuer says at `iat`, complete.
fn answer(iat: i64, members: &str) -> String {
    format!(r#"{{"iss":"i","iat":{iat},"window":720,"cursor":"1","complete":true{members}}}"#)
}

#[test]
fn what_is_known_is_forgotten_once_no_token_of_it_can_live_and_not_before() {
    use kakao_auth_verifier::feed::RevocationList;
    // The first 96 bits of SHA-256("i\0sid\0s"), and of SHA-256("i\0sub\0u").
    let (sid, sub) = (entry("sid", "s"), entry("sub", "u"));
    let mut list = RevocationList::new("i");
    let all = answer(100, &format!(r#","sids":["{sid}"],"subs":{{"{sub}":90}},"refuse_before":50"#));
    list.add(all.as_bytes(), None, 100, 30).unwrap();
    assert_eq!(list.len(), 2);
    let nothing = r#","sids":[],"subs":{}"#;
    for (iat, known) in [(819, true), (820, true), (821, false)] {
        list.add(answer(iat, nothing).as_bytes(), None, iat, 30).unwrap();
        assert_eq!(list.revokes(Some("s"), "x", 95), known, "{iat}");
        assert_eq!(list.revokes(None, "u", 89), known, "{iat}");
        assert_eq!(list.revokes(None, "x", 49), known, "{iat}");
        assert!(!list.revokes(None, "x", 50), "{iat}");
    }
    assert!(list.is_empty());
    // Told again by a replica that lags behind: it is no younger for that.
    list.add(all.as_bytes(), None, 820, 30).unwrap();
    list.add(answer(821, nothing).as_bytes(), None, 821, 30).unwrap();
    assert!(list.is_empty());
}

fn entry(claim: &str, value: &str) -> String {
    use base64::Engine;
    let text = ["i", claim, value].join("\0");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..12])
}

#[test]
fn what_is_no_feed_changes_nothing() {
    use kakao_auth_verifier::feed::RevocationList;
    let good = answer(100, r#","sids":[],"subs":{}"#);
    for bad in [
        "",
        "[]",
        "{}",
        &good.replace("100", "\"100\""),
        &good.replace("true", "false"),
        &good.replace("720", "0"),
        &good.replace(r#""sids":[]"#, r#""sids":["x"]"#),
        &good.replace(r#""subs":{}"#, r#""subs":{"AAAAAAAAAAAAAAAA":"1"}"#),
        &good.replace(r#","subs":{}"#, ""),
    ] {
        let mut list = RevocationList::new("i");
        assert_eq!(list.add(bad.as_bytes(), None, 100, 30), Err(Refused::Claims), "{bad}");
        assert_eq!(list, RevocationList::new("i"));
    }
}
