//! Kakao's ID token (OpenID Connect Core §3.1.3.7): RS256 by a key of Kakao's JWKS, from Kakao, now. For which of our keys
//! and for which login it is, the caller decides: a login of ours knows both, an app's SDK only one of several keys.

use std::time::Duration;

use serde::Deserialize;

use super::codes::{self, KnownFault};
use super::faults::Fault;
use super::jwks::Unverified;
use crate::domain::{Audience, KakaoId, KakaoNonce, Profile, Timestamp};

/// How far two clocks may be apart.
const LEEWAY: Duration = Duration::from_mins(1);

/// What a verified ID token says.
#[derive(Clone, Debug)]
pub(crate) struct IdToken {
    /// The member number.
    pub(crate) sub: KakaoId,
    /// For which app key.
    pub(crate) audience: Audience,
    /// The nonce of its login, if it had one.
    pub(crate) nonce: Option<KakaoNonce>,
    /// When the person proved who they are.
    pub(crate) auth_time: Option<Timestamp>,
    /// When Kakao issued it.
    pub(crate) issued_at: Timestamp,
    /// What it tells of the person: nickname and picture with consent; an address with consent only if it is valid and
    /// verified.
    pub(crate) profile: Profile,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    auth_time: Option<i64>,
    nickname: Option<String>,
    picture: Option<String>,
    email: Option<String>,
}

impl IdToken {
    /// Checks the claims of a token that Kakao signed.
    pub(super) fn check(claims: Claims, issuer: &str, now: Timestamp) -> Result<Self, Fault> {
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
        let refuse = |known: &'static KnownFault| Err(Fault::of(known));
        if claims.iss != issuer {
            return refuse(codes::ID_TOKEN_ISSUER);
        }
        if claims.exp.saturating_add(leeway) <= now.secs() {
            return refuse(codes::ID_TOKEN_EXPIRED);
        }
        if claims.iat.saturating_sub(leeway) > now.secs() {
            return refuse(codes::ID_TOKEN_FUTURE);
        }
        let Some(sub) = claims.sub.parse::<i64>().ok().filter(|id| *id > 0) else {
            return Err(Fault::id_token(codes::ID_TOKEN_PERSON, "the ID token has no member number"));
        };
        let email = super::wire::text(claims.email);
        Ok(Self {
            sub: KakaoId(sub),
            audience: claims.aud,
            nonce: claims.nonce.map(KakaoNonce::new),
            auth_time: claims.auth_time.map(Timestamp::from_secs),
            issued_at: Timestamp::from_secs(claims.iat),
            profile: Profile {
                nickname: super::wire::text(claims.nickname),
                picture: super::wire::text(claims.picture).map(super::wire::over_https),
                email_verified: email.is_some(),
                email,
                ..Profile::default()
            },
        })
    }

    /// Whether it is of the login that we began with this nonce, for this key of ours.
    pub(super) fn of_login(&self, client_id: &str, nonce: &str) -> Result<(), Fault> {
        if !self.audience.is_only(client_id) {
            return Err(Fault::of(codes::ID_TOKEN_AUDIENCE));
        }
        if !self.nonce.as_ref().is_some_and(|given| given.matches(nonce)) {
            return Err(Fault::of(codes::ID_TOKEN_NONCE));
        }
        Ok(())
    }
}

impl From<Unverified> for Fault {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Malformed(cause) => Self::id_token(codes::ID_TOKEN_MALFORMED, cause),
            Unverified::UnknownKey => Self::of(codes::ID_TOKEN_KEY),
            Unverified::Unsigned => Self::of(codes::ID_TOKEN_SIGNATURE),
            Unverified::Later(fault) => fault,
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    #[test]
    fn id_token_claims() {
        let now = Timestamp::from_secs(1_790_000_000);
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else { return };
            let Ok(token) = IdToken::check(claims, "https://kauth.kakao.com", now) else { return };
            assert!(token.sub.0 > 0);
            assert!(token.of_login("key", "").is_err(), "no token proves an absent nonce");
        });
    }
}
