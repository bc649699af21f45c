//! What becomes of an account when its person leaves.

/// What an unlink at Kakao does to the account (`account.on_unlink`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnlink {
    /// It stays, without a link: whoever returns finds it again.
    Keep,
    /// It stays and nobody gets in until the operator says so.
    Disable,
    /// It is deleted.
    Erase,
}

/// Who somebody is who returns after the account was deleted (`account.returning`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    /// A new user. Kakao's number is forgotten too.
    New,
    /// The same user as before, without the old data. Kakao's number is kept for it.
    Old,
}

/// Both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountPolicy {
    /// After an unlink at Kakao.
    pub on_unlink: OnUnlink,
    /// After a deletion here.
    pub returning: Returning,
}
