//! An app logs a person in whom Kakao's SDK has logged in: by Kakao's ID token or access token (RFC 8693).

use std::time::Duration;

use futures_util::future::join_all;
use kakao_auth::domain::Fingerprint;
use kakao_simulator::{Effect, Endpoint, Fault, Forgery, SdkTokens};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::rig::{KAKAO_ID, Rig, Setup, Stores, claims, http, json};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

async fn exchange(rig: &Rig, changes: &[(&str, &str)]) -> Response {
    let mut form = vec![("grant_type", GRANT), ("client_id", "app"), ("scope", "openid profile email")];
    form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    form.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    rig.token(0, &form).await
}

fn sdk(rig: &Rig, nonce: Option<&str>) -> SdkTokens {
    let key = rig.kakao.app().native_app_key;
    rig.kakao.sdk_login("all-consents", &key, nonce, None)
}

async fn by_id_token(rig: &Rig, tokens: &SdkTokens, more: &[(&str, &str)]) -> Response {
    let id_token = tokens.id_token.as_deref().unwrap();
    let mut form = vec![("subject_token", id_token), ("subject_token_type", ID_TOKEN)];
    form.extend(more);
    exchange(rig, &form).await
}

async fn nonce(rig: &Rig) -> String {
    let reply = http().post(rig.url(0, "/v1/nonces")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::CREATED);
    let reply = json(reply).await;
    assert_eq!(reply["expires_in"], 600);
    reply["nonce"].as_str().unwrap().to_owned()
}

async fn refused(reply: Response, part: &str) -> Value {
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{part}");
    let said = json(reply).await;
    assert_eq!(said["error"], "invalid_grant", "{part}: {said}");
    assert!(said["error_description"].as_str().unwrap().contains(part), "{part}: {said}");
    said
}

#[tokio::test]
async fn a_browser_an_id_token_and_an_access_token_are_one_user() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let web = rig.tokens().await;
        let tokens = sdk(&rig, None);
        let first = json(by_id_token(&rig, &tokens, &[]).await).await;
        let by_access =
            [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
        let second = json(exchange(&rig, &by_access).await).await;
        let sub = |tokens: &Value| claims(tokens["access_token"].as_str().unwrap())["sub"].clone();
        assert_eq!((sub(&first), sub(&second)), (sub(&web), sub(&web)));
        assert_eq!(rig.count("SELECT count(*) FROM users").await, 1);
        for tokens in [&first, &second] {
            assert_eq!(tokens["issued_token_type"], ACCESS_TOKEN);
            assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nickname"], "김하늘");
            let token = tokens["access_token"].as_str().unwrap();
            assert_eq!(
                (&claims(token)["aud"], &claims(token)["client_id"]),
                (&json!(["orders", crate::rig::ISSUER]), &json!("app"))
            );
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "app"),
                ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ];
            assert_eq!(rig.token(0, &form).await.status(), StatusCode::OK, "{stores:?}");
        }
    }
}

#[tokio::test]
async fn an_access_token_brings_consent_and_terms_and_marks_who_is_under_age() {
    let settings = vec![("KAKAO__SERVICE_TERMS", "true".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    rig.kakao.set_terms(vec![kakao_simulator::Term { tag: "tos".into(), required: true, revocable: false }]);
    let tokens = sdk(&rig, None);
    rig.kakao.agree_terms(KAKAO_ID, &["tos"]);
    let form = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    let ours = json(exchange(&rig, &form).await).await;
    let me = rig.call(reqwest::Method::GET, "/v1/me", ours["access_token"].as_str().unwrap(), None).await;
    let kakao = json(me).await["kakao"].clone();
    assert!(kakao["scopes"].as_array().unwrap().contains(&json!("account_email")), "{kakao}");
    assert_eq!(kakao["service_terms"][0]["tag"], "tos", "{kakao}");
    // Neither costs the login.
    for endpoint in [Endpoint::Scopes, Endpoint::ServiceTerms] {
        let effect = Effect::Api { status: 503, code: -9798 };
        rig.kakao.fault(Fault { endpoint, times: Some(1), delay_ms: 0, effect });
        assert_eq!(exchange(&rig, &form).await.status(), StatusCode::OK, "{endpoint:?}");
    }
    let effect = Effect::Api { status: 400, code: -406 };
    rig.kakao.fault(Fault { endpoint: Endpoint::Me, times: Some(1), delay_ms: 0, effect });
    assert_ne!(exchange(&rig, &form).await.status(), StatusCode::OK);
    assert_eq!(rig.count("SELECT count(*) FROM users WHERE under_age_at IS NOT NULL").await, 1);
}

#[tokio::test]
async fn an_id_token_forgets_nothing_that_it_cannot_tell() {
    let rig = Rig::start().await;
    let mut person = rig.kakao.person("all-consents").unwrap();
    person.phone_number = Some("+82 10-1234-5678".into());
    rig.kakao.put_person(person);
    rig.tokens().await;
    let tokens = json(by_id_token(&rig, &sdk(&rig, None), &[]).await).await;
    let me = rig.call(reqwest::Method::GET, "/v1/me", tokens["access_token"].as_str().unwrap(), None).await;
    assert_eq!(json(me).await["nickname"], "김하늘");
    assert_eq!(rig.count("SELECT count(*) FROM users WHERE phone_number IS NOT NULL").await, 1);
    assert_eq!(rig.count("SELECT count(*) FROM users WHERE kakao_refresh_token IS NOT NULL").await, 1);
}

#[tokio::test]
async fn a_key_that_kakao_has_since_its_keys_were_read_is_asked_to_wait_and_then_logs_in() {
    let rig = Rig::start().await;
    assert_eq!(by_id_token(&rig, &sdk(&rig, None), &[]).await.status(), StatusCode::OK);
    rig.kakao.rotate_keys();
    let tokens = sdk(&rig, None);
    rig.clock.advance(Duration::from_secs(10));
    let early = by_id_token(&rig, &tokens, &[]).await;
    assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wait: u64 = early.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((15..=31).contains(&wait), "{wait} s");
    let said = json(early).await;
    assert_eq!(said["error"], "temporarily_unavailable");
    assert!(said["error_description"].as_str().unwrap().contains("id_token.key_unseen"), "{said}");
    rig.clock.advance(Duration::from_secs(wait));
    assert_eq!(by_id_token(&rig, &tokens, &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_nonce_of_ours_is_good_once_raw_or_hashed_and_needs_no_second_copy() {
    let rig = Rig::instances(2).await;
    let hash = |nonce: &str| Fingerprint::of(nonce.as_bytes()).to_hex();
    let (raw, sent, hashed) = (nonce(&rig).await, nonce(&rig).await, nonce(&rig).await);
    let carried = sdk(&rig, Some(&raw));
    assert_eq!(by_id_token(&rig, &carried, &[]).await.status(), StatusCode::OK);
    refused(by_id_token(&rig, &carried, &[]).await, "used before").await;
    let both = sdk(&rig, Some(&sent));
    assert_eq!(by_id_token(&rig, &both, &[("nonce", &sent)]).await.status(), StatusCode::OK);
    let by_hash = sdk(&rig, Some(&hash(&hashed)));
    assert_eq!(by_id_token(&rig, &by_hash, &[("nonce", &hashed)]).await.status(), StatusCode::OK);
    refused(by_id_token(&rig, &by_hash, &[("nonce", &hashed)]).await, "used before").await;
    // The hash is no nonce of its own: neither after the raw value, nor before it.
    refused(by_id_token(&rig, &by_hash, &[("nonce", &hash(&hashed))]).await, "used before").await;
    let stolen = nonce(&rig).await;
    let by_hash = sdk(&rig, Some(&hash(&stolen)));
    assert_eq!(by_id_token(&rig, &by_hash, &[("nonce", &hash(&stolen))]).await.status(), StatusCode::OK);
    refused(by_id_token(&rig, &by_hash, &[("nonce", &stolen)]).await, "used before").await;
    // Ten at once: one.
    let raced = nonce(&rig).await;
    let tokens = sdk(&rig, Some(&raced));
    let replies = join_all((0..10).map(|_| by_id_token(&rig, &tokens, &[]))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status() == StatusCode::OK).count(), 1);
    // Too old.
    let old = nonce(&rig).await;
    let tokens = sdk(&rig, Some(&old));
    rig.clock.advance(Duration::from_secs(601));
    refused(by_id_token(&rig, &tokens, &[]).await, "ten minutes").await;
}

#[tokio::test]
async fn a_nonce_of_the_app_s_own_is_compared_and_the_error_says_what_was_expected() {
    let rig = Rig::start().await;
    let plain = sdk(&rig, Some("my-own-nonce"));
    // What is sent wrong is refused, and may be sent right.
    refused(by_id_token(&rig, &plain, &[]).await, "Send it as nonce").await;
    refused(by_id_token(&rig, &plain, &[("nonce", "another")]).await, "SHA-256 in hex").await;
    let reply = by_id_token(&rig, &plain, &[("nonce", "my-own-nonce")]).await;
    assert_eq!(reply.status(), StatusCode::OK);
    refused(by_id_token(&rig, &plain, &[("nonce", "my-own-nonce")]).await, "used before").await;
    refused(by_id_token(&rig, &sdk(&rig, None), &[("nonce", "x")]).await, "the ID token has none").await;
    // One that looks like ours and is not.
    let forged = "A".repeat(54);
    let tokens = sdk(&rig, Some(&forged));
    refused(by_id_token(&rig, &tokens, &[]).await, "Send it as nonce").await;
}

#[tokio::test]
async fn keys_of_the_app_are_accepted_and_the_error_names_them() {
    let rig = Rig::start().await;
    let app = rig.kakao.app();
    for key in [&app.native_app_key, &app.rest_api_key] {
        let tokens = rig.kakao.sdk_login("all-consents", key, None, None);
        assert_eq!(by_id_token(&rig, &tokens, &[]).await.status(), StatusCode::OK, "{key}");
    }
    let tokens = rig.kakao.sdk_login("all-consents", &app.javascript_key, None, None);
    let said = refused(by_id_token(&rig, &tokens, &[]).await, &app.native_app_key).await;
    assert!(said["error_description"].as_str().unwrap().contains("kakao.app_keys"), "{said}");
}

#[tokio::test]
async fn a_forged_expired_or_malformed_token_logs_nobody_in() {
    let rig = Rig::start().await;
    let key = rig.kakao.app().native_app_key;
    for forgery in [
        Forgery::AlgNone,
        Forgery::Hs256WithPublicKey,
        Forgery::StrangeKey,
        Forgery::UnknownKid,
        Forgery::NoKid,
        Forgery::Crit,
        Forgery::Issuer,
        Forgery::Audience,
        Forgery::Expired,
        Forgery::ExpText,
        Forgery::NoSub,
        Forgery::Garbage,
    ] {
        // Later than Kakao's keys are read again for a key that they lacked: until then it could be a new one.
        if matches!(forgery, Forgery::UnknownKid) {
            rig.clock.advance(Duration::from_secs(31));
        }
        let tokens = rig.kakao.sdk_login("all-consents", &key, None, Some(forgery));
        refused(by_id_token(&rig, &tokens, &[]).await, "ID token").await;
    }
    let huge = "a".repeat(15_000);
    for (token, kind) in [
        ("x", ID_TOKEN),
        ("a.b.c", ID_TOKEN),
        (huge.as_str(), ID_TOKEN),
        ("x", ACCESS_TOKEN),
        (huge.as_str(), ACCESS_TOKEN),
    ] {
        let reply = exchange(&rig, &[("subject_token", token), ("subject_token_type", kind)]).await;
        refused(reply, "Kakao").await;
    }
    let own = rig.tokens().await;
    rig.kakao.clear_calls();
    let ours = own["id_token"].as_str().unwrap();
    rig.clock.advance(Duration::from_secs(31));
    let reply = exchange(&rig, &[("subject_token", ours), ("subject_token_type", ID_TOKEN)]).await;
    refused(reply, "ID token").await;
    assert_eq!(rig.count("SELECT count(*) FROM grants WHERE client_id = 'app'").await, 0);
}

#[tokio::test]
async fn an_access_token_of_another_app_logs_nobody_in_and_a_dead_one_says_so() {
    let settings = vec![("KAKAO__APP_ID", "999".to_owned())];
    let other = Rig::with(Setup { settings, ..Setup::default() }).await;
    let tokens = sdk(&other, None);
    let form = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    refused(exchange(&other, &form).await, "app 999").await;
    assert_eq!(other.count("SELECT count(*) FROM users").await, 0);

    let settings = vec![("KAKAO__APP_ID", String::new())];
    let closed = Rig::with(Setup { settings, ..Setup::default() }).await;
    let tokens = sdk(&closed, None);
    let form = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    refused(exchange(&closed, &form).await, "kakao.app_id is not set").await;
    assert_eq!(closed.kakao.calls_to(Endpoint::AccessTokenInfo), 0);

    let rig = Rig::start().await;
    let tokens = sdk(&rig, None);
    rig.kakao.revoke_tokens(tokens.id);
    let form = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    refused(exchange(&rig, &form).await, "does not know this access token").await;
    // A refresh token, or a code, is not an access token.
    let form = [("subject_token", tokens.refresh_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    refused(exchange(&rig, &form).await, "does not know this access token").await;
}

#[tokio::test]
async fn kakao_s_own_trouble_is_not_the_app_s() {
    let rig = Rig::start().await;
    let tokens = sdk(&rig, None);
    let form = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    for (status, code) in [(400, -1), (400, -10), (503, -9798)] {
        let effect = Effect::Api { status, code };
        rig.kakao.fault(Fault { endpoint: Endpoint::AccessTokenInfo, times: Some(1), delay_ms: 0, effect });
        let reply = exchange(&rig, &form).await;
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "{code}");
        assert!(reply.headers().contains_key("retry-after"));
        rig.clock.advance(Duration::from_secs(20));
    }
    assert_eq!(exchange(&rig, &form).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_the_request_lacks_or_may_not_ask_is_named() {
    let rig = Rig::start().await;
    let tokens = sdk(&rig, None);
    let good = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    for (change, status, error, part) in [
        (("subject_token", ""), 400, "invalid_request", "subject_token is missing"),
        (("subject_token_type", ""), 400, "invalid_request", "subject_token_type is missing"),
        (("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), 400, "invalid_request", "id_token"),
        (("actor_token", "x"), 400, "invalid_request", "actor_token"),
        (("requested_token_type", ID_TOKEN), 400, "invalid_request", "requested_token_type"),
        (("resource", "https://strange.example"), 400, "invalid_target", ""),
        (("audience", "strange"), 400, "invalid_target", ""),
        (("scope", "admin"), 400, "invalid_scope", ""),
        (("client_id", "web"), 400, "unauthorized_client", ""),
        (("client_id", "nobody"), 401, "invalid_client", ""),
    ] {
        let mut form = good.to_vec();
        form.retain(|(name, _)| *name != change.0);
        form.push(change);
        let reply = exchange(&rig, &form).await;
        assert_eq!(reply.status().as_u16(), status, "{change:?}");
        let said = json(reply).await;
        assert_eq!(said["error"], error, "{change:?}: {said}");
        assert!(said["error_description"].as_str().unwrap().contains(part), "{change:?}: {said}");
    }
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 0, "nothing is half-written");
}

#[tokio::test]
async fn a_disabled_user_is_refused_here_too() {
    let rig = Rig::start().await;
    let web = rig.tokens().await;
    let sub = claims(web["access_token"].as_str().unwrap())["sub"].as_str().unwrap().parse().unwrap();
    kakao_auth::store::users::disable(&mut rig.db(), kakao_auth::domain::UserId(sub), rig.clock.now())
        .await
        .unwrap();
    let reply = by_id_token(&rig, &sdk(&rig, None), &[]).await;
    assert_eq!(reply.status(), StatusCode::FORBIDDEN);
    assert_eq!(json(reply).await["code"], "user_disabled");
}

#[tokio::test]
async fn an_id_token_from_before_the_person_s_logins_were_ended_logs_nobody_in() {
    for ending in
        ["unlink", "erasing unlink", "deletion", "deletion, done", "credential", "everywhere", "age"]
    {
        let policy = if ending == "erasing unlink" { "erase" } else { "keep" };
        let settings = vec![("ACCOUNT__ON_UNLINK", policy.to_owned())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let web = rig.tokens().await;
        let (before, token) = (sdk(&rig, None), rig.account_token(&web).await);
        assert_eq!(by_id_token(&rig, &before, &[]).await.status(), StatusCode::OK, "{ending}");
        rig.clock.advance(Duration::from_secs(5));
        let part = match ending {
            "unlink" | "erasing unlink" => {
                tell(&rig, "oauth/event-type/user-unlinked").await;
                "were ended"
            }
            "credential" => {
                tell(&rig, "risc/event-type/credential-compromise").await;
                "were ended"
            }
            "everywhere" => {
                let ended = rig.call(reqwest::Method::DELETE, "/v1/me/sessions", &token, None).await;
                assert_eq!(ended.status(), StatusCode::NO_CONTENT);
                "were ended"
            }
            "age" => {
                rig.clock.advance(Duration::from_mins(11));
                "ten minutes ago"
            }
            _ => {
                let effect = Effect::Api { status: 503, code: -9798 };
                if ending == "deletion" {
                    rig.kakao.fault(Fault { endpoint: Endpoint::Unlink, times: None, delay_ms: 0, effect });
                }
                let deleted = rig.call(reqwest::Method::DELETE, "/v1/me", &token, None).await;
                assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
                while ending == "deletion, done"
                    && rig
                        .count("SELECT count(*) FROM outbox WHERE queue = 'kakao_unlink' AND done_at IS NULL")
                        .await
                        > 0
                {
                    rig.unlink_due().await;
                }
                "were ended"
            }
        };
        refused(by_id_token(&rig, &before, &[]).await, part).await;
        // A login after it counts.
        rig.clock.advance(Duration::from_secs(30));
        rig.kakao.clear_faults();
        rig.kakao.set_clock_offset(if ending == "age" { 690 } else { 30 });
        assert_eq!(by_id_token(&rig, &sdk(&rig, None), &[]).await.status(), StatusCode::OK, "{ending}");
    }
}

/// Kakao tells of an event of now, and it takes effect.
async fn tell(rig: &Rig, kind: &str) {
    rig.tell(&rig.event(&format!("https://schemas.openid.net/secevent/{kind}"))).await;
}

#[tokio::test]
async fn an_id_token_does_not_bring_back_what_was_known_before_a_later_login() {
    let rig = Rig::start().await;
    let old = sdk(&rig, None);
    let mut person = rig.kakao.person("all-consents").unwrap();
    person.nickname = Some("새 이름".into());
    rig.kakao.put_person(person);
    rig.clock.advance(Duration::from_secs(5));
    rig.tokens().await;
    let tokens = json(by_id_token(&rig, &old, &[]).await).await;
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["nickname"], "새 이름");
}

#[tokio::test]
async fn an_event_that_comes_late_ends_the_login_of_an_id_token_from_before_it() {
    for kind in ["risc/event-type/credential-compromise", "oauth/event-type/user-unlinked"] {
        let rig = Rig::start().await;
        let old = sdk(&rig, None);
        rig.clock.advance(Duration::from_secs(10));
        let at = rig.clock.now().secs() - 5;
        let tokens = json(by_id_token(&rig, &old, &[]).await).await;
        let kind = format!("https://schemas.openid.net/secevent/{kind}");
        rig.tell(&kakao_simulator::Event { at: Some(at), ..rig.event(&kind) }).await;
        let state = rig.introspected(0, tokens["access_token"].as_str().unwrap()).await;
        assert_eq!(state["active"], json!(false), "{kind}");
    }
}

#[tokio::test]
async fn what_is_no_access_token_costs_no_call_and_one_token_only_so_many() {
    let rig = Rig::start().await;
    for none in ["\n", "a b", "한글", &"x".repeat(513)] {
        let form = [("subject_token", none), ("subject_token_type", ACCESS_TOKEN)];
        refused(exchange(&rig, &form).await, "does not know this access token").await;
    }
    assert!(rig.kakao.calls().is_empty());
    let tokens = sdk(&rig, None);
    let form = [("subject_token", tokens.access_token.as_str()), ("subject_token_type", ACCESS_TOKEN)];
    for _ in 0..10 {
        assert_eq!(exchange(&rig, &form).await.status(), StatusCode::OK);
    }
    let calls = rig.kakao.calls().len();
    let reply = exchange(&rig, &form).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    assert_eq!(rig.kakao.calls().len(), calls);
}

#[tokio::test]
async fn each_id_token_is_good_once_and_one_that_comes_again_ends_nothing() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let instances = if stores == Stores::PostgresAndRedis { 2 } else { 1 };
        let rig = Rig::with(Setup { stores, instances, ..Setup::default() }).await;
        let tokens = sdk(&rig, None);
        let id_token = tokens.id_token.as_deref().unwrap();
        let at = async |instance, client| {
            let form = [
                ("grant_type", GRANT),
                ("client_id", client),
                ("subject_token", id_token),
                ("subject_token_type", ID_TOKEN),
            ];
            rig.token(instance, &form).await
        };
        let at_once = join_all((0..8).map(|instance| at(instance, "app"))).await;
        let (mut given, mut repeated) = (Vec::new(), 0);
        for reply in at_once {
            if reply.status() == StatusCode::OK {
                given.push(json(reply).await);
            } else {
                assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
                assert_eq!(json(reply).await["code"], "id_token_repeated", "{stores:?}");
                repeated += 1;
            }
        }
        assert_eq!((given.len(), repeated), (1, 7), "{stores:?}");
        assert_eq!(rig.count("SELECT count(*) FROM grants").await, 1);
        rig.clock.advance(Duration::from_secs(10));
        assert_eq!(json(at(0, "app").await).await["code"], "id_token_used", "later");
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "app"),
            ("refresh_token", given[0]["refresh_token"].as_str().unwrap()),
        ];
        assert_eq!(rig.token(0, &form).await.status(), StatusCode::OK, "nothing has ended");
    }
}
