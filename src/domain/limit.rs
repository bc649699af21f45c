//! What is limited: one row for each limit, whom it counts, and the decision whether one more is allowed.
//!
//! Counted is only what failed or proves nothing. Whatever shows a valid code, refresh token, browser session or client secret
//! passes, however many failures came from the same address.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Timestamp;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    /// Wrong client secrets and assertions.
    ClientAuthentication,
    /// Logins begun without a browser session, and refused ones.
    Authorize,
    /// Codes that Kakao did not know at the callback. Each is a call to Kakao and a row.
    CallbackCode,
    /// Callbacks that tell of an error at Kakao. Each is a row.
    CallbackError,
    /// Authorization codes that cannot be exchanged.
    AuthorizationCode,
    /// Refresh tokens that are not good.
    RefreshToken,
    /// Kakao ID tokens that log nobody in.
    KakaoIdToken,
    /// Kakao access tokens that log nobody in. Each is a call to Kakao.
    KakaoAccessToken,
    /// Nonces asked for.
    Nonce,
    /// Webhook calls that are not proven to be Kakao's.
    Webhook,
}

impl Limit {
    /// The table: its name in logs, metrics and the `RateLimit` fields, and how many are allowed to one address (or to one
    /// client at one address, for `client_authentication`; or to one confidential client, for `kakao_access_token`).
    pub(crate) const fn row(self, limits: &Limits) -> (&'static str, Quota) {
        match self {
            Self::ClientAuthentication => ("client_authentication", limits.client_auth_failures),
            Self::Authorize => ("authorize", limits.anonymous),
            Self::CallbackCode => ("callback_code", limits.callback_failures),
            Self::CallbackError => ("callback_error", limits.anonymous),
            Self::AuthorizationCode => ("authorization_code", limits.failures),
            Self::RefreshToken => ("refresh_token", limits.failures),
            Self::KakaoIdToken => ("kakao_id_token", limits.failures),
            Self::KakaoAccessToken => ("kakao_access_token", limits.kakao_token_failures),
            Self::Nonce => ("nonce", limits.anonymous),
            Self::Webhook => ("webhook", limits.failures),
        }
    }
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failed client authentications, by client and address.
    pub(crate) client_auth_failures: Quota,
    /// Requests that prove nothing, by address.
    pub(crate) anonymous: Quota,
    /// Requests that failed, by address.
    pub(crate) failures: Quota,
    /// Failed calls to Kakao with the code of a callback, by address.
    pub(crate) callback_failures: Quota,
    /// Failed calls to Kakao with an access token that an app handed in, by address.
    pub(crate) kakao_token_failures: Quota,
    /// Living grants of one user at one client: beyond these the oldest ends.
    pub(crate) live_grants: u32,
}

/// So many at once, refilled evenly over a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many at once.
    pub burst: u32,
    /// In how long they are all refilled.
    pub per: Duration,
}

impl Quota {
    /// In how long one is refilled.
    pub(crate) fn step(self) -> Duration {
        self.per / self.burst.max(1)
    }

    /// How much of it is used, of what is refilled at that moment.
    pub(crate) fn used(self, refilled_at: Timestamp, now: Timestamp) -> u32 {
        let used = refilled_at.since(now).as_micros().div_ceil(self.step().as_micros().max(1));
        u32::try_from(used).unwrap_or(u32::MAX)
    }
}

/// Whether one more is allowed (GCRA): when the quota is refilled with it counted, or how long to wait. What is not allowed is
/// not counted, so asking again does not prolong the wait.
pub(crate) fn judge(
    refilled_at: Option<Timestamp>,
    quota: Quota,
    now: Timestamp,
) -> Result<Timestamp, Duration> {
    let refilled_at = refilled_at.unwrap_or(now).max(now) + quota.step();
    let excess = refilled_at.since(now + quota.per);
    if excess.is_zero() { Ok(refilled_at) } else { Err(excess) }
}

/// One caller, as far as addresses tell: an IPv4 address, or an IPv6 network of 64 bits, which has as many addresses as it
/// likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressPrefix(IpAddr);

impl AddressPrefix {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { burst: 4, per: Duration::from_mins(1) };
    const STEP: Duration = Duration::from_secs(15);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_a_step() {
        let mut refilled_at = None;
        for n in 1..=4_i64 {
            refilled_at = Some(judge(refilled_at, QUOTA, at(0)).unwrap());
            assert_eq!(refilled_at, Some(at(15 * n)));
        }
        for _ in 0..3 {
            assert_eq!(judge(refilled_at, QUOTA, at(0)), Err(STEP), "what is refused is not counted");
        }
        assert_eq!(judge(refilled_at, QUOTA, at(14)), Err(Duration::from_secs(1)));
        assert_eq!(judge(refilled_at, QUOTA, at(15)), Ok(at(75)));
        assert_eq!(judge(refilled_at, QUOTA, at(1_000)), Ok(at(1_015)), "all is forgiven");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_the_period() {
        let refilled_at = judge(None, QUOTA, at(1_000)).unwrap();
        let wait = judge(Some(refilled_at), QUOTA, at(990)).err();
        assert_eq!(wait, None);
        assert_eq!(judge(Some(at(60)), QUOTA, at(0)).err(), Some(STEP));
    }

    #[test]
    fn what_is_used_is_counted_in_whole_ones() {
        for (refilled_at, used) in [(-5, 0), (0, 0), (1, 1), (15, 1), (16, 2), (60, 4)] {
            assert_eq!(QUOTA.used(at(refilled_at), at(0)), used, "{refilled_at}");
        }
        assert_eq!(
            Quota { burst: 0, per: Duration::ZERO }.used(at(1), at(0)),
            1_000_000,
            "no division by zero"
        );
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_caller() {
        let prefix = |text: &str| AddressPrefix::of(text.parse().unwrap());
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(prefix(one) == prefix(other), same, "{one} and {other}");
        }
        assert_eq!(prefix("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(prefix("2001:db8:1:2:3::4").to_string(), "2001:db8:1:2::/64");
    }
}
