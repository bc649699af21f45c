//! Authorization codes: `kac_` + 256 bits, base64url. The store keeps their SHA-256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Error, random};
use crate::domain::AuthorizationCode;

/// By which secret scanners find one that leaked.
pub(super) const PREFIX: &str = "kac_";

/// A fresh one.
///
/// # Errors
/// When the random generator fails.
pub(crate) fn generate() -> Result<AuthorizationCode, Error> {
    Ok(of(&random::<32>()?))
}

pub(super) fn of(bytes: &[u8; 32]) -> AuthorizationCode {
    let mut text = String::with_capacity(PREFIX.len() + 43);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    AuthorizationCode::new(text)
}
