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

#[test]
fn a_feed_lists_logins_and_users_and_anything_else_is_not_one() {
    use kakao_auth_verifier::feed::RevocationList;
    let (a, b, user) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    let payload = format!(
        r#"{{"iss":"i","iat":5,"window":720,"sids":["{b}","{a}"],"subs":{{"{user}":100}},"new":"member"}}"#
    );
    let list = RevocationList::read(payload.as_bytes()).unwrap();
    assert_eq!(list.len(), 3);
    let text = user.to_string();
    for (sid, sub, iat, void) in [
        (Some(a), "x", 0, true),
        (Some(b), "x", 0, true),
        (Some(Uuid::from_u128(9)), "x", 0, false),
        (None, "a-client", 0, false),
        (None, &text, 99, true),
        (None, &text, 100, false),
    ] {
        assert_eq!(
            list.revokes(sid.map(|sid| sid.to_string()).as_deref(), sub, iat),
            void,
            "{sid:?} {sub} {iat}"
        );
    }
    for bad in ["", "[]", "{}", r#"{"iss":"i","iat":1,"sids":["x"]}"#, r#"{"iss":"i","iat":"1","sids":[]}"#] {
        assert_eq!(RevocationList::read(bad.as_bytes()).unwrap_err(), Refused::Claims, "{bad}");
    }
}
