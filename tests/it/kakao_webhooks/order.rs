//! Ten thousand events in random order, with duplicates, end as they do in order.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use kakao_auth::domain::kakao_event::USER_UNLINKED;
use kakao_auth::domain::session::NewBrowserSession;
use kakao_auth::domain::{
    Beginning, BrowserSessionId, ClientId, Consent, Fingerprint, GrantId, GrantRequest, KakaoId, NewGrant,
    Profile, Scope, Timestamp, UserId,
};
use kakao_auth::store::logins::{self, NewLogin, Recorded};
use kakao_simulator::Event;
use reqwest::{Client, StatusCode};
use sqlx::Row;

use super::{OAUTH, RISC};
use crate::rig::{Rig, Setup};

/// A user who has logged in at this moment, without the detour of a browser.
async fn put_user(rig: &Rig, kakao_id: i64, at: Timestamp) {
    let profile = Profile {
        nickname: Some("이름".into()),
        email: Some(format!("{kakao_id}@example.com")),
        email_verified: true,
        phone_number: Some("+82 10-0000-0000".into()),
        age_range: Some("20~29".into()),
        ..Profile::default()
    };
    let id = GrantId::generate();
    let login = NewLogin {
        user: UserId::generate(),
        kakao_id: KakaoId(kakao_id),
        profile: &profile,
        kakao_refresh_token: Some(b"encrypted"),
        kakao_refresh_expires_at: None,
        consent: &Consent::default(),
        session: Some(NewBrowserSession {
            id: BrowserSessionId::generate(),
            token: Fingerprint::of(&kakao_id.to_be_bytes()),
            idle_expires_at: at + Duration::from_hours(24),
            expires_at: at + Duration::from_hours(24),
        }),
        read_at: at,
        grant: NewGrant {
            id,
            request: GrantRequest {
                client: ClientId("web".into()),
                scope: Scope::parse("profile").unwrap(),
                resource: Vec::new(),
            },
            beginning: Beginning::Live { idle_expires_at: at + Duration::from_hours(1) },
            attempt: None,
            auth_time: Some(at),
            logged_in_at: at,
            created_at: at,
            expires_at: at + Duration::from_hours(24),
            user_agent: None,
        },
    };
    let recorded = logins::record(&mut rig.db(), &login).await.unwrap();
    assert!(matches!(recorded, Recorded::Granted(_)), "{recorded:?}");
}

const PEOPLE: i64 = 100;
const EVENTS: i64 = 80;

/// The same pseudo-random numbers each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What happens to a person: moments around their login, and what Kakao tells at each.
fn story(dice: &mut Dice, login: i64) -> Vec<(i64, String, Option<String>)> {
    let mut kinds = vec![
        format!("{OAUTH}/user-linked"),
        format!("{OAUTH}/token-revoked"),
        format!("{OAUTH}/user-scope-withdraw"),
        format!("{RISC}/identifier-changed"),
        format!("{RISC}/credential-compromise"),
        format!("{RISC}/account-disabled"),
        "https://example.com/unknown".to_owned(),
    ];
    // Some are unlinked, some not; some only before their login, some by several events.
    if dice.roll(2) == 0 {
        kinds.push(USER_UNLINKED.to_owned());
    }
    let all_before = dice.roll(4) == 0;
    (0..EVENTS)
        .map(|i| {
            let kind = kinds[dice.roll(kinds.len())].clone();
            let at = if all_before { login - 1 - i } else { login - EVENTS / 2 + i };
            (at, kind, (dice.roll(2) == 0).then(|| format!("REASON_{i}")))
        })
        .collect()
}

async fn state(rig: &Rig, kakao_id: i64) -> String {
    const SQL: &str = "
        SELECT unlinked_at::text || ' ' || coalesce(unlink_reason, '') AS link, disabled_at::text AS disabled,
               kakao_refresh_token IS NOT NULL AS token, nickname, email, email_verified, phone_number, age_range,
               deleted_at IS NOT NULL AS deleted,
               (SELECT count(*) FROM grants g WHERE g.user_id = u.id AND g.ended_at IS NULL) AS grants,
               (SELECT count(*) FROM browser_sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL) AS sessions
        FROM users u WHERE kakao_id = $1";
    let kakao_auth::store::Pool::Postgres(pool, _) = &rig.pool else { panic!("this test is for Postgres") };
    let row = sqlx::query(SQL).bind(kakao_id).fetch_one(pool).await.unwrap();
    let text = |name: &str| row.try_get::<Option<String>, _>(name).unwrap();
    let flag = |name: &str| row.try_get::<bool, _>(name).unwrap();
    format!(
        "{:?}",
        (
            text("link"),
            text("disabled"),
            flag("token"),
            text("nickname"),
            text("email").map(|email| email.split_once('@').map(|(_, host)| host.to_owned())),
            flag("email_verified"),
            (text("phone_number"), text("age_range")),
            flag("deleted"),
            row.try_get::<i64, _>("grants").unwrap(),
            row.try_get::<i64, _>("sessions").unwrap(),
        )
    )
}

async fn post_all(rig: &Rig, client: &Client, tokens: Vec<String>) {
    let posts = tokens.into_iter().enumerate().map(|(i, token)| {
        let request = client.post(rig.url(i, "/kakao/webhooks/account-status")).body(token);
        async move { request.send().await.unwrap().status() }
    });
    let statuses: Vec<StatusCode> = stream::iter(posts).buffer_unordered(16).collect().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::ACCEPTED));
}

#[tokio::test]
async fn ten_thousand_in_random_order_with_duplicates_end_as_they_do_in_order() {
    // Nobody at Kakao is asked: these people are not there.
    let settings = vec![("KAKAO__ADMIN_KEY", String::new())];
    let rig = Rig::with(Setup { instances: 2, settings, ..Setup::default() }).await;
    // It lets go of a connection before the service does.
    let client = Client::builder().timeout(Duration::from_secs(20)).pool_idle_timeout(Duration::from_secs(1));
    let client = client.build().unwrap();
    let now = rig.clock.now();
    rig.clock.advance(Duration::from_hours(1));
    let (mut in_order, mut shuffled) = (Vec::new(), Vec::new());
    let mut dice = Dice(20_261_123);
    for person in 0..PEOPLE {
        put_user(&rig, 1_000 + person, now).await;
        put_user(&rig, 2_000 + person, now).await;
        for (n, (at, kind, reason)) in story(&mut dice, now.secs()).into_iter().enumerate() {
            let event = |user| Event {
                at: Some(at),
                reason: reason.clone(),
                jti: Some(format!("{user}-{n}")),
                ..Event::new(user, &kind)
            };
            in_order.push((at, rig.kakao.sign_event(&event(1_000 + person))));
            shuffled.push(rig.kakao.sign_event(&event(2_000 + person)));
        }
    }
    in_order.sort_by_key(|(at, _)| *at);
    // A quarter of them twice: 10,000 posts.
    let twice: Vec<String> =
        (0..shuffled.len() / 4).map(|_| shuffled[dice.roll(shuffled.len())].clone()).collect();
    shuffled.extend(twice);
    assert_eq!(shuffled.len(), 10_000);
    for i in (1..shuffled.len()).rev() {
        shuffled.swap(i, dice.roll(i + 1));
    }
    for (_, token) in in_order {
        post_all(&rig, &client, vec![token]).await;
    }
    rig.process_events().await;
    post_all(&rig, &client, shuffled).await;
    rig.process_events().await;
    let mut states = std::collections::BTreeSet::new();
    for person in 0..PEOPLE {
        let (ordered, random) = (state(&rig, 1_000 + person).await, state(&rig, 2_000 + person).await);
        assert_eq!(ordered, random, "person {person}");
        states.insert(ordered);
    }
    assert!(states.len() > 10, "the stories differ: {states:?}");
    assert_eq!(
        rig.count("SELECT count(*) FROM outbox WHERE queue = 'kakao_event'").await,
        2 * PEOPLE * EVENTS,
        "each id once"
    );
}
