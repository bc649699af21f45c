//! The nouns of a login and the decisions about them that need nothing but their arguments.
//!
//! Imports nothing of ours: no SQL, no HTTP, no Kakao wire. Time comes in as a [`Timestamp`].

pub mod access;
pub mod account;
pub mod attempt;
pub mod audience;
pub mod audit;
pub mod backoff;
pub mod client;
pub mod client_jwk;
pub mod consent;
pub mod grant;
pub mod ids;
pub mod import;
pub mod issuer;
pub mod kakao_app;
pub mod kakao_event;
pub mod locale;
pub(crate) mod paths;
pub mod pkce;
pub mod policy;
pub mod profile;
pub mod redirect;
pub mod refresh;
pub mod rotation;
pub mod scope;
pub mod secret;
pub mod session;
pub mod signing_alg;
pub mod time;
pub mod user;

pub use account::{AccountPolicy, KakaoUnlink, OnUnlink, Returning};
pub use attempt::{AttemptFailure, AttemptOutcome, LoginAttempt, ResponseMode, ResumeToken};
pub use audience::Audience;
pub use audit::{AuditEvent, Initiator};
pub use backoff::Backoff;
pub use client::{Client, ClientType, Clients, GrantType, Lifetimes};
pub use consent::{Consent, ServiceTerm};
pub use grant::{
    Beginning, CodeBinding, EndReason, Ending, Grant, GrantRequest, GrantSummary, NewCode, NewGrant, Stage,
    StoredCode,
};
pub use ids::{AttemptId, BrowserSessionId, ClientId, GrantId, KakaoId, UserId};
pub use issuer::Issuer;
pub use kakao_app::KakaoApp;
pub use kakao_event::KakaoEvent;
pub use locale::Locale;
pub use policy::{KakaoPolicy, Limits, Policy, Quota, RefreshPolicy, SessionPolicy};
pub use profile::{Profile, ProfileField};
pub use scope::Scope;
pub use secret::{
    AccessToken, AdminKey, AnyToken, AuthorizationCode, ClientAssertion, ClientSecret, Fingerprint,
    KakaoAccessToken, KakaoClientSecret, KakaoCode, KakaoIdToken, KakaoNonce, KakaoRefreshToken, KakaoState,
    LogoutConfirmation, LogoutToken, RefreshToken, SessionCookie, SignedIdToken, StoreUrl, Verifier,
};
pub use signing_alg::SigningAlg;
pub use time::{Clock, Timestamp};
pub use user::User;
