//! The `openidconnect` crate with its default options: discovers, logs in, refreshes, introspects, revokes, logs out.
//!
//! `ISSUER` is the public address, `BASE` where it is reached here.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IntrospectionUrl, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, RevocationUrl,
    Scope, TokenIntrospectionResponse, TokenResponse,
};

struct Place {
    issuer: String,
    base: String,
    http: reqwest::Client,
}

impl Place {
    fn reach(&self, url: &str) -> String {
        url.replacen(&self.issuer, &self.base, 1)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
        let (parts, body) = request.into_parts();
        let url = self.reach(&parts.uri.to_string());
        let reply = self.http.request(parts.method, url).headers(parts.headers).body(body).send().await?;
        let (status, headers) = (reply.status(), reply.headers().clone());
        let mut response = HttpResponse::new(reply.bytes().await?.to_vec());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// A browser: keeps cookies and follows redirects until the client's own address.
    async fn browse(
        &self,
        jar: &mut HashMap<String, String>,
        start: &str,
        end: &str,
    ) -> anyhow::Result<HashMap<String, String>> {
        let mut url = self.reach(start);
        for _ in 0..6 {
            let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let reply = self.http.get(&url).header("Cookie", cookies.join("; ")).send().await?;
            for header in reply.headers().get_all("set-cookie") {
                let pair = header.to_str()?.split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').context("a cookie without a value")?;
                jar.insert(name.to_owned(), value.to_owned());
            }
            let target = reply.headers().get("location").with_context(|| format!("no redirect at {url}"))?;
            let target = target.to_str()?.to_owned();
            if target.starts_with(end) {
                let landed = openidconnect::url::Url::parse(&target)?;
                return Ok(landed.query_pairs().into_owned().collect());
            }
            url = self.reach(&target);
        }
        bail!("a loop of redirects")
    }
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let place = Place { issuer: variable("ISSUER")?, base: variable("BASE")?, http };
    let send = |request| place.send(request);
    let redirect_uri = variable("REDIRECT_URI")?;

    let issuer = IssuerUrl::new(place.issuer.clone())?;
    let metadata = CoreProviderMetadata::discover_async(issuer, &send).await?;
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(variable("CLIENT_ID")?),
        Some(ClientSecret::new(variable("CLIENT_SECRET")?)),
    )
    .set_redirect_uri(RedirectUrl::new(redirect_uri.clone())?)
    .set_introspection_url(IntrospectionUrl::new(format!("{}/oauth/introspect", place.issuer))?)
    .set_revocation_url(RevocationUrl::new(format!("{}/oauth/revoke", place.issuer))?);

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let mut jar = HashMap::new();
    let landed = place.browse(&mut jar, url.as_str(), &redirect_uri).await?;
    ensure!(landed.get("state") == Some(state.secret()), "the state came back");
    let code = AuthorizationCode::new(landed.get("code").context("no code")?.clone());
    let tokens = client.exchange_code(code)?.set_pkce_verifier(verifier).request_async(&send).await?;

    let id_token = tokens.id_token().context("no ID token")?;
    let id_token_verifier = client.id_token_verifier();
    let claims: &CoreIdTokenClaims = id_token.claims(&id_token_verifier, &nonce)?;
    let expected = claims.access_token_hash().context("no at_hash")?;
    let algorithm = id_token.signing_alg()?;
    let key = id_token.signing_key(&id_token_verifier)?;
    let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)?;
    ensure!(actual == *expected, "at_hash fits");
    let person: CoreUserInfoClaims = client
        .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))?
        .request_async(&send)
        .await?;
    ensure!(person.email().is_some(), "the address");
    println!("logged in and read userinfo");

    let refresh = tokens.refresh_token().context("no refresh token")?;
    let fresh = client.exchange_refresh_token(refresh)?.request_async(&send).await?;
    let looked = client.introspect(fresh.access_token()).request_async(&send).await?;
    ensure!(looked.active(), "the new access token is active");
    println!("refreshed and introspected");

    let revoked = fresh.refresh_token().context("no refresh token")?.clone();
    client.revoke_token(revoked.into())?.request_async(&send).await?;
    let looked = client.introspect(fresh.access_token()).request_async(&send).await?;
    ensure!(!looked.active(), "revoked");
    println!("revoked");

    let bye = variable("BYE")?;
    let end = format!(
        "{}/oauth/logout?id_token_hint={id_token}&post_logout_redirect_uri={bye}&state=bye",
        place.issuer
    );
    let landed = place.browse(&mut jar, &end, &bye).await?;
    ensure!(landed.get("state").map(String::as_str) == Some("bye"), "back from the logout");
    println!("logged out");
    Ok(())
}
