//! Lints that are errors, everywhere.

use syn::visit::Visit;
use syn::{Attribute, Meta};

use crate::Violation;
use crate::sources::Crate;

/// What nobody uses, and what is more public than it can be reached.
const ERRORS: &[&str] = &["dead_code", "unreachable_pub"];

/// `[workspace.lints.rust]` denies them.
pub(crate) fn check_manifest(manifest: &str, found: &mut Vec<Violation>) {
    let mut section = "";
    let mut denied = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[workspace.lints.rust]"
            && let Some((name, level)) = line.split_once('=')
            && ["\"deny\"", "\"forbid\""].iter().any(|denies| level.contains(denies))
        {
            denied.push(name.trim());
        }
    }
    for lint in ERRORS.iter().filter(|lint| !denied.contains(lint)) {
        let message = String::from("it is no error: set it to \"deny\" in [workspace.lints.rust]");
        found.push(Violation { rule: "lints", place: format!("Cargo.toml {lint}"), message });
    }
}

/// No attribute lifts them.
pub(crate) fn check_attributes(sources: &Crate, found: &mut Vec<Violation>) {
    for file in &sources.files {
        let mut walk = Walk { path: &file.path, found };
        file.items.iter().for_each(|item| walk.visit_item(item));
    }
}

struct Walk<'a> {
    path: &'a str,
    found: &'a mut Vec<Violation>,
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if !["allow", "expect", "warn"].iter().any(|level| list.path.is_ident(level)) {
            return;
        }
        let named = list.tokens.to_string();
        for lint in ERRORS.iter().chain(&["unused"]) {
            if named.split(|c: char| !c.is_alphanumeric() && c != '_').any(|name| name == *lint) {
                let message = String::from("an attribute lifts a lint that is an error");
                let place = format!("{} {lint}", self.path);
                self.found.push(Violation { rule: "lints", place, message });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::of;

    fn places(found: Vec<Violation>) -> Vec<String> {
        found.into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn the_manifest_denies_both() {
        let judged = |manifest: &str| {
            let mut found = Vec::new();
            check_manifest(manifest, &mut found);
            places(found)
        };
        let both = ["Cargo.toml dead_code", "Cargo.toml unreachable_pub"];
        let good = "[workspace.lints.rust]\ndead_code = \"deny\"\nunreachable_pub = { level = \"deny\" }\n";
        assert!(judged(good).is_empty());
        assert_eq!(judged(""), both);
        assert_eq!(judged(&good.replace("deny", "warn")), both);
        assert_eq!(judged(&good.replace(".rust", ".clippy")), both);
        assert_eq!(judged(&good.replace("dead_code", "# dead_code")), both[..1]);
    }

    #[test]
    fn no_attribute_lifts_them() {
        let judged = |text: &str| {
            let mut found = Vec::new();
            check_attributes(&of(&[("src/lib.rs", text)]), &mut found);
            places(found)
        };
        assert_eq!(judged("#[allow(dead_code)] fn x() {}"), ["src/lib.rs dead_code"]);
        assert_eq!(judged("#[expect(unused, reason = \"x\")] fn x() {}"), ["src/lib.rs unused"]);
        assert_eq!(judged("struct X { #[allow(unreachable_pub)] x: u8 }"), ["src/lib.rs unreachable_pub"]);
        assert!(
            judged("#[allow(clippy::panic)] fn x() {} #[cfg(test)] #[allow(dead_code)] fn y() {}").is_empty()
        );
    }
}
