//! `[[clients]]`: each table becomes a [`Client`], or says what is wrong with it. As in [`super::reader`], what cannot be read
//! becomes a placeholder that never gets out.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::reader::Reader;
use super::tokens::{ACCESS, CODE, ID, REFRESH_ABSOLUTE, REFRESH_IDLE};
use super::value::{duration, nearest};
use crate::domain::client::{ProfileClaim, RequirePkce};
use crate::domain::client_jwk::ClientJwk;
use crate::domain::redirect::{RedirectUri, is_this_machine};
use crate::domain::{
    Client, ClientId, ClientType, Clients, Fingerprint, GrantType, Lifetimes, Scope, SigningAlg,
};

const KEYS: [&str; 24] = [
    "id",
    "name",
    "type",
    "secret_sha256",
    "jwks",
    "backchannel_logout_uri",
    "initiate_login_uri",
    "login_page",
    "redirect_uris",
    "post_logout_redirect_uris",
    "allowed_origins",
    "grants",
    "scopes",
    "audience",
    "require_pkce",
    "access_token_alg",
    "id_token_alg",
    "id_token_profile",
    "claims",
    "access_ttl",
    "id_ttl",
    "code_ttl",
    "refresh_idle_ttl",
    "refresh_absolute_ttl",
];

pub(super) fn read_all(r: &mut Reader, lifetimes: Lifetimes, algorithms: &[SigningAlg]) -> Clients {
    let tables = r.take_clients();
    let mut ids = BTreeSet::new();
    let mut clients = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let name = table.get("id").and_then(Value::as_str).map_or_else(|| index.to_string(), str::to_owned);
        let Value::Object(table) = table else {
            r.problem(&format!("clients[{name}]"), "is not a table");
            continue;
        };
        let mut table = Table { r, keys: table, name };
        let client = table.client(lifetimes, algorithms);
        if !ids.insert(client.id.clone()) {
            table.problem("id", "another client has the same id");
        }
        clients.push(client);
    }
    Clients::new(clients)
}

/// One table of `[[clients]]`.
struct Table<'a> {
    r: &'a mut Reader,
    keys: &'a Map<String, Value>,
    name: String,
}

impl Table<'_> {
    fn client(&mut self, lifetimes: Lifetimes, algorithms: &[SigningAlg]) -> Client {
        self.refuse_unknown_keys();
        let id = self.id();
        let jwks = self.jwks();
        let kind = self.kind(!jwks.is_empty());
        let confidential = matches!(kind, ClientType::Confidential(_));
        let grants = self.grants(confidential);
        let redirect_uris = self.uris("redirect_uris");
        if redirect_uris.is_empty() && grants.contains(&GrantType::AuthorizationCode) {
            self.problem("redirect_uris", "authorization_code needs at least one redirect URI");
        }
        let audience = self.audience(&id);
        Client {
            name: self.keys.get("name").and_then(Value::as_str).unwrap_or(id.as_str()).to_owned(),
            kind,
            jwks,
            backchannel_logout_uri: self.own_server("backchannel_logout_uri"),
            initiate_login_uri: self.own_server("initiate_login_uri"),
            login_page: self.flag("login_page", false),
            grants,
            redirect_uris,
            post_logout_redirect_uris: self.uris("post_logout_redirect_uris"),
            allowed_origins: self.list("allowed_origins", &[], origin),
            scopes: self.scopes(),
            audience,
            require_pkce: self.require_pkce(confidential),
            access_token_alg: self.algorithm("access_token_alg", SigningAlg::Es256, algorithms),
            id_token_alg: self.algorithm("id_token_alg", SigningAlg::Rs256, algorithms),
            id_token_profile: self.flag("id_token_profile", true),
            claims: self.list("claims", &[], profile_claim),
            lifetimes: self.lifetimes(lifetimes),
            id,
        }
    }

    fn problem(&mut self, key: &str, sentence: impl Into<String>) {
        self.r.problem(&format!("clients[{}].{key}", self.name), sentence);
    }

    fn refuse_unknown_keys(&mut self) {
        let unknown: Vec<String> =
            self.keys.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            let hint = nearest(&key, KEYS.iter().copied())
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            self.problem(&key, format!("is not a setting{hint}"));
        }
    }

    fn id(&mut self) -> ClientId {
        let id = self.keys.get("id").and_then(Value::as_str).unwrap_or_default();
        if id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            self.problem("id", "it must have 1 to 128 printable ASCII characters, without spaces and colons");
        }
        ClientId(id.to_owned())
    }

    fn kind(&mut self, has_keys: bool) -> ClientType {
        let hashes = self.list("secret_sha256", &[], sha256);
        match self.keys.get("type").and_then(Value::as_str) {
            Some("public") => {
                if has_keys {
                    self.problem("jwks", "a public client has no key; set type = \"confidential\"");
                }
                if !hashes.is_empty() {
                    self.problem(
                        "secret_sha256",
                        "a public client has no secret; set type = \"confidential\"",
                    );
                }
                ClientType::Public
            }
            Some("confidential") => {
                if hashes.is_empty() && !has_keys {
                    self.problem(
                        "secret_sha256",
                        "needs at least one; make one with: kakao-auth clients new",
                    );
                }
                ClientType::Confidential(hashes)
            }
            _ => {
                self.problem("type", "it must be \"public\" or \"confidential\"");
                ClientType::Public
            }
        }
    }

    fn jwks(&mut self) -> Vec<ClientJwk> {
        let values = match self.keys.get("jwks") {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
            Some(_) => {
                self.problem("jwks", "it must be a list of JWKs, each a table");
                return Vec::new();
            }
        };
        let mut keys = Vec::with_capacity(values.len());
        for value in values {
            match ClientJwk::read(value) {
                Ok(key) => keys.push(key),
                Err(sentence) => self.problem("jwks", sentence),
            }
        }
        keys
    }

    /// The client's own server: https, or http to this machine or a neighbour in the same container network.
    fn own_server(&mut self, key: &str) -> Option<String> {
        let value = self.keys.get(key)?;
        let text = value.as_str().unwrap_or_default();
        let fits = Url::parse(text).is_ok_and(|url| {
            let near = is_this_machine(&url) || url.host_str().is_some_and(|host| !host.contains(['.', ':']));
            (url.scheme() == "https" || url.scheme() == "http" && near)
                && url.fragment().is_none()
                && url.username().is_empty()
        });
        if fits {
            return Some(text.to_owned());
        }
        self.problem(key, "write https://…, without a fragment; http only for this machine");
        None
    }

    fn require_pkce(&mut self, confidential: bool) -> RequirePkce {
        match self.keys.get("require_pkce") {
            None if confidential => RequirePkce::UnlessNonce,
            Some(Value::Bool(false)) if confidential => RequirePkce::Never,
            None | Some(Value::Bool(true)) => RequirePkce::Always,
            Some(Value::Bool(false)) => {
                self.problem("require_pkce", "only a confidential client may go without PKCE");
                RequirePkce::Always
            }
            Some(_) => {
                self.problem("require_pkce", "it must be true or false");
                RequirePkce::Always
            }
        }
    }

    /// A token without `aud` would be for everybody, or for nobody.
    fn audience(&mut self, id: &ClientId) -> Vec<String> {
        let named = |text: &str| {
            if text.is_empty() { Err("\"\" is no name".to_owned()) } else { Ok(text.to_owned()) }
        };
        let audience = self.list("audience", &[id.as_str()], named);
        if audience.is_empty() {
            self.problem(
                "audience",
                "it must name at least one resource server; leave it out for the client's id",
            );
        }
        audience
    }

    /// The client's own, where it has them, else the service's.
    fn lifetimes(&mut self, service: Lifetimes) -> Lifetimes {
        Lifetimes {
            access: self.duration("access_ttl", service.access, &ACCESS),
            id: self.duration("id_ttl", service.id, &ID),
            code: self.duration("code_ttl", service.code, &CODE),
            refresh_idle: self.duration("refresh_idle_ttl", service.refresh_idle, &REFRESH_IDLE),
            refresh_absolute: self.duration(
                "refresh_absolute_ttl",
                service.refresh_absolute,
                &REFRESH_ABSOLUTE,
            ),
        }
    }

    fn grants(&mut self, confidential: bool) -> Vec<GrantType> {
        let grants = self.list("grants", &["authorization_code", "refresh_token"], |text| {
            GrantType::from_name(text).ok_or_else(|| format!("{text:?} is not a grant type"))
        });
        if grants.contains(&GrantType::ClientCredentials) && !confidential {
            self.problem("grants", "client_credentials is only for confidential clients");
        }
        grants
    }

    fn scopes(&mut self) -> Scope {
        let tokens = self.list("scopes", &["openid", "profile", "email"], |text| match Scope::parse(text) {
            Ok(scope) if scope.iter().count() == 1 => Ok(text.to_owned()),
            _ => Err(format!("{text:?} is not a scope")),
        });
        tokens.iter().map(String::as_str).collect()
    }

    fn algorithm(&mut self, key: &str, default: SigningAlg, available: &[SigningAlg]) -> SigningAlg {
        let chosen = match self.keys.get(key).and_then(Value::as_str) {
            None if self.keys.contains_key(key) => None,
            None => Some(default),
            Some(name) => SigningAlg::from_name(name),
        };
        match chosen {
            Some(alg) if available.contains(&alg) => alg,
            Some(alg) => {
                self.problem(key, format!("{} is not among keys.algorithms", alg.name()));
                default
            }
            None => {
                self.problem(key, "it must be ES256, RS256 or EdDSA");
                default
            }
        }
    }

    fn uris(&mut self, key: &str) -> Vec<RedirectUri> {
        self.list(key, &[], |text| RedirectUri::register(text).map_err(|why| format!("{text:?}: {why}")))
    }

    fn duration(&mut self, key: &str, default: Duration, range: &RangeInclusive<Duration>) -> Duration {
        match self.keys.get(key) {
            None => default,
            Some(value) => duration(value.as_str().unwrap_or_default(), range).unwrap_or_else(|sentence| {
                self.problem(key, sentence);
                default
            }),
        }
    }

    fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.keys.get(key) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.problem(key, "it must be true or false");
                default
            }
        }
    }

    /// A list of texts; a single text counts as a list of one.
    fn list<T>(&mut self, key: &str, default: &[&str], parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let texts: Vec<String> = match self.keys.get(key) {
            None => default.iter().map(|text| (*text).to_owned()).collect(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => {
                self.problem(key, "it must be a list of texts");
                return Vec::new();
            }
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match parse(&text) {
                Ok(value) => values.push(value),
                Err(sentence) => self.problem(key, sentence),
            }
        }
        values
    }
}

fn profile_claim(text: &str) -> Result<ProfileClaim, String> {
    ProfileClaim::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = ProfileClaim::all().map(ProfileClaim::name).collect();
        format!("{text:?} is unknown; known are {}", known.join(", "))
    })
}

/// An origin as browsers write it (RFC 6454 §6.2).
fn origin(text: &str) -> Result<String, String> {
    let same = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http") && url.origin().ascii_serialization() == text
    });
    if same {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not an origin; write https://app.example.com"))
    }
}

/// 64 hexadecimal digits. The text is not shown: somebody may have put the secret itself there.
fn sha256(text: &str) -> Result<Fingerprint, String> {
    let wrong = || "it must be the SHA-256 of the secret as 64 hexadecimal digits, not the secret".to_owned();
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let bytes: Option<Vec<u8>> =
        (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()).collect();
    bytes.as_deref().and_then(Fingerprint::from_slice).ok_or_else(wrong)
}
