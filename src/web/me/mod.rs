//! `/v1/me`: the user of the access token, and where they are logged in.

pub(super) mod account;
pub(super) mod session;
pub(super) mod sessions;
