//! The revocation feed: what was ended within the longest life of an access token, signed, so that resource servers that verify
//! offline learn of it within seconds (`docs/revocation-feed.md`).
//!
//! Each replica keeps its own copy in memory and reads from the database what is new. What is listed is a pure function of
//! the database (`domain::revocation`), so any replica can answer any reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::signals::feed::{Feed, Known, OVERLAP, Read};
use super::{Deps, Error, Refusal};
use crate::domain::revocation::{EndedGrant, EntryHash, MOST_ENTRIES};
use crate::domain::{Issuer, SigningAlg, Timestamp};
use crate::keys;
use crate::keys::signer::TokenType;
use crate::store::revocations::{self, Since};
use crate::store::{self, Db};

/// What is committed soon after it ended is read at once: of so long before the last look.
const RECENT: Duration = Duration::from_secs(3);

/// The longest that a reader waits at a process that is about to end: it is to go to another one soon, and not to ask
/// this one again and again.
const WAIT_WHILE_DRAINING: Duration = Duration::from_secs(1);

/// How often the rest is read: what was committed late, and users whom Kakao unlinked long before it said so.
const WHOLE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
    /// Seconds that an entry is listed.
    window: u64,
    /// For the next `after`.
    cursor: String,
    /// Whether `sids` has all, not only what may be new since `after`.
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Ended grants, sorted.
    sids: Vec<EntryHash>,
    /// Users, all of them, and the time (seconds since the epoch) before which their tokens are refused.
    subs: &'a BTreeMap<EntryHash, i64>,
    /// There are more entries than are listed: tokens from before are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refuse_before: Option<i64>,
}

/// What a reader asks.
pub(crate) struct Asked<'a> {
    /// The cursor of the answer before.
    pub(crate) after: Option<&'a str>,
    /// How long to wait for something new.
    pub(crate) wait: Duration,
    /// The entity tags of what the reader has.
    pub(crate) known: &'a [&'a str],
}

/// What it is told.
pub(crate) struct Answer {
    /// The entity tag, quoted.
    pub(crate) etag: String,
    /// The signed JWT; `None` if the reader has it.
    pub(crate) body: Option<Arc<[u8]>>,
}

/// The feed. A reader who has its entries already waits for the next.
///
/// # Errors
/// When it was not read for the first time yet, or cannot be signed.
pub(crate) async fn current(deps: &Deps, asked: Asked<'_>) -> Result<Answer, Error> {
    let revocations = &deps.signals.revocations;
    let mut changes = revocations.changes();
    changes.mark_unchanged();
    let feed = || -> Result<Arc<Feed>, Error> {
        revocations.current().ok_or_else(|| Error::unavailable("the revocation feed was not read yet"))
    };
    let known = |feed: &Feed, what: &[Known]| asked.known.iter().any(|tag| what.contains(&feed.known(tag)));
    let mut now = feed()?;
    if !asked.wait.is_zero() && known(&now, &[Known::All, Known::Entries]) {
        wait(deps, asked.wait, changes.changed()).await;
        now = feed()?;
    }
    let etag = now.etag();
    if known(&now, &[Known::All]) {
        return Ok(Answer { etag, body: None });
    }
    let after = asked.after.and_then(|cursor| now.past(cursor));
    let body = now.signed(after, || sign(deps, &now, after))?;
    Ok(Answer { etag, body: Some(body) })
}

/// Waits for a change, for so long at most. Whether it changed, the time is over or the process drains: the answer tells.
async fn wait<T>(deps: &Deps, longest: Duration, change: impl Future<Output = T>) {
    let draining = &deps.signals.draining;
    if draining.has_begun() {
        drop(tokio::time::timeout(longest.min(WAIT_WHILE_DRAINING), change).await);
        return;
    }
    let waited = async {
        tokio::select! { _ = change => {}, () = draining.begins() => {} }
    };
    drop(tokio::time::timeout(longest, waited).await);
}

fn claims<'a>(issuer: &'a Issuer, feed: &'a Feed, after: Option<i64>) -> Claims<'a> {
    let from = after.map(Feed::overlap);
    let sids = feed.list.sids.iter().filter(|(_, ended_at)| from.is_none_or(|from| **ended_at >= from));
    Claims {
        iss: issuer.as_str(),
        iat: feed.at.secs(),
        window: feed.window.as_secs(),
        cursor: feed.cursor().to_string(),
        complete: after.is_none(),
        after: after.map(|cursor| cursor.to_string()),
        sids: sids.map(|(hash, _)| *hash).collect(),
        subs: &feed.list.subs,
        refuse_before: feed.list.refuse_before,
    }
}

fn sign(deps: &Deps, feed: &Feed, after: Option<i64>) -> Result<String, keys::Error> {
    let algorithms = &deps.keys.policy.algorithms;
    let first = algorithms.first().copied().unwrap_or(SigningAlg::Es256);
    let alg = if algorithms.contains(&SigningAlg::Es256) { SigningAlg::Es256 } else { first };
    deps.keys.ring().sign(alg, TokenType::Revocations, &claims(&deps.policy.issuer, feed, after))
}

/// Reads what is new; whether the list changed. A store that does not answer leaves the feed as it is.
pub async fn refresh(deps: &Deps, db: &mut Db) -> Result<bool, Error> {
    let feed = &deps.signals.revocations;
    let now = deps.clock.now();
    let mut read = feed.read().await;
    let before = now - feed.window();
    let taken = take(deps, db, &mut read, now).await?;
    let forgot = read.ended.forget(before);
    let current = feed.current();
    if let Some(current) = &current
        && !taken
        && !forgot
        && !current.is_stale(now)
    {
        return Ok(false);
    }
    let list = read.ended.list(MOST_ENTRIES);
    let next = Feed::new(list, now, feed.window()).map_err(Error::<Refusal>::broken)?;
    let changed = current.as_ref().is_none_or(|current| !current.same_entries(&next));
    if changed || current.is_none_or(|current| current.is_stale(now)) {
        feed.publish(next, changed);
    }
    Ok(changed)
}

/// Takes over what ended since the last look; whether any of it may be new.
async fn take(deps: &Deps, db: &mut Db, read: &mut Read, now: Timestamp) -> store::Result<bool> {
    let issuer = &deps.policy.issuer;
    let all = now - deps.signals.revocations.window();
    let whole = read.whole_at.is_none_or(|at| now.since(at) >= WHOLE);
    let from = if whole { read.whole_at.map(|at| at - OVERLAP) } else { read.at.map(|at| at - RECENT) };
    let from = from.map_or(all, |from| from.max(all));
    let users = revocations::users(db, if whole { all } else { from }).await?;
    let since = Since { ended: from, refreshed: all, reissue: read.ended.reissue() };
    let grants = revocations::grants(db, since).await?;
    let mut new = false;
    // What was left out ended at the time of the last that was read, or before.
    if let Some((_, last)) = users.rows.last().filter(|_| users.more) {
        new |= read.ended.take_rest(*last);
    }
    if let Some(last) = grants.rows.last().filter(|_| grants.more) {
        new |= read.ended.take_rest(last.ended_at);
    }
    for (user, valid_from) in users.rows {
        new |= read.ended.take_user(user, EntryHash::of_user(issuer, user), valid_from);
    }
    for row in grants.rows {
        let hash = EntryHash::of_grant(issuer, row.id);
        let grant = EndedGrant { hash, ended_at: row.ended_at, refreshed_at: row.refreshed_at };
        new |= read.ended.take_grant(row.user, EntryHash::of_user(issuer, row.user), grant);
    }
    read.at = Some(now);
    if whole {
        read.whole_at = Some(now);
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::revocation::Ended;
    use crate::domain::{GrantId, UserId};

    fn at(value: &Value) -> Timestamp {
        Timestamp::from_secs(value.as_i64().unwrap())
    }

    /// What other verifiers are tested with is what this service says.
    #[test]
    fn the_vectors_of_the_feed_are_what_the_service_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/verifiers/vectors/revocation-feed.json");
        let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let issuer = Issuer::parse(vectors["issuer"].as_str().unwrap()).unwrap();
        let (user, grant) = (
            |id: &Value| id.as_str().unwrap().parse().map(UserId).unwrap(),
            |id: &Value| id.as_str().unwrap().parse().map(GrantId).unwrap(),
        );
        for entry in vectors["entries"].as_array().unwrap() {
            let hash = match entry["claim"].as_str().unwrap() {
                "sid" => EntryHash::of_grant(&issuer, grant(&entry["value"])),
                _ => EntryHash::of_user(&issuer, user(&entry["value"])),
            };
            assert_eq!(serde_json::to_value(hash).unwrap(), entry["entry"]);
        }
        let given = &vectors["service"];
        let mut ended = Ended::new(Duration::from_secs(10));
        for one in given["ended_users"].as_array().unwrap() {
            let user = user(&one["sub"]);
            ended.take_user(user, EntryHash::of_user(&issuer, user), at(&one["tokens_valid_from"]));
        }
        for one in given["ended_grants"].as_array().unwrap() {
            let (user, hash) = (user(&one["sub"]), EntryHash::of_grant(&issuer, grant(&one["sid"])));
            let grant =
                EndedGrant { hash, ended_at: at(&one["ended_at"]), refreshed_at: at(&one["refreshed_at"]) };
            ended.take_grant(user, EntryHash::of_user(&issuer, user), grant);
        }
        let window = Duration::from_secs(given["window"].as_u64().unwrap());
        let feed = Feed::new(ended.list(MOST_ENTRIES), at(&given["now"]), window).unwrap();
        assert_eq!(serde_json::to_value(claims(&issuer, &feed, None)).unwrap(), given["payload"]);
        assert!(
            vectors["cases"]
                .as_array()
                .unwrap()
                .iter()
                .any(|case| case["answers"][0]["payload"] == given["payload"]),
            "a case of the verifiers is about it"
        );
        let (whole, past) = (feed.cursor().to_string(), Some(feed.cursor()));
        assert_eq!((feed.past(&whole), feed.past("120000000"), feed.past("119999900")), (past, None, None));
    }
}
