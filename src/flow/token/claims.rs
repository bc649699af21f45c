//! What stands in the tokens that we issue: access tokens (RFC 9068) and ID tokens (OpenID Connect Core §2).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::domain::client::ProfileClaim;
use crate::domain::{Client, Grant, GrantId, ProfileField, Scope, ServiceTerm, Timestamp, User, UserId};

/// For whom an access token is issued.
#[derive(Clone, Copy)]
pub(super) enum Principal<'a> {
    /// A user, by this grant.
    User(&'a Grant),
    /// The client itself (RFC 9068 §2.2): no grant, so no `sid` either.
    Client,
}

/// The claims of an access token.
#[derive(Serialize)]
pub(super) struct AccessClaims<'a> {
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

impl<'a> AccessClaims<'a> {
    pub(super) fn new(
        issuer: &'a str,
        client: &'a Client,
        principal: Principal<'a>,
        (scope, audience): (&'a Scope, &'a [String]),
        now: Timestamp,
    ) -> Self {
        let grant = match principal {
            Principal::User(grant) => Some(grant),
            Principal::Client => None,
        };
        Self {
            iss: issuer,
            sub: grant.map_or(Sub::Client(client.id.as_str()), |grant| Sub::User(grant.user)),
            aud: OneOrMany::of(audience),
            client_id: client.id.as_str(),
            scope: scope.as_str(),
            iat: now.secs(),
            nbf: now.secs(),
            exp: (now + client.lifetimes.access).secs(),
            jti: Uuid::now_v7(),
            sid: grant.map(|grant| grant.id),
            auth_time: grant.and_then(|grant| grant.auth_time).map(Timestamp::secs),
            roles: grant.map_or(&[], |grant| grant.roles.as_slice()),
            profile: ProfileClaims::default(),
        }
    }

    /// With the profile claims that the client's settings list.
    pub(super) fn with_profile(self, user: &'a User, client: &Client) -> Self {
        Self { profile: ProfileClaims::listed(user, &client.claims), ..self }
    }
}

/// The claims of an ID token.
#[derive(Serialize)]
pub(super) struct IdClaims<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: UserId,
    pub(super) aud: &'a str,
    pub(super) iat: i64,
    pub(super) exp: i64,
    /// Kakao's own. The login was refused if the client asked for it (`max_age`) and Kakao did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_time: Option<i64>,
    pub(super) sid: GrantId,
    pub(super) at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<&'a str>,
    #[serde(flatten)]
    pub(super) profile: ProfileClaims<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Sub<'a> {
    User(UserId),
    Client(&'a str),
}

/// `aud` is a string when there is one (RFC 7519 §4.1.3): some verifiers read nothing else.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(&'a [String]),
}

impl<'a> OneOrMany<'a> {
    fn of(audience: &'a [String]) -> Self {
        match audience {
            [one] => Self::One(one),
            many => Self::Many(many),
        }
    }
}

/// The standard claims that may be told (OpenID Connect Core §5.1); what the person does not share is absent.
#[derive(Default)]
pub(crate) struct ProfileClaims<'a>(Vec<(&'static str, ClaimValue<'a>)>);

#[derive(Serialize)]
#[serde(untagged)]
enum ClaimValue<'a> {
    Text(&'a str),
    Flag(bool),
    Seconds(i64),
    Texts(&'a [String]),
    Tags(Vec<&'a str>),
}

impl Serialize for ProfileClaims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'a> ProfileClaims<'a> {
    /// What these scopes tell (OpenID Connect Core §5.4).
    pub(crate) fn of_scope(user: &'a User, scope: &Scope) -> Self {
        let mut claims = Self::default();
        for field in ProfileField::ALL {
            if field.scope().is_some_and(|tells| scope.contains(tells)) {
                claims.add(ProfileClaim::Field(*field), user);
            }
        }
        if scope.contains("profile") {
            claims.0.push(("updated_at", ClaimValue::Seconds(user.updated_at.secs())));
        }
        claims
    }

    /// The names of all claims that some scope tells.
    pub(crate) fn names_by_scope() -> Vec<&'static str> {
        let fields = ProfileField::ALL.iter().filter(|field| field.scope().is_some());
        let mut names: Vec<&str> = fields.map(|field| field.name()).collect();
        names.extend(["email_verified", "phone_number_verified", "updated_at"]);
        names
    }

    /// Whether a scope tells anything of the profile.
    pub(super) fn any_of_scope(scope: &Scope) -> bool {
        scope.iter().any(|token| ProfileField::ALL.iter().any(|field| field.scope() == Some(token)))
    }

    fn listed(user: &'a User, listed: &[ProfileClaim]) -> Self {
        let mut claims = Self::default();
        for claim in listed {
            claims.add(*claim, user);
        }
        claims
    }

    fn add(&mut self, claim: ProfileClaim, user: &'a User) {
        let (profile, consent) = (&user.profile, &user.consent);
        let value = match claim {
            // Kakao gives a legal name to few apps; libraries show `name`, so the nickname stands in for it.
            ProfileClaim::Field(ProfileField::Name) => {
                profile.name.as_deref().or(profile.nickname.as_deref()).map(ClaimValue::Text)
            }
            ProfileClaim::Field(field) => profile.get(field).map(ClaimValue::Text),
            ProfileClaim::KakaoScopes => consent.scopes.as_deref().map(ClaimValue::Texts),
            ProfileClaim::KakaoNeedsAgreement => Some(ClaimValue::Texts(&consent.needs_agreement)),
            ProfileClaim::KakaoServiceTerms => consent.service_terms.as_deref().map(agreed),
        };
        let known = self.0.iter().any(|(name, _)| *name == claim.name());
        let Some(value) = value.filter(|_| !known) else { return };
        self.0.push((claim.name(), value));
        match claim {
            ProfileClaim::Field(ProfileField::Email) => {
                self.0.push(("email_verified", ClaimValue::Flag(profile.email_verified)));
            }
            // Kakao gives no number that it has not verified.
            ProfileClaim::Field(ProfileField::PhoneNumber) => {
                self.0.push(("phone_number_verified", ClaimValue::Flag(true)));
            }
            _ => {}
        }
    }
}

fn agreed(terms: &[ServiceTerm]) -> ClaimValue<'_> {
    ClaimValue::Tags(terms.iter().filter(|term| term.agreed).map(|term| term.tag.as_str()).collect())
}
