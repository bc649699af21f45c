//! What to do with an authorization code that a client shows: the decision alone.

use std::time::Duration;

use super::pkce::{CodeChallenge, CodeVerifier};
use super::unanswered::is_given_again;
use super::{ClientId, StoredCode, Timestamp};

/// A code that was spent a moment ago is refused without harm for at most so long, whatever the reuse window of refresh
/// tokens is.
pub(crate) const LONGEST_REUSE_WINDOW: Duration = Duration::from_secs(20);

/// What a code means that a client shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is unspent and proven. What else the request asks for is to be judged, then the code may be spent.
    Spend,
    /// It was spent, and the exchange was answered 503: its tokens are given now, as long as nobody has used any.
    GiveAgain,
    /// The same client spent it a moment ago, as a page does whose effects run twice: refused, and nothing ends.
    SpentJustNow,
    /// It was spent long ago: somebody holds a copy. End the grant (RFC 6749 §4.1.2).
    Replayed,
    /// The verifier is missing, or not that of the challenge.
    VerifierWrong,
    /// A verifier was sent, but there is no challenge.
    VerifierUnexpected,
    /// It is too old, its grant has ended, or it is another client's.
    Invalid,
}

/// What a client shows with a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) client: &'a ClientId,
    pub(crate) verifier: Option<&'a CodeVerifier>,
}

/// Judges a code. `reuse_window` is how long a second exchange of it ends nothing; zero is strict.
///
/// Only a request that could have been right the first time is a replay: one with a wrong verifier proves nothing about the
/// tokens, and must not let somebody who saw the code end the login.
pub(crate) fn judge(
    code: &StoredCode,
    shown: Presented<'_>,
    now: Timestamp,
    reuse_window: Duration,
) -> Verdict {
    if code.grant.client != *shown.client {
        return Verdict::Invalid;
    }
    let proven = verify(code.binding.challenge.as_ref(), shown.verifier);
    let window = reuse_window.min(LONGEST_REUSE_WINDOW);
    match (code.spent_at, proven) {
        (Some(_), Err(_)) => Verdict::Invalid,
        (Some(_), Ok(())) if is_unused_and_unheard(code, now, reuse_window) => Verdict::GiveAgain,
        (Some(at), Ok(())) if !window.is_zero() && now.since(at) <= window => Verdict::SpentJustNow,
        (Some(_), Ok(())) => Verdict::Replayed,
        (None, _) if !code.is_good(now) => Verdict::Invalid,
        (None, Err(verdict)) => verdict,
        (None, Ok(())) => Verdict::Spend,
    }
}

/// Whether its exchange is known to have been answered 503, and none of its tokens was used since.
fn is_unused_and_unheard(code: &StoredCode, now: Timestamp, reuse_window: Duration) -> bool {
    code.grant.life(now).is_some_and(|life| life.generation == 1 && is_given_again(&life, now, reuse_window))
}

/// RFC 7636 §4.6, RFC 9700 §2.1.1.
fn verify(challenge: Option<&CodeChallenge>, verifier: Option<&CodeVerifier>) -> Result<(), Verdict> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Verdict::VerifierUnexpected),
        (Some(challenge), Some(verifier)) if challenge.accepts(verifier) => Ok(()),
        (Some(_), _) => Err(Verdict::VerifierWrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CodeBinding, EndReason, Grant, Stage};

    const WINDOW: Duration = Duration::from_secs(10);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn after(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000) + Duration::from_secs(seconds)
    }

    /// Spent after so many seconds, or not yet. It is good for sixty.
    fn code(spent_after: Option<u64>) -> StoredCode {
        let stage = match spent_after {
            None => Stage::Issued { code_expires_at: after(60) },
            Some(seconds) => Stage::Live {
                generation: 1,
                refreshed_at: after(seconds),
                unanswered_at: None,
                idle_expires_at: after(1_000),
            },
        };
        StoredCode {
            grant: Grant::example(stage, after(1_000)),
            binding: CodeBinding {
                redirect_uri: "https://app.example/cb".into(),
                challenge: Some(CodeChallenge::of(VERIFIER)),
                nonce: None,
            },
            spent_at: spent_after.map(after),
        }
    }

    fn verdict(code: &StoredCode, verifier: Option<&str>, now: u64, window: Duration) -> Verdict {
        let verifier = verifier.map(|text| CodeVerifier::parse(text).unwrap());
        let shown = Presented { client: &ClientId("web".into()), verifier: verifier.as_ref() };
        judge(code, shown, after(now), window)
    }

    #[test]
    fn an_unspent_code_is_spent_once_it_is_proven_and_in_time() {
        assert_eq!(verdict(&code(None), Some(VERIFIER), 59, WINDOW), Verdict::Spend);
        assert_eq!(verdict(&code(None), Some(VERIFIER), 60, WINDOW), Verdict::Invalid);
        assert_eq!(verdict(&code(None), Some(&"w".repeat(43)), 1, WINDOW), Verdict::VerifierWrong);
        assert_eq!(verdict(&code(None), None, 1, WINDOW), Verdict::VerifierWrong);
        let mut open = code(None);
        open.binding.challenge = None;
        assert_eq!(verdict(&open, None, 1, WINDOW), Verdict::Spend);
        assert_eq!(verdict(&open, Some(VERIFIER), 1, WINDOW), Verdict::VerifierUnexpected);
        let mut ended = code(None);
        ended.grant.stage = Stage::Ended { at: after(1), reason: EndReason::LoggedOut };
        assert_eq!(verdict(&ended, Some(VERIFIER), 2, WINDOW), Verdict::Invalid);
    }

    #[test]
    fn a_second_exchange_ends_nothing_within_the_window_of_at_most_twenty_seconds() {
        let spent = code(Some(5));
        for (now, window, verdict_then) in [
            (5, 10, Verdict::SpentJustNow),
            (15, 10, Verdict::SpentJustNow),
            (16, 10, Verdict::Replayed),
            (25, 300, Verdict::SpentJustNow),
            (26, 300, Verdict::Replayed),
            (5, 0, Verdict::Replayed),
        ] {
            let window = Duration::from_secs(window);
            assert_eq!(verdict(&spent, Some(VERIFIER), now, window), verdict_then, "{now} {window:?}");
        }
    }

    #[test]
    fn after_a_503_a_proven_code_gets_its_tokens_until_one_was_used() {
        let noted = |generation| {
            let mut noted = code(Some(5));
            noted.grant.stage = Stage::Live {
                generation,
                refreshed_at: after(5),
                unanswered_at: Some(after(60)),
                idle_expires_at: after(1_000),
            };
            noted
        };
        assert_eq!(verdict(&noted(1), Some(VERIFIER), 70, WINDOW), Verdict::GiveAgain);
        assert_eq!(verdict(&noted(1), Some(VERIFIER), 71, WINDOW), Verdict::Replayed);
        assert_eq!(verdict(&noted(1), Some(VERIFIER), 70, Duration::ZERO), Verdict::GiveAgain);
        assert_eq!(verdict(&noted(2), Some(VERIFIER), 70, WINDOW), Verdict::Replayed);
        assert_eq!(verdict(&noted(1), Some(&"w".repeat(43)), 70, WINDOW), Verdict::Invalid);
    }

    #[test]
    fn a_second_exchange_that_proves_nothing_is_no_replay() {
        assert_eq!(verdict(&code(Some(5)), Some(&"w".repeat(43)), 50, WINDOW), Verdict::Invalid);
        assert_eq!(verdict(&code(Some(5)), None, 50, WINDOW), Verdict::Invalid);
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        let shown = Presented { client: &ClientId("other".into()), verifier: Some(&verifier) };
        assert_eq!(judge(&code(Some(5)), shown, after(50), WINDOW), Verdict::Invalid);
        assert_eq!(judge(&code(None), shown, after(1), WINDOW), Verdict::Invalid);
    }
}
