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
        // Kakao's keys cannot be had now.
        FaultKind::TryLater => SubjectTokenRefusal::Kakao(fault.known),
        _ => {
            SubjectTokenRefusal::Invalid(format!("Kakao's ID token cannot be used: {}.", plain(fault.cause)))
        }
    }
}

/// Of an access token that an app handed in.
pub(crate) fn of_access_token(fault: &Fault) -> SubjectTokenRefusal {
    match fault.kind() {
        FaultKind::StartAgain => unknown_access_token(),
        // −1 is a fault of Kakao's that passes: the app keeps its token.
        FaultKind::KakaoBroken => SubjectTokenRefusal::KakaoTryLater(fault.known),
        _ => SubjectTokenRefusal::Kakao(fault.known),
    }
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
