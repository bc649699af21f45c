//! What the OpenID Foundation's conformance suite asserts, module by module under its names, against the built binary over
//! HTTP: the Basic OP plan (38 modules), the Config OP plan (1), the RP-Initiated Logout OP plan (11).
//!
//! The suite itself needs a public https address and a person for its screenshots; here a simulated Kakao and a browser
//! that keeps cookies stand in. Three modules of the Basic plan apply to dynamic registration alone, which this service does not
//! offer; what they assert is asserted all the same.

mod basic;
mod config;
mod logout;
pub(crate) mod suite;
