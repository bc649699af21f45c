//! What an operator asks about later: events, each with its data. Ids, names of ours and counts: no secret, and nothing of a
//! profile. `docs/audit.md` lists them; a test compares it with this file.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::kakao_event::Source;
use super::{ClientId, EndReason, GrantId, Timestamp, UserId};

/// Something that happened. Serialized, it is the event's detail: what has no column of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the events are described; the names of their fields speak for themselves")]
pub enum AuditEvent {
    /// A user logged in at a client.
    LoginCompleted {
        #[serde(skip)]
        user: UserId,
        #[serde(skip)]
        client: ClientId,
        /// What came of it.
        #[serde(skip)]
        grant: GrantId,
        /// How the user came in.
        door: Door,
    },
    /// One grant was ended by itself.
    GrantEnded {
        #[serde(skip)]
        user: UserId,
        /// At which client.
        #[serde(skip)]
        client: ClientId,
        #[serde(skip)]
        grant: GrantId,
        #[serde(serialize_with = "reason_name")]
        reason: EndReason,
    },
    /// A user ended their own logins.
    UserLoggedOut {
        #[serde(skip)]
        user: UserId,
        /// Which logins.
        reach: LogoutReach,
        /// How many grants of the browser session ended; not known where all logins of a user end.
        #[serde(skip_serializing_if = "Option::is_none")]
        grants: Option<u64>,
    },
    /// An operator keeps a user out.
    UserDisabled {
        #[serde(skip)]
        user: UserId,
    },
    /// An operator lets a user in again.
    UserEnabled {
        #[serde(skip)]
        user: UserId,
    },
    /// An account was deleted.
    UserDeleted {
        #[serde(skip)]
        user: UserId,
        /// The client by which an operator did it.
        #[serde(skip)]
        client: Option<ClientId>,
        /// Who did it.
        by: DeletedBy,
    },
    /// A client was given a user's Kakao access token.
    KakaoTokenHandedOut {
        /// Whose token.
        #[serde(skip)]
        user: UserId,
        /// To whom.
        #[serde(skip)]
        client: ClientId,
        /// The consent items that were asked for.
        scopes: Vec<String>,
        /// When the token expires, seconds since the epoch.
        #[serde(serialize_with = "seconds")]
        expires_at: Timestamp,
    },
    /// Kakao no longer takes the refresh token of a user.
    KakaoLinkEnded {
        #[serde(skip)]
        user: UserId,
        /// What Kakao answered: the id of a fault.
        fault: &'static str,
    },
    /// An event of Kakao's webhooks took effect, or was found to have none.
    KakaoEventProcessed {
        /// About whom; nobody: Kakao's number is no user's, or no longer.
        #[serde(skip)]
        user: Option<UserId>,
        /// By which webhook it came.
        #[serde(serialize_with = "source_name")]
        source: Source,
        /// Its schema URI.
        event: String,
        /// Why, where Kakao says it.
        reason: Option<String>,
        /// When it happened at Kakao, seconds since the epoch.
        #[serde(serialize_with = "seconds")]
        happened_at: Timestamp,
        /// What it led to.
        outcome: &'static str,
    },
    /// Kakao was told of a deleted account.
    KakaoUnlinkCompleted {
        #[serde(skip)]
        user: UserId,
        /// With which token.
        how: &'static str,
        /// How many tries it took.
        attempts: u32,
    },
    /// Kakao could not be told of a deleted account: an operator must see to it.
    KakaoUnlinkSetAside {
        #[serde(skip)]
        user: UserId,
        /// What Kakao answered last: the id of a fault.
        fault: &'static str,
        /// How many tries were made.
        attempts: u32,
    },
    /// A signing key signs from now on.
    SigningKeyActivated {
        /// Its id.
        kid: String,
        /// The key that signed before, which verifies on.
        replaces: Option<String>,
    },
    /// A signing key signs no more, and no other has taken its place: an operator took it out, or its algorithm is not among
    /// `keys.algorithms` any more.
    SigningKeyRetired {
        /// Its id.
        kid: String,
        /// Until when its tokens are accepted, seconds since the epoch.
        #[serde(serialize_with = "seconds")]
        verifies_until: Timestamp,
    },
}

/// The name of each event in the store, as `noun.verb`. A new event does not compile without one.
macro_rules! kinds {
    ($($variant:ident => $kind:literal,)*) => {
        impl AuditEvent {
            /// The name of the event in the store: stable.
            pub(crate) const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)*
                }
            }
        }

        #[cfg(test)]
        const KINDS: &[&str] = &[$($kind,)*];
    };
}

kinds! {
    LoginCompleted => "login.completed",
    GrantEnded => "grant.ended",
    UserLoggedOut => "user.logged_out",
    UserDisabled => "user.disabled",
    UserEnabled => "user.enabled",
    UserDeleted => "user.deleted",
    KakaoTokenHandedOut => "kakao_token.handed_out",
    KakaoLinkEnded => "kakao_link.ended",
    KakaoEventProcessed => "kakao_event.processed",
    KakaoUnlinkCompleted => "kakao_unlink.completed",
    KakaoUnlinkSetAside => "kakao_unlink.set_aside",
    SigningKeyActivated => "signing_key.activated",
    SigningKeyRetired => "signing_key.retired",
}

impl AuditEvent {
    /// What has no column of its own.
    pub(crate) fn detail(&self) -> serde_json::Value {
        // A struct of texts and numbers: it cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The user that it is about.
    pub(crate) const fn user(&self) -> Option<UserId> {
        match self {
            Self::LoginCompleted { user, .. }
            | Self::GrantEnded { user, .. }
            | Self::UserLoggedOut { user, .. }
            | Self::UserDisabled { user }
            | Self::UserEnabled { user }
            | Self::UserDeleted { user, .. }
            | Self::KakaoTokenHandedOut { user, .. }
            | Self::KakaoLinkEnded { user, .. }
            | Self::KakaoUnlinkCompleted { user, .. }
            | Self::KakaoUnlinkSetAside { user, .. } => Some(*user),
            Self::KakaoEventProcessed { user, .. } => *user,
            Self::SigningKeyActivated { .. } | Self::SigningKeyRetired { .. } => None,
        }
    }

    /// The client that it is about, or by which it was done.
    pub(crate) const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::LoginCompleted { client, .. }
            | Self::GrantEnded { client, .. }
            | Self::KakaoTokenHandedOut { client, .. } => Some(client),
            Self::UserDeleted { client, .. } => client.as_ref(),
            Self::UserLoggedOut { .. }
            | Self::UserDisabled { .. }
            | Self::UserEnabled { .. }
            | Self::KakaoLinkEnded { .. }
            | Self::KakaoEventProcessed { .. }
            | Self::KakaoUnlinkCompleted { .. }
            | Self::KakaoUnlinkSetAside { .. }
            | Self::SigningKeyActivated { .. }
            | Self::SigningKeyRetired { .. } => None,
        }
    }

    /// The one grant that it is about.
    pub(crate) const fn grant(&self) -> Option<GrantId> {
        match self {
            Self::LoginCompleted { grant, .. } | Self::GrantEnded { grant, .. } => Some(*grant),
            Self::UserLoggedOut { .. }
            | Self::UserDisabled { .. }
            | Self::UserEnabled { .. }
            | Self::UserDeleted { .. }
            | Self::KakaoTokenHandedOut { .. }
            | Self::KakaoLinkEnded { .. }
            | Self::KakaoEventProcessed { .. }
            | Self::KakaoUnlinkCompleted { .. }
            | Self::KakaoUnlinkSetAside { .. }
            | Self::SigningKeyActivated { .. }
            | Self::SigningKeyRetired { .. } => None,
        }
    }
}

/// How a user logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// At Kakao, in a browser.
    Browser,
    /// By the browser session of an earlier login.
    Session,
    /// By a token of Kakao's SDK.
    Sdk,
}

/// Which of their logins a user ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutReach {
    /// Those of one browser session.
    BrowserSession,
    /// All but the one that asked and those of its browser session.
    Elsewhere,
    Everywhere,
}

/// Who deleted an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletedBy {
    /// Its user.
    User,
    /// An operator.
    Operator,
    /// The user unlinked at Kakao, and `account.on_unlink` is `erase`.
    Unlink,
}

/// What set off the work in which an event happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Initiator {
    /// The service itself: a job, or its start.
    #[default]
    Service,
    /// A request, with the id that its response and its log lines carry.
    Request(Arc<str>),
    /// A command of an operator's.
    Command,
}

impl Initiator {
    /// The name in the store.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Request(_) => "request",
            Self::Command => "command",
        }
    }

    /// The id of the request, if it was one.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match self {
            Self::Request(id) => Some(id),
            Self::Service | Self::Command => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it serializes by reference")]
fn reason_name<S: Serializer>(reason: &EndReason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it serializes by reference")]
fn source_name<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(source.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it serializes by reference")]
fn seconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.secs())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;

    /// One event of each kind.
    fn samples() -> Vec<AuditEvent> {
        let (user, grant, at) = (UserId(Uuid::nil()), GrantId(Uuid::nil()), Timestamp::from_secs(7));
        let client = ClientId("web".to_owned());
        vec![
            AuditEvent::LoginCompleted { user, client: client.clone(), grant, door: Door::Sdk },
            AuditEvent::GrantEnded {
                user,
                client: client.clone(),
                grant,
                reason: EndReason::RefreshReplayed,
            },
            AuditEvent::UserLoggedOut { user, reach: LogoutReach::BrowserSession, grants: Some(2) },
            AuditEvent::UserDisabled { user },
            AuditEvent::UserEnabled { user },
            AuditEvent::UserDeleted { user, client: Some(client.clone()), by: DeletedBy::Operator },
            AuditEvent::KakaoTokenHandedOut { user, client, scopes: vec!["friends".into()], expires_at: at },
            AuditEvent::KakaoLinkEnded { user, fault: "KOE322" },
            AuditEvent::KakaoEventProcessed {
                user: Some(user),
                source: Source::Unlink,
                event: "user-unlinked".to_owned(),
                reason: None,
                happened_at: at,
                outcome: "unlinked",
            },
            AuditEvent::KakaoUnlinkCompleted { user, how: "admin key", attempts: 1 },
            AuditEvent::KakaoUnlinkSetAside { user, fault: "-401", attempts: 16 },
            AuditEvent::SigningKeyActivated { kid: "a".to_owned(), replaces: Some("b".to_owned()) },
            AuditEvent::SigningKeyRetired { kid: "a".to_owned(), verifies_until: at },
        ]
    }

    #[test]
    fn each_kind_is_noun_verb_and_names_one_event() {
        let kinds: Vec<&str> = samples().iter().map(AuditEvent::kind).collect();
        assert_eq!(kinds, KINDS, "one sample of each, in their order");
        assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len());
        for kind in kinds {
            let words: Vec<&str> = kind.split('.').collect();
            let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(words.len() == 2 && words.iter().all(is_word), "{kind}");
        }
    }

    #[test]
    fn the_detail_holds_what_has_no_column() {
        let detail = |at: usize| samples()[at].detail().to_string();
        assert_eq!(detail(0), r#"{"door":"sdk"}"#);
        assert_eq!(detail(1), r#"{"reason":"refresh_replayed"}"#);
        assert_eq!(detail(2), r#"{"grants":2,"reach":"browser_session"}"#);
        assert_eq!(detail(4), "{}");
        assert_eq!(detail(12), r#"{"kid":"a","verifies_until":7}"#);
    }

    #[test]
    fn the_table_of_the_docs_is_that_of_the_events() {
        let mut documented = include_str!("../../docs/audit.md")
            .lines()
            .skip_while(|line| !line.starts_with("| kind |"))
            .filter(|line| line.starts_with("| `"));
        for event in samples() {
            let columns = [
                event.user().map(|_| "user"),
                event.client().map(|_| "client"),
                event.grant().map(|_| "grant"),
            ];
            let columns: Vec<&str> = columns.into_iter().flatten().collect();
            let detail = event.detail();
            let detail: Vec<String> =
                detail.as_object().unwrap().keys().map(|name| format!("`{name}`")).collect();
            let row = documented.next().unwrap_or_default();
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 4, "{row}");
            assert_eq!(cells[0], format!("`{}`", event.kind()));
            assert_eq!(cells[2], columns.join(", "), "{row}");
            let mut told: Vec<&str> = cells[3].split(", ").filter(|name| !name.is_empty()).collect();
            told.sort_unstable();
            assert_eq!(told, detail, "{row}");
        }
        assert_eq!(documented.next(), None);
    }
}
