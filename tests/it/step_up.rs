//! A step-up is true or refused: `prompt=login` and `max_age` are judged again at the end of a login, by Kakao's own `auth_time`
//! (OpenID Connect Core §2, §3.1.2.1).

use serde_json::Value;

use crate::rig::{
    Browser, Rig, access_token, authorization_request, claims, http, json, location, parameter,
};

const KAKAOTALK: &str =
    "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Mobile Safari/537.36;KAKAOTALK 2601000";

/// What a login that asks for this ends with, at a Kakao at which the person logged in `earlier` seconds before.
async fn landed_with(rig: &Rig, browser: &Browser<'_>, changes: &[(&str, &str)], earlier: i64) -> String {
    let to_kakao = location(&browser.authorize(&authorization_request(changes)).await);
    rig.kakao.set_clock_offset(-earlier);
    // The person, or somebody who wants to be taken for them, cuts out what was asked of Kakao.
    let callback = location(&browser.get(&without_prompt(&to_kakao)).await);
    rig.kakao.set_clock_offset(0);
    location(&browser.open_callback(0, &callback).await)
}

fn without_prompt(to_kakao: &str) -> String {
    let mut url = url::Url::parse(to_kakao).unwrap();
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "prompt").collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

fn assert_login_required(landed: &str, named: &str) {
    assert_eq!(parameter(landed, "error").as_deref(), Some("login_required"), "{landed}");
    assert_eq!(parameter(landed, "state").as_deref(), Some("client-state"), "{landed}");
    let description = parameter(landed, "error_description").unwrap();
    assert!(description.contains(named), "{description}");
}

#[tokio::test]
async fn a_login_that_kakao_did_not_ask_for_anew_is_refused() {
    let rig = Rig::start().await;
    for (changes, earlier, fresh) in [
        (vec![("prompt", "login")], 0, true),
        (vec![("prompt", "login")], 30, false),
        (vec![("max_age", "0")], 0, true),
        (vec![("max_age", "0")], 30, false),
        (vec![("max_age", "60")], 30, true),
        (vec![("max_age", "10")], 30, false),
        (vec![("max_age", "60"), ("prompt", "login")], 30, false),
        (vec![("max_age", "10"), ("prompt", "select_account")], 30, false),
        (vec![], 30, true),
        (vec![("prompt", "select_account")], 30, true),
    ] {
        let landed = landed_with(&rig, &Browser::new(&rig), &changes, earlier).await;
        if fresh {
            assert!(parameter(&landed, "code").is_some(), "{changes:?} {earlier}: {landed}");
        } else {
            assert_login_required(&landed, "log in at Kakao again");
        }
    }
    assert_eq!(rig.count("SELECT count(*) FROM grants").await, 5, "what is refused leaves no grant");
}

#[tokio::test]
async fn in_kakaotalk_s_browser_the_refusal_names_it() {
    let rig = Rig::start().await;
    let browser = Browser::new(&rig);
    let to_kakao = location(&browser.authorize(&authorization_request(&[("prompt", "login")])).await);
    rig.kakao.set_clock_offset(-30);
    let callback = location(&browser.get(&to_kakao).await);
    rig.kakao.set_clock_offset(0);
    let path = callback.strip_prefix("http://auth.localhost").unwrap();
    let request = http().get(rig.url(0, path)).header("User-Agent", KAKAOTALK);
    assert_login_required(&location(&browser.send(request).await), "browser of KakaoTalk");
}

#[tokio::test]
async fn without_openid_connect_at_kakao_there_is_no_auth_time_and_no_step_up() {
    let rig = Rig::start().await;
    rig.kakao.set_oidc(false);
    let browser = Browser::new(&rig);
    let tokens = browser.tokens(&[]).await;
    let read = |name: &str| claims(tokens[name].as_str().unwrap())["auth_time"].clone();
    assert_eq!((read("id_token"), read("access_token")), (Value::Null, Value::Null), "none is invented");
    assert_eq!(rig.introspected(0, access_token(&tokens)).await["auth_time"], Value::Null);
    // A session whose login has no time is enough, unless somebody asks how old it is.
    assert!(parameter(&browser.at_once(&[("prompt", "none")]).await, "code").is_some());
    let silent = browser.at_once(&[("prompt", "none"), ("max_age", "10000")]).await;
    assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"));
    let to_kakao = location(&browser.authorize(&authorization_request(&[("max_age", "10000")])).await);
    assert_eq!(parameter(&to_kakao, "prompt").as_deref(), Some("login"));
    for demand in [("prompt", "login"), ("max_age", "0"), ("max_age", "4294967295")] {
        let landed = browser.log_in(&authorization_request(&[demand])).await;
        assert_login_required(&landed, "OpenID Connect");
    }
}

#[tokio::test]
async fn no_id_token_answers_max_age_without_auth_time() {
    for oidc in [true, false] {
        let rig = Rig::start().await;
        rig.kakao.set_oidc(oidc);
        let browser = Browser::new(&rig);
        for age in ["0", "10", "10000"] {
            for _ in 0..2 {
                let answer = browser.authorize(&authorization_request(&[("max_age", age)])).await;
                let mut landed = location(&answer);
                if landed.starts_with(rig.kakao.base_url()) {
                    let callback = location(&browser.get(&landed).await);
                    landed = location(&browser.open_callback(0, &callback).await);
                }
                if let Some(code) = parameter(&landed, "code") {
                    let tokens = json(rig.redeem(0, &code).await).await;
                    assert!(claims(tokens["id_token"].as_str().unwrap())["auth_time"].is_i64(), "{age}");
                } else {
                    assert!(!oidc, "{landed}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_sdk_s_login_has_the_auth_time_of_its_id_token_or_none() {
    let rig = Rig::start().await;
    let key = rig.kakao.app().native_app_key;
    let at_kakao = rig.kakao.sdk_login("all-consents", &key, None, None);
    let exchange = async |token: &str, kind: &str| {
        let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", "app"),
            ("subject_token", token),
            ("subject_token_type", &kind),
        ];
        claims(access_token(&json(rig.token(0, &form).await).await))
    };
    let id_token = at_kakao.id_token.clone().unwrap();
    assert_eq!(exchange(&id_token, "id_token").await["auth_time"], claims(&id_token)["auth_time"]);
    assert_eq!(exchange(&at_kakao.access_token, "access_token").await["auth_time"], Value::Null);
}
