//! `kakao-auth doctor`: each broken set-up is named, and nothing else is.

use kakao_simulator::{Endpoint, Simulator};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rig::{self, ISSUER, KAKAO_ID, Program, simulator};

struct Ward {
    kakao: Simulator,
    program: Program,
    issuer: String,
}

impl Ward {
    /// A set-up in which everything is right, and the service runs.
    async fn healthy() -> (Self, tokio::process::Child) {
        let kakao = simulator(ISSUER).await;
        let mut program = Program::new(&kakao);
        let issuer = program.url("");
        kakao.set_redirect_uris(vec![format!("{issuer}/kakao/callback")]);
        program.set("SERVER__PUBLIC_URL", &issuer);
        program.set("KAKAO__ADMIN_KEY", &kakao.app().admin_key);
        let child = program.serve().await;
        (Self { kakao, program, issuer }, child)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.program.set(name, value);
    }

    async fn diagnosed(&self, more: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
        let arguments: Vec<&str> = ["doctor", "--json"].into_iter().chain(more.iter().copied()).collect();
        let (code, said) = self.program.run(&arguments).await;
        let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let findings = lines.iter().filter(|line| line["id"].is_string()).map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            assert!(text("en").ends_with(['.', ')']) && text("ko").chars().any(|c| c > '\u{1100}'), "{line}");
            (text("id"), text("level"))
        });
        let findings = findings.collect();
        assert_eq!(lines.last().unwrap()["login_can_work"], Value::Bool(code == Some(0)), "{said}");
        (code, findings)
    }

    /// Exactly this is found, and a login can work or not.
    async fn finds(&self, id: &str, works: bool) {
        self.finds_with(id, works, &[]).await;
    }

    async fn finds_with(&self, id: &str, works: bool, more: &[&str]) {
        let (code, findings) = self.diagnosed(more).await;
        let level = if works { "warning" } else { "fault" };
        assert_eq!(findings, [(id.to_owned(), level.to_owned())]);
        assert_eq!(code, Some(i32::from(!works)), "{id}");
    }
}

#[tokio::test]
async fn a_healthy_set_up_has_no_findings_in_both_languages_and_nobody_was_logged_in() {
    let (ward, _child) = Ward::healthy().await;
    assert_eq!(ward.diagnosed(&["--backend-url", &ward.issuer]).await, (Some(0), vec![]));
    let (code, said) = ward.program.run(&["doctor", "--lang", "ko"]).await;
    assert!(code == Some(0) && said.contains("로그인할 수 있어요"), "{said}");
    let (code, said) = ward.program.run(&["doctor", "--lang", "en"]).await;
    assert!(code == Some(0) && said.contains("A login can work."), "{said}");
    assert!(!said.contains(&ward.kakao.app().admin_key) && !said.contains(&ward.kakao.app().client_secret));
    assert!(!ward.kakao.is_linked(KAKAO_ID));
}

#[tokio::test]
async fn keys_secrets_and_redirect_uris_that_kakao_refuses_are_named() {
    let (mut ward, _child) = Ward::healthy().await;
    let app = ward.kakao.app();
    for (key, id) in
        [(&app.native_app_key, "KOE008"), (&app.admin_key, "KOE008"), (&"0".repeat(32), "KOE101")]
    {
        ward.set("KAKAO__CLIENT_ID", key);
        ward.finds(id, false).await;
    }
    ward.set("KAKAO__CLIENT_ID", &app.rest_api_key);
    let file = ward.program.unset("KAKAO__CLIENT_SECRET_FILE").unwrap();
    ward.finds("KOE010", false).await;
    ward.set("KAKAO__CLIENT_SECRET", "wrong");
    ward.finds("KOE010", false).await;
    ward.set("KAKAO__CLIENT_SECRET", &app.client_secret);
    ward.kakao.set_client_secret_required(false);
    ward.finds("client_secret_off", true).await;
    ward.program.unset("KAKAO__CLIENT_SECRET");
    ward.finds("client_secret_off", true).await;
    ward.kakao.set_client_secret_required(true);
    ward.set("KAKAO__CLIENT_SECRET_FILE", &file);
    ward.kakao.set_redirect_uris(vec![format!("{}/kakao/callback/", ward.issuer)]);
    ward.finds("KOE006", false).await;
}

#[tokio::test]
async fn switches_of_kakao_s_console_are_named() {
    let (mut ward, _child) = Ward::healthy().await;
    ward.kakao.set_login_enabled(false);
    ward.finds("KOE004", false).await;
    ward.kakao.set_login_enabled(true);
    ward.kakao.set_oidc(false);
    ward.finds("oidc_off", true).await;
    ward.set("KAKAO__SCOPES", "openid,profile_nickname");
    ward.finds("oidc_off", false).await;
    ward.kakao.set_oidc(true);
    ward.set("KAKAO__SCOPES", "openid,account_email,profile_nickname");
    ward.kakao.set_consent_item("account_email", false);
    ward.finds("KOE205", false).await;
    let (_, said) = ward.program.run(&["doctor"]).await;
    assert!(said.contains("kakao.scopes: account_email"), "{said}");
}

#[tokio::test]
async fn an_admin_key_that_is_missing_wrong_or_not_allowed_is_named() {
    let (mut ward, _child) = Ward::healthy().await;
    for endpoint in [Endpoint::Unlink, Endpoint::Me, Endpoint::Scopes] {
        ward.kakao.allow_admin(endpoint, false);
        ward.finds("KAPI-3", true).await;
        ward.kakao.allow_admin(endpoint, true);
    }
    ward.set("KAKAO__ADMIN_KEY", "wrong");
    ward.finds("admin_key_wrong", true).await;
    ward.set("KAKAO__ADMIN_KEY", "");
    ward.finds("admin_key_missing", true).await;
}

#[tokio::test]
async fn a_clock_that_is_off_and_a_kakao_that_is_not_there_are_named() {
    let (mut ward, _child) = Ward::healthy().await;
    for offset in [-30, 30] {
        ward.kakao.set_clock_offset(offset);
        ward.finds("clock_skew", false).await;
    }
    ward.kakao.set_clock_offset(3);
    assert_eq!(ward.diagnosed(&[]).await, (Some(0), vec![]), "a few seconds are forgiven");
    ward.set("KAKAO__AUTH_BASE_URL", "http://127.0.0.1:9");
    ward.finds("network.unreachable", false).await;
}

/// A server that answers every request in this way.
async fn server(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = std::sync::Arc::new(answer);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = std::sync::Arc::clone(&answer);
            tokio::spawn(async move {
                let mut buffer = vec![0; 8192];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if stream.write_all(answer(&request).as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("127.0.0.1:{}", address.port())
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn ourselves_as_seen_from_outside_are_examined() {
    let (mut ward, _child) = Ward::healthy().await;
    // A backend service that reaches us by an address of its own, and is told another issuer.
    let other = server(|_| http("200 OK", r#"{"issuer":"http://kakao-auth:8080"}"#)).await;
    ward.finds_with("issuer_mismatch", false, &["--backend-url", &format!("http://{other}")]).await;
    ward.finds_with("backend_unreachable", true, &["--backend-url", "http://127.0.0.1:9"]).await;
    // A proxy that knows the discovery document and sends webhooks elsewhere.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    ward.set("SERVER__PUBLIC_URL", &format!("http://127.0.0.1:{port}"));
    ward.kakao.set_redirect_uris(vec![format!("http://127.0.0.1:{port}/kakao/callback")]);
    ward.finds("public_url_unreachable", true).await;
    let proxy = server(|request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        if request.starts_with("GET /.well-known/") {
            http("200 OK", &format!(r#"{{"issuer":"http://{host}"}}"#))
        } else {
            http("302 Found", "")
        }
    })
    .await;
    let half = server(|request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        if request.starts_with("GET /.well-known/") {
            http("200 OK", &format!(r#"{{"issuer":"http://{host}"}}"#))
        } else if request.starts_with("POST /kakao/webhooks/unlink ") {
            http("401 Unauthorized", "")
        } else {
            http("404 Not Found", "")
        }
    })
    .await;
    for proxy in [proxy, half] {
        ward.set("SERVER__PUBLIC_URL", &format!("http://{proxy}"));
        ward.kakao.set_redirect_uris(vec![format!("http://{proxy}/kakao/callback")]);
        ward.finds("webhook_unreachable", true).await;
    }
}

#[tokio::test]
async fn stores_that_are_down_or_too_old_are_named() {
    let (mut ward, _child) = Ward::healthy().await;
    let redis = server(|request| {
        // One reply for each command of a pipeline.
        let commands = request.matches("\r\n$").count().min(request.split('*').count() - 1).max(1);
        if request.contains("INFO") {
            let info = "# Server\r\nredis_version:5.0.14\r\n";
            return format!("{}${}\r\n{info}\r\n", "+OK\r\n".repeat(commands - 1), info.len());
        }
        "+OK\r\n".repeat(commands)
    })
    .await;
    ward.set("CACHE__URL", &format!("redis://{redis}"));
    ward.finds("redis_old", true).await;
    ward.set("CACHE__URL", "redis://127.0.0.1:9");
    ward.finds("cache_unreachable", true).await;
    ward.set("CACHE__URL", "memory:");
    ward.set("DATABASE__URL", "postgres://u:hunter2@127.0.0.1:9/x");
    ward.finds("database_unreachable", false).await;
    let (_, said) = ward.program.run(&["doctor"]).await;
    assert!(!said.contains("hunter2"), "{said}");
    let (code, _) = {
        ward.set("SERVER__PUBLIC_URL", "nonsense");
        ward.program.run(&["doctor"]).await
    };
    assert_eq!(code, Some(78));
}

#[tokio::test]
async fn a_proxy_that_is_not_listed_is_named_from_its_first_request_on() {
    let (mut ward, _child) = Ward::healthy().await;
    let url = format!("{}/oauth/authorize", ward.issuer);
    rig::http().get(&url).header("X-Forwarded-For", "198.51.100.7").send().await.unwrap();
    // The service answers before it has noted it.
    for _ in 0..20 {
        if !ward.diagnosed(&[]).await.1.is_empty() {
            break;
        }
    }
    ward.finds("proxy_unlisted", true).await;
    ward.set("SERVER__TRUSTED_PROXIES", "127.0.0.1");
    assert_eq!(ward.diagnosed(&[]).await.1, [], "it is listed by now");
}

#[test]
fn every_finding_of_its_own_has_a_row_and_an_anchor_in_the_document() {
    let source = include_str!("../../src/flow/doctor.rs");
    let document = include_str!("../../docs/kakao.md");
    let ids: Vec<&str> = source
        .split("Finding::ours(")
        .skip(1)
        .filter_map(|call| call.trim_start().split('"').nth(1))
        .collect();
    assert!(ids.len() >= 13, "{ids:?}");
    for id in ids {
        assert!(
            document.contains(&format!("<a id=\"doctor-{id}\"></a>`{id}` |")),
            "docs/kakao.md lacks {id}"
        );
    }
}
