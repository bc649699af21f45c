//! What the service does with Kakao beside logins: the tokens of users ([`tokens`]), which resource servers get ([`broker`]), and
//! profiles that have changed ([`profile`]).

pub mod broker;
pub mod profile;
pub mod tokens;
