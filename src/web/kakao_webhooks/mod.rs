//! `/kakao/webhooks`: what Kakao tells by itself. It waits three seconds for an answer.

pub(super) mod account_status;
pub(super) mod unlink;

use std::time::Duration;

/// Within Kakao's three seconds.
const DEADLINE: Duration = Duration::from_millis(2_500);
