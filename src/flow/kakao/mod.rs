//! What the service does with Kakao beside logins: the tokens of users ([`tokens`]), which resource servers get ([`broker`]),
//! profiles that have changed ([`profile`]), and links that are renewed ([`renew_links`]).

pub mod broker;
pub mod profile;
pub mod renew_links;
pub mod tokens;
