//! The house: which room imports which, and where each library is at home.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Room → rooms of ours that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("settings", &["domain"]),
    ("telemetry", &[]),
    ("store", &["domain"]),
    ("cache", &["domain"]),
    ("kakao", &["domain"]),
    ("notify", &["domain"]),
    ("keys", &["domain", "store"]),
    ("flow", &["domain", "store", "cache", "kakao", "keys", "notify"]),
    ("jobs", &["domain", "store", "keys", "flow"]),
    ("web", &["domain", "flow", "telemetry"]),
    (
        "app",
        &[
            "domain",
            "settings",
            "store",
            "cache",
            "kakao",
            "keys",
            "notify",
            "flow",
            "jobs",
            "web",
            "telemetry",
        ],
    ),
    ("cli", &["domain", "settings", "store", "cache", "kakao", "keys", "notify", "flow", "app", "telemetry"]),
    ("main", &["cli"]),
];

/// Library → rooms in which it may be named.
const AT_HOME: &[(&str, &[&str])] = &[
    ("actix_web", &["web", "app", "telemetry"]),
    ("actix_cors", &["web"]),
    ("askama", &["web"]),
    ("reqwest", &["kakao", "notify"]),
    ("sqlx", &["store"]),
    ("redis", &["cache"]),
    ("config", &["settings"]),
    ("clap", &["cli"]),
    ("csv", &["cli"]),
    ("jsonwebtoken", &["keys", "kakao"]),
    ("tracing_actix_web", &["telemetry", "web"]),
    ("metrics", &["web"]),
    ("metrics_exporter_prometheus", &["web"]),
    ("anyhow", &["app", "cli"]),
];

fn sources() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(&src).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let room = first.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                if room != "lib" {
                    // Tests of a room may stand on more than the room does.
                    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
                    sources.push((room, path, text));
                }
            }
        }
    }
    assert!(sources.len() > 40, "the sources were found");
    sources
}

/// The rooms that a text names behind `crate::`, grouped imports included.
fn imports(text: &str) -> Vec<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut name)),
                    _ if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            rooms.push(name);
        } else {
            rooms.push(after.to_owned());
        }
    }
    rooms
        .iter()
        .map(|room| room.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|room| !room.is_empty() && room.chars().next().is_some_and(char::is_lowercase))
        .collect()
}

#[test]
fn no_arrow_points_up() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    for (room, path, text) in sources() {
        let may = allowed.get(room.as_str()).unwrap_or_else(|| panic!("{room} has no row in MAY_IMPORT"));
        for import in imports(&text) {
            let fine = import == room || may.contains(&import.as_str());
            assert!(fine, "{}: {room} may not import {import}", path.display());
        }
    }
}

#[test]
fn every_library_stays_at_home() {
    for (room, path, text) in sources() {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for (library, homes) in AT_HOME {
                let named = line.match_indices(&format!("{library}::")).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                });
                assert!(
                    !named || homes.contains(&room.as_str()),
                    "{}: {library} in {room}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_walk_itself_sees_what_it_should() {
    assert_eq!(imports("use crate::web::x; use crate::{flow, store::{a, b}};"), ["web", "flow", "store"]);
    assert!(imports("// use crate::web").is_empty());
}
