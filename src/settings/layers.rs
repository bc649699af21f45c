//! The three layers, merged: the defaults, a file, the environment.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, Environment, File, FileFormat};
use serde_json::Value;

use super::problem::{Problem, Problems};

/// `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What the layers come to.
pub(super) struct Layers {
    /// Every key with its value: the environment's, else the file's, else the default.
    pub(super) tree: Value,
    /// For each key that a variable set, `section.key`: the name of that variable, `_FILE` included.
    pub(super) origins: BTreeMap<String, String>,
}

const PREFIX: &str = "KAKAO_AUTH__";

pub(super) fn merge(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Layers, Problems> {
    let mut problems = Vec::new();
    let mut from_file = file.map(|path| path.display().to_string());
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in environment {
        if name == "KAKAO_AUTH_CONFIG" && from_file.is_none() && !value.is_empty() {
            from_file = Some(value);
        } else if name.starts_with(PREFIX) {
            variables.insert(name, value);
        }
    }
    let (values, origins) = read_files_of(&variables, &mut problems);

    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(path) = &from_file {
        builder = builder.add_source(File::new(path, FileFormat::Toml));
    }
    let environment = Environment::with_prefix("KAKAO_AUTH")
        .prefix_separator("__")
        .separator("__")
        .source(Some(values.into_iter().collect()));
    let merged = builder.add_source(environment).build().and_then(Config::try_deserialize::<Value>);
    match merged {
        Ok(tree) if problems.is_empty() => Ok(Layers { tree, origins }),
        Ok(_) => Err(Problems::new(problems)),
        Err(error) => {
            let origin = from_file.unwrap_or_else(|| "the environment".to_owned());
            problems.push(Problem::new("settings", &origin, format!("cannot be read: {error}")));
            Err(Problems::new(problems))
        }
    }
}

/// Replaces each `…_FILE` variable by the content of its file.
fn read_files_of(
    variables: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut values = BTreeMap::new();
    let mut origins = BTreeMap::new();
    for (name, value) in variables {
        let (target, content) = match name.strip_suffix("_FILE") {
            None => (name.as_str(), value.clone()),
            Some(target) if variables.contains_key(target) => {
                problems.push(Problem::new(
                    &key_of(target),
                    name,
                    format!("{target} is set too: set one of the two"),
                ));
                continue;
            }
            Some(target) => match std::fs::read_to_string(value) {
                Ok(content) => (target, content.trim_end_matches(['\n', '\r']).to_owned()),
                Err(error) => {
                    problems.push(Problem::new(
                        &key_of(target),
                        name,
                        format!("the file cannot be read: {error}"),
                    ));
                    continue;
                }
            },
        };
        origins.insert(key_of(target), name.clone());
        values.insert(target.to_owned(), content);
    }
    (values, origins)
}

/// `KAKAO_AUTH__SECTION__KEY` → `section.key`
fn key_of(variable: &str) -> String {
    variable.trim_start_matches(PREFIX).to_ascii_lowercase().replace("__", ".")
}
