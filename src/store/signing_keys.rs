//! Table `signing_keys`: one current and at most one next key per algorithm, kept so by partial unique indexes.

use super::{Db, Error, Result, on, row};
use crate::domain::{SigningAlg, Timestamp};

/// A signing key as the store keeps it.
#[derive(Clone)]
pub struct StoredKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub alg: SigningAlg,
    /// The public JWK, as JSON.
    pub public_jwk: String,
    /// The private key (PKCS#8), sealed.
    pub private_sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it first stood in the JWKS.
    pub published_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When another key took its place.
    pub superseded_at: Option<Timestamp>,
    /// When the last token it signed has expired.
    pub expires_at: Option<Timestamp>,
}

row!(KeyRow {
    kid: String,
    alg: String,
    public_jwk: String,
    private_sealed: Vec<u8>,
    created_at: Timestamp,
    published_at: Timestamp,
    activated_at: Option<Timestamp>,
    superseded_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
});

/// All keys, oldest first.
pub async fn all(db: &Db) -> Result<Vec<StoredKey>> {
    const SQL: &str = "SELECT kid, alg, public_jwk, private_sealed, created_at, published_at, activated_at,
                              superseded_at, expires_at
                       FROM signing_keys ORDER BY created_at, kid";
    let rows: Vec<KeyRow> = on!(db, pool => sqlx::query_as(SQL).fetch_all(pool).await)?;
    rows.into_iter()
        .map(|row| {
            let alg = SigningAlg::from_name(&row.alg)
                .ok_or_else(|| Error::impossible("signing_keys", "alg", &row.kid))?;
            Ok(StoredKey {
                kid: row.kid,
                alg,
                public_jwk: row.public_jwk,
                private_sealed: row.private_sealed,
                created_at: row.created_at,
                published_at: row.published_at,
                activated_at: row.activated_at,
                superseded_at: row.superseded_at,
                expires_at: row.expires_at,
            })
        })
        .collect()
}

/// Offers a key that signs at once. True for the one caller whose key the database took; of several replicas that start
/// on an empty database, the others read that one back.
pub async fn insert_current(db: &Db, key: &StoredKey) -> Result<bool> {
    const SQL: &str = "
        INSERT INTO signing_keys (kid, alg, public_jwk, private_sealed, created_at, published_at, activated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let done = on!(db, pool => sqlx::query(SQL)
        .bind(key.kid.as_str()).bind(key.alg.name()).bind(key.public_jwk.as_str())
        .bind(key.private_sealed.as_slice()).bind(key.created_at).bind(key.published_at).bind(key.activated_at)
        .execute(pool).await.map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
