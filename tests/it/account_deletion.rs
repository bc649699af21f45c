//! Deleting an account: logins end at once, the person's data go, the id stays, and Kakao is told, however long that takes.

use std::time::Duration;

use futures_util::future::join_all;
use kakao_auth::flow::kakao::tokens as kakao_tokens;
use kakao_simulator::{Effect, Endpoint, Fault};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::Row;

use crate::rig::{Browser, KAKAO_ID, Program, Rig, Setup, Stores, access_token, json, parameter, user_of};

const USER_LINKED: &str = "https://schemas.openid.net/secevent/oauth/event-type/user-linked";

async fn delete(rig: &Rig, tokens: &Value) -> Response {
    rig.call(Method::DELETE, "/v1/me", &rig.account_token(tokens).await, None).await
}

fn fault(rig: &Rig, endpoint: Endpoint, times: Option<u32>, effect: Effect) {
    rig.kakao.fault(Fault { endpoint, times, delay_ms: 0, effect });
}

#[tokio::test]
async fn a_person_deletes_the_account_and_kakao_knows_by_their_own_token() {
    for stores in [Stores::PostgresAndRedis, Stores::SqliteAndMemory] {
        let rig = Rig::with(Setup { stores, ..Setup::default() }).await;
        let browser = Browser::new(&rig);
        let tokens = browser.tokens(&[]).await;
        let other = Browser::new(&rig).tokens(&[]).await;
        rig.kakao.clear_calls();
        let token = rig.account_token(&tokens).await;
        let delete = async || rig.call(Method::DELETE, "/v1/me", &token, None).await;
        assert_eq!(delete().await.status(), StatusCode::NO_CONTENT);
        for ended in [&tokens, &other] {
            assert_eq!(rig.introspected(0, access_token(ended)).await["active"], json!(false));
            let refreshed = rig.refresh(0, ended["refresh_token"].as_str().unwrap()).await;
            assert_eq!(refreshed.status(), StatusCode::BAD_REQUEST);
        }
        let silent = browser.at_once(&[("prompt", "none")]).await;
        assert_eq!(parameter(&silent, "error").as_deref(), Some("login_required"));
        assert_eq!(delete().await.status(), StatusCode::UNAUTHORIZED, "the token is dead too");
        rig.try_unlinks().await;
        until_gone(&rig).await;
        assert!(!rig.kakao.is_linked(KAKAO_ID), "{stores:?}");
        let calls = rig.kakao.calls();
        let unlinks: Vec<_> = calls.iter().filter(|call| call.endpoint == Endpoint::Unlink).collect();
        assert_eq!(unlinks.len(), 1);
        assert_eq!(unlinks[0].authorization.as_deref(), Some("Bearer"));
        let read = rig.own_token("service").await;
        let gone = rig.call(Method::GET, &format!("/v1/users/{}", user_of(&tokens)), &read, None).await;
        assert_eq!(gone.status(), StatusCode::GONE);
        assert_eq!(json(gone).await["code"], "user_deleted");
        assert_eq!(rig.count("SELECT count(*) FROM audit_events WHERE kind = 'user.deleted'").await, 1);
        assert_eq!(
            rig.count("SELECT count(*) FROM audit_events WHERE kind = 'kakao_unlink.completed'").await,
            1
        );
    }
}

async fn until_gone(rig: &Rig) {
    for _ in 0..200 {
        if rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_unlink' AND done_at IS NULL").await
            == 0
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the outbox still holds the unlink");
}

#[tokio::test]
async fn nothing_personal_is_left_in_any_table() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    // An event of theirs was worked off before.
    let event = kakao_simulator::Event::new(KAKAO_ID, USER_LINKED);
    rig.tell(&event).await;
    assert_eq!(delete(&rig, &tokens).await.status(), StatusCode::NO_CONTENT);
    rig.try_unlinks().await;
    until_gone(&rig).await;
    // And one comes after it.
    rig.tell(&event).await;
    // For an hour it is known that this person's logins ended.
    rig.clock.advance(Duration::from_hours(2));
    kakao_auth::store::sweep::expired(&mut rig.db(), rig.clock.now()).await.unwrap();
    let kakao_auth::store::Pool::Postgres(pool, _) = &rig.pool else { panic!("Postgres") };
    let tables = sqlx::query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'");
    let mut rows = 0;
    for table in tables.fetch_all(pool).await.unwrap() {
        let sql = format!("SELECT t::text AS row FROM {} t", table.get::<String, _>(0));
        for row in sqlx::query(sqlx::AssertSqlSafe(sql.as_str())).fetch_all(pool).await.unwrap() {
            let text = row.get::<String, _>(0);
            rows += 1;
            for personal in ["김하늘", "all-consents@example.com", "4412345678", "k.kakaocdn.net", "20~29"]
            {
                assert!(!text.contains(personal), "{personal} in {sql}: {text}");
            }
        }
    }
    assert!(rows > 5, "something was looked at");
    assert_eq!(rig.count("SELECT count(*) FROM users").await, 1, "the id stays");
}

#[tokio::test]
async fn without_the_person_s_token_the_admin_key_does_it() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    rig.kakao.revoke_tokens(KAKAO_ID);
    assert_eq!(delete(&rig, &tokens).await.status(), StatusCode::NO_CONTENT);
    rig.try_unlinks().await;
    until_gone(&rig).await;
    assert!(!rig.kakao.is_linked(KAKAO_ID));
    let calls = rig.kakao.calls();
    let last = calls.iter().rfind(|call| call.endpoint == Endpoint::Unlink).unwrap();
    assert_eq!(last.authorization.as_deref(), Some("KakaoAK"));
}

#[tokio::test]
async fn a_refresh_token_is_enough_without_an_admin_key_and_whoever_is_not_linked_is_done() {
    let settings = vec![("KAKAO__ADMIN_KEY", String::new())];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    kakao_tokens::evict(rig.deps(0), user_of(&tokens)).await;
    assert_eq!(delete(&rig, &tokens).await.status(), StatusCode::NO_CONTENT);
    rig.try_unlinks().await;
    until_gone(&rig).await;
    assert!(!rig.kakao.is_linked(KAKAO_ID));

    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    drop(rig.kakao.unlink(KAKAO_ID, "UNLINK_FROM_APPS").await);
    assert_eq!(delete(&rig, &tokens).await.status(), StatusCode::NO_CONTENT);
    rig.try_unlinks().await;
    until_gone(&rig).await;
}

#[tokio::test]
async fn a_kakao_that_is_down_is_tried_further_and_further_apart_then_the_operator_is_asked() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let id = user_of(&tokens);
    fault(&rig, Endpoint::Unlink, None, Effect::Api { status: 503, code: -9798 });
    rig.kakao.clear_calls();
    assert_eq!(delete(&rig, &tokens).await.status(), StatusCode::NO_CONTENT, "the person does not wait");
    let mut waits = Vec::new();
    for _ in 0..400 {
        rig.unlink_due().await;
        if rig
            .count("SELECT count(*) FROM outbox WHERE queue = 'kakao_unlink' AND set_aside_at IS NOT NULL")
            .await
            == 1
        {
            break;
        }
        rig.clock.advance(Duration::from_mins(30));
        waits.push(());
    }
    assert_eq!(rig.kakao.calls_to(Endpoint::Unlink), 16, "bounded");
    assert!(waits.len() > 24, "they lay hours apart at the end");
    let ops = rig.own_token("ops").await;
    let list = json(rig.call(Method::GET, "/v1/admin/kakao-unlinks", &ops, None).await).await;
    let dead = &list["unlinks"][0];
    assert_eq!(
        (&dead["user"], &dead["attempts"], &dead["last_fault"]),
        (&json!(id), &json!(16), &json!("KAPI-9798"))
    );
    assert!(dead["dead_at"].is_i64(), "{list}");
    rig.kakao.clear_faults();
    let path = format!("/v1/admin/kakao-unlinks/{id}/retry");
    assert_eq!(rig.call(Method::POST, &path, &ops, None).await.status(), StatusCode::NO_CONTENT);
    rig.try_unlinks().await;
    until_gone(&rig).await;
    assert!(!rig.kakao.is_linked(KAKAO_ID));
    assert_eq!(rig.call(Method::POST, &path, &ops, None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_wrong_admin_key_waits_for_the_operator_at_once() {
    let settings = vec![("KAKAO__ADMIN_KEY", "0".repeat(32))];
    let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
    let tokens = rig.tokens().await;
    rig.kakao.revoke_tokens(KAKAO_ID);
    rig.kakao.allow_admin(Endpoint::Unlink, false);
    assert_eq!(delete(&rig, &tokens).await.status(), StatusCode::NO_CONTENT);
    rig.try_unlinks().await;
    for _ in 0..200 {
        if rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_unlink' AND attempts > 0 AND last_error IS NOT NULL").await
            == 1
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the fault was not kept");
}

#[tokio::test]
async fn who_returns_is_a_new_user_or_the_old_one_and_a_late_unlink_does_not_undo_it() {
    for returning in ["new", "old"] {
        let settings = vec![("ACCOUNT__RETURNING", returning.to_owned())];
        let rig = Rig::with(Setup { settings, ..Setup::default() }).await;
        let before = rig.tokens().await;
        fault(&rig, Endpoint::Unlink, None, Effect::Api { status: 503, code: -9798 });
        assert_eq!(delete(&rig, &before).await.status(), StatusCode::NO_CONTENT);
        rig.clock.advance(Duration::from_secs(2));
        let after = rig.tokens().await;
        assert_eq!(user_of(&before) == user_of(&after), returning == "old");
        rig.kakao.clear_faults();
        rig.clock.advance(Duration::from_hours(1));
        for _ in 0..3 {
            rig.unlink_due().await;
        }
        until_gone(&rig).await;
        assert!(rig.kakao.is_linked(KAKAO_ID), "{returning}: the login after it stands");
        let me = rig.refresh(0, after["refresh_token"].as_str().unwrap()).await;
        assert_eq!(me.status(), StatusCode::OK);
        let user = kakao_auth::store::users::find(&mut rig.db(), user_of(&after)).await.unwrap().unwrap();
        assert!(user.deleted_at.is_none() && user.profile.nickname.is_some());
    }
}

#[tokio::test]
async fn an_operator_deletes_by_the_api_and_by_the_command_and_only_once() {
    let rig = Rig::start().await;
    let tokens = rig.tokens().await;
    let id = user_of(&tokens);
    let ops = rig.own_token("ops").await;
    let path = format!("/v1/admin/users/{id}");
    for (token, status) in [(access_token(&tokens), 401), ("x", 401)] {
        assert_eq!(rig.call(Method::DELETE, &path, token, None).await.status().as_u16(), status);
    }
    let backend = rig.own_token("service").await;
    assert_eq!(rig.call(Method::DELETE, &path, &backend, None).await.status(), StatusCode::FORBIDDEN);
    let replies = join_all((0..5).map(|_| rig.call(Method::DELETE, &path, &ops, None))).await;
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 410, 410, 410, 410]);
    for unknown in ["x", "00000000-0000-0000-0000-000000000000"] {
        let reply = rig.call(Method::DELETE, &format!("/v1/admin/users/{unknown}"), &ops, None).await;
        assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    }

    let tokens = rig.tokens().await;
    let id = user_of(&tokens).to_string();
    let program = Program::on(&rig);
    let (code, said) = program.run(&["users", "delete", &id]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("--yes"), "{said}");
    let (code, said) = program.run(&["users", "delete", &id, "--yes"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = program.run(&["users", "delete", &id, "--yes"]).await;
    assert!(code == Some(1) && said.contains("deleted before"), "{said}");
    for bad in ["x", "00000000-0000-0000-0000-000000000000"] {
        let (code, said) = program.run(&["users", "delete", bad, "--yes"]).await;
        assert!(code == Some(1) && said.contains(bad), "{said}");
    }
    assert_eq!(rig.introspected(0, access_token(&tokens)).await["active"], json!(false));
    // The command's clock is this machine's, and the rig's stood still.
    rig.clock.advance(Duration::from_mins(1));
    let kept_out = user_of(&rig.tokens().await).to_string();
    for (command, code) in [("disable", 0), ("disable", 1), ("enable", 0), ("enable", 1)] {
        let (got, said) = program.run(&["users", command, &kept_out]).await;
        assert!(got == Some(code) && said.contains(&kept_out), "{command}: {said}");
    }
    let (code, said) = program.run(&["unlinks", "list"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = program.run(&["unlinks", "retry", &id]).await;
    assert!(code == Some(1) && said.contains("unlinks list"), "{said}");
}
