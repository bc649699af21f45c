//! The nouns of a login and the decisions about them that need nothing but their arguments.
//!
//! Imports nothing of ours: no SQL, no HTTP, no Kakao wire. Time comes in as a [`Timestamp`].

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod attempt;
pub(crate) mod audience;
pub(crate) mod audit;
pub(crate) mod backoff;
pub(crate) mod client;
pub(crate) mod client_jwk;
pub(crate) mod code;
pub(crate) mod consent;
pub(crate) mod grant;
pub(crate) mod ids;
pub(crate) mod import;
pub(crate) mod issuer;
pub(crate) mod kakao_app;
pub mod kakao_event;
pub(crate) mod limit;
pub(crate) mod locale;
pub(crate) mod paths;
pub mod pkce;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod redirect;
pub mod refresh;
#[cfg(test)]
mod refresh_model;
pub(crate) mod revocation;
pub mod rotation;
pub(crate) mod scope;
pub(crate) mod secret;
pub mod session;
pub(crate) mod signing_alg;
pub(crate) mod time;
pub mod unanswered;
pub(crate) mod user;

pub use account::{AccountPolicy, KakaoUnlink, OnUnlink, Returning};
pub use attempt::{AttemptFailure, AttemptOutcome, LoginAttempt, ResponseMode, ResumeToken};
pub(crate) use audience::Audience;
pub use audit::{AuditEvent, Initiator};
pub(crate) use backoff::Backoff;
pub(crate) use client::{Client, ClientType, Clients, GrantType, Lifetimes};
pub use consent::{Consent, ServiceTerm};
pub use grant::{Beginning, CodeBinding, EndReason, Ending, GrantRequest, NewCode, NewGrant, UserEnding};
pub use grant::{Grant, Stage};
pub(crate) use grant::{GrantSummary, MOST_UNSPENT_CODES, StoredCode};
pub use ids::{AttemptId, BrowserSessionId, ClientId, GrantId, KakaoId, UserId};
pub(crate) use issuer::Issuer;
pub(crate) use kakao_app::KakaoApp;
pub use kakao_event::KakaoEvent;
pub(crate) use limit::{AddressPrefix, Limit};
pub use limit::{Limits, Quota};
pub use locale::Locale;
pub use policy::{KakaoPolicy, Policy, RefreshPolicy, SessionPolicy};
pub use profile::{Profile, ProfileField};
pub use scope::Scope;
pub use secret::Fingerprint;
pub(crate) use secret::{
    AccessToken, AdminKey, AnyToken, AuthorizationCode, ClientAssertion, ClientSecret, KakaoAccessToken,
    KakaoClientSecret, KakaoCode, KakaoIdToken, KakaoNonce, KakaoRefreshToken, KakaoState,
    LogoutConfirmation, LogoutToken, RefreshToken, SessionCookie, SignedIdToken, StoreUrl, Verifier,
};
pub use signing_alg::SigningAlg;
pub use time::{Clock, Timestamp};
pub use user::User;
