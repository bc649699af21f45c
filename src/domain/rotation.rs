//! When signing keys are made, begin to sign, stop, and go: the plan alone, from the keys and the time.
//!
//! For each algorithm: *next* (published, not signing) → *current* → *previous* (verifying until the last token it signed
//! has expired) → *archived* (its public half alone, for `id_token_hint`, while a login can live whose ID token it signed) →
//! gone. A key signs only after it was published for longer than backend services may keep the JWKS, and is published
//! for longer than its tokens live, so that a backend service that caches the JWKS for its full `max-age` meets no unknown key.

use std::time::Duration;

use super::{SigningAlg, Timestamp};

/// What replicas need to see a change, and clocks may be apart.
pub(crate) const MARGIN: Duration = Duration::from_mins(1);

/// How much longer than needed hints are kept, so that the key that signs is written once a day and not at each look.
const HINT_MARGIN: Duration = Duration::from_hours(24);

/// A key, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub alg: SigningAlg,
    /// When it first stood in the JWKS.
    pub(crate) published_at: Timestamp,
    /// When it began to sign.
    pub(crate) activated_at: Option<Timestamp>,
    /// When another key took its place.
    pub(crate) superseded_at: Option<Timestamp>,
    /// Until when it is published, once superseded.
    pub(crate) expires_at: Option<Timestamp>,
    /// Until when a login can live whose ID token it signed: so long the token is understood as a hint. None before it signs,
    /// and after it was retired in haste.
    pub(crate) hints_until: Option<Timestamp>,
    /// Whether its private half is still stored.
    pub(crate) has_private: bool,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Published, not signing.
    Next,
    /// Signs new tokens.
    Current,
    /// Verifying only.
    Previous,
    /// Its last token has expired. It is no longer published, but an ID token that it signed still identifies a login.
    Archived,
    /// No login lives whose ID token it signed, or it was retired in haste.
    Gone,
}

impl KeyState {
    /// Its stage at a moment.
    pub fn stage(&self, now: Timestamp) -> Stage {
        match (self.activated_at, self.superseded_at, self.expires_at) {
            (_, _, Some(end)) if end <= now => match self.hints_until {
                Some(until) if until > now => Stage::Archived,
                _ => Stage::Gone,
            },
            (_, Some(_), _) => Stage::Previous,
            (Some(_), None, _) => Stage::Current,
            (None, None, _) => Stage::Next,
        }
    }
}

/// What the settings say.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    /// Algorithms to have keys of.
    pub algorithms: Vec<SigningAlg>,
    /// How long a key signs.
    pub(crate) rotate_every: Duration,
    /// How long backend services may keep the JWKS.
    pub(crate) jwks_max_age: Duration,
    /// The longest life of a token.
    pub longest_token: Duration,
    /// The longest life of a login: of a browser session, or of a grant.
    pub longest_login: Duration,
}

impl KeyPolicy {
    /// How long a key is published before it signs.
    pub(crate) fn published_first(&self) -> Duration {
        self.jwks_max_age + MARGIN
    }

    /// How long a superseded key stays published.
    pub(crate) fn verifies_on(&self) -> Duration {
        self.longest_token + MARGIN
    }

    /// Until when hints are kept that are signed now.
    pub(crate) fn hints_until(&self, now: Timestamp) -> Timestamp {
        now + self.longest_login + HINT_MARGIN
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no key at all: one that signs at once, for nobody has a JWKS yet.
    MakeCurrent(SigningAlg),
    /// Publish the key that will sign next.
    MakeNext(SigningAlg),
    /// The next key signs; the current one, if there is one, verifies on.
    Activate {
        /// Begins to sign.
        next: String,
        /// The key that signed until now verifies only.
        current: Option<String>,
    },
    /// The algorithm is not wanted any more: it verifies on.
    Supersede(String),
    /// ID tokens that this key signs are understood as hints until then, at least.
    KeepHints {
        /// The key that signs.
        kid: String,
        /// Until when.
        until: Timestamp,
    },
    /// Its last token has expired: the private half goes.
    Archive(String),
    /// Nobody can hold a token of it that means anything.
    Remove(String),
}

/// What is to be done now. Applied, it leaves nothing to do until time passes.
pub(crate) fn plan(keys: &[KeyState], policy: &KeyPolicy, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    for alg in SigningAlg::ALL {
        let at = |stage| keys.iter().find(move |key| key.alg == alg && key.stage(now) == stage);
        let wanted = policy.algorithms.contains(&alg);
        let mut signs = at(Stage::Current).filter(|_| wanted);
        match (at(Stage::Current), at(Stage::Next)) {
            (None, None) if wanted => steps.extend([Step::MakeCurrent(alg), Step::MakeNext(alg)]),
            // The current one was retired in haste.
            (None, Some(next)) if wanted => {
                signs = Some(next);
                steps.extend([Step::Activate { next: next.kid.clone(), current: None }, Step::MakeNext(alg)]);
            }
            (Some(_), None) if wanted => steps.push(Step::MakeNext(alg)),
            (Some(current), Some(next)) if wanted => {
                let signed_for = current.activated_at.map_or(Duration::ZERO, |since| now.since(since));
                if signed_for >= policy.rotate_every && is_known(next, policy, now) {
                    signs = Some(next);
                    let (next, current) = (next.kid.clone(), Some(current.kid.clone()));
                    steps.extend([Step::Activate { next, current }, Step::MakeNext(alg)]);
                }
            }
            (current, next) if !wanted => {
                steps.extend(current.map(|key| Step::Supersede(key.kid.clone())));
                steps.extend(next.map(|key| Step::Remove(key.kid.clone())));
            }
            _ => {}
        }
        steps.extend(signs.and_then(|key| keep_hints(key, keys, policy, now)));
    }
    for key in keys {
        match key.stage(now) {
            Stage::Archived if key.has_private => steps.push(Step::Archive(key.kid.clone())),
            Stage::Gone => steps.push(Step::Remove(key.kid.clone())),
            _ => {}
        }
    }
    steps
}

/// A refresh signs ID tokens for logins that began under another key or under longer life times: the key that signs is kept for
/// hints as long as any before it.
fn keep_hints(signs: &KeyState, keys: &[KeyState], policy: &KeyPolicy, now: Timestamp) -> Option<Step> {
    let of_others = keys.iter().filter_map(|key| key.hints_until).max();
    let needed = of_others.map_or(now + policy.longest_login, |until| until.max(now + policy.longest_login));
    (signs.hints_until.is_none_or(|until| until < needed))
        .then(|| Step::KeepHints { kid: signs.kid.clone(), until: needed.max(policy.hints_until(now)) })
}

/// Whether every cached JWKS holds this key by now.
pub(crate) fn is_known(next: &KeyState, policy: &KeyPolicy, now: Timestamp) -> bool {
    now.since(next.published_at) >= policy.published_first()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn policy() -> KeyPolicy {
        KeyPolicy {
            algorithms: vec![SigningAlg::Es256, SigningAlg::Rs256],
            rotate_every: 24 * HOUR,
            jwks_max_age: Duration::from_mins(5),
            longest_token: Duration::from_mins(10),
            longest_login: 100 * HOUR,
        }
    }

    /// Does to a list what the store does to its table.
    fn apply(keys: &mut Vec<KeyState>, steps: &[Step], policy: &KeyPolicy, now: Timestamp, made: &mut u32) {
        let mut new_key = |alg, activated_at: Option<Timestamp>| {
            *made += 1;
            KeyState {
                kid: format!("key-{made}"),
                alg,
                published_at: now,
                activated_at,
                superseded_at: None,
                expires_at: None,
                hints_until: activated_at.map(|_| policy.hints_until(now)),
                has_private: true,
            }
        };
        for step in steps {
            match step {
                Step::MakeCurrent(alg) => keys.push(new_key(*alg, Some(now))),
                Step::MakeNext(alg) => keys.push(new_key(*alg, None)),
                Step::Activate { next, current } => {
                    for key in keys.iter_mut() {
                        if Some(&key.kid) == current.as_ref() {
                            key.superseded_at = Some(now);
                            key.expires_at = Some(now + policy.verifies_on());
                        } else if key.kid == *next {
                            key.activated_at = Some(now);
                        }
                    }
                }
                Step::Supersede(kid) => {
                    for key in keys.iter_mut().filter(|key| key.kid == *kid) {
                        key.superseded_at = Some(now);
                        key.expires_at = Some(now + policy.verifies_on());
                    }
                }
                Step::KeepHints { kid, until } => {
                    keys.iter_mut()
                        .filter(|key| key.kid == *kid)
                        .for_each(|key| key.hints_until = Some(*until));
                }
                Step::Archive(kid) => {
                    keys.iter_mut().filter(|key| key.kid == *kid).for_each(|key| key.has_private = false);
                }
                Step::Remove(kid) => keys.retain(|key| key.kid != *kid),
            }
        }
    }

    /// A small generator of numbers: the histories below are the same on every machine.
    struct Lcg(u64);

    impl Lcg {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    /// Whatever the pauses between two looks: a verifier that keeps a JWKS for its full `max-age` finds the key of every
    /// token that has not expired, and there is never more than one key that signs.
    #[test]
    fn in_any_history_every_live_token_verifies_with_any_fresh_jwks() {
        for seed in 0..200 {
            let (policy, mut random) = (policy(), Lcg(seed));
            let (mut keys, mut made) = (Vec::new(), 0);
            let mut now = Timestamp::from_micros(1_800_000_000_000_000);
            // What was published and what signed, over the last hour.
            let mut history: Vec<(Timestamp, Vec<String>, Vec<String>)> = Vec::new();
            for _ in 0..300 {
                let steps = plan(&keys, &policy, now);
                apply(&mut keys, &steps, &policy, now, &mut made);
                assert_eq!(plan(&keys, &policy, now), [], "a plan that was applied leaves nothing to do");
                let signing: Vec<String> = keys
                    .iter()
                    .filter(|key| key.stage(now) == Stage::Current)
                    .map(|key| key.kid.clone())
                    .collect();
                assert_eq!(signing.len(), policy.algorithms.len());
                let archived = |key: &&KeyState| key.stage(now) == Stage::Archived;
                assert!(keys.iter().filter(archived).all(|key| !key.has_private));
                let published: Vec<String> =
                    keys.iter().filter(|key| !archived(key)).map(|key| key.kid.clone()).collect();
                history.push((now, published, signing));
                history.retain(|(at, ..)| now.since(*at) <= HOUR);
                let began = history[0].0;
                for (fetched, published, _) in &history {
                    for (signed, _, signing) in &history {
                        let cached = now.since(*fetched) <= policy.jwks_max_age;
                        let lives = now.since(*signed) <= policy.longest_token;
                        // The very first keys sign at once: nobody has a JWKS without them.
                        if cached && lives && *fetched > began {
                            assert!(signing.iter().all(|kid| published.contains(kid)), "seed {seed}");
                        }
                    }
                }
                let longest = if random.below(4) == 0 { 40_000 } else { 200 };
                now = now + Duration::from_secs(1 + random.below(longest));
            }
            assert!(made > 6, "keys were rotated");
        }
    }

    #[test]
    fn a_key_signs_only_after_it_was_published_long_enough() {
        let policy = policy();
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let (mut keys, mut made) = (Vec::new(), 0);
        apply(&mut keys, &plan(&[], &policy, start), &policy, start, &mut made);
        let just = start + policy.rotate_every;
        assert_eq!(
            plan(&keys, &policy, just).len(),
            6,
            "two activations, two new ones, and the hints of two"
        );
        for key in keys.iter_mut().filter(|key| key.activated_at.is_none()) {
            key.published_at = just - policy.jwks_max_age;
        }
        assert_eq!(plan(&keys, &policy, just), [], "published for the max-age alone is not enough");
    }

    #[test]
    fn an_algorithm_that_is_not_wanted_any_more_verifies_on_and_goes() {
        let mut policy = policy();
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let (mut keys, mut made) = (Vec::new(), 0);
        apply(&mut keys, &plan(&[], &policy, start), &policy, start, &mut made);
        policy.algorithms = vec![SigningAlg::Es256];
        let steps = plan(&keys, &policy, start);
        apply(&mut keys, &steps, &policy, start, &mut made);
        let stages: Vec<Stage> =
            keys.iter().filter(|key| key.alg == SigningAlg::Rs256).map(|key| key.stage(start)).collect();
        assert_eq!(stages, [Stage::Previous]);
        for (later, expected) in [
            (start + policy.verifies_on(), vec![Stage::Archived]),
            (start + policy.longest_login, vec![Stage::Archived]),
            (policy.hints_until(start), vec![]),
        ] {
            let steps = plan(&keys, &policy, later);
            apply(&mut keys, &steps, &policy, later, &mut made);
            let stages: Vec<Stage> =
                keys.iter().filter(|key| key.alg == SigningAlg::Rs256).map(|key| key.stage(later)).collect();
            assert_eq!(stages, expected);
        }
    }

    /// Whatever the settings were when a login began: a key that may have signed an ID token of it is there while it lives,
    /// and not for ever.
    #[test]
    fn in_any_history_the_keys_of_every_login_s_id_tokens_are_kept_while_it_lives() {
        for seed in 0..100 {
            let (mut policy, mut random) = (policy(), Lcg(seed));
            let (mut keys, mut made) = (Vec::new(), 0);
            let mut now = Timestamp::from_micros(1_800_000_000_000_000);
            // Until when each login lives, and the keys that signed for it.
            let mut logins: Vec<(Timestamp, Vec<String>)> = Vec::new();
            for _ in 0..300 {
                let steps = plan(&keys, &policy, now);
                apply(&mut keys, &steps, &policy, now, &mut made);
                assert_eq!(plan(&keys, &policy, now), [], "a plan that was applied leaves nothing to do");
                logins.retain(|(until, _)| *until > now);
                logins.push((now + policy.longest_login, Vec::new()));
                for key in keys.iter().filter(|key| key.stage(now) == Stage::Current) {
                    for (_, signed) in &mut logins {
                        signed.push(key.kid.clone());
                    }
                }
                let kept = |kid: &String| keys.iter().any(|key| key.kid == *kid);
                assert!(logins.iter().flat_map(|(_, signed)| signed).all(kept), "seed {seed}");
                if random.below(20) == 0 {
                    policy.longest_login = Duration::from_secs(60 + random.below(1_000_000));
                }
                now = now + Duration::from_secs(1 + random.below(40_000));
            }
            assert!(keys.len() < 80, "{} keys were kept of {made}", keys.len());
        }
    }

    #[test]
    fn a_key_retired_in_haste_is_replaced_at_once_by_the_published_one() {
        let policy = policy();
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let (mut keys, mut made) = (Vec::new(), 0);
        apply(&mut keys, &plan(&[], &policy, start), &policy, start, &mut made);
        for key in keys.iter_mut().filter(|key| key.kid == "key-1") {
            key.superseded_at = Some(start);
            key.expires_at = Some(start);
            key.hints_until = None;
        }
        let steps = plan(&keys, &policy, start);
        assert!(steps.contains(&Step::Activate { next: "key-2".into(), current: None }), "{steps:?}");
        assert!(steps.contains(&Step::Remove("key-1".into())), "{steps:?}");
    }
}
