//! Resource indicators (RFC 8707): a token for one backend service, of those the client may reach.

use serde_json::{Value, json};

use crate::rig::{
    Browser, ISSUER, Rig, VERIFIER, WEB, authorization_request, claims, json, location, parameter,
};

async fn redeem(rig: &Rig, asked: &[&str], redeemed: &[&str]) -> Value {
    let mut request = authorization_request(&[("client_id", "wide")]);
    request.extend(asked.iter().map(|one| ("resource".to_owned(), (*one).to_owned())));
    let landed = Browser::new(rig).log_in(&request).await;
    let code = parameter(&landed, "code").unwrap_or_else(|| panic!("{landed}"));
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", "wide"),
        ("code", &code),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
    ];
    form.extend(redeemed.iter().map(|one| ("resource", *one)));
    json(rig.token(0, &form).await).await
}

fn audience(tokens: &Value) -> Value {
    claims(tokens["access_token"].as_str().unwrap())["aud"].clone()
}

#[tokio::test]
async fn the_audience_is_what_was_asked_for() {
    let rig = Rig::start().await;
    let (a, b) = ("https://a.example", "https://b.example");
    // The scope holds openid, so each is for userinfo too.
    assert_eq!(audience(&redeem(&rig, &[], &[]).await), json!([a, b, ISSUER]), "all of the client's");
    assert_eq!(audience(&redeem(&rig, &[a], &[]).await), json!([a, ISSUER]), "as asked at the start");
    assert_eq!(audience(&redeem(&rig, &[a, b], &[b]).await), json!([b, ISSUER]), "fewer at the end");
    let refused = redeem(&rig, &[a], &[b]).await;
    assert_eq!(refused["error"], "invalid_target", "never more at the end: {refused}");
}

#[tokio::test]
async fn a_refresh_reaches_what_was_granted_and_nothing_else_and_a_refusal_spends_nothing() {
    let rig = Rig::start().await;
    let (a, b) = ("https://a.example", "https://b.example");
    let tokens = redeem(&rig, &[a], &[]).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("client_id", "wide"), ("refresh_token", refresh)];
    let refused = json(rig.token(0, &[form.as_slice(), &[("resource", b)]].concat()).await).await;
    assert_eq!(refused["error"], "invalid_target");
    let again = json(rig.token(0, &form).await).await;
    assert_eq!(audience(&again), json!([a, ISSUER]));
}

#[tokio::test]
async fn an_unknown_resource_goes_back_to_the_client() {
    let rig = Rig::start().await;
    let request = authorization_request(&[("resource", "https://elsewhere.example")]);
    let landed = location(&Browser::new(&rig).authorize(&request).await);
    assert_eq!(parameter(&landed, "error").as_deref(), Some("invalid_target"));
}
