//! `/v1/users`: what backend services ask of a user.

pub(super) mod kakao_token;
pub(super) mod profile;
