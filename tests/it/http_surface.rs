//! HTTP as such (RFC 9110): methods, sizes, encodings, headers, CORS, request ids.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{BACKEND_SECRET, Rig, Setup, access_token, http, json};

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
    let token = rig.account_token(&rig.tokens().await).await;
    for path in ["/v1/me", "/v1/me/sessions", "/oauth/userinfo"] {
        let get = http().get(rig.url(0, path)).bearer_auth(&token).send().await.unwrap();
        let head = http().head(rig.url(0, path)).bearer_auth(&token).send().await.unwrap();
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
    let url = rig.url(0, "/health/live");
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

#[tokio::test]
async fn credentials_that_are_sent_twice_are_refused_whatever_their_order() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let (good, bad) = (format!("Bearer {}", access_token(&tokens)), "Bearer a.b.c".to_owned());
    for path in ["/oauth/userinfo", "/v1/me"] {
        for headers in [[&good, &bad], [&bad, &good], [&good, &good]] {
            let mut request = http().get(rig.url(0, path));
            for value in headers {
                request = request.header("Authorization", value);
            }
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{path}");
            assert!(reply.headers()["www-authenticate"].to_str().unwrap().contains("invalid_request"));
            assert_eq!(json(reply).await["code"], "two_tokens", "{path}");
        }
    }
    let token = access_token(&tokens);
    let userinfo = http().post(rig.url(0, "/oauth/userinfo")).header("Authorization", &good);
    let in_the_body = userinfo.form(&[("access_token", token)]).send().await.unwrap();
    assert_eq!(json(in_the_body).await["code"], "two_tokens", "header and body");
    let url = rig.url(0, &format!("/oauth/userinfo?access_token={token}"));
    let in_the_query = http().get(url).header("Authorization", &good).send().await.unwrap();
    assert_eq!(json(in_the_query).await["code"], "two_tokens", "header and query");
    let alone =
        http().post(rig.url(0, "/oauth/userinfo")).header("Authorization", &good).send().await.unwrap();
    assert_eq!(alone.status(), StatusCode::OK);

    let form = [("grant_type", "client_credentials")];
    let request = http().post(rig.url(0, "/oauth/token")).basic_auth("backend", Some(BACKEND_SECRET));
    let reply = request.basic_auth("orders", Some(BACKEND_SECRET)).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "two clients by Basic");
    assert_eq!(json(reply).await["error"], "invalid_request");
}

#[tokio::test]
async fn what_is_served_from_memory_carries_its_request_id_and_asks_for_https() {
    let settings = vec![("SERVER__PUBLIC_URL", "https://auth.example.com".to_owned())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
        "/v1/revocations",
        "/health/live",
        "/health/ready",
        "/oauth/authorize",
        "/nothing",
    ] {
        let reply = http().get(rig.url(0, path)).send().await.unwrap();
        assert!(
            reply.headers()["strict-transport-security"].to_str().unwrap().contains("max-age="),
            "{path}"
        );
        assert!(!reply.headers()["x-request-id"].is_empty(), "{path}");
    }
    for (method, path) in [
        (Method::POST, "/.well-known/jwks.json"),
        (Method::PUT, "/.well-known/openid-configuration"),
        (Method::GET, "/v1/revocations?wait=nonsense"),
        (Method::DELETE, "/health/ready"),
    ] {
        let reply = http().request(method, rig.url(0, path)).send().await.unwrap();
        assert!(reply.status().is_client_error(), "{path}");
        let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(!id.is_empty() && json(reply).await["request_id"] == id.as_str(), "{path}");
    }
}

#[tokio::test]
async fn a_page_reads_the_answers_for_its_own_client_alone() {
    let clients = r#"
[[clients]]
id = "neighbour"
type = "public"
redirect_uris = ["https://neighbour.example/cb"]
allowed_origins = ["https://neighbour.example"]
"#;
    let rig = Rig::with(Setup { clients: clients.to_owned(), ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    let (web, neighbour) = ("https://app.example", "https://neighbour.example");
    for (origin, client, may_read) in [
        (web, "web", true),
        (web, "neighbour", false),
        (neighbour, "neighbour", true),
        (neighbour, "web", false),
    ] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client)];
        let request = http().post(rig.url(0, "/oauth/token")).header("Origin", origin).form(&form);
        let reply = request.send().await.unwrap();
        let read_by = reply.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!(read_by, may_read.then_some(origin), "{client} from {origin}");
    }
    for (origin, may_read) in [(web, true), (neighbour, false)] {
        let request = http().get(rig.url(0, "/oauth/userinfo")).bearer_auth(access_token(&tokens));
        let reply = request.header("Origin", origin).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        assert_eq!(reply.headers().contains_key("access-control-allow-origin"), may_read, "{origin}");
    }
}

#[tokio::test]
async fn a_refusal_and_a_refused_origin_are_logged_with_client_address_and_what_was_asked() {
    let kakao = crate::rig::simulator(crate::rig::ISSUER).await;
    let mut program = crate::rig::Program::new(&kakao);
    program.set("SERVER__TRUSTED_PROXIES", "127.0.0.1");
    program.set("TELEMETRY__LOG_LEVEL", "info");
    let _child = program.serve().await;
    let asked = "/oauth/authorize?client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fwrong";
    let request = http().get(program.url(asked)).header("X-Forwarded-For", "198.51.100.7");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let form = [("grant_type", "refresh_token"), ("refresh_token", "kart_secret"), ("client_id", "web")];
    let request = http().post(program.url("/oauth/token")).header("Origin", "https://evil.example");
    request.form(&form).send().await.unwrap();
    let secret = http().post(program.url("/oauth/token")).basic_auth("backend", Some("wrong"));
    secret.form(&[("grant_type", "client_credentials")]).send().await.unwrap();

    let log = std::fs::read_to_string(program.log()).unwrap();
    let line = |parts: &[&str]| {
        assert!(log.lines().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?} in {log}");
    };
    line(&[
        "\"code\":\"redirect_uri_unknown\"",
        "\"client_id\":\"web\"",
        "\"uri\":\"https://app.example/wrong\"",
        "\"address\":\"198.51.100.7\"",
        "request_id",
    ]);
    line(&["\"code\":\"refresh_token_invalid\"", "\"client_id\":\"web\"", "\"address\":\"127.0.0.1\""]);
    line(&["\"code\":\"client_unproven\"", "\"client_id\":\"backend\""]);
    line(&["CORS", "\"origin\":\"https://evil.example\"", "\"client_id\":\"web\""]);
    assert!(!log.contains("kart_secret"), "and nothing that is secret");
}
