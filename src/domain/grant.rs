//! Grants: what one client was given by one login. It begins with a one-time code or at once, lives by the generations of its
//! refresh token, and ends once.

use serde::{Deserialize, Serialize};

use super::pkce::CodeChallenge;
use super::{
    AttemptId, BrowserSessionId, Client, ClientId, Fingerprint, GrantId, Issuer, Scope, Timestamp, UserId,
};

/// Why a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its code was shown a second time (RFC 6749 §4.1.2).
    CodeReplayed,
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
    /// Its user had more living grants at its client than `limits.live_grants` allows, and it was the oldest.
    OverLimit,
    /// Its login no longer counts, and whatever ended the user's logins has yet to reach its row.
    LoginVoid,
}

impl EndReason {
    const ALL: [Self; 10] = [
        Self::CodeReplayed,
        Self::RefreshReplayed,
        Self::UserDisabled,
        Self::Revoked,
        Self::LoggedOut,
        Self::Unlinked,
        Self::KakaoAccount,
        Self::AccountDeleted,
        Self::OverLimit,
        Self::LoginVoid,
    ];

    /// The name in the store and in audit events.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CodeReplayed => "code_replayed",
            Self::RefreshReplayed => "refresh_replayed",
            Self::UserDisabled => "user_disabled",
            Self::Revoked => "revoked",
            Self::LoggedOut => "logged_out",
            Self::Unlinked => "unlinked",
            Self::KakaoAccount => "kakao_account",
            Self::AccountDeleted => "account_deleted",
            Self::OverLimit => "over_limit",
            Self::LoginVoid => "login_void",
        }
    }

    /// From the name in the store.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// How grants end.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The reason that the grants are stored with.
    pub reason: EndReason,
    /// The moment from which they are dead.
    pub at: Timestamp,
    /// The clients that are notified of theirs: see [`super::Clients::notified_of_logouts`].
    pub notify: &'a [ClientId],
}

/// All logins of a user have ended, in one row: what is left is to end the rows of their grants and sessions.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct UserEnding {
    /// The reason that the grants are stored with.
    pub(crate) reason: EndReason,
    /// When it was done.
    pub(crate) at: Timestamp,
}

/// Unspent codes of one user at one client: beyond these a request for another is refused, and none ends.
pub(crate) const MOST_UNSPENT_CODES: u32 = 16;

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

/// A one-time code about to be stored.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// SHA-256 of the code.
    pub hash: Fingerprint,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// What it is bound to.
    pub binding: CodeBinding,
}

/// How a grant begins.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// With a code that the client exchanges.
    Code(NewCode),
    /// Live at once: the client has its answer in hand. It lives until then if nobody refreshes it.
    Live {
        /// Until when.
        idle_expires_at: Timestamp,
    },
}

/// A grant about to be stored, at the end of a login.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The `sid` of its tokens.
    pub id: GrantId,
    /// What is granted, to which client.
    pub request: GrantRequest,
    /// How it begins.
    pub beginning: Beginning,
    /// The attempt that led here; one attempt has one grant. Only a login through a browser and Kakao has one.
    pub attempt: Option<AttemptId>,
    /// When the person logged in at Kakao, if Kakao said so.
    pub auth_time: Option<Timestamp>,
    /// When Kakao vouched for the person in the login that this grant comes of: by this the login counts or is void.
    pub logged_in_at: Timestamp,
    /// When the login was completed.
    pub created_at: Timestamp,
    /// Until when it lives, however often it is refreshed: that of its code until that is spent.
    pub expires_at: Timestamp,
    /// The browser or app that logged in, as it names itself.
    pub user_agent: Option<String>,
}

impl NewGrant {
    /// The grant, once it is stored for this user.
    pub(crate) fn stored(&self, user: UserId, roles: Vec<String>) -> Grant {
        Grant {
            id: self.id,
            user,
            client: self.request.client.clone(),
            scope: self.request.scope.clone(),
            resource: self.request.resource.clone(),
            auth_time: self.auth_time,
            roles,
            expires_at: self.expires_at,
            stage: match &self.beginning {
                Beginning::Code(code) => Stage::Issued { code_expires_at: code.expires_at },
                Beginning::Live { idle_expires_at } => Stage::Live {
                    generation: 1,
                    refreshed_at: self.created_at,
                    unanswered_at: None,
                    idle_expires_at: *idle_expires_at,
                },
            },
        }
    }
}

/// A grant as the store keeps it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The `sid` of its tokens.
    pub id: GrantId,
    /// Who logged in.
    pub user: UserId,
    /// The client that the grant was given to.
    pub client: ClientId,
    /// What was granted.
    pub scope: Scope,
    /// The resources that were asked for (RFC 8707); none: all of the client's audience.
    pub resource: Vec<String>,
    /// When the person logged in at Kakao, if Kakao said so.
    pub auth_time: Option<Timestamp>,
    /// The user's roles now.
    pub roles: Vec<String>,
    /// Until when it lives, however often it is refreshed.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a grant has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its code was issued and not exchanged yet: there are no tokens.
    Issued {
        /// Until when the code is good.
        code_expires_at: Timestamp,
    },
    /// Tokens were issued.
    Live {
        /// The generation of the refresh token that is current; the first is 1.
        generation: i64,
        /// When that generation began.
        refreshed_at: Timestamp,
        /// When it was noted that the answer with that generation was a 503; see [`super::unanswered`].
        unanswered_at: Option<Timestamp>,
        /// Until when it lives if nobody refreshes it.
        idle_expires_at: Timestamp,
    },
    /// It was ended before its time.
    Ended {
        /// The moment of its end.
        at: Timestamp,
        /// What ended it.
        reason: EndReason,
    },
}

/// A grant that lives, as its refresh token shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The generation of the refresh token that is current.
    pub generation: i64,
    /// When that generation began.
    pub(crate) refreshed_at: Timestamp,
    /// When it was noted that the answer with that generation was a 503.
    pub(crate) unanswered_at: Option<Timestamp>,
    /// Until when it lives if nobody refreshes it, and at most.
    pub(crate) until: Timestamp,
}

impl Grant {
    /// The one place that says whether a grant lives; `None` if it does not (yet, or any longer).
    ///
    /// The store's conditional statements say the same in SQL (`live!` in `store::grants`); a test holds both together.
    pub fn life(&self, now: Timestamp) -> Option<Life> {
        match self.stage {
            Stage::Live { generation, refreshed_at, unanswered_at, idle_expires_at } => {
                let until = idle_expires_at.min(self.expires_at);
                (until > now).then_some(Life { generation, refreshed_at, unanswered_at, until })
            }
            Stage::Issued { .. } | Stage::Ended { .. } => None,
        }
    }

    /// What its client may still have of it: a scope or resource that the settings have taken from the client since is gone.
    /// `None` if that was all of one.
    pub(crate) fn left_to(self, client: &Client, issuer: &Issuer) -> Option<Self> {
        let scope = self.scope.within(&client.scopes);
        let may_have = |one: &String| one == issuer.as_str() || client.audience.contains(one);
        let resource: Vec<String> = self.resource.iter().filter(|one| may_have(one)).cloned().collect();
        let is_gone = (scope.is_empty() && !self.scope.is_empty())
            || (resource.is_empty() && !self.resource.is_empty());
        (!is_gone).then_some(Self { scope, resource, ..self })
    }

    /// Whether it lives.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.life(now).is_some()
    }
}

#[cfg(test)]
impl Grant {
    /// One of the client `web`, for tests of what is decided about it.
    pub(super) fn example(stage: Stage, expires_at: Timestamp) -> Self {
        Self {
            id: GrantId(uuid::Uuid::nil()),
            user: UserId(uuid::Uuid::nil()),
            client: ClientId("web".into()),
            scope: Scope::default(),
            resource: Vec::new(),
            auth_time: None,
            roles: Vec::new(),
            expires_at,
            stage,
        }
    }
}

/// A code as the store keeps it, spent or not.
#[derive(Clone, Debug)]
pub(crate) struct StoredCode {
    /// The grant that it was issued for.
    pub(crate) grant: Grant,
    /// What it is bound to.
    pub(crate) binding: CodeBinding,
    /// When it was exchanged.
    pub(crate) spent_at: Option<Timestamp>,
}

impl StoredCode {
    /// Whether it can be spent: it was not yet, and is not too old.
    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        matches!(self.grant.stage, Stage::Issued { code_expires_at } if code_expires_at > now)
    }
}

/// A grant that lives, as its user's own list shows it.
#[derive(Clone, Debug)]
pub struct GrantSummary {
    /// Its id.
    pub id: GrantId,
    /// At which client.
    pub(crate) client: ClientId,
    /// The browser or app, as it named itself.
    pub(crate) user_agent: Option<String>,
    /// When it began.
    pub(crate) created_at: Timestamp,
    /// When it was last refreshed.
    pub(crate) last_used_at: Timestamp,
    /// The browser session that it belongs to.
    pub(crate) session: Option<BrowserSessionId>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_grant_lives_from_its_first_tokens_until_it_ends_idles_out_or_is_too_old() {
        let start = Timestamp::from_secs(1_000);
        let after = |seconds| start + Duration::from_secs(seconds);
        let live = Stage::Live {
            generation: 1,
            refreshed_at: start,
            unanswered_at: None,
            idle_expires_at: after(100),
        };
        let ended = Stage::Ended { at: after(1), reason: EndReason::LoggedOut };
        for (stage, expires_at, now, lives) in [
            (live, after(1_000), after(99), true),
            (live, after(1_000), after(100), false),
            (live, after(50), after(49), true),
            (live, after(50), after(50), false),
            (Stage::Issued { code_expires_at: after(60) }, after(1_000), after(1), false),
            (ended, after(1_000), after(0), false),
        ] {
            let grant = Grant::example(stage, expires_at);
            assert_eq!(grant.is_live(now), lives, "{stage:?} until {expires_at:?} at {now:?}");
        }
    }

    #[test]
    fn every_reason_is_read_back_as_itself() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_name(reason.name()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
