//! Security event tokens are proven before anything is stored.

use std::time::Duration;

use kakao_auth::domain::kakao_event::USER_UNLINKED;
use kakao_simulator::{Effect, Endpoint, Event, Fault, SetForgery};
use reqwest::StatusCode;

use super::{OAUTH, is_live};
use crate::rig::{Rig, json};

#[tokio::test]
async fn keys_that_kakao_does_not_have_do_not_have_it_asked_again_and_again() {
    let rig = Rig::start().await;
    let effect = Effect::Reply { status: 500, body: String::new(), content_type: None, headers: vec![] };
    rig.kakao.fault(Fault { endpoint: Endpoint::Jwks, times: None, delay_ms: 0, effect });
    let unknown = Event { forgery: Some(SetForgery::UnknownKid), ..rig.event(USER_UNLINKED) };
    for known in [false, true] {
        rig.kakao.clear_calls();
        for _ in 0..20 {
            let reply = rig.post_event(rig.kakao.sign_event(&unknown)).await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "known: {known}");
        }
        assert_eq!(rig.kakao.calls_to(Endpoint::Jwks), 1, "known: {known}");
        if !known {
            rig.clock.advance(Duration::from_secs(2));
            rig.kakao.clear_faults();
            rig.tokens().await;
            // The keys that are known go on being used when Kakao does not give them anew.
            let effect =
                Effect::Reply { status: 500, body: String::new(), content_type: None, headers: vec![] };
            rig.kakao.fault(Fault { endpoint: Endpoint::Jwks, times: None, delay_ms: 0, effect });
            rig.clock.advance(Duration::from_hours(2));
            rig.tell(&rig.event(&format!("{OAUTH}/user-linked"))).await;
            rig.clock.advance(Duration::from_secs(31));
        }
    }
}

#[tokio::test]
async fn a_forged_token_is_refused_with_its_reason_and_nothing_is_stored() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    rig.later();
    for (forgery, err) in [
        (SetForgery::AlgNone, "invalid_request"),
        (SetForgery::Hs256WithPublicKey, "invalid_request"),
        (SetForgery::StrangeKey, "invalid_key"),
        (SetForgery::UnknownKid, "invalid_key"),
        (SetForgery::NoKid, "invalid_request"),
        (SetForgery::WrongTyp, "invalid_request"),
        (SetForgery::Issuer, "invalid_issuer"),
        (SetForgery::Audience, "invalid_audience"),
        (SetForgery::NoJti, "invalid_request"),
        (SetForgery::NoSub, "invalid_request"),
        (SetForgery::OtherSubject, "invalid_request"),
        (SetForgery::NoEvents, "invalid_request"),
        (SetForgery::Garbage, "invalid_request"),
    ] {
        // Later than Kakao's keys are read again for a key that they lacked: until then it could be a new one.
        if matches!(forgery, SetForgery::UnknownKid) {
            rig.clock.advance(Duration::from_secs(31));
        }
        let forged = Event { forgery: Some(forgery), ..rig.event(USER_UNLINKED) };
        let reply = rig.post_event(rig.kakao.sign_event(&forged)).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{forgery:?}");
        let said = json(reply).await;
        assert_eq!(said["err"], err, "{forgery:?}: {said}");
        assert!(said["description"].as_str().unwrap().ends_with('.'), "{said}");
    }
    let whole = rig.kakao.sign_event(&rig.event(USER_UNLINKED));
    let id_token =
        rig.kakao.sdk_login("all-consents", &rig.kakao.app().rest_api_key, None, None).id_token.unwrap();
    for token in
        [String::new(), "x".repeat(20_000), whole[..whole.len() - 2].to_owned(), id_token, "\u{0}".into()]
    {
        assert_eq!(rig.post_event(token).await.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await, 0);
    assert!(is_live(&rig, &tokens).await);
}

#[tokio::test]
async fn an_event_of_one_id_counts_once_and_either_audience_is_accepted() {
    let rig = Rig::start().await;
    rig.tokens().await;
    rig.later();
    let told = Event { jti: Some("the-same".into()), ..rig.event(&format!("{OAUTH}/user-linked")) };
    let token = rig.kakao.sign_event(&told);
    for _ in 0..3 {
        assert_eq!(rig.post_event(token.clone()).await.status(), StatusCode::ACCEPTED);
    }
    assert_eq!(rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await, 1);
    rig.kakao.set_unconfirmed(kakao_simulator::Unconfirmed {
        set_audience: kakao_simulator::SetAudience::AppId,
        ..kakao_simulator::Unconfirmed::default()
    });
    rig.tell(&rig.event(&format!("{OAUTH}/user-linked"))).await;
}

#[tokio::test]
async fn without_kakao_s_keys_nothing_is_said_about_a_token() {
    let rig = Rig::start().await;
    let effect = Effect::Reply { status: 500, body: String::new(), content_type: None, headers: vec![] };
    rig.kakao.fault(Fault { endpoint: Endpoint::Jwks, times: Some(1), delay_ms: 0, effect });
    let token = rig.kakao.sign_event(&rig.event(USER_UNLINKED));
    let reply = rig.post_event(token.clone()).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    rig.later();
    assert_eq!(rig.post_event(token).await.status(), StatusCode::ACCEPTED);
}
