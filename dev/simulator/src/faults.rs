//! Faults that can be scripted, per endpoint and number of calls.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use serde::{Deserialize, Serialize};

use crate::state::State;

/// The endpoints that are logged and can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/oauth/authorize`
    Authorize,
    /// `/oauth/token`
    Token,
    /// `/v2/user/me`
    Me,
    /// `/v1/user/access_token_info`
    AccessTokenInfo,
    /// `/.well-known/jwks.json`
    Jwks,
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/v1/oidc/userinfo`
    Userinfo,
    /// `/v1/user/unlink`
    Unlink,
    /// `/v1/user/logout`
    Logout,
    /// `/v2/user/scopes`
    Scopes,
    /// `/v2/user/revoke/scopes`
    RevokeScopes,
    /// `/v2/user/service_terms`
    ServiceTerms,
    /// `/v2/user/revoke/service_terms`
    RevokeServiceTerms,
    /// `/v2/user/upgrade/service_terms`
    UpgradeServiceTerms,
    /// `/v1/user/ids`
    Ids,
    /// `/v2/app/users`
    AppUsers,
    /// `/.well-known/ssf-configuration`, `/.well-known/sse-configuration`
    SsfConfiguration,
}

/// A fault of an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Where.
    pub endpoint: Endpoint,
    /// For how many calls; absent: until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// Before anything is answered.
    #[serde(default)]
    pub delay_ms: u64,
    /// What happens.
    pub effect: Effect,
}

/// What a fault does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Nothing beyond the delay.
    Delay,
    /// This reply instead of the right one.
    Reply {
        /// HTTP status.
        status: u16,
        /// The body, as it is.
        #[serde(default)]
        body: String,
        /// `application/json;charset=UTF-8` unless set.
        #[serde(default)]
        content_type: Option<String>,
        /// Further headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// A kauth error with this code, in Kakao's form.
    Koe {
        /// HTTP status.
        status: u16,
        /// `KOE320`
        code: String,
    },
    /// A kapi error with this code, in Kakao's form.
    Api {
        /// HTTP status.
        status: u16,
        /// `-401`
        code: i64,
    },
    /// A body of this many spaces.
    Huge {
        /// How many.
        bytes: usize,
    },
    /// One byte of a body each interval, for ever.
    Drip {
        /// Between two bytes.
        interval_ms: u64,
    },
    /// Accepts and never answers.
    Hang,
    /// The ID token of the reply is not right.
    Forge {
        /// In which way.
        forgery: Forgery,
    },
    /// Authorize answers with this error.
    RedirectError {
        /// `error`
        error: String,
        /// `error_description`
        #[serde(default)]
        description: Option<String>,
    },
}

/// A way in which an ID token can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// `alg: none`, no signature.
    AlgNone,
    /// HS256, keyed with the public modulus.
    Hs256WithPublicKey,
    /// Signed with a key that is not in the JWKS, under a `kid` that is.
    StrangeKey,
    /// A `kid` that is not in the JWKS.
    UnknownKid,
    /// No `kid`.
    NoKid,
    /// `crit` in the header.
    Crit,
    /// Another `iss`.
    Issuer,
    /// Another `aud`.
    Audience,
    /// Another `nonce`.
    Nonce,
    /// No `nonce`.
    NoNonce,
    /// Expired an hour ago.
    Expired,
    /// `exp` as text.
    ExpText,
    /// No `sub`.
    NoSub,
    /// Somebody else's `sub`.
    OtherSub,
    /// Not a token.
    Garbage,
}

/// A fault that is due.
pub(crate) enum Due {
    /// The handler answers this.
    Answer(HttpResponse),
    /// The handler goes on and forges.
    Forge(Forgery),
    /// The handler redirects with this error.
    Redirect(String, Option<String>),
    /// Nothing: the handler goes on.
    Nothing,
}

/// Takes the fault that is due at an endpoint, waiting out its delay.
pub(crate) async fn due(state: &State, endpoint: Endpoint) -> Due {
    let Some(fault) = state.with(|inner| {
        let at = inner.faults.iter().position(|fault| fault.endpoint == endpoint)?;
        let fault = inner.faults[at].clone();
        if let Some(left) = &mut inner.faults[at].times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                inner.faults.remove(at);
            }
        }
        Some(fault)
    }) else {
        return Due::Nothing;
    };
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    match fault.effect {
        Effect::Delay => Due::Nothing,
        Effect::Forge { forgery } => Due::Forge(forgery),
        Effect::RedirectError { error, description } => Due::Redirect(error, description),
        Effect::Hang => {
            // Longer than any client waits; the connection's end ends it.
            tokio::time::sleep(Duration::from_mins(10)).await;
            Due::Nothing
        }
        effect => Due::Answer(answer(effect)),
    }
}

fn answer(effect: Effect) -> HttpResponse {
    let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match effect {
        Effect::Reply { status: code, body, content_type, headers } => {
            let mut response = HttpResponse::build(status(code));
            response.content_type(content_type.unwrap_or_else(|| "application/json;charset=UTF-8".to_owned()));
            for (name, value) in headers {
                response.append_header((name, value));
            }
            response.body(body)
        }
        Effect::Koe { status: code, code: koe } => HttpResponse::build(status(code))
            .json(serde_json::json!({ "error": "simulated", "error_description": "a scripted fault", "error_code": koe })),
        Effect::Api { status: http, code } => {
            HttpResponse::build(status(http)).json(serde_json::json!({ "msg": "a scripted fault", "code": code }))
        }
        Effect::Huge { bytes } => HttpResponse::Ok().content_type("application/json").body(vec![b' '; bytes]),
        Effect::Drip { interval_ms } => {
            let interval = tokio::time::interval(Duration::from_millis(interval_ms.max(1)));
            HttpResponse::Ok().content_type("application/json").body(BoxBody::new(Drip(interval)))
        }
        _ => HttpResponse::InternalServerError().finish(),
    }
}

struct Drip(tokio::time::Interval);

impl MessageBody for Drip {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_tick(context).map(|_| Some(Ok(Bytes::from_static(b" "))))
    }
}
