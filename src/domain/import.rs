//! Users that come from another product: a row as it was read, and what is thought of it.
//!
//! Nothing about a row is believed. A row that cannot become a user is refused with a sentence for whoever has to mend
//! it, and the rows after it go on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{KakaoId, Profile, Timestamp, UserId};

/// What a source may say about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Kakao's member number: the key.
    KakaoId,
    /// The user's id in the source.
    Id,
    /// Kakao nickname.
    Nickname,
    /// Legal name.
    Name,
    /// URL of a picture.
    Picture,
    /// E-mail address.
    Email,
    /// Phone number.
    PhoneNumber,
    /// When the user came to the source.
    CreatedAt,
}

impl Column {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Self; 8] = [
        Self::KakaoId,
        Self::Id,
        Self::Nickname,
        Self::Name,
        Self::Picture,
        Self::Email,
        Self::PhoneNumber,
        Self::CreatedAt,
    ];

    /// As it stands in the header of a CSV file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KakaoId => "kakao_id",
            Self::Id => "id",
            Self::Nickname => "nickname",
            Self::Name => "name",
            Self::Picture => "picture",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::CreatedAt => "created_at",
        }
    }

    /// The bytes that are kept at most. Kakao's own values stay far below; more is a mistake in the source.
    pub(crate) const fn limit(self) -> usize {
        match self {
            Self::KakaoId | Self::PhoneNumber | Self::CreatedAt => 64,
            Self::Id => 255,
            Self::Email => 320,
            Self::Nickname | Self::Name => 1_024,
            Self::Picture => 2_048,
        }
    }
}

/// A row as it stood in the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceRow {
    /// Its line in the file, or its number in the order of reading.
    pub(crate) line: u64,
    /// Whether the source keeps this user out.
    pub(crate) banned: bool,
    texts: [Option<String>; Column::ALL.len()],
    damage: Option<String>,
}

impl SourceRow {
    /// A row without values.
    pub(crate) fn new(line: u64) -> Self {
        Self { line, ..Self::default() }
    }

    /// Sets a value: trimmed, and absent if nothing is left. Bytes that are no UTF-8 damage the row.
    pub(crate) fn put(&mut self, column: Column, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            self.spoil(format!("{} is not UTF-8: save the source as UTF-8", column.name()));
        }
        let text = text.trim();
        self.texts[column as usize] = (!text.is_empty()).then(|| text.to_owned());
    }

    /// Says why the row cannot be trusted at all. The first reason stays.
    pub(crate) fn spoil(&mut self, why: String) {
        self.damage.get_or_insert(why);
    }

    /// The value of a column, if there is one.
    pub(crate) fn get(&self, column: Column) -> Option<&str> {
        self.texts[column as usize].as_deref()
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A user was made.
    Created,
    /// There is a user of this Kakao number; it was left as it is.
    Exists,
    /// The id belongs to a user with another Kakao number.
    Conflict,
    /// An earlier row has the same Kakao number.
    Duplicate,
    /// The row cannot become a user.
    Invalid,
    /// A user would have been made.
    WouldCreate,
}

impl Outcome {
    /// All of them, in the order of a summary.
    pub(crate) const ALL: [Self; 6] =
        [Self::Created, Self::WouldCreate, Self::Exists, Self::Conflict, Self::Duplicate, Self::Invalid];

    /// As it stands in a report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::WouldCreate => "would_create",
        }
    }

    /// Whether somebody has to look at the row.
    pub(crate) const fn is_refused(self) -> bool {
        matches!(self, Self::Conflict | Self::Duplicate | Self::Invalid)
    }
}

/// Why a row is not made a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The kind.
    pub(crate) outcome: Outcome,
    /// What is wrong, and what to do.
    pub(crate) reason: String,
}

/// A user about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewUser {
    /// The source's id, or a new one.
    pub(crate) id: UserId,
    /// Whether the id is the source's.
    pub(crate) keeps_id: bool,
    /// Kakao's member number.
    pub(crate) kakao_id: KakaoId,
    /// What the source knows. The address counts as unverified: the next login asks Kakao.
    pub(crate) profile: Profile,
    /// When the user came to the source, or now.
    pub(crate) created_at: Timestamp,
    /// Whether the source keeps this user out; then so do we.
    pub(crate) disabled: bool,
    /// What was changed on the way in.
    pub(crate) note: Option<&'static str>,
}

/// Judges the rows of one source, and remembers which numbers and ids it saw.
#[derive(Debug)]
pub(crate) struct Judge {
    keep_ids: bool,
    now: Timestamp,
    kakao_ids: HashMap<KakaoId, u64>,
    ids: HashMap<UserId, u64>,
}

impl Judge {
    /// A judge who saw nothing yet. `keep_ids`: ids of the source that are UUIDs become ours.
    pub(crate) fn new(keep_ids: bool, now: Timestamp) -> Self {
        Self { keep_ids, now, kakao_ids: HashMap::new(), ids: HashMap::new() }
    }

    /// The user that a row becomes.
    ///
    /// # Errors
    /// Why it becomes none.
    pub(crate) fn judge(&mut self, row: &SourceRow) -> Result<NewUser, Refused> {
        let user = self.read(row).map_err(|reason| Refused { outcome: Outcome::Invalid, reason })?;
        let refused = |outcome, reason| Err(Refused { outcome, reason });
        if let Some(line) = self.kakao_ids.get(&user.kakao_id) {
            let reason = format!("line {line} has the same kakao_id and was taken: keep one of the two");
            return refused(Outcome::Duplicate, reason);
        }
        if user.keeps_id {
            match self.ids.entry(user.id) {
                Entry::Occupied(first) => {
                    let line = first.get();
                    let reason = format!(
                        "line {line} has the same id with another kakao_id: decide whose it is, or use --new-ids"
                    );
                    return refused(Outcome::Conflict, reason);
                }
                Entry::Vacant(free) => free.insert(row.line),
            };
        }
        self.kakao_ids.insert(user.kakao_id, row.line);
        Ok(user)
    }

    fn read(&self, row: &SourceRow) -> Result<NewUser, String> {
        for column in Column::ALL {
            fits(column, row.get(column))?;
        }
        if let Some(damage) = &row.damage {
            return Err(damage.clone());
        }
        let kakao_id = kakao_id(row.get(Column::KakaoId))?;
        let created_at = row.get(Column::CreatedAt).map(|text| past(text, self.now)).transpose()?;
        let kept = row.get(Column::Id).and_then(uuid).filter(|_| self.keep_ids);
        let text = |column| row.get(column).map(str::to_owned);
        let picture = row.get(Column::Picture).and_then(over_https);
        let note = if row.banned {
            Some("the source keeps this user out, so the user is disabled here too")
        } else if picture.is_none() && row.get(Column::Picture).is_some() {
            Some("the picture was left out: it is not an http address")
        } else {
            None
        };
        Ok(NewUser {
            id: kept.map_or_else(UserId::generate, UserId),
            keeps_id: kept.is_some(),
            kakao_id,
            profile: Profile {
                nickname: text(Column::Nickname),
                name: text(Column::Name),
                picture,
                email: text(Column::Email),
                email_verified: false,
                phone_number: text(Column::PhoneNumber),
                ..Profile::default()
            },
            created_at: created_at.unwrap_or(self.now),
            disabled: row.banned,
            note,
        })
    }
}

fn fits(column: Column, text: Option<&str>) -> Result<(), String> {
    let (name, limit, text) = (column.name(), column.limit(), text.unwrap_or_default());
    if text.len() > limit {
        return Err(format!("{name} is longer than {limit} bytes: shorten or empty it"));
    }
    if text.contains('\0') {
        return Err(format!("{name} holds a NUL byte: remove it"));
    }
    Ok(())
}

fn kakao_id(text: Option<&str>) -> Result<KakaoId, String> {
    let Some(text) = text else {
        return Err(
            "kakao_id is missing: without Kakao's member number nobody can log in to this user".into()
        );
    };
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if let Some(number) = text.parse().ok().filter(|_| plain) {
        return Ok(KakaoId(number));
    }
    let number_like = text.bytes().all(|b| b.is_ascii_digit() || b"+.,eE".contains(&b));
    let rounded = !plain && number_like && text.contains(['e', 'E', '.', ',']);
    Err(if rounded {
        "kakao_id was rounded or reformatted, as spreadsheets do: export it again as text".into()
    } else {
        "kakao_id is not a member number of Kakao: it must be a whole number from 1 to 9223372036854775807, in digits"
            .into()
    })
}

/// An id that may become ours: a UUID as databases write it. The nil and the max UUID (RFC 9562 §5.9, §5.10) stand for
/// nobody and everybody.
fn uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (text.len() == 36 && !id.is_nil() && !id.is_max()).then_some(id)
}

/// Kakao's image hosts answer on https too; older rows still say http.
fn over_https(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    web.then(|| format!("https://{rest}"))
}

/// A time that has been. A day of grace, for sources that keep local time without saying so.
fn past(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let time = moment(text).ok_or_else(|| {
        "created_at is not a time: write it like 2024-03-01T09:30:00Z, or empty it".to_owned()
    })?;
    if time < Timestamp::from_micros(0) || time > now + Duration::from_hours(24) {
        return Err("created_at lies before 1970 or in the future: correct or empty it".into());
    }
    Ok(time)
}

/// RFC 3339 with the liberties that databases take (a space for the T, a short or no offset, a bare date), or a Unix
/// time of 10 digits (seconds) or 13 (milliseconds). Without an offset it is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            10 => Some(Timestamp::from_secs(number)),
            13 => Some(Timestamp::from_micros(number.checked_mul(1_000)?)),
            _ => None,
        };
    }
    let time = OffsetDateTime::parse(&canonical(text)?, &Rfc3339).ok()?;
    Some(Timestamp::from_micros(i64::try_from(time.unix_timestamp_nanos() / 1_000).ok()?))
}

fn canonical(text: &str) -> Option<String> {
    if !text.is_ascii() {
        return None;
    }
    let (date, rest) = text.split_at_checked(10)?;
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len()));
    let clock = clock.trim_end();
    Some(match offset.len() {
        0 => format!("{date}T{clock}Z"),
        3 => format!("{date}T{clock}{offset}:00"),
        5 => format!("{date}T{clock}{}:{}", &offset[..3], &offset[3..]),
        _ => format!("{date}T{clock}{offset}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
    const ID: &str = "0a3b1f6e-9f0c-4b8e-8a54-0d6f1c2b3a4d";

    fn row(line: u64, values: &[(Column, &str)]) -> SourceRow {
        let mut row = SourceRow::new(line);
        for (column, text) in values {
            row.put(*column, text.as_bytes());
        }
        row
    }

    fn judged(values: &[(Column, &str)]) -> Result<NewUser, Refused> {
        Judge::new(true, NOW).judge(&row(2, values))
    }

    fn reason(values: &[(Column, &str)]) -> String {
        let refused = judged(values).unwrap_err();
        assert_eq!(refused.outcome, Outcome::Invalid);
        refused.reason
    }

    #[test]
    fn a_full_row_becomes_a_user_who_keeps_its_id() {
        let user = judged(&[
            (Column::KakaoId, " 4412345678 "),
            (Column::Id, ID),
            (Column::Nickname, " 하늘 "),
            (Column::Name, "  "),
            (Column::Picture, "http://k.kakaocdn.net/a.jpg"),
            (Column::Email, "a@example.com"),
            (Column::CreatedAt, "2024-03-01T09:30:00Z"),
        ])
        .unwrap();
        assert_eq!((user.id.to_string().as_str(), user.keeps_id), (ID, true));
        assert_eq!(user.kakao_id, KakaoId(4_412_345_678));
        assert_eq!(user.profile.nickname.as_deref(), Some("하늘"));
        assert_eq!(user.profile.name, None);
        assert_eq!(user.profile.picture.as_deref(), Some("https://k.kakaocdn.net/a.jpg"));
        assert!(!user.profile.email_verified);
        assert_eq!(user.created_at, Timestamp::from_secs(1_709_285_400));
        assert_eq!((user.disabled, user.note), (false, None));
    }

    #[test]
    fn an_id_that_is_no_uuid_gives_a_new_one_and_so_does_the_wish_for_new_ids() {
        let others = ["17", "clh3k2j1x0000", "00000000-0000-0000-0000-000000000000", &ID.replace('-', "")];
        for id in others {
            assert!(!judged(&[(Column::KakaoId, "1"), (Column::Id, id)]).unwrap().keeps_id, "{id}");
        }
        let row = row(2, &[(Column::KakaoId, "1"), (Column::Id, ID)]);
        let user = Judge::new(false, NOW).judge(&row).unwrap();
        assert_ne!(user.id.to_string(), ID);
        assert_eq!(user.created_at, NOW, "without a time, now");
    }

    #[test]
    fn only_a_member_number_is_a_member_number() {
        assert!(judged(&[(Column::KakaoId, "9223372036854775807")]).is_ok());
        for text in ["0", "-5", "+5", "007", "abc", "9223372036854775808", "12 34", "１２"] {
            assert!(reason(&[(Column::KakaoId, text)]).contains("whole number"), "{text}");
        }
        for text in ["4.41235E+09", "4412345678.0", "4,412,345,678"] {
            assert!(reason(&[(Column::KakaoId, text)]).contains("spreadsheets"), "{text}");
        }
        assert!(reason(&[]).contains("missing"));
    }

    #[test]
    fn the_same_moment_is_read_however_a_database_writes_it() {
        let expected = Timestamp::from_micros(1_709_285_400_250_000);
        for text in [
            "2024-03-01T09:30:00.25Z",
            "2024-03-01 09:30:00.25",
            "2024-03-01 09:30:00.25+00",
            "2024-03-01 18:30:00.250000+09:00",
            "2024-03-01 18:30:00.25 +0900",
            "1709285400250",
        ] {
            assert_eq!(moment(text), Some(expected), "{text}");
        }
        assert_eq!(moment("1709285400"), Some(Timestamp::from_secs(1_709_285_400)));
        assert_eq!(moment("2024-03-01"), Some(Timestamp::from_secs(1_709_251_200)));
        for text in [
            "20240301",
            "yesterday",
            "2024-13-01",
            "2024-03-01T",
            "2024-03-01 09:30:00+",
            "infinity",
            "",
            "-1",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
        for text in ["1969-01-01", "2999-01-01"] {
            let said = reason(&[(Column::KakaoId, "1"), (Column::CreatedAt, text)]);
            assert!(said.contains("before 1970 or in the future"), "{said}");
        }
    }

    #[test]
    fn what_is_too_long_or_holds_nul_or_is_not_utf_8_is_refused() {
        let long = "가".repeat(400);
        assert!(reason(&[(Column::KakaoId, "1"), (Column::Nickname, &long)]).contains("longer than 1024"));
        assert!(reason(&[(Column::KakaoId, "1"), (Column::Name, "a\0b")]).contains("NUL"));
        let mut broken = row(2, &[(Column::KakaoId, "1")]);
        broken.put(Column::Nickname, b"\xb1\xe8");
        let refused = Judge::new(true, NOW).judge(&broken).unwrap_err();
        assert!(refused.reason.contains("nickname is not UTF-8"));
    }

    #[test]
    fn a_second_row_of_a_number_or_an_id_names_the_first() {
        let mut judge = Judge::new(true, NOW);
        judge.judge(&row(2, &[(Column::KakaoId, "1"), (Column::CreatedAt, "never")])).unwrap_err();
        judge.judge(&row(3, &[(Column::KakaoId, "1"), (Column::Id, ID)])).unwrap();
        let second = judge.judge(&row(4, &[(Column::KakaoId, "1")])).unwrap_err();
        assert_eq!(second.outcome, Outcome::Duplicate);
        assert!(second.reason.contains("line 3"), "a refused row takes nothing: {}", second.reason);
        let third = judge.judge(&row(5, &[(Column::KakaoId, "2"), (Column::Id, ID)])).unwrap_err();
        assert_eq!(third.outcome, Outcome::Conflict);
        judge.judge(&row(6, &[(Column::KakaoId, "2")])).unwrap();
    }

    #[test]
    fn a_picture_elsewhere_is_left_out_and_a_banned_user_stays_out() {
        let user = judged(&[(Column::KakaoId, "1"), (Column::Picture, "/me.png")]).unwrap();
        assert_eq!(user.profile.picture, None);
        assert!(user.note.unwrap().contains("picture"));
        let mut banned = row(2, &[(Column::KakaoId, "1")]);
        banned.banned = true;
        let user = Judge::new(true, NOW).judge(&banned).unwrap();
        assert!(user.disabled && user.note.unwrap().contains("disabled"));
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;

    /// A row becomes a user that the database can keep, or is refused with a sentence.
    #[test]
    fn import_rows() {
        bolero::check!().with_type::<Vec<(u8, Vec<u8>)>>().for_each(|cells| {
            let mut row = SourceRow::new(1);
            for (column, bytes) in cells {
                let columns = Column::ALL;
                row.put(columns[usize::from(*column) % columns.len()], bytes);
            }
            let mut import = Judge::new(true, Timestamp::from_secs(1_790_000_000));
            if let Ok(user) = import.judge(&row) {
                assert!(user.kakao_id.0 > 0);
            }
        });
    }
}
