//! Finds out which client is asking (RFC 6749 §2.3): by Basic, by secret in the body, or public.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Deps, Error, Refusal};
use crate::domain::{Client, ClientType, Fingerprint, Secret};

/// What a request to the token endpoint shows of its client.
#[derive(Debug, Default)]
pub struct Credentials {
    /// `Authorization: Basic` (RFC 6749 §2.3.1): id and secret.
    pub basic: Option<(String, Secret)>,
    /// `client_id` of the body.
    pub id: Option<String>,
    /// `client_secret` of the body.
    pub secret: Option<Secret>,
}

/// Authenticates the client.
///
/// An unknown client and a wrong secret take the same steps, so that neither answer nor time tells which clients exist.
pub async fn authenticate_client(
    deps: &Deps,
    shown: &Credentials,
    address: IpAddr,
) -> Result<Arc<Client>, Error> {
    let by_basic = shown.basic.is_some();
    let (id, secret) = match (&shown.basic, &shown.id, &shown.secret) {
        (Some(_), _, Some(_)) => return Err(Refusal::TwoCredentials.into()),
        (Some((basic, _)), Some(body), None) if basic != body => return Err(Refusal::TwoCredentials.into()),
        (Some((id, secret)), _, None) => (id, Some(secret)),
        (None, Some(id), secret) => (id, secret.as_ref()),
        (None, None, _) => return Err(Refusal::ClientUnproven { by_basic }.into()),
    };
    if let Some(retry_after) = deps.lockout.remaining(id, address) {
        return Err(Refusal::TooManyFailures { retry_after }.into());
    }
    let client = deps.clients.find(id);
    let proven = match (client.map(|client| &client.kind), secret) {
        (Some(ClientType::Public), None) => true,
        (Some(ClientType::Confidential(hashes)), Some(secret)) => is_one_of(hashes, secret),
        // A public client with a secret has mistaken itself for another; nobody else may show none.
        // The unknown client's secret is hashed and compared all the same.
        (None | Some(ClientType::Public), Some(secret)) => is_one_of(&[nobody()], secret),
        (None | Some(ClientType::Confidential(_)), None) => false,
    };
    match client {
        Some(client) if proven => Ok(Arc::clone(client)),
        _ => match deps.lockout.failed(&deps.cache, id, address).await {
            Some(retry_after) => Err(Refusal::TooManyFailures { retry_after }.into()),
            None => Err(Refusal::ClientUnproven { by_basic }.into()),
        },
    }
}

/// The hash of no secret: no text is known to have it.
fn nobody() -> Fingerprint {
    Fingerprint::from_slice(&[0; 32]).unwrap_or_else(|| Fingerprint::of(b""))
}

/// Compares with every hash, in constant time each.
fn is_one_of(hashes: &[Fingerprint], secret: &Secret) -> bool {
    let shown = secret.fingerprint();
    hashes.iter().fold(false, |found, hash| (*hash == shown) | found)
}
