//! Table `signing_keys`: one current and at most one next key per algorithm, kept so by partial unique indexes.

use super::{Conn, Error, Result, Tx, on, row};
use crate::domain::rotation::KeyState;
use crate::domain::{SigningAlg, Timestamp};

/// A signing key as the store keeps it.
#[derive(Clone)]
pub struct StoredKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub(crate) alg: SigningAlg,
    /// The public JWK, as JSON.
    pub(crate) public_jwk: String,
    /// The private key (PKCS#8), encrypted; none once the key is archived.
    pub private_key_encrypted: Option<Vec<u8>>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it first stood in the JWKS.
    pub(crate) published_at: Timestamp,
    /// When it began to sign.
    pub(crate) activated_at: Option<Timestamp>,
    /// When another key took its place.
    pub(crate) superseded_at: Option<Timestamp>,
    /// When the last token it signed has expired.
    pub(crate) expires_at: Option<Timestamp>,
    /// Until when a login can live whose ID token it signed.
    pub(crate) hints_until: Option<Timestamp>,
}

row!(KeyRow {
    kid: String,
    alg: String,
    public_jwk: String,
    private_key_encrypted: Option<Vec<u8>>,
    created_at: Timestamp,
    published_at: Timestamp,
    activated_at: Option<Timestamp>,
    superseded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    hints_until: Option<Timestamp>,
});

/// All keys, oldest first.
pub async fn all(conn: &mut Conn) -> Result<Vec<StoredKey>> {
    const SQL: &str =
        "SELECT kid, alg, public_jwk, private_key_encrypted, created_at, published_at, activated_at,
                              superseded_at, expires_at, hints_until
                       FROM signing_keys ORDER BY created_at, kid";
    let rows: Vec<KeyRow> = on!(conn, c => sqlx::query_as(SQL).fetch_all(c).await)?;
    rows.into_iter()
        .map(|row| {
            let alg = SigningAlg::from_name(&row.alg)
                .ok_or_else(|| Error::impossible("signing_keys", "alg", &row.kid))?;
            Ok(StoredKey {
                kid: row.kid,
                alg,
                public_jwk: row.public_jwk,
                private_key_encrypted: row.private_key_encrypted,
                created_at: row.created_at,
                published_at: row.published_at,
                activated_at: row.activated_at,
                superseded_at: row.superseded_at,
                expires_at: row.expires_at,
                hints_until: row.hints_until,
            })
        })
        .collect()
}

impl StoredKey {
    /// Without its secrets.
    pub(crate) fn state(&self) -> KeyState {
        KeyState {
            kid: self.kid.clone(),
            alg: self.alg,
            published_at: self.published_at,
            activated_at: self.activated_at,
            superseded_at: self.superseded_at,
            expires_at: self.expires_at,
            hints_until: self.hints_until,
            has_private: self.private_key_encrypted.is_some(),
        }
    }
}

/// Offers a key: one that signs at once, or the next one. True for the one caller whose key the database took; of several replicas that start
/// on an empty database, the others read that one back.
pub(crate) async fn insert(conn: &mut Conn, key: &StoredKey) -> Result<bool> {
    const SQL: &str = "
        INSERT INTO signing_keys (kid, alg, public_jwk, private_key_encrypted, created_at, published_at, activated_at,
                                  hints_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let done = on!(conn, c => sqlx::query(SQL)
        .bind(key.kid.as_str()).bind(key.alg.name()).bind(key.public_jwk.as_str())
        .bind(key.private_key_encrypted.as_deref()).bind(key.created_at).bind(key.published_at).bind(key.activated_at)
        .bind(key.hints_until)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Has the next key sign and the current one verify on. False if somebody else did: nothing of it is to be committed then.
pub async fn activate(
    tx: &mut Tx<'_>,
    next: &str,
    current: Option<&str>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    const CURRENT: &str = "UPDATE signing_keys SET superseded_at = $2, expires_at = $3
                           WHERE kid = $1 AND activated_at IS NOT NULL AND superseded_at IS NULL";
    const NEXT: &str = "UPDATE signing_keys SET activated_at = $2 WHERE kid = $1 AND activated_at IS NULL";
    if let Some(kid) = current {
        let done = on!(tx, c => sqlx::query(CURRENT).bind(kid).bind(now).bind(expires_at)
            .execute(c).await.map(|done| done.rows_affected()))?;
        if done == 0 {
            return Ok(false);
        }
    }
    let done = on!(tx, c => sqlx::query(NEXT).bind(next).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Takes a key out of signing; it is published until `expires_at`. False if there is no such key, or it was out already.
pub(crate) async fn supersede(
    conn: &mut Conn,
    kid: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    const SQL: &str = "UPDATE signing_keys SET activated_at = COALESCE(activated_at, $2), superseded_at = $2, expires_at = $3
                       WHERE kid = $1 AND (expires_at IS NULL OR expires_at > $3)";
    let done = on!(conn, c => sqlx::query(SQL).bind(kid).bind(now).bind(expires_at)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Takes a key out at once: its tokens mean nothing any more, not even as hints. False if there is no such key, or nothing was
/// left of it.
pub(crate) async fn retire(conn: &mut Conn, kid: &str, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE signing_keys SET activated_at = COALESCE(activated_at, $2),
                              superseded_at = COALESCE(superseded_at, $2), expires_at = $2, hints_until = NULL
                       WHERE kid = $1 AND (expires_at IS NULL OR expires_at > $2 OR hints_until > $2)";
    let done = on!(conn, c => sqlx::query(SQL).bind(kid).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Has ID tokens that a key signs be understood as hints until then, at least.
pub(crate) async fn keep_hints(conn: &mut Conn, kid: &str, until: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE signing_keys SET hints_until = $2
                       WHERE kid = $1 AND superseded_at IS NULL AND (hints_until IS NULL OR hints_until < $2)";
    let done = on!(conn, c => sqlx::query(SQL).bind(kid).bind(until)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Forgets the private half of a key whose last token has expired.
pub(crate) async fn archive(conn: &mut Conn, kid: &str, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE signing_keys SET private_key_encrypted = NULL
                       WHERE kid = $1 AND expires_at <= $2 AND private_key_encrypted IS NOT NULL";
    let done = on!(conn, c => sqlx::query(SQL).bind(kid).bind(now)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Forgets a key that does not sign.
pub async fn remove(conn: &mut Conn, kid: &str) -> Result<bool> {
    const SQL: &str =
        "DELETE FROM signing_keys WHERE kid = $1 AND (activated_at IS NULL OR superseded_at IS NOT NULL)";
    let done = on!(conn, c => sqlx::query(SQL).bind(kid).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}

/// Replaces the encrypted private part, if it is still the one that was read.
pub(crate) async fn reencrypt(conn: &mut Conn, kid: &str, old: &[u8], new: &[u8]) -> Result<bool> {
    const SQL: &str =
        "UPDATE signing_keys SET private_key_encrypted = $3 WHERE kid = $1 AND private_key_encrypted = $2";
    let done = on!(conn, c => sqlx::query(SQL).bind(kid).bind(old).bind(new)
        .execute(c).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
