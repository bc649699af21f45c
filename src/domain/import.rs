//! Users who come from elsewhere: a row as its source has it, and whether it can become a user.

use std::fmt;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{KakaoId, Profile, Timestamp, UserId};

/// The longest text of a profile, bytes.
const LONGEST: usize = 2048;

/// A row as its source has it; what it does not have is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its user there.
    pub source_id: Option<String>,
    /// Kakao's member number.
    pub kakao_id: Option<String>,
    /// Kakao nickname.
    pub nickname: Option<String>,
    /// Legal name.
    pub name: Option<String>,
    /// URL of the picture.
    pub picture: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number.
    pub phone_number: Option<String>,
    /// When the user was made there.
    pub created_at: Option<String>,
}

/// A row that can become a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The id to have: the source's if that is a UUID and is to be kept.
    pub id: UserId,
    /// Kakao's member number.
    pub kakao_id: KakaoId,
    /// What is known of the person. No address is verified before Kakao says so.
    pub profile: Profile,
    /// When the user was made.
    pub created_at: Timestamp,
}

/// Why a row cannot become a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no member number.
    NoKakaoId,
    /// The member number is not one.
    BadKakaoId,
    /// A text is longer than 2048 bytes.
    TooLong(&'static str),
    /// A text holds a NUL.
    Nul(&'static str),
    /// A time that cannot be read.
    BadTime,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKakaoId => f.write_str("kakao_id is missing: it must be Kakao's member number"),
            Self::BadKakaoId => {
                f.write_str("kakao_id is not a member number: a whole number above 0, up to 19 digits")
            }
            Self::TooLong(name) => {
                write!(f, "{name} is longer than {LONGEST} bytes: shorten or leave it out")
            }
            Self::Nul(name) => write!(f, "{name} holds a NUL character: remove it"),
            Self::BadTime => {
                f.write_str("created_at cannot be read: write 2026-01-31T12:00:00Z, or seconds since 1970")
            }
        }
    }
}

/// Judges a row. `keep_ids`: the source's ids stay, so that other tables which name them stay right.
pub fn judge(found: &Found, keep_ids: bool, now: Timestamp) -> Result<Candidate, Unfit> {
    let kakao_id = text("kakao_id", found.kakao_id.as_deref())?.ok_or(Unfit::NoKakaoId)?;
    let digits = kakao_id.bytes().all(|b| b.is_ascii_digit());
    let kakao_id: i64 = kakao_id.parse().ok().filter(|id| digits && *id > 0).ok_or(Unfit::BadKakaoId)?;
    let source_id = text("id", found.source_id.as_deref())?;
    let kept =
        source_id.filter(|_| keep_ids).and_then(|id| Uuid::parse_str(&id).ok()).filter(|id| !id.is_nil());
    let created_at = match text("created_at", found.created_at.as_deref())? {
        None => now,
        Some(text) => time(&text).ok_or(Unfit::BadTime)?,
    };
    let picture = text("picture", found.picture.as_deref())?;
    Ok(Candidate {
        id: kept.map_or_else(UserId::generate, UserId),
        kakao_id: KakaoId(kakao_id),
        profile: Profile {
            nickname: text("nickname", found.nickname.as_deref())?,
            name: text("name", found.name.as_deref())?,
            picture: picture
                .map(|url| url.strip_prefix("http://").map(|rest| format!("https://{rest}")).unwrap_or(url)),
            email: text("email", found.email.as_deref())?,
            email_verified: false,
            phone_number: text("phone_number", found.phone_number.as_deref())?,
            age_range: None,
        },
        created_at,
    })
}

/// An empty text is an absent one.
fn text(name: &'static str, value: Option<&str>) -> Result<Option<String>, Unfit> {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.contains('\0') {
        return Err(Unfit::Nul(name));
    }
    if value.len() > LONGEST {
        return Err(Unfit::TooLong(name));
    }
    Ok(Some(value.to_owned()))
}

/// RFC 3339 with T or a space, with or without an offset as databases write it, or seconds or milliseconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    // Year 5138 in seconds: whatever is larger counts milliseconds.
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    if let Ok(number) = text.parse::<i64>() {
        let micros = if number >= MILLISECONDS_FROM {
            number.checked_mul(1_000)
        } else {
            number.checked_mul(1_000_000)
        };
        return micros.filter(|micros| *micros >= 0).map(Timestamp::from_micros);
    }
    let (date, clock) = text.split_once(['T', ' '])?;
    let offset_at = clock.find(['+', '-', 'Z', 'z']);
    let (clock, offset) = offset_at.map_or((clock, "Z"), |at| clock.split_at(at));
    let offset = match offset.len() {
        3 => format!("{offset}:00"),
        5 if !offset.contains(':') => format!("{}:{}", &offset[..3], &offset[3..]),
        _ => offset.to_owned(),
    };
    let time = OffsetDateTime::parse(&format!("{date}T{clock}{offset}"), &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok().map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kakao_id: &str) -> Found {
        Found { kakao_id: Some(kakao_id.into()), ..Found::default() }
    }

    #[test]
    fn a_member_number_is_digits_above_zero_within_63_bits() {
        let now = Timestamp::from_secs(1);
        assert_eq!(judge(&found(" 9223372036854775807 "), true, now).unwrap().kakao_id, KakaoId(i64::MAX));
        for bad in ["0", "-1", "+1", "1.5", "9223372036854775808", "x", "１２", "1 2"] {
            assert_eq!(judge(&found(bad), true, now), Err(Unfit::BadKakaoId), "{bad}");
        }
        assert_eq!(judge(&found(" "), true, now), Err(Unfit::NoKakaoId));
    }

    #[test]
    fn a_uuid_stays_the_id_unless_a_new_one_is_wished_for() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let row = Found { source_id: Some(id.into()), ..found("7") };
        assert_eq!(judge(&row, true, Timestamp::from_secs(1)).unwrap().id.to_string(), id);
        assert_ne!(judge(&row, false, Timestamp::from_secs(1)).unwrap().id.to_string(), id);
        let other = Found { source_id: Some("cuid_abc".into()), ..found("7") };
        assert!(judge(&other, true, Timestamp::from_secs(1)).is_ok());
    }

    #[test]
    fn times_are_read_as_databases_write_them() {
        let at = Timestamp::from_secs(1_767_225_600);
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01 00:00:00",
            "2026-01-01 09:00:00+09",
            "2026-01-01 09:00:00+0900",
            "2026-01-01T09:00:00.000+09:00",
            "1767225600",
            "1767225600000",
        ] {
            assert_eq!(time(text), Some(at), "{text}");
        }
        for bad in [
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "-5",
            "9223372036854775807",
            "T",
            "2026-01-01T한",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn long_texts_and_nuls_are_refused_by_name_and_no_address_is_verified() {
        let now = Timestamp::from_secs(1);
        let long = Found { nickname: Some("x".repeat(2049)), ..found("7") };
        assert_eq!(judge(&long, true, now), Err(Unfit::TooLong("nickname")));
        let nul = Found { email: Some("a\0b".into()), ..found("7") };
        assert_eq!(judge(&nul, true, now), Err(Unfit::Nul("email")));
        let row = Found { email: Some("a@b.c".into()), picture: Some("http://x/y".into()), ..found("7") };
        let profile = judge(&row, true, now).unwrap().profile;
        assert_eq!((profile.email_verified, profile.picture.as_deref()), (false, Some("https://x/y")));
    }
}
