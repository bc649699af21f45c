//! A login: from the client's authorization request to its one-time code.
//!
//! [`request`] reads what the client asks, [`attempt`] is what the browser carries meanwhile, [`resume`] begins again what was
//! lost on the way, [`failure`] is how one that failed is remembered.

pub(crate) mod attempt;
pub(crate) mod failure;
pub(crate) mod request;
pub(crate) mod resume;
