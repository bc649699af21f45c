//! What Kakao's webhooks tell, and what each event means here.
//!
//! Every effect is a function of the event's own time: it touches what is older than the event and nothing else. Events may
//! therefore come late, twice and in any order, and a login that is later than an event is never undone by it. The unlink
//! webhook has no time: Kakao is asked instead (`flow::kakao::process_webhook_events`).
//!
//! Source: developers.kakao.com, Kakao Login > Webhook (unlink; account status change).

use serde::{Deserialize, Serialize};

use super::{KakaoId, Timestamp};

/// Which webhook an event came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The unlink webhook.
    Unlink,
    /// The account status change webhook.
    AccountStatus,
}

impl Source {
    /// The name in the audit.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unlink => "unlink",
            Self::AccountStatus => "account_status",
        }
    }
}

/// An event as it was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KakaoEvent {
    /// By which webhook.
    pub source: Source,
    /// The schema URI; the unlink webhook's events have [`USER_UNLINKED`].
    pub kind: String,
    /// About whom.
    pub user: KakaoId,
    /// When it happened.
    pub at: Timestamp,
    /// Why, where Kakao says it: `UNLINK_FROM_APPS`.
    pub reason: Option<String>,
    /// Consent items that it names, where it names some.
    pub items: Vec<String>,
}

/// The person is no longer linked to the app.
pub const USER_UNLINKED: &str = "https://schemas.openid.net/secevent/oauth/event-type/user-unlinked";

/// What an event does to the user that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing but a record.
    Note,
    /// The link is gone: logins end, tokens are forgotten, the account goes the way that the settings say.
    Unlink,
    /// Kakao's tokens are dead.
    ForgetTokens,
    /// The access token is not the newest any more.
    ForgetAccessToken,
    /// Logins from before end.
    EndSessions,
    /// Logins from before end, and Kakao's tokens are dead.
    Disable,
    /// The address and number may be somebody else's.
    DistrustIdentifiers,
    /// The profile has changed.
    ReadProfile,
    /// Data whose consent was withdrawn go.
    EraseWithdrawn,
}

/// What an event of this kind does. One that is not known is noted: Kakao may add some.
pub(crate) fn effect_of(kind: &str) -> Effect {
    const OPENID: &str = "https://schemas.openid.net/secevent/";
    const KAKAO: &str = "https://schemas.kakao.com/platevent/kakao/event-type/";
    if let Some(name) = kind.strip_prefix(KAKAO) {
        return if name == "user-profile-changed" { Effect::ReadProfile } else { Effect::Note };
    }
    match kind.strip_prefix(OPENID).unwrap_or_default() {
        "oauth/event-type/user-unlinked" | "risc/event-type/account-purged" => Effect::Unlink,
        "oauth/event-type/user-scope-consent" => Effect::ReadProfile,
        "oauth/event-type/user-scope-withdraw" => Effect::EraseWithdrawn,
        "oauth/event-type/tokens-revoked" | "oauth/event-type/token-revoked" => Effect::ForgetTokens,
        // A token that is issued kills none: the refresh token that we hold stays good.
        "oauth/event-type/token-issued" => Effect::ForgetAccessToken,
        "risc/event-type/account-disabled" => Effect::Disable,
        "risc/event-type/account-credential-change-required"
        | "risc/event-type/credential-compromise"
        | "risc/event-type/sessions-revoked"
        | "caep/event-type/assurance-level-change"
        | "caep/event-type/credential-change" => Effect::EndSessions,
        "risc/event-type/identifier-changed" | "risc/event-type/identifier-recycled" => {
            Effect::DistrustIdentifiers
        }
        // `user-linked` and the consent events arrive at the moment of sign-up. `account-enabled` needs nothing: a login
        // that Kakao lets through counts.
        _ => Effect::Note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_sign_up_destroy_nothing() {
        for name in ["user-linked", "user-scope-consent", "token-issued"] {
            let effect = effect_of(&format!("https://schemas.openid.net/secevent/oauth/event-type/{name}"));
            assert!(
                matches!(effect, Effect::Note | Effect::ReadProfile | Effect::ForgetAccessToken),
                "{name}: {effect:?}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_noted_and_a_look_alike_is_not_known() {
        for kind in [
            "",
            "user-unlinked",
            "https://schemas.kakao.com/events/oauth/user-unlinked",
            "https://schemas.openid.net/secevent/oauth/event-type/user-unlinked/",
            "https://evil.example/secevent/risc/event-type/account-purged",
        ] {
            assert_eq!(effect_of(kind), Effect::Note, "{kind}");
        }
        assert_eq!(effect_of(USER_UNLINKED), Effect::Unlink);
    }
}
