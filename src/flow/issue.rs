//! Issues tokens: what stands in an access token (RFC 9068) and in an ID token (OpenID Connect Core §2).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use super::{Deps, Error};
use crate::domain::client::ProfileClaim;
use crate::domain::{Client, GrantId, GrantType, Scope, Secret, ServiceTerm, Timestamp, User, UserId};
use crate::keys::refresh_token;
use crate::keys::signer::TokenType;
use crate::store::Db;
use crate::store::users;

/// Whom and what tokens are issued for.
pub struct Subject<'a> {
    /// `aud`
    pub audience: &'a [String],
    /// The grant: `sid`.
    pub grant: GrantId,
    /// The user: `sub`.
    pub user: UserId,
    /// What was granted.
    pub scope: &'a Scope,
    /// When the person proved to Kakao who they are.
    pub auth_time: Timestamp,
    /// The user's roles.
    pub roles: &'a [String],
    /// The generation of the refresh token to give.
    pub generation: i64,
}

/// The answer of the token endpoint (RFC 6749 §5.1).
#[derive(Debug, Serialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Its life, seconds.
    pub expires_in: u64,
    /// The refresh token, when the client may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The ID token, when the scope holds `openid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// What was granted.
    pub scope: String,
    /// What `access_token` is, for a token exchange (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
}

#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    sub: Sub<'a>,
    aud: OneOrMany<'a>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<GrantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'a [String],
    #[serde(flatten)]
    profile: ProfileClaims<'a>,
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: UserId,
    aud: &'a str,
    iat: i64,
    exp: i64,
    auth_time: i64,
    sid: GrantId,
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(flatten)]
    profile: ProfileClaims<'a>,
}

/// A person, or a client that acts for itself (RFC 9068 §2.2). A client's token has no `sid`.
#[derive(Serialize)]
#[serde(untagged)]
enum Sub<'a> {
    User(UserId),
    Client(&'a str),
}

impl<'a> OneOrMany<'a> {
    fn of(audience: &'a [String]) -> Self {
        match audience {
            [one] => Self::One(one),
            many => Self::Many(many),
        }
    }
}

/// `aud` is a string when there is one (RFC 7519 §4.1.3): some verifiers read nothing else.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(&'a [String]),
}

/// The standard claims that may be told (OpenID Connect Core §5.1); what the person does not share is absent.
#[derive(Default, Serialize)]
pub struct ProfileClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_range: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kakao_scopes: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kakao_needs_agreement: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kakao_service_terms: Option<Vec<&'a str>>,
}

impl<'a> ProfileClaims<'a> {
    /// What these scopes tell (OpenID Connect Core §5.4).
    pub fn of_scope(user: &'a User, scope: &Scope) -> Self {
        let mut claims = Self::default();
        if scope.contains("profile") {
            claims.add(ProfileClaim::Nickname, user);
            claims.add(ProfileClaim::Name, user);
            claims.add(ProfileClaim::Picture, user);
            claims.updated_at = Some(user.updated_at.secs());
        }
        if scope.contains("email") {
            claims.add(ProfileClaim::Email, user);
        }
        if scope.contains("phone") {
            claims.add(ProfileClaim::PhoneNumber, user);
        }
        claims
    }

    fn add(&mut self, claim: ProfileClaim, user: &'a User) {
        let (profile, consent) = (&user.profile, &user.consent);
        match claim {
            ProfileClaim::Nickname => self.nickname = profile.nickname.as_deref(),
            // Kakao gives a legal name to few apps; libraries show `name`, so the nickname stands in for it.
            ProfileClaim::Name => self.name = profile.name.as_deref().or(profile.nickname.as_deref()),
            ProfileClaim::Picture => self.picture = profile.picture.as_deref(),
            ProfileClaim::PhoneNumber => self.phone_number = profile.phone_number.as_deref(),
            ProfileClaim::AgeRange => self.age_range = profile.age_range.as_deref(),
            ProfileClaim::KakaoScopes => self.kakao_scopes = consent.scopes.as_deref(),
            ProfileClaim::KakaoNeedsAgreement => {
                self.kakao_needs_agreement = Some(consent.needs_agreement.as_slice());
            }
            ProfileClaim::KakaoServiceTerms => {
                let agreed = |terms: &'a Vec<ServiceTerm>| {
                    terms.iter().filter(|term| term.agreed).map(|term| term.tag.as_str()).collect()
                };
                self.kakao_service_terms = consent.service_terms.as_ref().map(agreed);
            }
            ProfileClaim::Email => {
                self.email = profile.email.as_deref();
                self.email_verified = self.email.map(|_| profile.email_verified);
            }
        }
    }
}

/// Issues the tokens of a grant to its client.
///
/// `id_token` tells whether one is asked for, with the login's nonce. The user is read only when the profile is told.
pub async fn issue(
    deps: &Deps,
    db: &mut Db,
    client: &Client,
    subject: &Subject<'_>,
    id_token: Option<Option<&str>>,
) -> Result<TokenResponse, Error> {
    let tells_profile = subject.scope.iter().any(|token| matches!(token, "profile" | "email" | "phone"));
    let user = if !client.claims.is_empty() || (id_token.is_some() && tells_profile) {
        users::find(db, subject.user).await?
    } else {
        None
    };
    let now = deps.clock.now();
    let ring = deps.keys.ring();
    let mut profile = ProfileClaims::default();
    for claim in &client.claims {
        if let Some(user) = &user {
            profile.add(*claim, user);
        }
    }
    let access_token = ring.sign(
        client.access_token_alg,
        TokenType::AccessToken,
        &AccessClaims {
            iss: deps.policy.issuer.as_str(),
            sub: Sub::User(subject.user),
            aud: OneOrMany::of(subject.audience),
            client_id: client.id.as_str(),
            scope: subject.scope.as_str(),
            iat: now.secs(),
            nbf: now.secs(),
            exp: (now + client.lifetimes.access).secs(),
            jti: Uuid::now_v7(),
            sid: Some(subject.grant),
            auth_time: Some(subject.auth_time.secs()),
            roles: subject.roles,
            profile,
        },
    )?;
    let id_token = match id_token {
        None => None,
        Some(nonce) => Some(
            ring.sign(
                client.id_token_alg,
                TokenType::IdToken,
                &IdClaims {
                    iss: deps.policy.issuer.as_str(),
                    sub: subject.user,
                    aud: client.id.as_str(),
                    iat: now.secs(),
                    exp: (now + client.lifetimes.id).secs(),
                    auth_time: subject.auth_time.secs(),
                    sid: subject.grant,
                    at_hash: at_hash(&access_token),
                    nonce,
                    profile: user
                        .as_ref()
                        .map(|user| ProfileClaims::of_scope(user, subject.scope))
                        .unwrap_or_default(),
                },
            )?,
        ),
    };
    let refresh_token: Option<Secret> = client
        .may(GrantType::RefreshToken)
        .then(|| refresh_token::mint(&deps.keys.master, subject.grant, subject.generation));
    Ok(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: client.lifetimes.access.as_secs(),
        refresh_token: refresh_token.map(|token| token.reveal().to_owned()),
        id_token,
        scope: subject.scope.as_str().to_owned(),
        issued_token_type: None,
    })
}

/// Issues an access token to a client that acts for itself (RFC 6749 §4.4): no user, no grant, no refresh token.
pub fn issue_to_client(
    deps: &Deps,
    client: &Client,
    scope: &Scope,
    audience: &[String],
) -> Result<TokenResponse, Error> {
    let now = deps.clock.now();
    let claims = AccessClaims {
        iss: deps.policy.issuer.as_str(),
        sub: Sub::Client(client.id.as_str()),
        aud: OneOrMany::of(audience),
        client_id: client.id.as_str(),
        scope: scope.as_str(),
        iat: now.secs(),
        nbf: now.secs(),
        exp: (now + client.lifetimes.access).secs(),
        jti: Uuid::now_v7(),
        sid: None,
        auth_time: None,
        roles: &[],
        profile: ProfileClaims::default(),
    };
    Ok(TokenResponse {
        access_token: deps.keys.ring().sign(client.access_token_alg, TokenType::AccessToken, &claims)?,
        token_type: "Bearer",
        expires_in: client.lifetimes.access.as_secs(),
        refresh_token: None,
        id_token: None,
        scope: scope.as_str().to_owned(),
        issued_token_type: None,
    })
}

/// The left half of the access token's SHA-256 (OpenID Connect Core §3.1.3.6). All our algorithms hash with SHA-256,
/// save `EdDSA`, whose libraries use SHA-512 or SHA-256 and mostly do not check.
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, access_token.as_bytes()).as_ref()[..16])
}
