//! The house: which room imports which, and where each library is at home. That no files form a ring is checked by
//! `scripts/shape`.

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
    // Of `kakao` and `store` a few names alone: see NOTHING_ELSE.
    ("web", &["domain", "flow", "kakao", "store", "telemetry"]),
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

/// A room, another, and all that the first may import of it. `web` gives each request its way to the database and says what
/// a fault at Kakao means, in the words of its table; it asks neither of them anything.
const NOTHING_ELSE: &[(&str, &str, &[&str])] =
    &[("web", "store", &["Db", "Pool"]), ("web", "kakao", &["FaultKind", "KnownFault"])];

/// What `web` may reach by flows alone: the fields of `Deps` that are another room's.
const BEHIND_FLOWS: [&str; 5] = ["cache", "keys", "kakao", "notifier", "signals"];

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
    // Counters stand at their site. In `web` and `app` the word is a module of ours.
    ("metrics", &["telemetry", "flow", "kakao", "keys", "web", "app"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
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

/// A text without its comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a text names behind `crate::`, grouped imports included.
fn imports(text: &str) -> Vec<String> {
    let code = code(text);
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

/// What a text imports of a room, by name: `crate::room::Name`, grouped or not.
fn imported_names(text: &str, room: &str) -> Vec<String> {
    let code = code(text).replace(char::is_whitespace, "");
    let mut names = Vec::new();
    for after in code.split(&format!("crate::{room}::")).skip(1) {
        let group = after.strip_prefix('{').and_then(|group| group.split('}').next());
        for name in group.unwrap_or(after).split(',').take(if group.is_some() { usize::MAX } else { 1 }) {
            names.push(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

/// The names of other rooms that a text declares to be its own, by `pub use`.
fn handed_on(text: &str, room: &str) -> Vec<String> {
    let code = code(text).replace(char::is_whitespace, "");
    let mut found = Vec::new();
    for start in ["pubusecrate::", "pub(crate)usecrate::", "pub(super)usecrate::"] {
        for after in code.split(start).skip(1) {
            let names = after.split(';').next().unwrap();
            if !names.starts_with(&format!("{room}::")) {
                found.push(format!("crate::{names}"));
            }
        }
    }
    found
}

fn is_behind_flows(text: &str) -> Option<String> {
    let code = code(text).replace(char::is_whitespace, "");
    let fields = BEHIND_FLOWS.iter().map(|field| format!("deps.{field}"));
    fields.chain(["Deps{".to_owned()]).find(|reach| code.contains(reach))
}

#[test]
fn web_reaches_stores_keys_and_kakao_through_flows_alone() {
    for (room, path, text) in sources() {
        for (from, to, names) in NOTHING_ELSE.iter().filter(|(from, ..)| *from == room) {
            for name in imported_names(&text, to) {
                assert!(
                    names.contains(&name.as_str()),
                    "{}: {from} may not import {to}::{name}",
                    path.display()
                );
            }
        }
        if room == "web" {
            assert_eq!(is_behind_flows(&text), None, "{}: write a flow", path.display());
        }
    }
}

#[test]
fn no_room_hands_on_what_is_another_s() {
    for (room, path, text) in sources() {
        let found = handed_on(&text, &room);
        assert!(found.is_empty(), "{} hands on {found:?}: import it from where it is", path.display());
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
    assert_eq!(
        imported_names("use crate::store::{Db, Pool}; x: crate::store::users::f", "store"),
        ["Db", "Pool", "users"]
    );
    assert_eq!(
        handed_on("pub use crate::kakao::{A,\n B};\npub use crate::flow::C;", "flow"),
        ["crate::kakao::{A,B}"]
    );
    assert_eq!(handed_on("pub(crate) use crate::keys::K;\nuse crate::keys::L;", "flow"), ["crate::keys::K"]);
    assert!(is_behind_flows("site.deps\n    .keys.ring()").is_some());
    assert!(is_behind_flows("let Deps { clock, .. } = deps;").is_some());
    assert_eq!(is_behind_flows("// deps.keys\nsite.deps.policy.issuer"), None);
}
