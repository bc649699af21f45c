//! Issues tokens: the last step of every grant type.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::claims::{AccessClaims, IdClaims, Principal, ProfileClaims};
use crate::domain::secret::{reveal, reveal_some};
use crate::domain::{
    AccessToken, Client, Grant, GrantType, RefreshToken, Scope, SignedIdToken, SigningAlg, Stage, Timestamp,
    User,
};
use crate::flow::Deps;
use crate::keys::signer::TokenType;
use crate::keys::{self, refresh_token};
use crate::store::{self, Db, users};

/// The answer of the token endpoint (RFC 6749 §5.1). It is full of living tokens, so it cannot be printed.
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    #[serde(serialize_with = "reveal")]
    access_token: AccessToken,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Its life, seconds.
    expires_in: u64,
    /// When the client may have one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reveal_some")]
    refresh_token: Option<RefreshToken>,
    /// When the scope holds `openid`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reveal_some")]
    id_token: Option<SignedIdToken>,
    /// What was granted.
    scope: String,
    /// What `access_token` is, for a token exchange (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    /// The refresh token is the one that an earlier request was given already: this one came within the reuse window.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refresh_reused: bool,
}

impl TokenResponse {
    /// As a refresh within the reuse window answers.
    pub(super) fn of_reuse(self, refresh_reused: bool) -> Self {
        Self { refresh_reused, ..self }
    }

    /// As a token exchange answers (RFC 8693 §2.2.1).
    pub(super) fn of_exchange(self, issued_token_type: &'static str) -> Self {
        Self { issued_token_type: Some(issued_token_type), ..self }
    }
}

/// An ID token that is to come along.
#[derive(Clone, Copy)]
pub(super) struct IdToken<'a> {
    nonce: Option<&'a str>,
}

impl<'a> IdToken<'a> {
    /// One comes along when the scope holds `openid` (OpenID Connect Core §3.1.2.1), with the login's nonce if it had one.
    pub(super) fn of_scope(scope: &Scope, nonce: Option<&'a str>) -> Option<Self> {
        scope.contains("openid").then_some(Self { nonce })
    }
}

/// What is to be issued out of a grant.
pub(super) struct Issue<'a> {
    /// The grant, which lives.
    pub(super) grant: &'a Grant,
    /// The scope of the access token.
    pub(super) scope: &'a Scope,
    /// Its audience.
    pub(super) audience: &'a [String],
    /// The ID token that comes along.
    pub(super) id_token: Option<IdToken<'a>>,
}

/// Issues the tokens of a grant to its client. The user is read only when the profile is told.
pub(super) async fn issue(
    deps: &Deps,
    db: &mut Db,
    client: &Client,
    what: Issue<'_>,
) -> Result<TokenResponse, keys::Error> {
    let Issue { grant, scope, audience, id_token } = what;
    let now = deps.clock.now();
    let user = read_user(db, client, &what).await?;
    let mut claims = AccessClaims::new(
        deps.policy.issuer.as_str(),
        client,
        Principal::User(grant),
        (scope, audience),
        now,
    );
    if let Some(user) = &user {
        claims = claims.with_profile(user, client);
    }
    let ring = deps.keys.ring();
    let access_token = ring.sign(client.access_token_alg, TokenType::AccessToken, &claims)?;
    let id_token = id_token.map(|IdToken { nonce }| {
        let claims = IdClaims {
            iss: deps.policy.issuer.as_str(),
            sub: grant.user,
            aud: client.id.as_str(),
            iat: now.secs(),
            exp: (now + client.lifetimes.id).secs(),
            auth_time: grant.auth_time.map(Timestamp::secs),
            sid: grant.id,
            at_hash: at_hash(client.id_token_alg, &access_token),
            nonce,
            profile: user
                .as_ref()
                .filter(|_| client.id_token_profile)
                .map(|user| ProfileClaims::of_scope(user, scope))
                .unwrap_or_default(),
        };
        ring.sign(client.id_token_alg, TokenType::IdToken, &claims)
    });
    Ok(TokenResponse {
        id_token: id_token.transpose()?.map(SignedIdToken::new),
        refresh_token: refresh_token(deps, client, grant),
        ..bare(client, scope, access_token)
    })
}

async fn read_user(db: &mut Db, client: &Client, what: &Issue<'_>) -> Result<Option<User>, store::Error> {
    let in_id_token =
        what.id_token.is_some() && client.id_token_profile && ProfileClaims::any_of_scope(what.scope);
    if client.claims.is_empty() && !in_id_token {
        return Ok(None);
    }
    users::find(db, what.grant.user).await
}

fn refresh_token(deps: &Deps, client: &Client, grant: &Grant) -> Option<RefreshToken> {
    match grant.stage {
        Stage::Live { generation, .. } if client.may(GrantType::RefreshToken) => {
            Some(refresh_token::mint(&deps.keys.master, grant.id, generation))
        }
        _ => None,
    }
}

/// Issues an access token to a client that acts for itself (RFC 6749 §4.4): no user, no grant, no refresh token.
pub(super) fn issue_to_client(
    deps: &Deps,
    client: &Client,
    scope: &Scope,
    audience: &[String],
) -> Result<TokenResponse, keys::Error> {
    let now = deps.clock.now();
    let claims =
        AccessClaims::new(deps.policy.issuer.as_str(), client, Principal::Client, (scope, audience), now);
    let access_token = deps.keys.ring().sign(client.access_token_alg, TokenType::AccessToken, &claims)?;
    Ok(bare(client, scope, access_token))
}

/// An answer with nothing but an access token.
fn bare(client: &Client, scope: &Scope, access_token: String) -> TokenResponse {
    TokenResponse {
        access_token: AccessToken::new(access_token),
        token_type: "Bearer",
        expires_in: client.lifetimes.access.as_secs(),
        refresh_token: None,
        id_token: None,
        scope: scope.as_str().to_owned(),
        issued_token_type: None,
        refresh_reused: false,
    }
}

/// The left half of the access token's digest, by the hash of the algorithm that signs the ID token (OpenID Connect Core
/// §3.1.3.6): SHA-512 for Ed25519 (RFC 8032 §5.1), as the libraries that check it expect.
fn at_hash(alg: SigningAlg, access_token: &str) -> String {
    let hash = match alg {
        SigningAlg::Es256 | SigningAlg::Rs256 => &SHA256,
        SigningAlg::EdDsa => &SHA512,
    };
    let digest = digest(hash, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}
