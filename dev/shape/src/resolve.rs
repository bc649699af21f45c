//! Which file owns what a path names. Re-exports are seen through: who names `flow::Refusal` depends on the file that
//! declares it, not on the `pub use` in `flow/mod.rs`.

use std::collections::BTreeSet;

use crate::sources::{Crate, Module, Names};

/// What a path names.
enum Found {
    /// The module itself.
    Module(Names),
    /// Something that this module declares.
    Item(Names),
}

/// Names that were looked up on the way: `pub use` can go round in circles.
type Trail = BTreeSet<(Names, String)>;

impl Crate {
    /// The place in [`Crate::files`] of the file that owns what a path names in a module; none outside this crate.
    pub(crate) fn owner(&self, from: &Names, path: &[String]) -> Option<usize> {
        let (Found::Module(module) | Found::Item(module)) = self.resolve(from, path, &mut Trail::new())?;
        self.modules.get(&module).map(|module| module.file)
    }

    fn resolve(&self, from: &Names, path: &[String], trail: &mut Trail) -> Option<Found> {
        let (mut at, mut rest, mut anchored) = (from.clone(), path, false);
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            (rest, anchored) = (after, true);
        }
        while let Some((name, after)) = rest.split_first() {
            match self.step(&at, name, after.is_empty(), trail) {
                Some(Found::Module(module)) => at = module,
                Some(item) => return Some(item),
                None if anchored => return Some(Found::Item(at)),
                None => return None,
            }
            (rest, anchored) = (after, true);
        }
        anchored.then_some(Found::Module(at))
    }

    /// What a name stands for in a module. As the last of a path, a function goes before a module of the same name.
    fn step(&self, at: &Names, name: &str, last: bool, trail: &mut Trail) -> Option<Found> {
        let module = self.modules.get(at)?;
        let child = || {
            let is_child = module.children.contains(name);
            is_child.then(|| Found::Module([at.clone(), vec![name.to_owned()]].concat()))
        };
        if !last && let Some(found) = child() {
            return Some(found);
        }
        if module.items.contains(name) {
            return Some(Found::Item(at.clone()));
        }
        if trail.insert((at.clone(), name.to_owned()))
            && let Some(found) = self.used(at, module, name, trail)
        {
            return Some(found);
        }
        child()
    }

    /// What a name stands for that a `use` brings into a module.
    fn used(&self, at: &Names, module: &Module, name: &str, trail: &mut Trail) -> Option<Found> {
        let mut named = module.uses.get(name).into_iter().flatten();
        if let Some(found) = named.find_map(|path| self.resolve(at, path, trail)) {
            return Some(found);
        }
        module.globs.iter().find_map(|glob| match self.resolve(at, glob, trail)? {
            Found::Module(opened) => self.step(&opened, name, true, trail),
            Found::Item(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::sources::tests::of;

    #[test]
    fn paths_lead_to_the_file_that_declares() {
        let sources = of(&[
            ("src/lib.rs", "pub mod flow; pub mod web;"),
            (
                "src/flow/mod.rs",
                "pub mod refresh; mod refusal; pub use refresh::refresh; pub use refusal::*; pub struct Deps;",
            ),
            ("src/flow/refresh.rs", "pub fn refresh() {} use super::Deps;"),
            ("src/flow/refusal.rs", "pub enum Refusal { A } mod inner { pub fn f() {} }"),
            ("src/web.rs", "use crate::flow::{self, Refusal as R}; use std::fmt;"),
        ]);
        let owner = |from: &str, path: &str| {
            let names = |text: &str| -> Vec<String> {
                text.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
            };
            sources.owner(&names(from), &names(path)).map(|file| sources.files[file].path.as_str())
        };
        for (from, path, expected) in [
            ("web", "crate::flow::Deps", Some("src/flow/mod.rs")),
            ("web", "crate::flow::refresh", Some("src/flow/refresh.rs")),
            ("web", "flow::refresh::refresh", Some("src/flow/refresh.rs")),
            ("web", "crate::flow::Refusal::A", Some("src/flow/refusal.rs")),
            ("web", "R", Some("src/flow/refusal.rs")),
            ("web", "R::A", Some("src/flow/refusal.rs")),
            ("web", "flow::inner", Some("src/flow/refusal.rs")),
            ("flow::refusal", "self::inner::f", Some("src/flow/refusal.rs")),
            ("flow::refresh", "super::Deps", Some("src/flow/mod.rs")),
            ("flow::refresh", "super::super::web", Some("src/web.rs")),
            ("flow::refresh", "Deps", Some("src/flow/mod.rs")),
            ("flow::refresh", "Vec", None),
            ("web", "fmt::Display", None),
            ("web", "std::fmt", None),
        ] {
            assert_eq!(owner(from, path), expected, "{path} in {from}");
        }
    }

    #[test]
    fn a_circle_of_re_exports_ends() {
        let sources = of(&[
            ("src/lib.rs", "pub mod a; pub mod b;"),
            ("src/a.rs", "pub use crate::b::*; pub use crate::b::x;"),
            ("src/b.rs", "pub use crate::a::*; pub use crate::a::x;"),
        ]);
        let path = ["crate", "a", "x"].map(str::to_owned);
        assert!(sources.owner(&Vec::new(), &path).is_some());
    }
}
