//! A login: from the client's authorization request to its one-time code.
//!
//! [`request`] reads what the client asks, [`begin`] sends the person to Kakao or makes do with the browser's session, after
//! [`confirm`] has asked the person where that is needed,
//! [`attempt`] is what the browser carries meanwhile, [`callback`] takes Kakao's answer, and [`complete`] makes user, grant and
//! browser session of it. [`failure`] is how a login that failed is remembered; [`resume`] begins again what was lost on the
//! way.

pub(crate) mod attempt;
pub(crate) mod begin;
pub(crate) mod callback;
pub(crate) mod complete;
pub(crate) mod confirm;
pub(crate) mod failure;
pub(crate) mod request;
pub(crate) mod resume;
