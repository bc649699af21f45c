//! The token endpoint and its neighbours: a file for each grant type, and what they share.
//!
//! A grant type stores or finds a grant, asks [`crate::domain::access`] for scope and audience, and hands both to [`issue`].

pub(crate) mod authenticate_client;
pub(crate) mod claims;
pub(crate) mod client_credentials;
pub(crate) mod code;
pub(crate) mod end;
pub(crate) mod exchange;
pub(crate) mod introspect;
pub(crate) mod issue;
mod live_grants;
pub(crate) mod refresh;
pub(crate) mod revoke;
pub(crate) mod unanswered;
