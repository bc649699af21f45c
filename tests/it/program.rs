//! The program as an operator meets it: commands, exit codes, signals, and log lines without secrets.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{
    BACKEND_SECRET, ISSUER, Program, VERIFIER, WEB, authorization_request, claims, http, json, location,
    parameter, simulator, terminate,
};

#[tokio::test]
async fn settings_that_are_wrong_end_with_78_and_every_problem() {
    let kakao = simulator(ISSUER).await;
    let mut program = Program::new(&kakao);
    for (name, value) in [
        ("SERVER__PUBLIC_URL", "http://auth.example.com"),
        ("SECRETS__MASTER_KEY", "c2VjcmV0"),
        ("TOKENS__ACCESS_TTL", "ten bananas"),
        ("SERVER__PUBLIC_ULR", "x"),
        ("KAKAO__ADMIN_KEY_FILE", "/nowhere/at/all"),
    ] {
        program.set(name, value);
    }
    let (code, said) = program.run(&["serve"]).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("KAKAO_AUTH__KAKAO__ADMIN_KEY_FILE") && said.contains("cannot be read"), "{said}");
    program.unset("KAKAO__ADMIN_KEY_FILE");
    let (code, said) = program.run(&["check"]).await;
    assert_eq!(code, Some(78), "{said}");
    for part in [
        "server.public_url",
        "use https",
        "it has 6 bytes, not 32",
        "ten bananas",
        "did you mean server.public_url?",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(!said.contains("c2VjcmV0"), "a secret is never shown");
}

#[tokio::test]
async fn a_life_of_a_service_check_migrate_serve_health_and_a_drained_end() {
    let kakao = simulator(ISSUER).await;
    let program = Program::new(&kakao);
    assert_ne!(program.run(&["health"]).await.0, Some(0));
    let (code, said) = program.run(&["check", "--connect"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("http://auth.localhost/kakao/callback"), "{said}");
    assert_eq!(program.run(&["migrate"]).await.0, Some(0));
    let mut child = program.serve().await;
    assert_eq!(program.run(&["health"]).await, (Some(0), "ready\n".to_owned()));
    let (code, said) = program.run(&["serve"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("server.bind"), "a taken port is said so: {said}");
    terminate(&child).await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_new_client_can_be_put_into_the_settings_as_it_is_printed() {
    let kakao = simulator(ISSUER).await;
    let program = Program::new(&kakao);
    let uri = "--redirect-uri=https://shop.example/cb";
    let (code, printed) =
        program.run(&["clients", "new", "--id", "shop", "--type", "confidential", uri]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("# client_secret = kacs_"));
    std::fs::write(program.folder().join("settings.toml"), printed).unwrap();
    let (code, said) = program.run(&["check"]).await;
    assert_eq!((code, said.contains("clients: shop")), (Some(0), true), "{said}");
    let (code, said) =
        program.run(&["clients", "new", "--id", "x", "--redirect-uri", "http://shop.example"]).await;
    assert_eq!((code, said.contains("use https")), (Some(1), true), "{said}");
}

#[tokio::test]
async fn check_warns_of_a_pattern_in_a_redirect_uri() {
    let kakao = simulator(ISSUER).await;
    let program = Program::new(&kakao);
    let uri = "https://shop-*.preview.shop.example/cb";
    let clients = format!(
        "[[clients]]\nid = \"shop\"\ntype = \"public\"\nredirect_uris = [\"https://shop.example/cb\", \"{uri}\"]\n"
    );
    std::fs::write(program.folder().join("settings.toml"), clients).unwrap();
    let (code, said) = program.run(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("warning")).collect();
    assert!(
        warnings.len() == 1 && warnings[0].contains(uri) && warnings[0].contains("clients[shop]"),
        "{said}"
    );
}

#[tokio::test]
async fn strangers_neither_fill_the_log_nor_ring_the_alarm() {
    const EACH: u64 = 2_000;
    let kakao = simulator(ISSUER).await;
    let mut program = Program::new(&kakao);
    program.set("TELEMETRY__LOG_LEVEL", "info");
    let _child = program.serve().await;
    let before = std::fs::metadata(program.log()).unwrap().len();
    for nonsense in ["\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\n : \r\n\r\n"] {
        let mut stream = TcpStream::connect(program.url("").trim_start_matches("http://")).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
    }
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let urls = [
        "/v1/me",
        "/oauth/authorize?client_id=nobody",
        "/oauth/logout?post_logout_redirect_uri=https://evil.example",
    ];
    let urls = urls.map(|path| program.url(path));
    let floods = urls.iter().map(async |url| {
        for _ in 0..EACH {
            client.get(url).send().await.unwrap();
        }
    });
    futures_util::future::join_all(floods).await;
    let log = std::fs::read_to_string(program.log()).unwrap();
    assert!(log.contains("client_unknown"), "{log}");
    assert!(!log.contains("\"ERROR\"") && !log.contains("actix_http"), "{log}");
    // 500,000 requests would be less than 10 MB.
    let written = u64::try_from(log.len()).unwrap() - before;
    assert!(written < 20 * 3 * EACH, "{written} bytes");
}

#[tokio::test]
async fn no_log_line_of_a_whole_run_holds_a_secret_or_a_personal_datum() {
    let kakao = simulator(ISSUER).await;
    let program = Program::new(&kakao);
    let mut child = program.serve().await;
    let mut secrets: Vec<String> =
        vec!["simulated-client-secret".into(), "client-state".into(), "client-nonce".into()];
    let authorize =
        http().get(program.url("/oauth/authorize")).query(&authorization_request(&[])).send().await.unwrap();
    let cookie = authorize.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    let callback = location(&http().get(location(&authorize)).send().await.unwrap());
    secrets.push(parameter(&callback, "code").unwrap());
    secrets.push(parameter(&callback, "state").unwrap());
    let path = callback.strip_prefix(ISSUER).unwrap();
    let landed = location(&http().get(program.url(path)).header("Cookie", cookie).send().await.unwrap());
    let code = parameter(&landed, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", &code),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
    ];
    let post = |form: Vec<(&'static str, String)>| {
        let request = http().post(program.url("/oauth/token")).form(&form);
        async move { request.send().await.unwrap() }
    };
    let form = form.map(|(name, value)| (name, value.to_owned())).to_vec();
    let tokens = json(post(form.clone()).await).await;
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let refresh = |token: String| {
        vec![("grant_type", "refresh_token".into()), ("client_id", "web".into()), ("refresh_token", token)]
    };
    assert_eq!(post(refresh(token("refresh_token"))).await.status(), StatusCode::OK);
    assert_eq!(post(refresh("kart_not-a-token".into())).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(post(form).await.status(), StatusCode::BAD_REQUEST, "the code again");
    let revoke = [("client_id", "web".to_owned()), ("token", token("refresh_token"))];
    let revoked = http().post(program.url("/oauth/revoke")).form(&revoke).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::OK);
    let failed =
        http().get(program.url("/kakao/callback?code=LEAKED-CODE&state=LEAKED-STATE")).send().await.unwrap();
    assert_eq!(failed.status(), StatusCode::BAD_REQUEST);
    secrets.extend([code, VERIFIER.into(), token("access_token"), token("refresh_token"), token("id_token")]);
    secrets.extend(
        ["LEAKED-CODE", "LEAKED-STATE", "kart_not-a-token", "all-consents@example.com", "김하늘"]
            .map(String::from),
    );

    terminate(&child).await;
    assert!(child.wait().await.unwrap().success());
    let log = std::fs::read_to_string(program.log()).unwrap();
    assert!(log.contains("logged in") && log.contains("a grant was ended"), "the run was logged");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret} stands in {line:?}");
    }
    let json_lines =
        log.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
    assert_eq!(json_lines, log.lines().count(), "every line is JSON");
}

#[tokio::test]
async fn no_log_line_of_kakao_s_tokens_webhooks_and_a_deletion_holds_a_secret() {
    let kakao = simulator(ISSUER).await;
    let mut program = Program::new(&kakao);
    let app = kakao.app();
    program.set("KAKAO__ADMIN_KEY", &app.admin_key);
    program.set("KAKAO__APP_ID", &app.app_id.to_string());
    let mut child = program.serve().await;
    let sdk = kakao.sdk_login("all-consents", &app.rest_api_key, Some("a-nonce-of-the-app"), None);
    let id_token = sdk.id_token.unwrap();
    let post =
        |path: &str, form: Vec<(&'static str, String)>| http().post(program.url(path)).form(&form).send();
    let exchange = |token: &str, kind: &str| {
        let form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("client_id", "app".into()),
            ("subject_token", token.to_owned()),
            ("subject_token_type", format!("urn:ietf:params:oauth:token-type:{kind}")),
            ("nonce", "a-nonce-of-the-app".into()),
            ("scope", "openid profile email account".into()),
        ];
        post("/oauth/token", form)
    };
    assert_eq!(exchange(&id_token, "id_token").await.unwrap().status(), StatusCode::OK);
    let tokens = json(exchange(&sdk.access_token, "access_token").await.unwrap()).await;
    let own = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", "backend".into()),
        ("client_secret", BACKEND_SECRET.into()),
        ("scope", "kakao:token".into()),
    ];
    let own =
        json(post("/oauth/token", own).await.unwrap()).await["access_token"].as_str().unwrap().to_owned();
    let access = tokens["access_token"].as_str().unwrap().to_owned();
    let path = format!("/v1/users/{}/kakao-token", claims(&access)["sub"].as_str().unwrap());
    let given = http().post(program.url(&path)).bearer_auth(&own).send().await.unwrap();
    assert_eq!(json(given).await["access_token"], sdk.access_token.as_str());
    let ask = serde_json::json!({ "refused_token": sdk.access_token });
    let given = http().post(program.url(&path)).bearer_auth(&own).json(&ask).send().await.unwrap();
    assert_eq!(given.status(), StatusCode::CONFLICT, "the SDK's refresh token is not ours");
    for key in [app.admin_key.as_str(), "LEAKED-ADMIN-KEY"] {
        let request = http().post(program.url("/kakao/webhooks/unlink")).form(&[("user_id", "77")]);
        request.header("Authorization", format!("KakaoAK {key}")).send().await.unwrap();
    }
    let event = kakao.sign_event(&kakao_simulator::Event::new(77, "x"));
    for token in [event.clone(), format!("{event}LEAKED")] {
        http().post(program.url("/kakao/webhooks/account-status")).body(token).send().await.unwrap();
    }
    // Kakao repeats a wrong admin key in its answer.
    kakao.revoke_tokens(sdk.id);
    kakao.allow_admin(kakao_simulator::Endpoint::Unlink, false);
    let for_us = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", "app".into()),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap().to_owned()),
        ("resource", ISSUER.into()),
    ];
    let for_us = json(post("/oauth/token", for_us).await.unwrap()).await;
    let account_token = for_us["access_token"].as_str().unwrap();
    let deleted = http().delete(program.url("/v1/me")).bearer_auth(account_token).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let began = Instant::now();
    while !std::fs::read_to_string(program.log()).unwrap().contains("could not be told of a deleted account")
    {
        assert!(began.elapsed() < Duration::from_secs(20), "the unlink was not tried");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    terminate(&child).await;
    assert!(child.wait().await.unwrap().success());
    let log = std::fs::read_to_string(program.log()).unwrap();
    let secrets = [
        app.admin_key.as_str(),
        "LEAKED",
        &sdk.access_token,
        &sdk.refresh_token,
        &id_token,
        "a-nonce-of-the-app",
        &own,
        &access,
        BACKEND_SECRET,
        &event,
        "김하늘",
        "4412345678",
    ];
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} stands in {line:?}");
    }
}

#[tokio::test]
async fn an_operator_lists_rotates_and_retires_keys() {
    let kakao = simulator(ISSUER).await;
    let program = Program::new(&kakao);
    assert_eq!(program.run(&["migrate"]).await.0, Some(0));
    let child = program.serve().await;
    let (code, listed) = program.run(&["keys", "list"]).await;
    assert_eq!((code, listed.lines().count()), (Some(0), 4), "{listed}");
    let (code, said) = program.run(&["keys", "rotate"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ES256 in 6m") || said.contains("ES256 in 5m"), "{said}");
    let (code, said) = program.run(&["keys", "rotate", "--alg", "EdDSA"]).await;
    assert!(code == Some(1) && said.contains("not among keys.algorithms"), "{said}");

    let (_, listed) = program.run(&["keys", "list", "--json"]).await;
    let find = |listed: &str, stage: &str| {
        let keys = listed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut found = keys.filter(|key| key["alg"] == "ES256" && key["stage"] == stage);
        found.next().map(|key| key["kid"].as_str().unwrap().to_owned())
    };
    let (current, next) = (find(&listed, "current").unwrap(), find(&listed, "next").unwrap());
    let (code, said) = program.run(&["keys", "retire", &current]).await;
    assert!(
        code == Some(1) && said.contains("concerns the clients: app, backend, web") && said.contains("--now"),
        "{said}"
    );
    let (code, said) = program.run(&["keys", "retire", "nonsense", "--now"]).await;
    assert!(code == Some(1) && said.contains("keys list"), "{said}");
    let (code, said) = program.run(&["keys", "retire", &current, "--now"]).await;
    assert!(code == Some(0) && said.contains("retired"), "{said}");
    let (_, listed) = program.run(&["keys", "list", "--json"]).await;
    assert_eq!(find(&listed, "current"), Some(next), "{listed}");

    // The running service follows within seconds.
    let began = Instant::now();
    loop {
        let jwks = json(http().get(program.url("/.well-known/jwks.json")).send().await.unwrap()).await;
        if !jwks.to_string().contains(&current) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "the retired key is still published");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(child);
}
