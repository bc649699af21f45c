//! The signing keys in memory: who signs now, and what the JWKS endpoint answers.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use super::jwk::PublicJwk;
use super::signer::{SigningKey, TokenType};
use super::verify::{VerifyingKey, verify};
use super::{Error, MasterKeys, Purpose, lifecycle};
use crate::domain::rotation::{KeyPolicy, KeyState, Stage};
use crate::domain::{Clock, Fingerprint, SigningAlg, Timestamp};
use crate::store::signing_keys::{self, StoredKey};
use crate::store::{Conn, Db};

/// All that token endpoints and the JWKS endpoint need, immutable; a change swaps the whole.
pub(crate) struct Keyring {
    stages: Vec<(String, Stage)>,
    states: Vec<KeyState>,
    signing: Vec<SigningKey>,
    verifying: Vec<VerifyingKey>,
    /// Those that verify hints alone: archived keys, which the JWKS does not hold.
    archived: Vec<VerifyingKey>,
    /// The JWKS document (RFC 7517 §5), ready to send.
    pub(crate) jwks: Vec<u8>,
    /// Its entity tag, quoted.
    pub(crate) jwks_etag: String,
}

impl Keyring {
    /// Signs a claim set with the current key of an algorithm.
    ///
    /// # Errors
    /// When no key signs with it, or signing fails.
    pub(crate) fn sign(
        &self,
        alg: SigningAlg,
        typ: TokenType,
        claims: &impl Serialize,
    ) -> Result<String, Error> {
        self.signing
            .iter()
            .find(|key| key.public().alg == alg)
            .ok_or(Error::NoKey(alg.name()))?
            .sign(typ, claims)
    }

    /// The claims of a token of this type that a key of the JWKS signed; the caller judges what they say.
    pub(crate) fn verify<C: DeserializeOwned>(&self, typ: TokenType, token: &str) -> Option<C> {
        verify(&self.verifying, typ, token)
    }

    /// The claims of an ID token that is shown back to us: also of one that a key signed which is archived since.
    pub(crate) fn verify_hint<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let by = |keys| verify(keys, TokenType::IdToken, token);
        by(&self.verifying).or_else(|| by(&self.archived))
    }

    /// Every key of the database, also one that is gone since.
    pub(crate) fn states(&self) -> &[KeyState] {
        &self.states
    }

    fn of(master: &MasterKeys, stored: &[StoredKey], now: Timestamp) -> Result<Self, Error> {
        let mut signing = Vec::new();
        let (mut public, mut archived) = (Vec::new(), Vec::new());
        for key in stored {
            let jwk = || serde_json::from_str::<PublicJwk>(&key.public_jwk);
            match key.state().stage(now) {
                Stage::Next | Stage::Previous => public.push(jwk()?),
                Stage::Current => {
                    public.push(jwk()?);
                    signing.push(signing_key(master, key)?);
                }
                Stage::Archived => archived.push(verifying_key(&jwk()?)?),
                Stage::Gone => {}
            }
        }
        let jwks = serde_json::to_vec(&serde_json::json!({ "keys": public }))?;
        let digest = Fingerprint::of(&jwks);
        let jwks_etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..12]));
        let verifying = public.iter().map(verifying_key).collect::<Result<_, _>>()?;
        let states = stored.iter().map(StoredKey::state).collect();
        Ok(Self { stages: stages(stored, now), states, signing, verifying, archived, jwks, jwks_etag })
    }
}

fn signing_key(master: &MasterKeys, key: &StoredKey) -> Result<SigningKey, Error> {
    let encrypted = key.private_key_encrypted.as_deref();
    let der = encrypted.and_then(|bytes| master.decrypt(Purpose::SigningKey, key.kid.as_bytes(), bytes));
    SigningKey::from_pkcs8(key.alg, &der.ok_or(Error::NotDecryptable("a signing key"))?)
}

/// That the next keys can be opened, before their time has come.
fn next_keys(master: &MasterKeys, stored: &[StoredKey], now: Timestamp) -> Result<(), Error> {
    let next = |key: &&StoredKey| key.state().stage(now) == Stage::Next;
    stored.iter().filter(next).try_for_each(|key| signing_key(master, key).map(drop))
}

fn verifying_key(public: &PublicJwk) -> Result<VerifyingKey, Error> {
    VerifyingKey::of(public).ok_or(Error::Crypto("reading a public key"))
}

/// The keyring that everybody shares: reading it takes no lock.
#[derive(Clone)]
pub(crate) struct Keys {
    current: Arc<ArcSwap<Keyring>>,
    /// Encrypts, opens and proves.
    pub(crate) master: Arc<MasterKeys>,
    /// When keys are made and go.
    pub(crate) policy: Arc<KeyPolicy>,
}

impl Keys {
    /// Reads the keys of the database, making those that nobody has made yet.
    ///
    /// Several replicas may start at once on an empty database: each offers keys, the database keeps one per algorithm and
    /// stage, and everybody reads those back.
    ///
    /// # Errors
    /// When the store does not answer, or a key was encrypted with a master key that the settings do not list.
    pub(crate) async fn load(
        db: &mut Db,
        master: Arc<MasterKeys>,
        policy: KeyPolicy,
        clock: &Clock,
    ) -> Result<Self, Error> {
        let now = clock.now();
        lifecycle::step(db, &master, &policy, now).await?;
        let stored = signing_keys::all(db).await?;
        let keyring = Keyring::of(&master, &stored, now)?;
        next_keys(&master, &stored, now)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(keyring)), master, policy: Arc::new(policy) })
    }

    /// Takes over what changed in the database; whether anything did.
    ///
    /// # Errors
    /// As [`Keys::load`]; the keyring in memory stays as it is.
    pub(crate) async fn reload(&self, conn: &mut Conn, now: Timestamp) -> Result<bool, Error> {
        let stored = signing_keys::all(conn).await?;
        if self.ring().stages == stages(&stored, now) {
            return Ok(false);
        }
        self.current.store(Arc::new(Keyring::of(&self.master, &stored, now)?));
        // It is published all the same: what another replica signs with it must verify here.
        if let Err(error) = next_keys(&self.master, &stored, now) {
            error!(%error, "the next signing key cannot be used here: secrets.previous_master_keys lacks its master key");
        }
        Ok(true)
    }

    /// Encrypts where a logout goes on, for a URL.
    pub(crate) fn encrypt_logout_state(&self, bytes: &[u8]) -> Result<String, Error> {
        Ok(URL_SAFE_NO_PAD.encode(self.master.encrypt(Purpose::LogoutState, b"", bytes)?))
    }

    /// Opens what [`Keys::encrypt_logout_state`] encrypted.
    pub(crate) fn decrypt_logout_state(&self, text: &str) -> Option<Vec<u8>> {
        self.master.decrypt(Purpose::LogoutState, b"", &URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// The keyring of this moment.
    pub(crate) fn ring(&self) -> Guard<Arc<Keyring>> {
        self.current.load()
    }
}

fn stages(stored: &[StoredKey], now: Timestamp) -> Vec<(String, Stage)> {
    stored
        .iter()
        .map(|key| (key.kid.clone(), key.state().stage(now)))
        .filter(|(_, s)| *s != Stage::Gone)
        .collect()
}
