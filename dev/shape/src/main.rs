//! The limits that every source file keeps. `scripts/shape` runs it, and so does CI.
//!
//! | rule | limit |
//! |---|---|
//! | `lines` | a function has at most 60 lines, from its signature to its closing brace |
//! | `parameters` | a function has at most 5 parameters, `self` not counted |
//! | `fields` | `Deps` has at most 8 fields |
//! | `rings` | no file of `src` depends on itself through others, by `use` or by path |
//! | `lints` | `dead_code` and `unreachable_pub` are errors, and no attribute lifts them |
//!
//! Comments and test code count for nothing.

mod functions;
mod known;
mod lints;
mod resolve;
mod rings;
mod sources;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sources::Crate;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The rule, as in the table above.
    pub(crate) rule: &'static str,
    /// Where, without line numbers: what an entry of [`known::KNOWN`] names.
    pub(crate) place: String,
    /// What is wrong there.
    pub(crate) message: String,
}

/// The crate that is checked for everything.
const SERVICE: &[&str] = &["src/lib.rs", "src/main.rs"];

/// The crates beside it, whose functions keep the same limits.
const OTHERS: &[&str] = &[
    "verifier/src/lib.rs",
    "dev/simulator/src/lib.rs",
    "dev/simulator/src/main.rs",
    "dev/playground/src/lib.rs",
    "dev/playground/src/main.rs",
    "dev/load/src/main.rs",
    "dev/shape/src/main.rs",
];

fn main() -> ExitCode {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    match check(&root) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("shape: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Checks a working copy, and prints what was found; whether all is as it should be.
fn check(root: &Path) -> Result<bool, String> {
    let service = SERVICE.iter().map(|path| Crate::read(root, path)).collect::<Result<Vec<_>, _>>()?;
    let others = OTHERS.iter().map(|path| Crate::read(root, path)).collect::<Result<Vec<_>, _>>()?;
    let (mut found, mut figures) = (Vec::new(), functions::Figures::default());
    for sources in service.iter().chain(&others) {
        functions::check(sources, &mut figures, &mut found);
        lints::check_attributes(sources, &mut found);
    }
    functions::check_deps(&service, &mut figures, &mut found);
    for sources in &service {
        rings::check(sources, &mut found);
    }
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))
        .map_err(|error| format!("Cargo.toml cannot be read: {error}"))?;
    lints::check_manifest(&manifest, &mut found);
    found.sort();
    println!("{figures}");
    Ok(known::judge(&found, known::KNOWN).print())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that takes part must not be forgotten when a crate is added.
    #[test]
    fn every_crate_of_the_workspace_is_checked() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
        for member in members.split(',').map(|member| member.trim().trim_matches('"')) {
            for file in ["src/lib.rs", "src/main.rs"] {
                let path = format!("{member}/{file}");
                assert_eq!(root.join(&path).exists(), OTHERS.contains(&path.as_str()), "{path}");
            }
        }
    }
}
