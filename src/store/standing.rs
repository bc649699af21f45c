//! Which logins of a user count: column `users.logins_valid_from`, and what is said of it in SQL.

/// Whether a login counts: the one place that says so. `$users` names the row of the user, `$at` when Kakao vouched for the
/// login. Whatever ends a user's logins writes `logins_valid_from`, and nothing else needs to know why they ended.
macro_rules! login_counts {
    ($users:literal, $at:literal) => {
        concat!("(", $users, ".logins_valid_from IS NULL OR ", $users, ".logins_valid_from <= ", $at, ")")
    };
}

/// Voids the logins of before `$at`; a later time that is there already stays.
macro_rules! void_before {
    ($at:literal) => {
        concat!(
            "logins_valid_from = CASE WHEN logins_valid_from > ",
            $at,
            " THEN logins_valid_from ELSE ",
            $at,
            " END"
        )
    };
}

pub(super) use {login_counts, void_before};
