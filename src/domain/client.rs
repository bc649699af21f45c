//! Clients: the frontends and backend services that the settings list.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::client_jwk::ClientJwk;
use super::redirect::{RedirectUri, is_native};
use super::{ClientId, Fingerprint, ProfileField, Scope, SigningAlg};

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Debug)]
pub(crate) enum ClientType {
    /// It cannot: a page or an app. It proves itself by PKCE and its redirect URI.
    Public,
    /// It can; the SHA-256 of each secret it may show, several while one replaces another.
    Confidential(Vec<Fingerprint>),
}

/// When a code needs a PKCE challenge (RFC 7636, RFC 9700 §2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequirePkce {
    /// Always: every public client, and a confidential one with `require_pkce = true`.
    Always,
    /// Unless the request sends `nonce` with the scope `openid`: a confidential client that does not say otherwise.
    UnlessNonce,
    /// Never: a confidential client with `require_pkce = false`.
    Never,
}

/// A grant type that a client may use at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    /// `urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693)
    TokenExchange,
}

impl GrantType {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials, Self::TokenExchange];

    /// The registered name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// From the registered name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }
}

/// How long what a client gets stays good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    /// Access token.
    pub(crate) access: Duration,
    /// ID token.
    pub(crate) id: Duration,
    /// Authorization code.
    pub(crate) code: Duration,
    /// A refresh token that nobody uses.
    pub(crate) refresh_idle: Duration,
    /// A grant, however often it is refreshed.
    pub(crate) refresh_absolute: Duration,
}

/// A profile claim that a client's `claims` setting may put into its access tokens (OpenID Connect Core §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProfileClaim {
    /// A field of the profile; `email` comes with `email_verified`, `phone_number` with `phone_number_verified`.
    Field(ProfileField),
    /// `kakao_scopes`: the consent items that were granted
    KakaoScopes,
    /// `kakao_needs_agreement`: the consent items that were not
    KakaoNeedsAgreement,
    /// `kakao_service_terms`: tags of the Kakao Sync terms that were agreed to
    KakaoServiceTerms,
}

impl ProfileClaim {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let fields = ProfileField::ALL.iter().copied().map(Self::Field);
        fields.chain([Self::KakaoScopes, Self::KakaoNeedsAgreement, Self::KakaoServiceTerms])
    }

    /// The claim's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Field(field) => field.name(),
            Self::KakaoScopes => "kakao_scopes",
            Self::KakaoNeedsAgreement => "kakao_needs_agreement",
            Self::KakaoServiceTerms => "kakao_service_terms",
        }
    }

    /// From the claim's name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|claim| claim.name() == name)
    }
}

/// A frontend or backend service, as the settings describe it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// The name that pages show to people.
    pub(crate) name: String,
    /// Public, or confidential with its secrets.
    pub(crate) kind: ClientType,
    /// The public keys with which it may prove who it is instead of a secret (`private_key_jwt`).
    pub(crate) jwks: Vec<ClientJwk>,
    /// Where it is told that a login has ended (OpenID Connect Back-Channel Logout §2.2).
    pub(crate) backchannel_logout_uri: Option<String>,
    /// Where a code may be sent.
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// Whether a page with Kakao's button stands before every login.
    pub(crate) login_page: bool,
    /// Where its own login begins (OpenID Connect Core §4): whoever lost the way is sent there.
    pub(crate) initiate_login_uri: Option<String>,
    /// Where a browser may be sent after a logout.
    pub(crate) post_logout_redirect_uris: Vec<RedirectUri>,
    /// Origins whose pages may call the token endpoint (CORS).
    pub(crate) allowed_origins: Vec<String>,
    /// Grant types it may use.
    pub(crate) grants: Vec<GrantType>,
    /// Scopes it may have.
    pub(crate) scopes: Scope,
    /// `aud` of its access tokens.
    pub(crate) audience: Vec<String>,
    pub(crate) require_pkce: RequirePkce,
    /// What signs its access tokens.
    pub(crate) access_token_alg: SigningAlg,
    /// What signs its ID tokens.
    pub(crate) id_token_alg: SigningAlg,
    /// Whether its ID tokens hold the profile claims of the scope; userinfo tells them either way.
    pub(crate) id_token_profile: bool,
    /// Profile claims in its access tokens.
    pub(crate) claims: Vec<ProfileClaim>,
    /// Its life times: its own, or the service's.
    pub(crate) lifetimes: Lifetimes,
}

impl Client {
    /// Whether it may use this grant type.
    pub(crate) fn may(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether it cannot keep a secret.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.kind, ClientType::Public)
    }

    /// Whether nothing but the person's word says that whoever gets a code at this redirect URI, which is one of its own, is
    /// the client (RFC 8252 §8.6). A client that proves itself by a secret is sure on its device.
    pub(crate) fn needs_confirmation(&self, redirect_uri: &str, service_is_local: bool) -> bool {
        let exact = |uri: &RedirectUri| !uri.is_pattern() && uri.matches(redirect_uri);
        !self.redirect_uris.iter().any(exact) || self.is_public() && is_native(redirect_uri, service_is_local)
    }

    /// Whether a code may be sent there.
    pub(crate) fn has_redirect_uri(&self, requested: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(requested))
    }
}

#[cfg(test)]
impl Client {
    /// A public client with every grant type and nothing else, for tests of decisions.
    pub(crate) fn sample(id: &str) -> Self {
        let minute = Duration::from_mins(1);
        Self {
            id: ClientId(id.to_owned()),
            name: id.to_owned(),
            kind: ClientType::Public,
            jwks: Vec::new(),
            backchannel_logout_uri: None,
            redirect_uris: Vec::new(),
            login_page: false,
            initiate_login_uri: None,
            post_logout_redirect_uris: Vec::new(),
            allowed_origins: Vec::new(),
            grants: GrantType::ALL.to_vec(),
            scopes: Scope::default(),
            audience: Vec::new(),
            require_pkce: RequirePkce::Always,
            access_token_alg: SigningAlg::Es256,
            id_token_alg: SigningAlg::Rs256,
            id_token_profile: true,
            claims: Vec::new(),
            lifetimes: Lifetimes {
                access: minute,
                id: minute,
                code: minute,
                refresh_idle: minute,
                refresh_absolute: minute,
            },
        }
    }
}

/// All clients by id, shared without copying.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    by_id: Arc<HashMap<String, Arc<Client>>>,
    notified_of_logouts: Arc<[ClientId]>,
}

impl Clients {
    /// From the settings' list. The ids are unique: the settings refuse two alike.
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        let notified = clients.iter().filter(|client| client.backchannel_logout_uri.is_some());
        Self {
            notified_of_logouts: notified.map(|client| client.id.clone()).collect(),
            by_id: Arc::new(
                clients.into_iter().map(|client| (client.id.0.clone(), Arc::new(client))).collect(),
            ),
        }
    }

    /// The client of this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }

    /// Those whose server is notified of logouts (`backchannel_logout_uri`).
    pub(crate) fn notified_of_logouts(&self) -> &[ClientId] {
        &self.notified_of_logouts
    }

    /// The longest that one kind of token of any client lives; zero without clients.
    pub(crate) fn longest(&self, life: impl Fn(&Lifetimes) -> Duration) -> Duration {
        self.iter().map(|client| life(&client.lifetimes)).max().unwrap_or_default()
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.by_id.values()
    }
}
