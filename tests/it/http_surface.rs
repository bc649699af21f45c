//! HTTP as such (RFC 9110): methods, sizes, encodings, headers, CORS, request ids.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, http, json};

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_right_ones() {
    let rig = Rig::start().await;
    for (path, allow, methods) in [
        ("/oauth/authorize", "GET, POST", &[Method::PUT, Method::DELETE, Method::PATCH][..]),
        ("/oauth/token", "POST", &[Method::GET, Method::PUT, Method::HEAD]),
        ("/kakao/callback", "GET", &[Method::POST, Method::PUT]),
        ("/health/live", "GET, HEAD", &[Method::POST]),
        ("/v1/me", "GET, HEAD, DELETE", &[Method::POST, Method::PUT]),
        // What HEAD would have to do is not done by HEAD.
        ("/oauth/logout", "GET, POST", &[Method::HEAD]),
        ("/kakao/callback", "GET", &[Method::HEAD]),
    ] {
        for method in methods {
            let reply = http().request(method.clone(), rig.url(0, path)).send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(reply.headers()["allow"], allow, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn below_v1_a_wrong_path_and_a_wrong_method_are_problems_with_their_request_id() {
    let rig = Rig::start().await;
    for (method, path, status, code) in [
        (Method::GET, "/v1", 404, "not_found"),
        (Method::GET, "/v1/nothing", 404, "not_found"),
        (Method::POST, "/v1/users/x/nothing", 404, "not_found"),
        (Method::PUT, "/v1/me", 405, "method_not_allowed"),
        (Method::POST, "/v1/revocations", 405, "method_not_allowed"),
        (Method::GET, "/v1/admin/users/x", 405, "method_not_allowed"),
    ] {
        let reply = http().request(method.clone(), rig.url(0, path)).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), status, "{method} {path}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json", "{method} {path}");
        let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem = json(reply).await;
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)));
        assert_eq!(problem["request_id"], id.as_str(), "{method} {path}");
    }
}

#[tokio::test]
async fn a_browser_that_uses_a_wrong_method_gets_a_page_and_a_client_json() {
    let rig = Rig::start().await;
    for (path, media_type) in
        [("/oauth/authorize", "text/html; charset=utf-8"), ("/oauth/token", "application/json")]
    {
        let reply = http().put(rig.url(0, path)).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(reply.headers()["content-type"], media_type, "{path}");
    }
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    for path in ["/v1/me", "/v1/me/sessions", "/oauth/userinfo"] {
        let get = http().get(rig.url(0, path)).bearer_auth(token).send().await.unwrap();
        let head = http().head(rig.url(0, path)).bearer_auth(token).send().await.unwrap();
        assert_eq!((get.status(), head.status()), (StatusCode::OK, StatusCode::OK), "{path}");
        assert_eq!(head.headers()["content-type"], get.headers()["content-type"], "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_preflight_allows_the_methods_of_its_path_alone() {
    let rig = Rig::start().await;
    let preflight = async |path: &str, method: &str| {
        let request =
            http().request(Method::OPTIONS, rig.url(0, path)).header("Origin", "https://app.example");
        let reply = request.header("Access-Control-Request-Method", method).send().await.unwrap();
        let allowed = reply.headers().get("access-control-allow-methods").cloned();
        (reply.status().is_success(), allowed.map(|value| value.to_str().unwrap().to_owned()))
    };
    let (fine, allowed) = preflight("/v1/me", "DELETE").await;
    let allowed = allowed.unwrap();
    assert!(
        fine && allowed.contains("GET") && allowed.contains("DELETE") && !allowed.contains("POST"),
        "{allowed}"
    );
    assert!(!preflight("/oauth/token", "DELETE").await.0);
}

#[tokio::test]
async fn an_unknown_path_is_404_in_html_with_its_request_id() {
    let rig = Rig::start().await;
    let reply =
        http().get(rig.url(0, "/nothing/here")).header("X-Request-Id", "my-id-1").send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert_eq!(reply.headers()["x-request-id"], "my-id-1");
    assert!(reply.text().await.unwrap().contains("my-id-1"));
}

#[tokio::test]
async fn a_request_id_that_could_forge_a_log_line_is_replaced() {
    let rig = Rig::start().await;
    for bad in ["a b", "{\"x\":1}", &"x".repeat(65)] {
        let reply = http().post(rig.url(0, "/oauth/token")).header("X-Request-Id", bad).send().await.unwrap();
        let given = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(given.len(), 36, "{bad}");
        assert_eq!(json(reply).await["request_id"], given.as_str());
    }
}

#[tokio::test]
async fn a_large_or_encoded_body_is_refused_in_json() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/token");
    let form_type = "application/x-www-form-urlencoded";
    let large = "a=".to_owned() + &"x".repeat(17 * 1024);
    let reply = http().post(&url).header("Content-Type", form_type).body(large).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(json(reply).await["error"], "invalid_request");
    for encoding in ["gzip", "br", "zstd"] {
        let request =
            http().post(&url).header("Content-Type", form_type).header("Content-Encoding", encoding);
        let reply = request.body("a=b").send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
    }
}

#[tokio::test]
async fn pages_of_registered_origins_may_call_the_token_endpoint_and_others_may_not() {
    let rig = Rig::start().await;
    let url = rig.url(0, "/oauth/token");
    let preflight = |origin: &'static str| {
        let request = http().request(Method::OPTIONS, &url).header("Origin", origin);
        request.header("Access-Control-Request-Method", "POST").send()
    };
    let ours = preflight("https://app.example").await.unwrap();
    assert_eq!(ours.headers()["access-control-allow-origin"], "https://app.example");
    assert!(ours.headers().get("access-control-allow-credentials").is_none());
    for origin in ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example"] {
        let theirs = preflight(origin).await.unwrap();
        assert!(theirs.headers().get("access-control-allow-origin").is_none(), "{origin}");
        let posted = http().post(&url).header("Origin", origin).form(&[("a", "b")]).send().await.unwrap();
        assert!(posted.headers().get("access-control-allow-origin").is_none(), "{origin}");
    }
    let posted =
        http().post(&url).header("Origin", "https://app.example").form(&[("a", "b")]).send().await.unwrap();
    assert_eq!(posted.headers()["access-control-allow-origin"], "https://app.example");
}

#[tokio::test]
async fn every_answer_of_the_login_has_its_security_headers_and_names_no_server() {
    let rig = Rig::start().await;
    for path in ["/oauth/authorize", "/kakao/callback", "/nothing"] {
        let reply = http().get(rig.url(0, path)).send().await.unwrap();
        let headers = reply.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert!(headers.get("server").is_none() && headers.get("x-powered-by").is_none());
    }
}

/// Sends bytes as they are; returns the first line of the answer, or nothing when the connection is closed.
async fn raw(rig: &Rig, bytes: &[u8]) -> String {
    let address = rig.url(0, "").trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; 256];
    let read =
        tokio::time::timeout(Duration::from_secs(15), stream.read(&mut answer)).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn heads_that_are_too_large_or_ambiguous_are_refused() {
    let rig = Rig::start().await;
    let many = format!("GET /health/live HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    let large = format!("GET /health/live HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "b".repeat(200_000));
    let smuggled = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for (told, request) in
        [("many headers", many.as_str()), ("a large head", &large), ("smuggling", smuggled)]
    {
        let answer = raw(&rig, request.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{told}: {answer}");
    }
    assert!(
        raw(&rig, b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").await.contains("200"),
        "it still serves"
    );
}

#[tokio::test]
async fn a_body_that_stalls_is_cut() {
    let rig = Rig::start().await;
    let head = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\na=";
    assert!(raw(&rig, head.as_bytes()).await.contains("408"));
}

#[tokio::test]
async fn a_request_under_way_at_the_shutdown_is_answered() {
    let mut rig = Rig::start().await;
    let code = rig.code().await;
    let url = rig.url(0, "/health/ready");
    let (reply, stopped) = tokio::join!(http().get(url).send(), async {
        tokio::task::yield_now().await;
        rig.stop(0).await
    });
    // Either it was accepted before the end and answered whole, or the door was closed: never half an answer.
    if let Ok(reply) = reply {
        assert_eq!(reply.status(), StatusCode::OK);
    }
    stopped.unwrap();
    rig.add_instance(&crate::rig::Setup::default()).await;
    assert_eq!(rig.redeem(1, &code).await.status(), StatusCode::OK, "codes survive a restart");
}
