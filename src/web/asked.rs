//! What a request says of itself, unproven: for the log line of its refusal, and for whose pages may read its answer.

use actix_web::{HttpMessage, HttpRequest};

use crate::flow::Params;

/// What is kept of a name or an address that a stranger sent, characters.
const LONGEST: usize = 256;

/// Of which client it says it is, and where it wants to go.
#[derive(Clone, Default)]
pub(super) struct Asked {
    pub(super) client: Option<String>,
    /// `redirect_uri` or `post_logout_redirect_uri`.
    pub(super) uri: Option<String>,
}

impl Asked {
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }
}

/// Notes what the parameters say, each the first time that it stands there.
pub(super) fn note_params(request: &HttpRequest, params: &Params) {
    let first = |name| params.first(name).map(cut);
    let mut asked = Asked::of(request);
    asked.client = first("client_id").or(asked.client);
    asked.uri = first("redirect_uri").or_else(|| first("post_logout_redirect_uri")).or(asked.uri);
    request.extensions_mut().insert(asked);
}

/// Notes the client that a credential or a token names.
pub(super) fn note_client(request: &HttpRequest, client: &str) {
    let asked = Asked { client: Some(cut(client)), ..Asked::of(request) };
    request.extensions_mut().insert(asked);
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
