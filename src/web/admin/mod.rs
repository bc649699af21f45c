//! `/v1/admin`: what operators do.

pub(super) mod kakao_unlinks;
pub(super) mod user;

/// The scope that all of it needs.
const SCOPE: &str = "admin";
