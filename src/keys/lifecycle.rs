//! The life of signing keys in the store: carries out the plan of [`crate::domain::rotation`], and re-encrypts after the master
//! key was changed.

use std::sync::Arc;

use tracing::{error, info, warn};
use uuid::Uuid;

use super::signer::SigningKey;
use super::{Error, MasterKeys, Purpose};
use crate::domain::rotation::{KeyPolicy, KeyState, Stage, Step, is_known, plan};
use crate::domain::{AuditEvent, KakaoId, KakaoUnlink, SigningAlg, Timestamp, UserId};
use crate::store::outbox::{self, KAKAO_UNLINKS};
use crate::store::signing_keys::{self, StoredKey};
use crate::store::{Conn, Db, Tx, audit, users};

/// What a rotation by command did.
#[derive(Debug, PartialEq, Eq)]
pub enum Rotated {
    /// This key signs now.
    Now(String),
    /// The next key is not known to every backend service before this moment.
    NotBefore(Timestamp),
}

/// Does what is due. Several replicas at once do it once: each change is conditional.
pub(crate) async fn step(
    db: &mut Db,
    master: &Arc<MasterKeys>,
    policy: &KeyPolicy,
    now: Timestamp,
) -> Result<Vec<Step>, Error> {
    let states = states(db).await?;
    let steps = plan(&states, policy, now);
    for step in &steps {
        apply(db, master, policy, step, now).await?;
    }
    Ok(steps)
}

/// All keys, oldest first.
pub async fn states(conn: &mut Conn) -> Result<Vec<KeyState>, Error> {
    Ok(signing_keys::all(conn).await?.iter().map(StoredKey::state).collect())
}

/// Has the next key of an algorithm sign, before its time but not before every backend service knows it.
pub async fn rotate(
    db: &mut Db,
    master: &Arc<MasterKeys>,
    policy: &KeyPolicy,
    alg: SigningAlg,
    now: Timestamp,
) -> Result<Rotated, Error> {
    step(db, master, policy, now).await?;
    let keys = states(db).await?;
    let at = |stage| keys.iter().find(move |key| key.alg == alg && key.stage(now) == stage);
    let (Some(current), Some(next)) = (at(Stage::Current), at(Stage::Next)) else {
        return Err(Error::NoKey(alg.name()));
    };
    if !is_known(next, policy, now) {
        return Ok(Rotated::NotBefore(next.published_at + policy.published_first()));
    }
    let activation = Step::Activate { next: next.kid.clone(), current: Some(current.kid.clone()) };
    apply(db, master, policy, &activation, now).await?;
    step(db, master, policy, now).await?;
    Ok(Rotated::Now(next.kid.clone()))
}

/// Takes a key out at once, as after a leak: its tokens fail here from now on, and mean nothing as hints. False if there is no such key.
pub async fn retire(
    db: &mut Db,
    master: &Arc<MasterKeys>,
    policy: &KeyPolicy,
    kid: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut tx = Tx::begin(db).await?;
    if !signing_keys::retire(&mut tx, kid, now).await? {
        return Ok(false);
    }
    record_retired(tx, kid, now, now).await?;
    warn!(kid, "a signing key was retired at once");
    step(db, master, policy, now).await?;
    Ok(true)
}

async fn apply(
    db: &mut Db,
    master: &Arc<MasterKeys>,
    policy: &KeyPolicy,
    step: &Step,
    now: Timestamp,
) -> Result<(), Error> {
    let until = now + policy.verifies_on();
    let done = match step {
        Step::MakeCurrent(alg) => {
            let hints_until = Some(policy.hints_until(now));
            let key = StoredKey { activated_at: Some(now), hints_until, ..new_key(master, *alg, now).await? };
            let mut tx = Tx::begin(db).await?;
            signing_keys::insert(&mut tx, &key).await? && activated(tx, &key.kid, None, now).await?
        }
        Step::MakeNext(alg) => signing_keys::insert(db, &new_key(master, *alg, now).await?).await?,
        Step::Activate { next, current } => {
            let (current, mut tx) = (current.as_deref(), Tx::begin(db).await?);
            signing_keys::activate(&mut tx, next, current, now, until).await?
                && activated(tx, next, current, now).await?
        }
        Step::Supersede(kid) => supersede(db, kid, now, until).await?,
        Step::KeepHints { kid, until } => {
            signing_keys::keep_hints(db, kid, *until).await?;
            // Once a day, for as long as it signs: nothing to tell.
            return Ok(());
        }
        Step::Archive(kid) => signing_keys::archive(db, kid, now).await?,
        Step::Remove(kid) => signing_keys::remove(db, kid).await?,
    };
    if done {
        info!(?step, "signing keys changed");
    }
    Ok(())
}

/// Records that a key signs from now on, and commits both.
async fn activated(mut tx: Tx<'_>, kid: &str, replaces: Option<&str>, now: Timestamp) -> Result<bool, Error> {
    let event =
        AuditEvent::SigningKeyActivated { kid: kid.to_owned(), replaces: replaces.map(str::to_owned) };
    audit::record(&mut tx, now, &event).await?;
    tx.commit().await?;
    Ok(true)
}

/// Takes a key out of signing, and records that. False if there is no such key, or it was out already.
async fn supersede(db: &mut Db, kid: &str, now: Timestamp, verifies_until: Timestamp) -> Result<bool, Error> {
    let mut tx = Tx::begin(db).await?;
    if !signing_keys::supersede(&mut tx, kid, now, verifies_until).await? {
        return Ok(false);
    }
    record_retired(tx, kid, now, verifies_until).await?;
    Ok(true)
}

async fn record_retired(
    mut tx: Tx<'_>,
    kid: &str,
    now: Timestamp,
    verifies_until: Timestamp,
) -> Result<(), Error> {
    let event = AuditEvent::SigningKeyRetired { kid: kid.to_owned(), verifies_until };
    audit::record(&mut tx, now, &event).await?;
    Ok(tx.commit().await?)
}

async fn new_key(master: &Arc<MasterKeys>, alg: SigningAlg, now: Timestamp) -> Result<StoredKey, Error> {
    // An RSA key takes long enough to hold up other requests of this thread.
    let der = tokio::task::spawn_blocking(move || SigningKey::generate(alg))
        .await
        .map_err(|_| Error::Crypto("making a signing key"))??;
    let public = SigningKey::from_pkcs8(alg, &der)?.public().clone();
    Ok(StoredKey {
        private_key_encrypted: Some(master.encrypt(Purpose::SigningKey, public.kid.as_bytes(), &der)?),
        public_jwk: serde_json::to_string(&public)?,
        kid: public.kid,
        alg,
        created_at: now,
        published_at: now,
        activated_at: None,
        superseded_at: None,
        expires_at: None,
        hints_until: None,
    })
}

/// How many Kakao refresh tokens are read at once, and how often in one step.
const BATCH: i32 = 500;
const BATCHES: usize = 20;

/// What was encrypted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// With the current master key now.
    pub done: u64,
    /// By no master key of the settings: left as they are, and in nobody's way.
    pub unreadable: u64,
}

impl Reencrypted {
    fn count(&mut self, what: &'static str, name: &str, changed: Option<bool>) {
        if let Some(changed) = changed {
            self.done += u64::from(changed);
        } else {
            self.unreadable += 1;
            error!(
                what,
                name, "no master key of the settings decrypts this; secrets.previous_master_keys lacks one"
            );
        }
    }
}

/// Encrypts with the current master key what an older one encrypted. Repeated until nothing is done any more, the older master key
/// is needed for refresh tokens and cookies alone, which die out, and for what is unreadable without it.
pub async fn reencrypt(conn: &mut Conn, master: &MasterKeys) -> Result<Reencrypted, Error> {
    let mut total = Reencrypted::default();
    for key in signing_keys::all(conn).await? {
        let Some(old) = &key.private_key_encrypted else { continue };
        if old.starts_with(master.key_id(Purpose::SigningKey)) {
            continue;
        }
        let changed = match anew(master, Purpose::SigningKey, key.kid.as_bytes(), old)? {
            Some(new) => Some(signing_keys::reencrypt(conn, &key.kid, old, &new).await?),
            None => None,
        };
        total.count("a signing key", &key.kid, changed);
    }
    let mut last = UserId(Uuid::nil());
    for _ in 0..BATCHES {
        let key_id = master.key_id(Purpose::KakaoRefreshToken);
        let tokens = users::encrypted_with_other_keys(conn, key_id, last, BATCH).await?;
        let Some(token) = tokens.last() else { break };
        last = token.user;
        for token in &tokens {
            let changed = match refresh_token_anew(master, token.kakao_id, &token.encrypted)? {
                Some(new) => Some(users::reencrypt(conn, token.user, &token.encrypted, &new).await?),
                None => None,
            };
            total.count("a Kakao refresh token", &token.user.to_string(), changed);
        }
    }
    reencrypt_unlinks(conn, master, &mut total).await?;
    Ok(total)
}

/// The refresh tokens of deleted accounts that Kakao does not know of yet, also of those that wait for the operator.
async fn reencrypt_unlinks(
    conn: &mut Conn,
    master: &MasterKeys,
    total: &mut Reencrypted,
) -> Result<(), Error> {
    let mut last = Uuid::nil();
    for _ in 0..BATCHES {
        let items = outbox::unfinished(conn, &KAKAO_UNLINKS, last, BATCH).await?;
        let Some(item) = items.last() else { break };
        last = item.attempt.key;
        for item in items {
            let unlink = item.payload;
            let Some(old) = &unlink.refresh_token else { continue };
            if old.starts_with(master.key_id(Purpose::KakaoRefreshToken)) {
                continue;
            }
            let changed = match refresh_token_anew(master, unlink.kakao_id, old)? {
                Some(new) => {
                    let unlink = KakaoUnlink { refresh_token: Some(new), ..unlink };
                    Some(outbox::rewrite(conn, &KAKAO_UNLINKS, &item.attempt, &unlink).await?)
                }
                None => None,
            };
            total.count("the refresh token of an unlink", &item.attempt.key.to_string(), changed);
        }
    }
    Ok(())
}

fn refresh_token_anew(master: &MasterKeys, kakao_id: KakaoId, old: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    anew(master, Purpose::KakaoRefreshToken, &kakao_id.0.to_be_bytes(), old)
}

/// The same value, encrypted with the current master key; `None` if none decrypts it.
fn anew(master: &MasterKeys, purpose: Purpose, context: &[u8], old: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let clear = master.decrypt(purpose, context, old);
    clear.map(|clear| master.encrypt(purpose, context, &clear)).transpose()
}
