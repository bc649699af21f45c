//! Reads keys out of the merged tree and collects what is wrong with them, so that an operator is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::layers::Layers;

/// One thing wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `section.key`
    pub key: String,
    /// The variable it came from, when it came from one.
    pub origin: String,
    /// What is wrong, and what to write instead.
    pub sentence: String,
}

impl Problem {
    pub(super) fn new(key: &str, origin: &str, sentence: impl Into<String>) -> Self {
        Self { key: key.to_owned(), origin: origin.to_owned(), sentence: sentence.into() }
    }
}

/// All that is wrong with the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    pub(super) fn of(key: &str, sentence: &str) -> Self {
        Self(vec![Problem::new(key, "", sentence)])
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "the settings have {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for Problem { key, origin, sentence } in &self.0 {
            if origin.is_empty() {
                writeln!(f, "  {key}: {sentence}")?;
            } else {
                writeln!(f, "  {key} ({origin}): {sentence}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The tree, what was read of it, and what was wrong.
pub(super) struct Reader {
    leaves: BTreeMap<String, Value>,
    origins: BTreeMap<String, String>,
    clients: Vec<Value>,
    read: BTreeSet<String>,
    problems: Vec<Problem>,
}

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

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        let mut reader = Self {
            leaves: BTreeMap::new(),
            origins: layers.origins,
            clients: Vec::new(),
            read: BTreeSet::new(),
            problems: Vec::new(),
        };
        if let Value::Object(sections) = layers.tree {
            for (section, value) in sections {
                match value {
                    Value::Array(clients) if section == "clients" => reader.clients = clients,
                    Value::Object(keys) => {
                        for (key, value) in keys {
                            reader.leaves.insert(format!("{section}.{key}"), value);
                        }
                    }
                    other => drop(reader.leaves.insert(section, other)),
                }
            }
        }
        reader
    }

    /// The tables of `[[clients]]`.
    pub(super) fn take_clients(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.clients)
    }

    pub(super) fn problem(&mut self, key: &str, sentence: impl Into<String>) {
        let origin = self.origins.get(key).cloned().unwrap_or_default();
        self.problems.push(Problem::new(key, &origin, sentence));
    }

    pub(super) fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// A key that must be there.
    pub(super) fn required<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Some(text) = self.text(key) else {
            self.problem(key, format!("is missing; set it in the file or as {}", variable(key)));
            return None;
        };
        self.parse(key, &text, true, parse)
    }

    /// A key that must be there and whose value is never shown.
    pub(super) fn required_secret<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = self.text(key) else {
            let variable = variable(key);
            self.problem(
                key,
                format!("is missing; set {variable}, or {variable}_FILE to the path of a file"),
            );
            return None;
        };
        self.parse(key, &text, false, parse)
    }

    pub(super) fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        self.parse(key, &text, true, parse)
    }

    pub(super) fn optional_secret<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key)?;
        self.parse(key, &text, false, parse)
    }

    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> u32 {
        let (low, high) = (*range.start(), *range.end());
        self.required(key, |text| {
            text.parse::<u32>()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("it must be a whole number from {low} to {high}"))
        })
        .unwrap_or(low)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        let read = self.required(key, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("it must be true or false".to_owned()),
        });
        read.unwrap_or(false)
    }

    pub(super) fn duration(&mut self, key: &str, range: RangeInclusive<Duration>) -> Duration {
        let low = *range.start();
        self.required(key, |text| duration(text, &range)).unwrap_or(low)
    }

    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.items(key, true, parse)
    }

    pub(super) fn secret_list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.items(key, false, parse)
    }

    /// All problems, with the keys that nobody asked for among them.
    pub(super) fn finish(mut self) -> Result<(), Problems> {
        let unknown: Vec<String> =
            self.leaves.keys().filter(|key| !self.read.contains(*key)).cloned().collect();
        for key in unknown {
            let near = nearest(&key, self.read.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            self.problem(&key, format!("is not a setting{hint}"));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(Problems(self.problems)) }
    }

    fn items<T>(&mut self, key: &str, shown: bool, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.read.insert(key.to_owned());
        let texts: Vec<String> = match self.leaves.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().map(plain).collect(),
            Some(value) => plain(value)
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        };
        texts.iter().filter_map(|text| self.parse(key, text, shown, &parse)).collect()
    }

    /// The value as text; an empty one counts as absent, so that a variable can be switched off.
    fn text(&mut self, key: &str) -> Option<String> {
        self.read.insert(key.to_owned());
        self.leaves.get(key).map(plain).filter(|text| !text.is_empty())
    }

    fn parse<T>(
        &mut self,
        key: &str,
        text: &str,
        shown: bool,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(sentence) if shown && !sentence.contains(text) => {
                let short: String = text.chars().take(80).collect();
                self.problem(key, format!("{short:?}: {sentence}"));
                None
            }
            Err(sentence) => {
                self.problem(key, sentence);
                None
            }
        }
    }
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

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn variable(key: &str) -> String {
    format!("KAKAO_AUTH__{}", key.to_ascii_uppercase().replace('.', "__"))
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
