//! What the service does with Kakao beside logins: the tokens of users ([`tokens`]), which resource servers get ([`broker`]),
//! links that are renewed ([`renew_links`]) and profiles that have changed ([`profile`]), what Kakao's webhooks bring
//! ([`receive_webhook`], [`waiting_events`], [`process_webhook_events`]), and the unlink of deleted accounts ([`unlink`]).

pub(crate) mod broker;
pub mod process_webhook_events;
pub mod profile;
pub(crate) mod receive_webhook;
pub mod renew_links;
pub mod tokens;
pub mod unlink;
pub(crate) mod waiting_events;
