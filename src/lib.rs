//! A standalone login service for Kakao that issues its own JWTs.

pub mod domain;
