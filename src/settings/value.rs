//! Reads single values out of texts; each error is a sentence that says what to write instead.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub(super) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Base64 of exactly 32 bytes that look random.
pub(super) fn base64_key(text: &str) -> Result<Zeroizing<[u8; 32]>, String> {
    let how = "make one with: openssl rand -base64 32";
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| format!("it is not base64; {how}"))?);
    let key: [u8; 32] =
        bytes.as_slice().try_into().map_err(|_| format!("it has {} bytes, not 32; {how}", bytes.len()))?;
    let distinct: BTreeSet<u8> = key.iter().copied().collect();
    // 32 random bytes have about 30 distinct ones; fewer than 12 do not happen in the life of the universe.
    if distinct.len() < 12 {
        return Err(format!("it is not random; {how}"));
    }
    Ok(Zeroizing::new(key))
}

/// A duration within bounds.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|_| {
        "it is not a duration; write a number and a unit, such as 30s, 10m, 1h or 30d".to_owned()
    })?;
    if range.contains(&length) {
        return Ok(length);
    }
    let say = |length: &Duration| humantime::format_duration(*length).to_string();
    Err(format!("it must be from {} to {}", say(range.start()), say(range.end())))
}

/// `a, b or c`
pub(super) fn alternatives(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} or {last}", names.join(", ")),
        _ => names.concat(),
    }
}

/// The known name that differs in the fewest letters, if it is close.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (distance(unknown, name), name))
        .min()
        .filter(|(distance, _)| *distance <= 2 + unknown.len() / 6)
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
