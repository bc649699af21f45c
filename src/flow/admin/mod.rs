//! What operators do, by `/v1/admin` and by command.

pub(crate) mod kakao_unlinks;
