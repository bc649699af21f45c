//! Owns the keys: what they seal, sign and prove. Stands on `store`, which keeps the signing keys encrypted.
//!
//! Two kinds: the master key of the settings, from which every symmetric key is derived ([`master`]), and the signing
//! keys of the database, served from memory ([`Keyring`]).

pub(crate) mod assertion;
pub(crate) mod attempt;
pub(crate) mod code;
pub(crate) mod jwk;
pub(crate) mod keyring;
pub mod lifecycle;
pub(crate) mod master;
pub mod refresh_token;
pub mod signer;
mod verify;

pub(crate) use keyring::{Keyring, Keys};
pub use master::{MasterKeys, Purpose};

use aws_lc_rs::rand::fill;

/// What can go wrong with keys; never the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer, or holds something that cannot be.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The crypto library refused; it does not say why.
    #[error("{0} failed")]
    Crypto(&'static str),
    /// A encrypted value that no master key of the settings opens.
    #[error("{0} was encrypted with another master key: add that key to secrets.previous_master_keys")]
    NotDecryptable(&'static str),
    /// No key signs with this algorithm.
    #[error("there is no {0} signing key: add it to keys.algorithms")]
    NoKey(&'static str),
    /// A claim set that cannot be written as JSON.
    #[error("claims cannot be written as JSON")]
    Claims(#[from] serde_json::Error),
}

/// Fresh random bytes from the operating system's generator.
///
/// # Errors
/// When the generator fails, which on a healthy machine it does not.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    fill(&mut bytes).map_err(|_| Error::Crypto("the random generator"))?;
    Ok(bytes)
}
