//! What frontends, backends and operators ask of a rig.

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use super::{
    BACKEND_SECRET, Browser, ISSUER, Rig, VERIFIER, WEB, access_token, authorization_request, claims, http,
    parameter, refresh_token,
};

impl Rig {
    /// Logs the autopilot's person in and redeems the code.
    pub(crate) async fn tokens(&self) -> Value {
        let code = self.code().await;
        let reply = self.redeem(0, &code).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    /// Logs the autopilot's person in at the web client.
    pub(crate) async fn code(&self) -> String {
        let landed = Browser::new(self).log_in(&authorization_request(&[])).await;
        parameter(&landed, "code").unwrap_or_else(|| panic!("no code in {landed}"))
    }

    pub(crate) async fn redeem(&self, instance: usize, code: &str) -> Response {
        self.token(
            instance,
            &[
                ("grant_type", "authorization_code"),
                ("client_id", "web"),
                ("code", code),
                ("redirect_uri", WEB),
                ("code_verifier", VERIFIER),
            ],
        )
        .await
    }

    pub(crate) async fn refresh(&self, instance: usize, token: &str) -> Response {
        let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", token)];
        self.token(instance, &form).await
    }

    pub(crate) async fn token(&self, instance: usize, form: &[(&str, &str)]) -> Response {
        http().post(self.url(instance, "/oauth/token")).form(form).send().await.unwrap()
    }

    /// A form to an endpoint, from a confidential client by Basic.
    pub(crate) async fn form_as(
        &self,
        instance: usize,
        client: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let request = http().post(self.url(instance, path)).basic_auth(client, Some(BACKEND_SECRET));
        request.form(form).send().await.unwrap()
    }

    /// What a backend service that the token is for is told of it.
    pub(crate) async fn introspected(&self, instance: usize, token: &str) -> Value {
        let reply = self.form_as(instance, "orders", "/oauth/introspect", &[("token", token)]).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.unwrap()
    }

    /// A token for our own API about the user, out of the grant of these.
    pub(crate) async fn account_token(&self, tokens: &Value) -> String {
        let client = claims(access_token(tokens))["client_id"].as_str().unwrap().to_owned();
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("refresh_token", refresh_token(tokens)),
            ("resource", ISSUER),
        ];
        access_token(&self.token(0, &form).await.json().await.unwrap()).to_owned()
    }

    /// The token that a client gets for itself, with all scopes of our own API that it may have.
    pub(crate) async fn own_token(&self, client: &str) -> String {
        let mut form = vec![("grant_type", "client_credentials")];
        match client {
            "service" => form.push(("scope", "users:read kakao:token")),
            "ops" => form.push(("scope", "admin")),
            _ => {}
        }
        let reply = self.form_as(0, client, "/oauth/token", &form).await;
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// A call of `/v1` with a bearer token.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Response {
        self.call_at(0, method, path, token, body).await
    }

    /// The same at another instance.
    pub(crate) async fn call_at(
        &self,
        instance: usize,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Response {
        let request = http().request(method, self.url(instance, path)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }
}
