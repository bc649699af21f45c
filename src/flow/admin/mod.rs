//! What operators do, by `/v1/admin` and by command.

pub mod kakao_unlinks;
