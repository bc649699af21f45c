//! What flows go by: `[refresh] reuse_window`, `[session]`, `[account]`, `[limits]`, and `[kakao]` beside the app.

use std::time::Duration;

use super::kakao;
use super::reader::Reader;
use super::value::seconds;
use crate::domain::{
    AccountPolicy, Issuer, Limits, OnUnlink, Policy, Quota, RefreshPolicy, Returning, SessionPolicy,
};

pub(super) fn session(r: &mut Reader) -> SessionPolicy {
    SessionPolicy {
        idle: r.duration("session.idle_ttl", &(seconds(60)..=seconds(90 * 86_400))),
        absolute: r.duration("session.absolute_ttl", &(seconds(60)..=seconds(400 * 86_400))),
    }
}

pub(super) fn policy(
    r: &mut Reader,
    issuer: Option<Issuer>,
    session: SessionPolicy,
    longest_access_token: Duration,
) -> Option<Policy> {
    let refresh =
        RefreshPolicy { reuse_window: r.duration("refresh.reuse_window", &(seconds(0)..=seconds(300))) };
    let account = AccountPolicy {
        on_unlink: r.choice(
            "account.on_unlink",
            &[("keep", OnUnlink::Keep), ("disable", OnUnlink::Disable), ("erase", OnUnlink::Erase)],
        ),
        returning: r.choice("account.returning", &[("new", Returning::New), ("old", Returning::Old)]),
        fresh_login: r.duration("account.fresh_login", &(seconds(60)..=seconds(86_400))),
    };
    let kakao = kakao::policy(r);
    let limits = limits(r);
    Some(Policy { issuer: issuer?, refresh, session, account, kakao, limits, longest_access_token })
}

/// What one address, or one client at one address, may do that fails or proves nothing.
fn limits(r: &mut Reader) -> Limits {
    let mut a_minute = |key| Quota { burst: r.number(key, 1..=10_000_000), per: Duration::from_mins(1) };
    let (anonymous, failures) = (a_minute("limits.anonymous"), a_minute("limits.failures"));
    let callback_failures = a_minute("limits.callback_failures");
    let kakao_token_failures = a_minute("limits.kakao_token_failures");
    let client_auth_failures = Quota {
        burst: r.number("limits.client_auth_failures", 1..=10_000),
        per: r.duration("limits.client_auth_window", &(seconds(1)..=seconds(86_400))),
    };
    let live_grants = r.number("limits.live_grants", 1..=10_000);
    Limits { client_auth_failures, anonymous, failures, callback_failures, kakao_token_failures, live_grants }
}
