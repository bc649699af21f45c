//! What a fault at Kakao means for whoever asked: the same fault is told differently at each door. All of it is decided here.

use super::{KakaoTokenRefusal, LoginRefusal, SubjectTokenRefusal};
use crate::kakao::{Fault, FaultKind};

/// Of a login in a browser.
pub(crate) fn of_login(fault: &Fault) -> LoginRefusal {
    LoginRefusal::Kakao(fault.known)
}

/// Of a call with the Kakao tokens that we hold of a user. `StartAgain` says that Kakao no longer takes them.
pub(crate) fn of_kakao_link(fault: &Fault) -> KakaoTokenRefusal {
    match fault.kind() {
        FaultKind::StartAgain => KakaoTokenRefusal::ReauthenticationRequired,
        _ => KakaoTokenRefusal::Kakao(fault.known),
    }
}

/// Of an ID token that an app handed in.
pub(crate) fn of_id_token(fault: &Fault) -> SubjectTokenRefusal {
    match fault.kind() {
        // Kakao's keys cannot be had now, or lacked this one when they were read.
        FaultKind::TryLater => try_later(fault),
        _ => {
            SubjectTokenRefusal::Invalid(format!("Kakao's ID token cannot be used: {}.", plain(fault.cause)))
        }
    }
}

/// Of an access token that an app handed in.
pub(crate) fn of_access_token(fault: &Fault) -> SubjectTokenRefusal {
    match fault.kind() {
        FaultKind::StartAgain => unknown_access_token(),
        // What Kakao got wrong may pass, and the app keeps its token.
        FaultKind::KakaoBroken => try_later(fault),
        _ => SubjectTokenRefusal::Kakao(fault.known),
    }
}

fn try_later(fault: &Fault) -> SubjectTokenRefusal {
    SubjectTokenRefusal::KakaoTryLater { fault: fault.known, retry_after: fault.retry_after }
}

/// Kakao does not know the access token, or it cannot be one of Kakao's.
pub(crate) fn unknown_access_token() -> SubjectTokenRefusal {
    SubjectTokenRefusal::Invalid(
        "Kakao does not know this access token, or it has expired. Send the SDK's current access token."
            .to_owned(),
    )
}

/// A sentence of RFC 6749's characters.
fn plain(text: &str) -> String {
    text.replace(['"', '\\'], "'")
}
