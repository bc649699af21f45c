//! Grants: one login at one client, its one-time code, and its refresh-token generations.

use serde::{Deserialize, Serialize};

use super::pkce::CodeChallenge;
use super::{AttemptId, ClientId, Fingerprint, GrantId, Scope, Timestamp, UserId};

/// Why a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its code was shown a second time (RFC 6749 §4.1.2).
    CodeReplayed,
    /// Its code was redeemed with the wrong redirect URI or verifier.
    CodeMisused,
    /// An outdated refresh token was shown (RFC 9700 §4.14.2).
    RefreshReplayed,
    /// Its user was disabled.
    UserDisabled,
    /// The client revoked a token of it (RFC 7009).
    Revoked,
    /// The person logged out.
    LoggedOut,
    /// The person is no longer linked to the app at Kakao.
    Unlinked,
    /// Kakao told of something that makes older logins doubtful: a changed password, a disabled account.
    KakaoAccount,
    /// The account was deleted.
    AccountDeleted,
}

impl EndReason {
    /// The name in the store and in audit events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CodeReplayed => "code_replayed",
            Self::CodeMisused => "code_misused",
            Self::RefreshReplayed => "refresh_replayed",
            Self::UserDisabled => "user_disabled",
            Self::Revoked => "revoked",
            Self::LoggedOut => "logged_out",
            Self::Unlinked => "unlinked",
            Self::KakaoAccount => "kakao_account",
            Self::AccountDeleted => "account_deleted",
        }
    }
}

/// What a client asked to be granted, once the request was checked: everything of it that the client may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantRequest {
    /// The client.
    #[serde(rename = "c")]
    pub client: ClientId,
    /// The scope.
    #[serde(rename = "s")]
    pub scope: Scope,
    /// The resources (RFC 8707); none: all of the client's audience.
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
}

/// What an authorization code is bound to: its exchange must show the same, or prove it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeBinding {
    /// The redirect URI that the code goes to, as requested.
    #[serde(rename = "r")]
    pub redirect_uri: String,
    /// The PKCE challenge.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<CodeChallenge>,
    /// The client's `nonce`, for the ID token.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// A grant about to be stored, at the end of a login: nobody has redeemed its code yet (generation 0).
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The `sid` of its tokens.
    pub id: GrantId,
    /// Where.
    pub client: ClientId,
    /// What was granted.
    pub scope: Scope,
    /// The attempt that led here; one attempt has one grant. A grant that a session gave had none.
    pub attempt: Option<AttemptId>,
    /// SHA-256 of the one-time code.
    pub code: Fingerprint,
    /// Until when the code is good.
    pub code_expires_at: Timestamp,
    /// The redirect URI that the code went to.
    pub redirect_uri: String,
    /// The PKCE challenge that the code is bound to.
    pub challenge: Option<CodeChallenge>,
    /// The client's nonce.
    pub nonce: Option<String>,
    /// When the person proved to Kakao who they are.
    pub auth_time: Timestamp,
    /// Until when it lives, however often it is refreshed.
    pub expires_at: Timestamp,
    /// The resources that were asked for (RFC 8707); none: all of the client's audience.
    pub resource: Vec<String>,
    /// The browser that logged in, as it names itself.
    pub user_agent: Option<String>,
}

/// What spending a code tells: the grant as it was made, and its user now.
#[derive(Clone, Debug)]
pub struct SpentCode {
    /// The grant.
    pub id: GrantId,
    /// Who logged in.
    pub user: UserId,
    /// What was granted.
    pub scope: Scope,
    /// The redirect URI that the code went to.
    pub redirect_uri: String,
    /// The PKCE challenge that the code is bound to.
    pub challenge: Option<CodeChallenge>,
    /// The client's nonce.
    pub nonce: Option<String>,
    /// When the person proved to Kakao who they are.
    pub auth_time: Timestamp,
    /// The user's roles now.
    pub roles: Vec<String>,
    /// The resources that were asked for (RFC 8707); none: all of the client's audience.
    pub resource: Vec<String>,
}

/// What rotating a refresh token tells.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// Who logged in.
    pub user: UserId,
    /// What was granted.
    pub scope: Scope,
    /// When the person proved to Kakao who they are.
    pub auth_time: Timestamp,
    /// The generation of the refresh token that now lives.
    pub generation: i64,
    /// The user's roles now.
    pub roles: Vec<String>,
    /// The resources that were asked for (RFC 8707); none: all of the client's audience.
    pub resource: Vec<String>,
}

/// A grant as the store keeps it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The `sid` of its tokens.
    pub id: GrantId,
    /// Who logged in.
    pub user: UserId,
    /// Where.
    pub client: ClientId,
    /// What was granted.
    pub scope: Scope,
    /// The PKCE challenge that its code was bound to.
    pub challenge: Option<CodeChallenge>,
    /// When the person proved to Kakao who they are.
    pub auth_time: Timestamp,
    /// When its code was redeemed.
    pub code_spent_at: Option<Timestamp>,
    /// The generation of the refresh token that lives; 0 before the code is redeemed.
    pub generation: i64,
    /// When that generation began.
    pub refreshed_at: Timestamp,
    /// Until when it lives if nobody refreshes it.
    pub idle_expires_at: Timestamp,
    /// Until when it lives, however often it is refreshed.
    pub expires_at: Timestamp,
    /// When it was ended before its time.
    pub ended_at: Option<Timestamp>,
    /// The user's roles now.
    pub roles: Vec<String>,
    /// The resources that were asked for (RFC 8707); none: all of the client's audience.
    pub resource: Vec<String>,
}
