//! Which logins of a user count: column `users.logins_valid_from`, and what is said of it in SQL.
//!
//! What ends all logins of a user changes this one row, however many grants there are, and holds at once: every statement
//! that asks whether a grant or session lives asks this too. The rows are ended afterwards, in batches.

/// Whether a login counts: the one place that says so. `$users` names the row of the user, `$at` when Kakao vouched for the
/// login. Whatever ends a user's logins writes `logins_valid_from`, and nothing else needs to know why they ended.
macro_rules! login_counts {
    ($users:literal, $at:literal) => {
        concat!("(", $users, ".logins_valid_from IS NULL OR ", $users, ".logins_valid_from <= ", $at, ")")
    };
}

/// Whether a login of earlier stands: it counts, and its user is neither kept out nor deleted.
macro_rules! login_stands {
    ($users:literal, $at:literal) => {
        concat!(
            "(",
            $users,
            ".disabled_at IS NULL AND ",
            $users,
            ".deleted_at IS NULL AND ",
            $crate::store::standing::login_counts!($users, $at),
            ")"
        )
    };
}

/// This column of a time moves on to `$at`; a later time that is there already stays.
macro_rules! moved_on {
    ($column:literal, $at:literal) => {
        concat!($column, " = CASE WHEN ", $column, " > ", $at, " THEN ", $column, " ELSE ", $at, " END")
    };
}

/// Voids the logins of before `$at`, and the tokens that were issued before.
macro_rules! void_before {
    ($at:literal) => {
        concat!(
            $crate::store::standing::moved_on!("logins_valid_from", $at),
            ", ",
            $crate::store::standing::moved_on!("tokens_valid_from", $at)
        )
    };
}

pub(super) use {login_counts, login_stands, moved_on, void_before};
