//! The table of what can go wrong at Kakao: what it promises, and where people and programs meet it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use futures_util::future::join_all;
use kakao_auth::domain::{Locale, UserId};
use kakao_auth::kakao::KnownFault;
use kakao_auth::settings::Settings;
use kakao_simulator::{Effect, Endpoint, Fault, Forgery};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::rig::{
    Browser, ISSUER, Rig, Setup, Stores, authorization_request, claims, http, location, parameter,
};

/// What stands in Kakao's own texts, and nowhere else.
const SECRET: &str = "words-of-kakao-that-nobody-may-see";

#[test]
fn every_row_says_who_must_act_and_what_to_do_in_both_languages() {
    let mut ids = BTreeSet::new();
    for row in KnownFault::ALL {
        let (id, en, ko) = (row.id, row.sentence(Locale::En), row.sentence(Locale::Ko));
        assert!(ids.insert(id), "{id} stands twice");
        assert!(
            id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')),
            "{id} can be an anchor, a label, a word of a list"
        );
        for sentence in [en, ko] {
            assert!(sentence.len() > 20 && sentence.ends_with('.'), "{id}: {sentence}");
            assert!(!sentence.contains(['|', '<', '\n']) && !sentence.contains("  "), "{id}: {sentence}");
        }
        assert!(en.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{id}: {en}");
        assert!(ko.ends_with("요.") && ko.chars().any(|c| ('가'..='힣').contains(&c)), "{id}: {ko}");
        assert_eq!(ko.matches(". ").count(), ko.matches("요. ").count(), "{id} is polite to its end: {ko}");
        assert!(!row.actor.name().is_empty() && row.actor.label(Locale::Ko) != row.actor.label(Locale::En));
    }
}

/// `docs/kakao-errors.md`, as the table has it.
fn document() -> String {
    let mut text = String::from(
        "# Errors of Kakao Login · 카카오 로그인 오류\n\n\
         Every fault at Kakao that the service knows: who must act, and what to do. A login that fails for one of them goes back \
         to the client with the id in round brackets at the end of `error_description`, and with `error_uri`, which leads to \
         the same table at `{issuer}/kakao/errors`. Log lines carry it as `id`, with `actor` and `cause`; \
         `kakao_auth_kakao_faults_total{id,actor}` on `/metrics` counts it.\n\n\
         카카오 로그인이 실패하면 `error_description` 끝의 괄호 안에 아래 ID가 들어 있어요. 누가 무엇을 하면 되는지 찾아보세요. \
         같은 표를 `{issuer}/kakao/errors`에서도 볼 수 있어요.\n\n\
         Ids stay as they are. This file is made from `src/kakao/codes.rs`: `UPDATE_DOCS=1 cargo test -p kakao-auth --test it \
         the_document_is_what_the_table_says` writes it.\n",
    );
    let family = |id: &str| match id {
        _ if id.starts_with("KOE") => "KOE: login and tokens · 로그인과 토큰",
        _ if id.starts_with("KAPI") => "KAPI: Kakao's API · 카카오 API",
        _ if id.starts_with("redirect.") => "Redirects · 리다이렉트",
        _ if id.starts_with("id_token.") => "ID token · ID 토큰",
        _ => "Without a code of Kakao's · 카카오 코드가 없는 오류",
    };
    let mut last = "";
    for row in KnownFault::ALL {
        let family = family(row.id);
        if family != last {
            let head = "| id | who must act · 누가 | what is wrong, what to do · 무엇을 하면 되나요 |";
            write!(text, "\n## {family}\n\n{head}\n|---|---|---|\n").unwrap();
            last = family;
        }
        let both = |of: &dyn Fn(Locale) -> &'static str| format!("{}<br>{}", of(Locale::En), of(Locale::Ko));
        let (who, what) = (both(&|locale| row.actor.label(locale)), both(&|locale| row.sentence(locale)));
        writeln!(text, "| <a id=\"{0}\"></a>`{0}` | {who} | {what} |", row.id).unwrap();
    }
    text
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kakao-errors.md");
    if Settings::environment().any(|(name, _)| name == "UPDATE_DOCS") {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document(),
        "docs/kakao-errors.md is not what the table says: run this test with UPDATE_DOCS=1"
    );
}

#[tokio::test]
async fn the_page_shows_every_row_in_the_readers_language() {
    let rig = Rig::with(Setup { stores: Stores::SqliteAndMemory, ..Setup::default() }).await;
    for (query, header, locale) in
        [("", "ko", Locale::Ko), ("", "en-GB, ko;q=0.5", Locale::En), ("?ui_locales=en", "ko", Locale::En)]
    {
        let url = rig.url(0, &format!("/kakao/errors{query}"));
        let reply = http().get(url).header("Accept-Language", header).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK);
        let headers = reply.headers().clone();
        assert_eq!(headers["content-language"], locale.tag());
        assert_eq!(headers["cache-control"], "public, max-age=3600");
        assert_eq!(headers["vary"], "Accept-Language", "a cache must not mix the languages");
        assert!(
            headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; style-src")
        );
        assert_eq!(headers["x-frame-options"], "DENY");
        let page = reply.text().await.unwrap();
        assert!(
            page.contains(&format!("<html lang=\"{}\">", locale.tag()))
                && page.contains("width=device-width")
        );
        assert!(!page.contains("src=") && !page.contains("//"), "no asset from elsewhere");
        // Askama writes some characters as references.
        let plain = page.replace("&#39;", "'").replace("&#62;", ">").replace("&gt;", ">");
        for row in KnownFault::ALL {
            assert!(plain.contains(&format!("<section id=\"{}\">", row.id)), "{}", row.id);
            assert!(plain.contains(row.sentence(locale)), "{}: {}", row.id, row.sentence(locale));
            assert!(plain.contains(row.actor.label(locale)));
        }
    }
    let url = rig.url(0, "/kakao/errors");
    let reply = http().head(&url).send().await.unwrap();
    assert_eq!((reply.status(), reply.bytes().await.unwrap().len()), (StatusCode::OK, 0));
    for method in [Method::POST, Method::DELETE] {
        let reply = http().request(method, &url).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(reply.headers()["allow"], "GET, HEAD");
    }
}

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// All that this process logs from now on, as JSON lines.
static LOGGED: LazyLock<()> = LazyLock::new(|| {
    struct Sink;
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true);
    lines.with_max_level(tracing::Level::INFO).with_writer(|| Sink).init();
});

fn log() -> String {
    String::from_utf8(LOG.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
}

/// The lines of a request that name a fault.
fn fault_lines(request_id: &str) -> Vec<Value> {
    let lines = log().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
    let of_it = lines.into_iter().filter(|line| line["span"]["request_id"] == request_id);
    of_it.filter(|line| line["id"].is_string()).collect()
}

async fn metrics(rig: &Rig, instance: usize) -> String {
    http().get(rig.management_url(instance, "/metrics")).send().await.unwrap().text().await.unwrap()
}

fn counted(metrics: &str, id: &str, actor: &str) -> u64 {
    let start = format!("kakao_auth_kakao_faults_total{{id=\"{id}\",actor=\"{actor}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |count| count.parse().unwrap())
}

/// The client is told of this fault, and of nothing else.
fn says(landed: &str, error: &str, id: &str) {
    assert_eq!(parameter(landed, "error").as_deref(), Some(error), "{id}");
    let description = parameter(landed, "error_description").unwrap();
    assert!(description.ends_with(&format!(". ({id})")), "{id}: {description}");
    assert_eq!(parameter(landed, "error_uri"), Some(format!("{ISSUER}/kakao/errors#{id}")));
    let url = url::Url::parse(landed).unwrap();
    let names: BTreeSet<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["error", "error_description", "error_uri", "state", "iss"].map(String::from).into());
    assert!(!landed.contains(SECRET), "{id}");
}

#[tokio::test]
async fn a_fault_has_one_id_at_the_client_in_the_log_and_in_the_metrics_and_kakao_s_text_is_nowhere() {
    LazyLock::force(&LOGGED);
    let settings = vec![("KAKAO__TIMEOUT", "500ms".into())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let reply = |status, body: String| Effect::Reply { status, body, content_type: None, headers: vec![] };
    let koe = |status, code: &str| {
        reply(
            status,
            format!(
                r#"{{"error":"{SECRET}","error_description":"not found for code={SECRET}","error_code":"{code}"}}"#
            ),
        )
    };
    let api =
        |status, msg: &str, code: i64| reply(status, format!(r#"{{"msg":"{msg} {SECRET}","code":{code}}}"#));
    let sent_back = |error: &str, description: &str| Effect::RedirectError {
        error: error.into(),
        description: Some(format!("{description} {SECRET}")),
    };
    let forged = |forgery| Effect::Forge { forgery };
    let (token, me, authorize) = (Endpoint::Token, Endpoint::Me, Endpoint::Authorize);
    let cases = [
        (token, koe(401, "KOE010"), "server_error", "KOE010", "operator"),
        (token, koe(400, "KOE320"), "temporarily_unavailable", "KOE320", "person"),
        (token, koe(400, "KOE237"), "temporarily_unavailable", "KOE237", "developer"),
        (token, koe(400, "KOE999"), "server_error", "reply.unknown", "kakao"),
        (token, reply(502, SECRET.into()), "temporarily_unavailable", "reply.busy", "kakao"),
        (token, reply(200, SECRET.into()), "server_error", "reply.unreadable", "kakao"),
        (token, Effect::Hang, "temporarily_unavailable", "network.timeout", "kakao"),
        (token, forged(Forgery::Audience), "server_error", "id_token.audience", "operator"),
        (token, forged(Forgery::Expired), "server_error", "id_token.expired", "operator"),
        (token, forged(Forgery::OtherSub), "server_error", "id_token.person", "kakao"),
        (me, api(401, "ip mismatched! callerIp=", -401), "server_error", "KAPI-401-mismatch", "operator"),
        (
            me,
            api(401, "this access token does not exist", -401),
            "temporarily_unavailable",
            "KAPI-401",
            "person",
        ),
        (me, api(401, "", -406), "access_denied", "KAPI-406", "person"),
        (
            authorize,
            sent_back("access_denied", "User denied access"),
            "access_denied",
            "redirect.access_denied",
            "person",
        ),
        (
            authorize,
            sent_back("access_denied", "Not allowed under age 14"),
            "access_denied",
            "redirect.under_age",
            "person",
        ),
        (
            authorize,
            sent_back("consent_required", ""),
            "temporarily_unavailable",
            "redirect.consent_required",
            "person",
        ),
        (authorize, sent_back("invalid_scope", ""), "server_error", "redirect.invalid_scope", "operator"),
        (authorize, sent_back("words-of-kakao", ""), "server_error", "redirect.unknown", "kakao"),
    ];
    let before = metrics(&rig, 0).await;
    let mut met = BTreeSet::new();
    for (endpoint, effect, error, id, actor) in cases {
        rig.kakao.fault(Fault { endpoint, times: Some(1), delay_ms: 0, effect });
        let browser = Browser::new(&rig);
        let callback = browser.until_callback(&authorization_request(&[])).await;
        let answer = browser.open_callback(0, &callback).await;
        let landed = location(&answer);

        says(&landed, error, id);

        let lines = fault_lines(answer.headers()["x-request-id"].to_str().unwrap());
        assert_eq!(lines.len(), 1, "a fault is logged once: {lines:?}");
        assert_eq!((&lines[0]["id"], &lines[0]["actor"]), (&id.into(), &actor.into()), "{lines:?}");
        assert!(lines[0]["cause"].as_str().is_some_and(|cause| cause.len() > 10), "{lines:?}");
        met.insert((id, actor));
    }
    // Tests beside this one meet faults in the same process.
    let after = metrics(&rig, 0).await;
    for (id, actor) in &met {
        assert!(counted(&after, id, actor) > counted(&before, id, actor), "{id} in {after}");
    }
    assert!(!after.contains(SECRET));
    assert!(!log().contains(SECRET), "Kakao's words stand in the log");
    assert_eq!(
        rig.count(
            "SELECT count(*) FROM login_attempts WHERE failure LIKE '%words%' OR kakao_fault LIKE '%words%'"
        )
        .await,
        0
    );
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn whoever_waits_for_the_first_callback_says_the_same_and_the_fault_counts_once() {
    // No other test provokes KOE319, so that the count of the process is that of this test.
    let rig = Rig::instances(2).await;
    let effect = Effect::Koe { status: 401, code: "KOE319".into() };
    rig.kakao.fault(Fault { endpoint: Endpoint::Token, times: Some(1), delay_ms: 200, effect });
    let browser = Browser::new(&rig);
    let callback = browser.until_callback(&authorization_request(&[])).await;
    let answers = join_all((0..6).map(|i| browser.open_callback(i, &callback))).await;
    let mut places: BTreeSet<String> = answers.iter().map(location).collect();
    places.insert(location(&browser.open_callback(1, &callback).await));
    assert_eq!(places.len(), 1, "{places:?}");
    assert!(
        places
            .first()
            .unwrap()
            .ends_with("errors%23KOE319&state=client-state&iss=http%3A%2F%2Fauth.localhost#")
    );
    assert_eq!(rig.kakao.calls_to(Endpoint::Token), 1);
    let stored =
        "SELECT count(*) FROM login_attempts WHERE failure = 'kakao_setup_wrong' AND kakao_fault = 'KOE319'";
    assert_eq!(rig.count(stored).await, 1);
    assert_eq!(counted(&metrics(&rig, 0).await, "KOE319", "operator"), 1);
}

#[tokio::test]
async fn a_failure_that_is_not_kakao_s_names_no_fault() {
    let rig = Rig::with(Setup { stores: Stores::SqliteAndMemory, ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    let sub = claims(tokens["access_token"].as_str().unwrap())["sub"].as_str().unwrap().parse().unwrap();
    assert!(kakao_auth::store::users::disable(&mut rig.db(), UserId(sub), rig.clock.now()).await.unwrap());
    let landed = Browser::new(&rig).log_in(&authorization_request(&[])).await;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&landed, "error_description").as_deref(), Some("This account has been disabled."));
    assert_eq!(parameter(&landed, "error_uri"), None);
}
