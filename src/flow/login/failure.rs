//! How the failure of a login attempt is stored, so that whoever waits for the winner of its claim gives the same answer.

use crate::domain::AttemptFailure;
use crate::flow::Error;
use crate::flow::error::{BROKEN, UNAVAILABLE};
use crate::flow::refusal::LoginRefusal;

/// The failure to store with an attempt that ends with this error. What lies behind an error is for the log of whoever met
/// it, and is not stored.
pub(crate) fn to_failure(error: &Error<LoginRefusal>) -> AttemptFailure {
    let (code, fault) = match error {
        Error::Refused(refusal) => (refusal.code(), refusal.fault()),
        Error::Unavailable(_) => (UNAVAILABLE, None),
        Error::Broken(_) => (BROKEN, None),
    };
    AttemptFailure { code: code.to_owned(), fault: fault.map(|fault| fault.id.to_owned()) }
}

/// The error of which a failure was stored. What another release stored may be unknown: that counts as a mistake of ours.
pub(crate) fn of_failure(failure: &AttemptFailure) -> Error<LoginRefusal> {
    match LoginRefusal::find(failure) {
        Some(refusal) => refusal.into(),
        None if failure.code == UNAVAILABLE => {
            Error::unavailable("the database did not answer the callback that claimed this login attempt")
        }
        None => Error::broken(format!("the login attempt ended with {failure}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kakao::KnownFault;

    fn read_back(error: &Error<LoginRefusal>) -> Error<LoginRefusal> {
        of_failure(&to_failure(error))
    }

    #[test]
    fn every_refusal_is_read_back_as_itself() {
        let faults = KnownFault::ALL.iter().map(LoginRefusal::Kakao);
        for refusal in LoginRefusal::WITHOUT_FAULT.into_iter().chain(faults) {
            let read = read_back(&refusal.into());
            assert!(matches!(read, Error::Refused(read) if read == refusal), "{refusal:?}");
        }
        assert!(matches!(read_back(&Error::unavailable("the pool is empty")), Error::Unavailable(_)));
        assert!(matches!(read_back(&Error::broken("a bug")), Error::Broken(_)));
    }

    #[test]
    fn what_another_release_stored_counts_as_a_mistake_of_ours() {
        for (code, fault) in [("of a newer release", None), ("", None), ("kakao_setup_wrong", Some("KOE999"))]
        {
            let failure = AttemptFailure { code: code.to_owned(), fault: fault.map(str::to_owned) };
            assert!(matches!(of_failure(&failure), Error::Broken(_)), "{failure}");
        }
    }
}
