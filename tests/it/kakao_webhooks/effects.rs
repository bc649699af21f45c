//! What each event does to the logins and data from before it, and leaves alone of those from after.

use std::time::{Duration, Instant};

use kakao_auth::domain::kakao_event::USER_UNLINKED;
use kakao_simulator::{Effect, Email, Endpoint, Event, Fault};
use reqwest::StatusCode;
use serde_json::json;

use super::{CAEP, OAUTH, PROFILE_CHANGED, RISC, is_live, unlink_with, user};
use crate::rig::{Browser, KAKAO_ID, Rig, Setup, claims, parameter, user_of};

#[tokio::test]
async fn unknown_people_reasons_and_kinds_are_accepted_and_recorded_and_destroy_nothing() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    rig.later();
    assert_eq!(unlink_with(&rig, 77, "UNLINK_FROM_APPS").await.status(), StatusCode::OK);
    for kind in ["https://schemas.openid.net/secevent/oauth/event-type/invented", "x", "urn:a:b"] {
        rig.tell(&rig.event(kind)).await;
    }
    rig.process_events().await;
    assert!(is_live(&rig, &tokens).await);
    assert_eq!(rig.count("SELECT count(*) FROM audit_events WHERE kind = 'kakao_event.processed'").await, 4);
    assert_eq!(
        rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND outcome = 'noted'").await,
        3
    );
    assert_eq!(
        rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event' AND outcome = 'unknown_user'")
            .await,
        1
    );
    rig.kakao.unlink(KAKAO_ID, "REVOKE_ACCOUNT_SERVICE_TERMS").await;
    assert_eq!(unlink_with(&rig, KAKAO_ID, "REVOKE_ACCOUNT_SERVICE_TERMS").await.status(), StatusCode::OK);
    rig.process_events().await;
    assert!(!is_live(&rig, &tokens).await, "whatever the reason, the link is gone");
}

#[tokio::test]
async fn events_of_a_sign_up_leave_the_new_user_alone() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    rig.later();
    for name in ["user-linked", "user-scope-consent", "token-issued"] {
        rig.tell(&rig.event(&format!("{OAUTH}/{name}"))).await;
    }
    rig.tell(&rig.event(&format!("{RISC}/account-enabled"))).await;
    assert!(is_live(&rig, &tokens).await);
    let id = user_of(&tokens);
    assert!(kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_some());
    assert_eq!(user(&rig, id).await.profile.nickname.as_deref(), Some("김하늘"));
}

#[tokio::test]
async fn credential_events_end_the_logins_from_before_and_not_those_from_after() {
    let rig = Rig::start().await;
    for kind in [
        format!("{RISC}/account-disabled"),
        format!("{RISC}/account-credential-change-required"),
        format!("{RISC}/credential-compromise"),
        format!("{RISC}/sessions-revoked"),
        format!("{CAEP}/assurance-level-change"),
        format!("{CAEP}/credential-change"),
    ] {
        let browser = Browser::new(&rig);
        let before = browser.tokens(&[]).await;
        rig.later();
        let told = rig.event(&kind);
        rig.later();
        let after = Browser::new(&rig).tokens(&[]).await;
        rig.tell(&told).await;
        assert!(!is_live(&rig, &before).await, "{kind}");
        let silent = browser.at_once(&[("prompt", "none")]).await;
        assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"), "{kind}");
        assert!(is_live(&rig, &after).await, "{kind}");
        let at_kakao = claims(after["id_token"].as_str().unwrap())["auth_time"].as_i64().unwrap();
        assert!(at_kakao < told.at.unwrap(), "Kakao's own session is older than the event");
        rig.later();
    }
}

#[tokio::test]
async fn an_event_whose_time_is_to_come_ends_what_is_now_and_not_what_is_then() {
    let rig = Rig::start().await;
    for at in [rig.clock.now().secs() + 3600, rig.clock.now().secs() * 1000, i64::MAX] {
        let before = Browser::new(&rig).tokens(&[]).await;
        rig.later();
        for kind in [format!("{RISC}/credential-compromise"), format!("{OAUTH}/user-unlinked")] {
            rig.tell(&Event { at: Some(at), ..Event::new(KAKAO_ID, &kind) }).await;
        }
        assert!(!is_live(&rig, &before).await, "{at}");
        rig.later();
        let after = Browser::new(&rig).tokens(&[]).await;
        assert!(is_live(&rig, &after).await, "{at}");
        rig.later();
    }
}

#[tokio::test]
async fn a_login_that_is_later_than_an_event_is_never_undone_by_it() {
    let rig = Rig::start().await;
    rig.tokens().await;
    rig.later();
    let old: Vec<Event> = [
        USER_UNLINKED.to_owned(),
        format!("{RISC}/account-purged"),
        format!("{OAUTH}/tokens-revoked"),
        format!("{OAUTH}/user-scope-withdraw"),
        format!("{RISC}/identifier-recycled"),
    ]
    .iter()
    .map(|kind| rig.event(kind))
    .collect();
    rig.later();
    let tokens = rig.tokens().await;
    rig.later();
    for event in &old {
        rig.tell(event).await;
    }
    let id = user_of(&tokens);
    assert!(is_live(&rig, &tokens).await);
    let user = user(&rig, id).await;
    assert!(user.unlinked_at.is_none() && user.profile.email_verified && user.profile.nickname.is_some());
    assert!(kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_access_token_that_came_after_an_event_stays() {
    let rig = Rig::start().await;
    let old: Vec<Event> =
        ["tokens-revoked", "token-issued"].map(|kind| rig.event(&format!("{OAUTH}/{kind}"))).into();
    rig.later();
    let id = user_of(&rig.tokens().await);
    for event in &old {
        rig.tell(event).await;
        assert!(kakao_auth::flow::kakao::tokens::cached(rig.deps(0), id).await.is_some(), "{event:?}");
    }
    rig.later();
    rig.tell(&rig.event(&format!("{OAUTH}/token-issued"))).await;
    assert!(kakao_auth::flow::kakao::tokens::cached(rig.deps(0), id).await.is_none());
}

#[tokio::test]
async fn a_withdrawal_that_names_its_items_erases_those_alone() {
    let rig = Rig::start().await;
    let id = user_of(&rig.tokens().await);
    // What is left is not read again here: this is about what the event itself does.
    for (scopes, email) in [(json!(["profile_image"]), true), (json!("account_email friends"), false)] {
        rig.later();
        let told = Event { scopes: Some(scopes), ..rig.event(&format!("{OAUTH}/user-scope-withdraw")) };
        let effect = Effect::Api { status: 503, code: -9798 };
        rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: None, delay_ms: 0, effect });
        rig.tell(&told).await;
        let profile = user(&rig, id).await.profile;
        assert_eq!((profile.picture.is_some(), profile.email.is_some()), (false, email));
        assert!(profile.nickname.is_some());
    }
}

#[tokio::test]
async fn dead_tokens_are_forgotten_and_logins_go_on() {
    let rig = Rig::start().await;
    for name in ["tokens-revoked", "token-revoked"] {
        let tokens = rig.tokens().await;
        rig.later();
        rig.tell(&rig.event(&format!("{OAUTH}/{name}"))).await;
        let id = user_of(&tokens);
        assert!(
            kakao_auth::store::users::kakao_refresh_token(&mut rig.db(), id).await.unwrap().is_none(),
            "{name}"
        );
        assert!(kakao_auth::flow::kakao::tokens::cached(rig.deps(0), id).await.is_none(), "{name}");
        assert!(is_live(&rig, &tokens).await, "{name}");
        rig.later();
    }
}

async fn settle_profiles(rig: &Rig) {
    let began = Instant::now();
    while rig.count("SELECT count(*) FROM users WHERE profile_stale_at IS NOT NULL").await > 0 {
        rig.clock.advance(Duration::from_secs(31));
        rig.read_due_profiles().await;
        assert!(began.elapsed() < Duration::from_secs(20), "profiles are left");
    }
}

#[tokio::test]
async fn a_changed_profile_is_read_again_with_the_admin_key_or_the_person_s_token() {
    for (admin_key, may) in [(true, true), (true, false), (false, true)] {
        let settings = if admin_key { vec![] } else { vec![("KAKAO__ADMIN_KEY", String::new())] };
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        rig.kakao.allow_admin(Endpoint::Me, may);
        let id = user_of(&rig.tokens().await);
        rig.later();
        let mut person = rig.kakao.person("all-consents").unwrap();
        person.nickname = Some("새 이름".into());
        person.email = Email::Agreed { address: "new@example.com".into(), valid: true, verified: false };
        rig.kakao.put_person(person);
        rig.tell(&rig.event(&format!("{RISC}/identifier-changed"))).await;
        let told = rig.event(PROFILE_CHANGED);
        rig.tell(&told).await;
        settle_profiles(&rig).await;
        let user = user(&rig, id).await;
        assert_eq!(user.profile.nickname.as_deref(), Some("새 이름"), "admin key: {admin_key} {may}");
        assert_eq!(
            (user.profile.email.as_deref(), user.profile.email_verified),
            (Some("new@example.com"), false)
        );
    }
}

#[tokio::test]
async fn an_address_that_changed_hands_is_distrusted_before_kakao_is_asked() {
    let rig = Rig::start().await;
    let id = user_of(&rig.tokens().await);
    rig.later();
    rig.kakao.fault(Fault {
        endpoint: Endpoint::Me,
        times: None,
        delay_ms: 0,
        effect: Effect::Api { status: 503, code: -9798 },
    });
    rig.tell(&rig.event(&format!("{RISC}/identifier-recycled"))).await;
    assert!(!user(&rig, id).await.profile.email_verified);
    rig.kakao.clear_faults();
    settle_profiles(&rig).await;
    assert!(user(&rig, id).await.profile.email_verified, "Kakao says again that it is theirs");
}
