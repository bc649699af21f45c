//! Finds out which client is asking (RFC 6749 §2.3): by Basic, by secret in the body, by a JWT it
//! signed (RFC 7523), or public.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Client, ClientAssertion, ClientSecret, ClientType, Fingerprint, Limit};
use crate::flow::limits::{self, Caller};
use crate::flow::refusal::ClientRefusal;
use crate::flow::{Deps, Error};
use crate::keys::assertion::{self, Assertion};
use crate::store::{Db, assertions};

/// What a request to the token endpoint shows of its client.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// `Authorization: Basic` (RFC 6749 §2.3.1): id and secret.
    pub(crate) basic: Option<(String, ClientSecret)>,
    /// `client_id` of the body.
    pub(crate) id: Option<String>,
    /// `client_secret` of the body.
    pub(crate) secret: Option<ClientSecret>,
    /// `client_assertion` of the body (RFC 7523 §2.2).
    pub(crate) assertion: Option<ClientAssertion>,
}

/// How far a client's clock may be ahead or behind.
const LEEWAY: i64 = 30;

/// The longest that an assertion may live: it is remembered for so long. Seconds.
const LONGEST_ASSERTION: i64 = 600;

/// Authenticates the client.
///
/// An unknown client and a wrong secret take the same steps, so that neither answer nor time tells which clients exist.
pub(crate) async fn authenticate_client(
    deps: &Deps,
    db: &mut Db,
    shown: &Credentials,
    address: IpAddr,
) -> Result<Arc<Client>, Error<ClientRefusal>> {
    if let Some(assertion) = &shown.assertion {
        return by_assertion(deps, db, shown, assertion, address).await;
    }
    let by_basic = shown.basic.is_some();
    let (id, secret) = match (&shown.basic, &shown.id, &shown.secret) {
        (Some(_), _, Some(_)) => return Err(ClientRefusal::TwoCredentials.into()),
        (Some((basic, _)), Some(body), None) if basic != body => {
            return Err(ClientRefusal::TwoCredentials.into());
        }
        (Some((id, secret)), _, None) => (id, Some(secret)),
        (None, Some(id), secret) => (id, secret.as_ref()),
        (None, None, _) => return Err(ClientRefusal::AuthenticationFailed { by_basic }.into()),
    };
    let client = deps.clients.find(id);
    let proven = match (client.map(|client| &client.kind), secret) {
        (Some(ClientType::Public), None) => true,
        // Some libraries send Basic always, and nothing behind the colon.
        (Some(ClientType::Public), Some(secret)) if secret.reveal().is_empty() => true,
        (Some(ClientType::Confidential(hashes)), Some(secret)) => is_one_of(hashes, secret),
        // A public client with a secret has mistaken itself for another; nobody else may show none.
        // The unknown client's secret is hashed and compared all the same.
        (None | Some(ClientType::Public), Some(secret)) => is_one_of(&[dummy_hash()], secret),
        (None | Some(ClientType::Confidential(_)), None) => false,
    };
    match client {
        Some(client) if proven => Ok(Arc::clone(client)),
        _ => Err(failed(deps, &Caller::new(address, Some(id)), by_basic).await.into()),
    }
}

/// `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9).
async fn by_assertion(
    deps: &Deps,
    db: &mut Db,
    shown: &Credentials,
    assertion: &ClientAssertion,
    address: IpAddr,
) -> Result<Arc<Client>, Error<ClientRefusal>> {
    if shown.basic.is_some() || shown.secret.is_some() {
        return Err(ClientRefusal::TwoCredentials.into());
    }
    let named = shown.id.clone().or_else(|| assertion::subject(assertion.reveal())).unwrap_or_default();
    let client = deps.clients.find(&named);
    // An unknown client costs a signature too.
    let keys = client.map(|client| client.jwks.as_slice()).unwrap_or_default();
    let claims = assertion::verify(keys, assertion.reveal());
    let now = deps.clock.now();
    let good = claims.filter(|claims| is_for_us(deps, claims, &named, now.secs()));
    if let (Some(client), Some(claims)) = (client, good) {
        let id = Fingerprint::of(format!("{named}\n{}", claims.jti).as_bytes());
        let until = now + Duration::from_secs(LONGEST_ASSERTION.unsigned_abs() + 2 * LEEWAY.unsigned_abs());
        if assertions::spend(db, &id, until).await? {
            return Ok(Arc::clone(client));
        }
    }
    Err(failed(deps, &Caller::new(address, Some(&named)), false).await.into())
}

/// Only failures wait: 256 random bits cannot be guessed, and whoever shows the right ones passes at any time.
async fn failed(deps: &Deps, caller: &Caller, by_basic: bool) -> ClientRefusal {
    match limits::count(deps, Limit::ClientAuthentication, caller).await {
        Ok(()) => ClientRefusal::AuthenticationFailed { by_basic },
        Err(refusal) => refusal.into(),
    }
}

fn is_for_us(deps: &Deps, claims: &Assertion, client: &str, now: i64) -> bool {
    let endpoint = format!("{}/oauth/token", deps.policy.issuer.as_str());
    claims.iss == client
        && claims.sub == client
        && claims.aud.is_within(&[deps.policy.issuer.as_str(), &endpoint])
        && claims.exp > now.saturating_sub(LEEWAY)
        && claims.exp <= now.saturating_add(LONGEST_ASSERTION + LEEWAY)
        && claims.nbf.is_none_or(|from| from <= now.saturating_add(LEEWAY))
        && claims.iat.is_none_or(|at| at <= now.saturating_add(LEEWAY))
        && (1..=256).contains(&claims.jti.len())
}

/// The hash of no secret: no text is known to have it.
fn dummy_hash() -> Fingerprint {
    Fingerprint::from_slice(&[0; 32]).unwrap_or_else(|| Fingerprint::of(b""))
}

/// Compares with every hash, in constant time each.
fn is_one_of(hashes: &[Fingerprint], secret: &ClientSecret) -> bool {
    let shown = secret.fingerprint();
    hashes.iter().fold(false, |found, hash| (*hash == shown) | found)
}
