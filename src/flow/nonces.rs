//! Nonces for an app's login by Kakao's SDK: the app has Kakao put one into the ID token, and each is good once.
//!
//! A nonce says by itself that it is ours and until when it is good; only one that was used is remembered. Asking for many
//! costs nothing but the asking.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::Deps;
use crate::domain::{Fingerprint, Timestamp};
use crate::keys::{self, random};
use crate::store::Db;
use crate::store::assertions;

/// How long a nonce is good: a person may take their time at Kakao.
pub(super) const LIFE: Duration = Duration::from_mins(10);

const BODY: usize = 16 + 8;
const TAG: usize = 16;

/// A fresh nonce.
#[derive(Serialize)]
pub(crate) struct Issued {
    nonce: String,
    expires_in: u64,
}

/// Issues a nonce.
pub(crate) fn issue(deps: &Deps) -> Result<Issued, keys::Error> {
    let mut bytes = [0; BODY + TAG];
    bytes[..16].copy_from_slice(&random::<16>()?);
    bytes[16..BODY].copy_from_slice(&(deps.clock.now() + LIFE).micros().to_be_bytes());
    let tag = deps.keys.master.nonce_tag(&bytes[..BODY]);
    bytes[BODY..].copy_from_slice(&tag.as_ref()[..TAG]);
    Ok(Issued { nonce: URL_SAFE_NO_PAD.encode(bytes), expires_in: LIFE.as_secs() })
}

/// What a nonce is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody else's: an app's own.
    Foreign,
    /// Ours, good until then unless it was used.
    Ours(Timestamp),
    /// Ours, and too old.
    Expired,
}

/// Whether we issued this nonce.
pub(crate) fn origin(deps: &Deps, nonce: &str) -> Origin {
    let mut bytes = [0; BODY + TAG];
    let ours = URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes).is_ok_and(|length| length == BODY + TAG)
        && deps.keys.master.nonce_tag_fits(&bytes[..BODY], &bytes[BODY..]);
    if !ours {
        return Origin::Foreign;
    }
    let mut micros = [0; 8];
    micros.copy_from_slice(&bytes[16..BODY]);
    let until = Timestamp::from_micros(i64::from_be_bytes(micros));
    if until > deps.clock.now() { Origin::Ours(until) } else { Origin::Expired }
}

/// Uses a nonce of ours up, together with the form of it that the ID token carries. True for the one caller that does.
///
/// Whoever holds an ID token whose nonce was hashed can pass the hash off as a nonce of its own ([`spend_foreign`]): each of the
/// two leaves its mark before it looks for the other's, so that at most one is let in.
pub(crate) async fn spend(
    deps: &Deps,
    db: &mut Db,
    nonce: &str,
    carried: &str,
    until: Timestamp,
) -> Result<bool, keys::Error> {
    let hashed = nonce != carried;
    if hashed {
        assertions::spend(db, &mark("carried", carried), deps.clock.now() + LIFE).await?;
    }
    // The same table as that of client assertions; neither can pass for the other.
    let first = assertions::spend(db, &mark("nonce", nonce), until).await?;
    Ok(first && !(hashed && assertions::is_spent(db, &mark("foreign", carried)).await?))
}

/// Whether a nonce that is not ours may be used: yes, unless it is the hash of one of ours that was.
pub(crate) async fn spend_foreign(deps: &Deps, db: &mut Db, carried: &str) -> Result<bool, keys::Error> {
    if !matches!(carried.len(), 43 | 64) {
        return Ok(true);
    }
    assertions::spend(db, &mark("foreign", carried), deps.clock.now() + LIFE).await?;
    Ok(!assertions::is_spent(db, &mark("carried", carried)).await?)
}

fn mark(kind: &str, nonce: &str) -> Fingerprint {
    Fingerprint::of(format!("{kind} {nonce}").as_bytes())
}
