//! `[tokens]`, `[refresh]`, `[keys]`: how long what we issue stays good, and what signs it. The ranges of life times are
//! those of a client's own too.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::Reader;
use super::value::seconds;
use crate::domain::rotation::KeyPolicy;
use crate::domain::{Lifetimes, SigningAlg};

type Range = RangeInclusive<Duration>;

pub(super) const ACCESS: Range = seconds(30)..=seconds(3_600);
pub(super) const ID: Range = seconds(30)..=seconds(86_400);
pub(super) const CODE: Range = seconds(5)..=seconds(600);
pub(super) const REFRESH_IDLE: Range = seconds(60)..=seconds(400 * 86_400);
pub(super) const REFRESH_ABSOLUTE: Range = seconds(60)..=seconds(3_650 * 86_400);

/// Those of a client that has none of its own.
pub(super) fn lifetimes(r: &mut Reader) -> Lifetimes {
    Lifetimes {
        access: r.duration("tokens.access_ttl", &ACCESS),
        id: r.duration("tokens.id_ttl", &ID),
        code: r.duration("tokens.code_ttl", &CODE),
        refresh_idle: r.duration("refresh.idle_ttl", &REFRESH_IDLE),
        refresh_absolute: r.duration("refresh.absolute_ttl", &REFRESH_ABSOLUTE),
    }
}

pub(super) fn algorithms(r: &mut Reader) -> Vec<SigningAlg> {
    let algorithms = r.list("keys.algorithms", |text| {
        SigningAlg::from_name(text)
            .ok_or_else(|| format!("{text:?} is unknown; known are ES256, RS256 and EdDSA"))
    });
    if algorithms.is_empty() && !r.has_problem("keys.algorithms") {
        r.problem("keys.algorithms", "name at least one of ES256, RS256 and EdDSA");
    }
    algorithms
}

pub(super) fn keys(
    r: &mut Reader,
    algorithms: Vec<SigningAlg>,
    longest_token: Duration,
    longest_login: Duration,
) -> KeyPolicy {
    KeyPolicy {
        algorithms,
        rotate_every: r.duration("keys.rotate_every", &(seconds(600)..=seconds(400 * 86_400))),
        jwks_max_age: r.duration("keys.jwks_max_age", &(seconds(10)..=seconds(3_600))),
        longest_token,
        longest_login,
    }
}
