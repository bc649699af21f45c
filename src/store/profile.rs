//! The columns of `users` that hold the profile: how they are read, set, compared and erased follows from the list of fields.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};

use super::statement::{Row, Statement};
use crate::domain::{Profile, ProfileField};

/// Goes with the column of [`ProfileField::Email`].
const EMAIL_VERIFIED: &str = "email_verified";

/// The names of all columns, separated by commas.
pub(super) fn columns() -> String {
    let fields = ProfileField::ALL.iter().map(|field| field.name());
    fields.chain([EMAIL_VERIFIED]).collect::<Vec<_>>().join(", ")
}

/// A profile as it stands in the columns of a row.
pub(super) struct ProfileColumns(pub(super) Profile);

macro_rules! read {
    ($($row:ty),*) => {
        $(impl FromRow<'_, $row> for ProfileColumns {
            fn from_row(row: &$row) -> sqlx::Result<Self> {
                let mut profile =
                    Profile { email_verified: row.try_get(EMAIL_VERIFIED)?, ..Profile::default() };
                for field in ProfileField::ALL {
                    profile.set(*field, row.try_get(field.name())?);
                }
                Ok(Self(profile))
            }
        })*
    };
}

read!(PgRow, SqliteRow);

/// The columns of a new row.
pub(super) fn of_new_row<'q>(row: Row<'q>, profile: &'q Profile) -> Row<'q> {
    let with = |row: Row<'q>, field: &ProfileField| row.set(field.name(), profile.get(*field));
    ProfileField::ALL.iter().fold(row, with).set(EMAIL_VERIFIED, profile.email_verified)
}

/// `column = $n, …`: the profile takes the place of the one that is there.
pub(super) fn replace<'q>(statement: &mut Statement<'q>, profile: &'q Profile) {
    for field in ProfileField::ALL {
        statement.push(field.name()).push(" = ").bind(profile.get(*field)).push(", ");
    }
    statement.push(EMAIL_VERIFIED).push(" = ").bind(profile.email_verified);
}

/// `column = …, `: in an upsert of `users AS u`, the profile that was read later stays.
pub(super) fn keep_newer() -> String {
    let fields = ProfileField::ALL.iter().map(|field| field.name());
    fields.chain([EMAIL_VERIFIED]).map(newer).collect()
}

/// A column of an upsert of `users AS u`: that of whichever login read the profile later.
pub(super) fn newer(column: &str) -> String {
    format!(
        "{column} = CASE WHEN u.profile_read_at > excluded.profile_read_at THEN u.{column} \
         ELSE excluded.{column} END, "
    )
}

/// In an upsert of `users AS u`: whether the profile is the one that is there.
pub(super) fn is_unchanged() -> String {
    let fields = ProfileField::ALL.iter().map(|field| field.name());
    let same = |column: &str| format!("u.{column} IS NOT DISTINCT FROM excluded.{column}");
    fields.chain([EMAIL_VERIFIED]).map(same).collect::<Vec<_>>().join(" AND ")
}

/// `column = NULL`, for each of these fields.
pub(super) fn erase(fields: &[ProfileField]) -> impl Iterator<Item = String> {
    let erase = |field: &ProfileField| match field {
        ProfileField::Email => format!("{} = NULL, {EMAIL_VERIFIED} = false", field.name()),
        _ => format!("{} = NULL", field.name()),
    };
    fields.iter().map(erase)
}
