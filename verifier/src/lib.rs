#![doc = include_str!("../README.md")]

#[cfg(feature = "actix")]
pub mod actix;
pub mod feed;
mod keys;
pub mod reply;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use feed::{Feed, Pace};
use keys::Keys;

/// The largest token that is looked at. Ours have less than one kilobyte.
const LARGEST_TOKEN: usize = 16 * 1024;

/// What a verified access token says (RFC 9068 §2.2).
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// The audiences; yours is among them.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// The client that the token was issued to.
    pub client_id: String,
    /// Seconds since the epoch.
    pub iat: i64,
    /// Seconds since the epoch.
    pub exp: i64,
    /// Seconds since the epoch.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Unique to the token.
    pub jti: String,
    /// The login that it came of.
    #[serde(default)]
    pub sid: Option<String>,
    /// Granted scopes, separated by spaces.
    #[serde(default)]
    pub scope: String,
    /// When the person proved who they are.
    #[serde(default)]
    pub auth_time: Option<i64>,
    /// Roles that the operator gave.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Claims {
    /// Whether the scope was granted.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }

    /// The same as a result: 403 rather than 401.
    ///
    /// # Errors
    /// When the scope was not granted.
    pub fn require_scope(&self, scope: &'static str) -> Result<(), Refused> {
        if self.has_scope(scope) { Ok(()) } else { Err(Refused::InsufficientScope(scope)) }
    }
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Aud {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Aud::deserialize(deserializer)? {
        Aud::One(one) => vec![one],
        Aud::Many(many) => many,
    })
}

/// Why a token was not accepted. No variant repeats the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three base64url parts of JSON, or larger than 16 KiB.
    #[error("the token is malformed")]
    Malformed,
    /// `typ` is not `at+jwt`: an ID token, perhaps.
    #[error("the token is not an access token")]
    NotAnAccessToken,
    /// An algorithm that is not pinned, or that does not fit the key.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// A critical header that is not understood (RFC 7515 §4.1.11).
    #[error("the token has critical headers")]
    Critical,
    /// `kid` is missing, or of no key of the issuer.
    #[error("the token names a key that the issuer does not have")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing or of the wrong type.
    #[error("the token lacks a claim")]
    Claims,
    /// Another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet; check the clock")]
    NotYet,
    /// Its login was ended: the person logged out, say.
    #[error("the login of the token has ended")]
    Revoked,
    /// The scope was not granted: 403.
    #[error("the scope {0} was not granted")]
    InsufficientScope(&'static str),
    /// The issuer's keys cannot be had: 503, not the token's fault.
    #[error("the issuer's keys cannot be fetched")]
    Unavailable,
}

/// Why a verifier could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The issuer or the JWKS address is not a URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// The TLS set-up of this machine is unusable.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
}

/// Where the time comes from, seconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Verifies access tokens. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    leeway: i64,
    clock: Clock,
    keys: Keys,
    feed: Option<Feed>,
}

/// How a verifier is made.
pub struct Builder {
    issuer: String,
    audience: String,
    jwks_url: Option<String>,
    algorithms: Vec<Algorithm>,
    leeway: Duration,
    clock: Clock,
    feed: bool,
    feed_url: Option<String>,
    fresh_feed: Option<Duration>,
    pace: Pace,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl Verifier {
    /// For tokens of this issuer (`iss`, byte for byte) that are for this audience (`aud`).
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> Builder {
        Builder {
            issuer: issuer.into(),
            audience: audience.into(),
            jwks_url: None,
            algorithms: vec![Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
            leeway: Duration::from_secs(30),
            clock: Arc::new(system_clock),
            feed: false,
            feed_url: None,
            fresh_feed: None,
            pace: Pace::default(),
        }
    }

    /// Verifies a token: its form, its key, its signature, and what it says.
    ///
    /// # Errors
    /// [`Refused`], which says why.
    pub async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        let inner = &self.0;
        if let Some(feed) = &inner.feed {
            feed.start(inner).await;
        }
        let claims = inner.check_signature(token, "at+jwt", LARGEST_TOKEN).await?;
        let now = (inner.clock)();
        let claims = inner.judge(claims, now)?;
        if let Some(feed) = &inner.feed {
            feed.check(claims.sid.as_deref(), &claims.sub, claims.iat, now)?;
        }
        Ok(claims)
    }
}

impl Inner {
    /// Checks form, type, algorithm, key and signature; what the token says is for the caller to judge.
    async fn check_signature<C: DeserializeOwned>(
        &self,
        token: &str,
        typ: &str,
        largest: usize,
    ) -> Result<C, Refused> {
        let header = read_header(token, typ, largest)?;
        let algorithm: Algorithm = header.alg.parse().map_err(|_| Refused::Algorithm)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(Refused::Algorithm);
        }
        let kid = header.kid.ok_or(Refused::UnknownKey)?;
        let keys = self.keys.with(&kid, (self.clock)()).await?;
        let key = keys.find(&kid).ok_or(Refused::UnknownKey)?;
        if key.algorithm != algorithm {
            return Err(Refused::Algorithm);
        }
        let mut validation = Validation::new(algorithm);
        // Judged elsewhere: the library lets absent issuers and audiences pass.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let data = jsonwebtoken::decode::<C>(token, &key.decoding, &validation);
        Ok(data
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => Refused::Signature,
                _ => Refused::Claims,
            })?
            .claims)
    }

    fn judge(&self, claims: Claims, now: i64) -> Result<Claims, Refused> {
        if claims.iss != self.issuer {
            Err(Refused::Issuer)
        } else if !claims.aud.contains(&self.audience) {
            Err(Refused::Audience)
        } else if claims.exp.saturating_add(self.leeway) <= now {
            Err(Refused::Expired)
        } else if claims.nbf.unwrap_or(claims.iat).max(claims.iat).saturating_sub(self.leeway) > now {
            Err(Refused::NotYet)
        } else if claims.sub.is_empty() {
            Err(Refused::Claims)
        } else {
            Ok(claims)
        }
    }
}

fn read_header(token: &str, expected: &str, largest: usize) -> Result<Header, Refused> {
    if token.len() > largest || token.bytes().filter(|b| *b == b'.').count() != 2 {
        return Err(Refused::Malformed);
    }
    let first = token.split('.').next().unwrap_or_default();
    let json = URL_SAFE_NO_PAD.decode(first).map_err(|_| Refused::Malformed)?;
    let header: Header = serde_json::from_slice(&json).map_err(|_| Refused::Malformed)?;
    if header.crit.is_some() {
        return Err(Refused::Critical);
    }
    // A media type without its "application/", in any case (RFC 7515 §4.1.9).
    let typ = header.typ.as_deref().unwrap_or_default();
    let (prefix, short) = typ.split_once('/').unwrap_or(("application", typ));
    if !prefix.eq_ignore_ascii_case("application") || !short.eq_ignore_ascii_case(expected) {
        return Err(Refused::NotAnAccessToken);
    }
    Ok(header)
}

/// The payload of a token, unverified.
fn payload(token: &str) -> Result<Vec<u8>, Refused> {
    let part = token.split('.').nth(1).ok_or(Refused::Malformed)?;
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)
}

impl Builder {
    /// Where the keys are, when not at the issuer's usual place: an internal address, say. The issuer stays the public one.
    #[must_use]
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// Follows the issuer's revocation feed in the background: a token of a login that was ended is refused within about a
    /// second, without a request of yours waiting for it. An issuer that cannot be reached changes nothing.
    #[must_use]
    pub fn revocation_feed(mut self) -> Self {
        self.feed = true;
        self
    }

    /// The same, with the feed at an internal address.
    #[must_use]
    pub fn revocation_feed_url(mut self, url: impl Into<String>) -> Self {
        self.feed_url = Some(url.into());
        self.revocation_feed()
    }

    /// The same, and without a feed younger than this no token is accepted ([`Refused::Unavailable`]). The issuer signs its
    /// feed anew every 30 seconds, so less than a minute is too little.
    #[must_use]
    pub fn require_fresh_feed(mut self, age: Duration) -> Self {
        self.fresh_feed = Some(age);
        self.revocation_feed()
    }

    /// How far clocks may be apart; 30 seconds unless set.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The algorithms to accept; ES256, RS256 and `EdDSA` unless set. Symmetric ones are never accepted.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        let asymmetric =
            |a: &&Algorithm| !matches!(a, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        self.algorithms = algorithms.iter().filter(asymmetric).copied().collect();
        self
    }

    /// Another clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Another pace for the requests of the feed, for tests.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Makes the verifier. Nothing is fetched before the first token.
    ///
    /// # Errors
    /// When an address is not a URL, or no HTTP client can be made.
    pub fn build(self) -> Result<Verifier, BuildError> {
        let url = self.jwks_url.unwrap_or_else(|| format!("{}/.well-known/jwks.json", self.issuer));
        let keys = Keys::new(url.parse()?)?;
        let feed = if self.feed {
            let url = self.feed_url.unwrap_or_else(|| format!("{}/v1/revocations", self.issuer));
            Some(Feed::new(&self.issuer, url.parse()?, self.fresh_feed, self.pace)?)
        } else {
            None
        };
        Ok(Verifier(Arc::new(Inner {
            issuer: self.issuer,
            audience: self.audience,
            algorithms: self.algorithms,
            leeway: i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX),
            clock: self.clock,
            keys,
            feed,
        })))
    }
}

#[expect(clippy::disallowed_methods, reason = "the crate's own clock; tests pass another")]
fn system_clock() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
