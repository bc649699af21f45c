//! What the OpenID Foundation's conformance suite asserts, module by module under its names, against the built binary over
//! HTTP: the Basic OP plan (38 modules), the Config OP plan (1), the RP-Initiated Logout OP plan (11).
//!
//! The suite itself runs by `scripts/conformance`, which needs it, Java or Docker, and minutes; these run with every test. A simulated
//! Kakao and a browser that keeps cookies stand in for a person in both. Three modules of the Basic plan apply to dynamic
//! registration alone, which this service does not offer; what they assert is asserted all the same.

mod basic;
mod config;
mod logout;
pub(crate) mod suite;
