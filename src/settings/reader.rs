//! Reads keys out of the merged tree and collects what is wrong with them, so that an operator is told once.
//!
//! A number, duration, flag or choice that cannot be read becomes a placeholder, so that reading goes on and finds every other
//! problem. No placeholder gets out: [`Reader::finish`] gives what was read only when there was no problem at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::problem::{Problem, Problems};
use super::value::{alternatives, duration, nearest};

/// The tree, what was read of it, and what was wrong.
pub(super) struct Reader {
    leaves: BTreeMap<String, Value>,
    origins: BTreeMap<String, String>,
    clients: Vec<Value>,
    read: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(tree: Value, origins: BTreeMap<String, String>) -> Self {
        let mut reader = Self {
            leaves: BTreeMap::new(),
            origins,
            clients: Vec::new(),
            read: BTreeSet::new(),
            problems: Vec::new(),
        };
        if let Value::Object(sections) = tree {
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

    pub(super) fn duration(&mut self, key: &str, range: &RangeInclusive<Duration>) -> Duration {
        self.required(key, |text| duration(text, range)).unwrap_or(*range.start())
    }

    /// One of these words.
    pub(super) fn choice<T: Copy, const N: usize>(&mut self, key: &str, choices: &[(&str, T); N]) -> T {
        let read = self.required(key, |text| {
            let chosen = choices.iter().find(|(name, _)| *name == text);
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                format!("it must be {}", alternatives(&names))
            })
        });
        read.unwrap_or(choices[0].1)
    }

    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.items(key, true, parse)
    }

    pub(super) fn secret_list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.items(key, false, parse)
    }

    /// What was read of the tree, or all problems, with the keys that nobody asked for among them.
    pub(super) fn finish<T>(mut self, read: Option<T>) -> Result<T, Problems> {
        let unknown: Vec<String> =
            self.leaves.keys().filter(|key| !self.read.contains(*key)).cloned().collect();
        for key in unknown {
            let near = nearest(&key, self.read.iter().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            self.problem(&key, format!("is not a setting{hint}"));
        }
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            // Nothing is missing without a problem that says so.
            _ => Err(Problems::new(self.problems)),
        }
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
