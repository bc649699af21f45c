//! Kakao's requests and replies as values: bytes in, values out, no sockets.
//!
//! Source: developers.kakao.com, Kakao Login > REST API.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::faults::Fault;
use crate::domain::{
    KakaoAccessToken, KakaoApp, KakaoCode, KakaoId, KakaoIdToken, KakaoRefreshToken, Profile, ServiceTerm,
    Timestamp, Verifier,
};

/// What a login sends along to Kakao's authorize page.
pub(crate) struct Authorize<'a> {
    /// Ours, returned unchanged.
    pub(crate) state: &'a str,
    /// Ours, copied into the ID token.
    pub(crate) nonce: &'a str,
    /// S256 challenge of our verifier.
    pub(crate) challenge: &'a str,
    /// `login`, `select_account`, `create`.
    pub(crate) prompt: Option<&'a str>,
    /// Pre-fills the login form.
    pub(crate) login_hint: Option<&'a str>,
    /// Consent items to ask for beyond those that are configured.
    pub(crate) more_scopes: &'a [String],
}

/// The reply of `POST /oauth/token`.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: KakaoAccessToken,
    /// Its life.
    pub(crate) expires_in: Duration,
    /// Opaque; absent on a refresh while the old one has more than a month.
    pub(crate) refresh_token: Option<KakaoRefreshToken>,
    /// Its life.
    pub(crate) refresh_token_expires_in: Option<Duration>,
    /// Granted consent items.
    pub(crate) scope: Option<String>,
    /// When the app uses OpenID Connect.
    pub(crate) id_token: Option<KakaoIdToken>,
}

/// The reply of `/v2/user/me`, as far as a login needs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The member number.
    pub(crate) id: KakaoId,
    /// What the person shares.
    pub(crate) profile: Profile,
    /// Consent items that the app has and the person has not agreed to.
    pub(crate) needs_agreement: Vec<String>,
    /// Since when the person is linked to the app, if Kakao says so.
    pub(crate) connected_at: Option<Timestamp>,
}

/// The reply of `/v1/user/access_token_info`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct TokenInfo {
    /// The member number; Kakao's own SDK takes it for optional.
    pub(crate) id: Option<i64>,
    /// What is left of its life, seconds.
    pub(crate) expires_in: u64,
    /// The app's number.
    pub(crate) app_id: i64,
}

pub(super) fn authorize_url(app: &KakaoApp, request: &Authorize<'_>) -> String {
    let mut url = app.auth_base_url.clone();
    url.set_path("/oauth/authorize");
    append_query(&mut url, app, request);
    url.into()
}

fn append_query(url: &mut Url, app: &KakaoApp, request: &Authorize<'_>) {
    let mut query = url.query_pairs_mut();
    query
        .append_pair("client_id", &app.client_id)
        .append_pair("redirect_uri", &app.redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", request.state)
        .append_pair("nonce", request.nonce)
        .append_pair("code_challenge", request.challenge)
        .append_pair("code_challenge_method", "S256");
    // None configured, none sent: a consent item that is not switched on in the console would make every login fail
    // (KOE205), and without the parameter the console decides.
    let more = request.more_scopes.iter().filter(|item| !app.scopes.contains(item));
    let scopes: Vec<&str> = app.scopes.iter().chain(more).map(String::as_str).collect();
    if !scopes.is_empty() {
        query.append_pair("scope", &scopes.join(","));
    }
    if let Some(prompt) = request.prompt {
        query.append_pair("prompt", prompt);
    }
    if let Some(hint) = request.login_hint {
        query.append_pair("login_hint", hint);
    }
}

/// Kakao ends its own session, then sends the browser to the registered logout redirect URI (else KOE007).
pub(super) fn logout_url(app: &KakaoApp, state: Option<&str>) -> String {
    let mut url = app.auth_base_url.clone();
    url.set_path("/oauth/logout");
    url.query_pairs_mut()
        .append_pair("client_id", &app.client_id)
        .append_pair("logout_redirect_uri", &app.logout_redirect_uri)
        .extend_pairs(state.map(|state| ("state", state)));
    url.into()
}

/// `client_secret_post` is the only way Kakao takes; with Basic it answers KOE101.
pub(super) fn code_form(
    app: &KakaoApp,
    code: &KakaoCode,
    verifier: &Verifier,
) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("client_id", app.client_id.clone()),
        ("redirect_uri", app.redirect_uri.clone()),
        ("code", code.reveal().to_owned()),
        ("code_verifier", verifier.reveal().to_owned()),
    ];
    if let Some(secret) = &app.client_secret {
        form.push(("client_secret", secret.reveal().to_owned()));
    }
    form
}

/// As for a code. No redirect URI is needed.
pub(super) fn refresh_form(app: &KakaoApp, refresh_token: &KakaoRefreshToken) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("client_id", app.client_id.clone()),
        ("refresh_token", refresh_token.reveal().to_owned()),
    ];
    if let Some(secret) = &app.client_secret {
        form.push(("client_secret", secret.reveal().to_owned()));
    }
    form
}

/// Whom a call by the admin key is about.
pub(super) fn target(user: KakaoId) -> [(&'static str, String); 2] {
    [("target_id_type", "user_id".to_owned()), ("target_id", user.to_string())]
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    expires_in: u64,
    refresh_token: Option<String>,
    refresh_token_expires_in: Option<u64>,
    scope: Option<String>,
    id_token: Option<String>,
}

/// Reads the reply of `POST /oauth/token`.
pub(super) fn read_tokens(status: u16, body: &[u8]) -> Result<Tokens, Fault> {
    if status != 200 {
        return Err(Fault::of_auth(status, body));
    }
    let reply: TokenReply = serde_json::from_slice(body)
        .map_err(|_| Fault::unreadable(status, "a token reply that is not its JSON"))?;
    if reply.access_token.is_empty() {
        return Err(Fault::unreadable(status, "an empty access token"));
    }
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Tokens {
        access_token: KakaoAccessToken::new(reply.access_token),
        expires_in: Duration::from_secs(reply.expires_in),
        refresh_token: some(reply.refresh_token).map(KakaoRefreshToken::new),
        refresh_token_expires_in: reply.refresh_token_expires_in.map(Duration::from_secs),
        scope: reply.scope,
        id_token: some(reply.id_token).map(KakaoIdToken::new),
    })
}

#[derive(Deserialize)]
struct MeReply {
    id: i64,
    connected_at: Option<String>,
    kakao_account: Option<Account>,
}

#[derive(Default, Deserialize)]
struct Account {
    profile: Option<AccountProfile>,
    name: Option<String>,
    email: Option<String>,
    is_email_valid: Option<bool>,
    is_email_verified: Option<bool>,
    phone_number: Option<String>,
    age_range: Option<String>,
    gender: Option<String>,
    birthyear: Option<String>,
    birthday: Option<String>,
    birthday_type: Option<String>,
    profile_needs_agreement: Option<bool>,
    profile_nickname_needs_agreement: Option<bool>,
    profile_image_needs_agreement: Option<bool>,
    email_needs_agreement: Option<bool>,
    name_needs_agreement: Option<bool>,
    phone_number_needs_agreement: Option<bool>,
    age_range_needs_agreement: Option<bool>,
    birthyear_needs_agreement: Option<bool>,
    birthday_needs_agreement: Option<bool>,
    gender_needs_agreement: Option<bool>,
    ci_needs_agreement: Option<bool>,
}

impl Account {
    /// The consent items behind the flags that are up.
    fn needs_agreement(&self) -> Vec<String> {
        let flags = [
            ("profile", self.profile_needs_agreement),
            ("profile_nickname", self.profile_nickname_needs_agreement),
            ("profile_image", self.profile_image_needs_agreement),
            ("account_email", self.email_needs_agreement),
            ("name", self.name_needs_agreement),
            ("phone_number", self.phone_number_needs_agreement),
            ("age_range", self.age_range_needs_agreement),
            ("birthyear", self.birthyear_needs_agreement),
            ("birthday", self.birthday_needs_agreement),
            ("gender", self.gender_needs_agreement),
            ("account_ci", self.ci_needs_agreement),
        ];
        flags.into_iter().filter(|(_, flag)| *flag == Some(true)).map(|(item, _)| item.to_owned()).collect()
    }

    /// `YYYY-MM-DD`, with 0000 for a year that is not shared, or the year alone (OpenID Connect Core §5.1). A day of the lunar
    /// calendar is another one each year, so of a person who gave such a day only the year is told.
    fn birthdate(&self) -> Option<String> {
        let digits = |text: &Option<String>| {
            text.clone().filter(|text| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let is_lunar = self.birthday_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("LUNAR"));
        let day = digits(&self.birthday).filter(|_| !is_lunar);
        let day = day.map(|day| format!("{}-{}", &day[..2], &day[2..]));
        match (digits(&self.birthyear), day) {
            (Some(year), Some(day)) => Some(format!("{year}-{day}")),
            (None, Some(day)) => Some(format!("0000-{day}")),
            (year, None) => year,
        }
    }
}

#[derive(Default, Deserialize)]
struct AccountProfile {
    nickname: Option<String>,
    profile_image_url: Option<String>,
}

fn instant(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| Timestamp::from_secs(time.unix_timestamp()))
}

/// Reads the reply of `/v2/user/me`. Every member but `id` may be missing: consent is the person's.
pub(super) fn read_person(status: u16, body: &[u8]) -> Result<Person, Fault> {
    if status != 200 {
        return Err(Fault::of_api(status, body));
    }
    let reply: MeReply = serde_json::from_slice(body)
        .map_err(|_| Fault::unreadable(status, "a profile that is not its JSON"))?;
    if reply.id <= 0 {
        return Err(Fault::unreadable(status, "a member number that is not one"));
    }
    let account = reply.kakao_account.unwrap_or_default();
    let (needs_agreement, birthdate) = (account.needs_agreement(), account.birthdate());
    let profile = account.profile.unwrap_or_default();
    let email = text(account.email);
    Ok(Person {
        id: KakaoId(reply.id),
        needs_agreement,
        connected_at: reply.connected_at.as_deref().and_then(instant),
        profile: Profile {
            nickname: text(profile.nickname),
            name: text(account.name),
            picture: text(profile.profile_image_url).map(over_https),
            // "Valid" alone may be an address that since belongs to another account: both, or it is not verified.
            email_verified: email.is_some()
                && account.is_email_valid == Some(true)
                && account.is_email_verified == Some(true),
            email,
            phone_number: text(account.phone_number),
            // The documentation says `female`, its sample `MALE`.
            gender: text(account.gender).map(|gender| gender.to_ascii_lowercase()),
            birthdate,
            age_range: text(account.age_range),
        },
    })
}

/// Reads the reply of `/v1/user/access_token_info`. To what is no token at all Kakao answers −2: to whoever sent it that is
/// a token that Kakao does not know, as with −401.
pub(super) fn read_token_info(status: u16, body: &[u8]) -> Result<TokenInfo, Fault> {
    read_json(status, body)
        .map_err(|fault| if fault.is_bad_argument() { fault.into_dead_token() } else { fault })
}

#[derive(Deserialize)]
struct ScopesReply {
    scopes: Vec<ScopeRow>,
}

#[derive(Deserialize)]
struct ScopeRow {
    id: String,
    #[serde(default)]
    agreed: bool,
}

/// Reads the reply of `/v2/user/scopes`: the items that were agreed to.
pub(super) fn read_scopes(status: u16, body: &[u8]) -> Result<Vec<String>, Fault> {
    let reply: ScopesReply = read_json(status, body)?;
    Ok(reply.scopes.into_iter().filter(|row| row.agreed).map(|row| row.id).collect())
}

#[derive(Deserialize)]
struct TermsReply {
    #[serde(default)]
    service_terms: Vec<ServiceTerm>,
}

/// Reads the reply of `/v2/user/service_terms`.
pub(super) fn read_service_terms(status: u16, body: &[u8]) -> Result<Vec<ServiceTerm>, Fault> {
    read_json(status, body).map(|reply: TermsReply| reply.service_terms)
}

/// Reads a reply of which only the status matters.
pub(super) fn read_done(status: u16, body: &[u8]) -> Result<(), Fault> {
    if status == 200 { Ok(()) } else { Err(Fault::of_api(status, body)) }
}

fn read_json<T: serde::de::DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Fault> {
    if status != 200 {
        return Err(Fault::of_api(status, body));
    }
    serde_json::from_slice(body).map_err(|_| Fault::unreadable(status, "a reply that is not its JSON"))
}

/// An empty text is an absent one. So is one that holds a NUL, which Postgres cannot keep: without it, it would be another one,
/// of which Kakao has said nothing.
pub(super) fn text(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty() && !text.contains('\0'))
}

/// Kakao's image hosts answer on https too; some replies still say http.
pub(super) fn over_https(url: String) -> String {
    match url.strip_prefix("http://") {
        Some(rest) => format!("https://{rest}"),
        None => url,
    }
}

#[cfg(test)]
mod tests {
    use super::super::FaultKind;
    use super::*;
    use crate::domain::KakaoClientSecret;

    fn app(scopes: &[&str]) -> KakaoApp {
        KakaoApp {
            client_id: "key".into(),
            client_secret: Some(KakaoClientSecret::new("shh")),
            admin_key: None,
            app_id: None,
            app_keys: vec![],
            scopes: scopes.iter().map(ToString::to_string).collect(),
            auth_base_url: Url::parse("https://kauth.kakao.com").unwrap(),
            api_base_url: Url::parse("https://kapi.kakao.com").unwrap(),
            redirect_uri: "https://auth.example.com/kakao/callback".into(),
            logout_redirect_uri: "https://auth.example.com/kakao/logout".into(),
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn no_scope_is_sent_unless_one_is_configured() {
        let request = Authorize {
            state: "s",
            nonce: "n",
            challenge: "c",
            prompt: None,
            login_hint: None,
            more_scopes: &[],
        };
        assert!(!authorize_url(&app(&[]), &request).contains("scope"));
        assert!(
            authorize_url(&app(&["openid", "account_email"]), &request)
                .contains("scope=openid%2Caccount_email")
        );
    }

    #[test]
    fn the_secret_goes_into_the_body() {
        let form = code_form(&app(&[]), &KakaoCode::new("code"), &Verifier::new("verifier"));
        assert!(
            form.contains(&("client_secret", "shh".into()))
                && form.contains(&("code_verifier", "verifier".into()))
        );
    }

    #[test]
    fn a_person_who_shares_nothing_is_a_person() {
        let person = read_person(200, br#"{"id":1376016924429759228}"#).unwrap();
        assert_eq!(
            person,
            Person {
                id: KakaoId(1_376_016_924_429_759_228),
                profile: Profile::default(),
                needs_agreement: Vec::new(),
                connected_at: None,
            }
        );
        assert!(read_person(200, br#"{"id":1,"kakao_account":null}"#).is_ok());
        let linked = read_person(200, br#"{"id":1,"connected_at":"2022-04-11T01:45:28Z"}"#).unwrap();
        assert_eq!(linked.connected_at, Some(Timestamp::from_secs(1_649_641_528)));
    }

    #[test]
    fn a_value_that_cannot_be_kept_as_it_is_is_dropped_and_counts_as_unverified() {
        let body = br#"{"id":1,"kakao_account":{"email":"a\u0000@b.c","is_email_valid":true,"is_email_verified":true,
                        "profile":{"nickname":"Ka\u0000kao"}}}"#;
        let profile = read_person(200, body).unwrap().profile;
        assert_eq!((profile.email, profile.email_verified, profile.nickname), (None, false, None));
    }

    #[test]
    fn an_address_is_verified_only_if_valid_and_verified() {
        let verified = |valid, verified| {
            let body = format!(
                r#"{{"id":1,"kakao_account":{{"email":"a@b.c","is_email_valid":{valid},"is_email_verified":{verified}}}}}"#
            );
            read_person(200, body.as_bytes()).unwrap().profile.email_verified
        };
        assert!(verified(true, true));
        assert!(!verified(true, false) && !verified(false, true));
        assert!(
            !read_person(
                200,
                br#"{"id":1,"kakao_account":{"is_email_valid":true,"is_email_verified":true}}"#
            )
            .unwrap()
            .profile
            .email_verified
        );
    }

    #[test]
    fn replies_that_are_not_kakao_s_are_kakao_s_fault() {
        let bodies: [&[u8]; 9] = [
            b"",
            b"{",
            b"<html>",
            b"null",
            b"{\"id\":\"7\"}",
            b"{\"id\":1.5}",
            b"{\"id\":0}",
            b"\xef\xbb\xbf{\"id\":1}",
            b"{\"id\":1,\"id\":2}",
        ];
        for body in bodies {
            assert_eq!(read_person(200, body).unwrap_err().kind(), FaultKind::KakaoBroken, "{body:?}");
        }
        assert_eq!(
            read_tokens(200, b"{\"access_token\":\"\",\"expires_in\":1}").unwrap_err().kind(),
            FaultKind::KakaoBroken
        );
        assert_eq!(read_tokens(200, b"{\"access_token\":\"x\"}").unwrap_err().kind(), FaultKind::KakaoBroken);
    }

    #[test]
    fn pictures_come_over_https() {
        let body =
            br#"{"id":1,"kakao_account":{"profile":{"profile_image_url":"http://k.kakaocdn.net/x.jpg"}}}"#;
        assert_eq!(
            read_person(200, body).unwrap().profile.picture.as_deref(),
            Some("https://k.kakaocdn.net/x.jpg")
        );
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// Whatever Kakao, or what stands in its place, replies: a value that can be kept, or a fault.
    #[test]
    fn kakao_replies() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let (status, body) = match bytes.split_first() {
                Some((first, body)) => {
                    ([200, 400, 401, 403, 404, 429, 500, 503][usize::from(first % 8)], body)
                }
                None => (200, bytes),
            };
            if let Ok(tokens) = read_tokens(status, body) {
                assert!(!tokens.access_token.reveal().is_empty());
            }
            if let Ok(person) = read_person(status, body) {
                assert!(person.id.0 > 0);
                let kept = [&person.profile.nickname, &person.profile.name, &person.profile.email];
                assert!(kept.into_iter().flatten().all(|text| !text.is_empty() && !text.contains('\0')));
                assert!(person.profile.email.is_some() || !person.profile.email_verified);
            }
            let _ = read_token_info(status, body);
            let _ = read_scopes(status, body);
            let _ = read_service_terms(status, body);
            let _ = read_done(status, body);
        });
    }
}
