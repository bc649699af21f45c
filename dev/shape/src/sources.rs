//! The files of a crate, as its `mod` declarations reach them, without test code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, UseTree, Visibility};

/// A path of modules or names, from the root of the crate or as it is written.
pub(crate) type Names = Vec<String>;

/// A crate: its files, and its modules by path.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) modules: BTreeMap<Names, Module>,
}

/// A file, without test code.
pub(crate) struct SourceFile {
    /// From the root of the repository.
    pub(crate) path: String,
    /// The module that the file is.
    pub(crate) module: Names,
    pub(crate) items: Vec<Item>,
}

/// What a module declares.
#[derive(Default)]
pub(crate) struct Module {
    /// The place of its file in [`Crate::files`].
    pub(crate) file: usize,
    pub(crate) children: BTreeSet<String>,
    /// Types, functions, constants, macros.
    pub(crate) items: BTreeSet<String>,
    /// Names that `use` brings in, each with what it stands for.
    pub(crate) uses: BTreeMap<String, Vec<Names>>,
    /// What `use …::*` opens.
    pub(crate) globs: Vec<Names>,
}

impl Crate {
    /// Reads a crate from its root file.
    pub(crate) fn read(root: &Path, path: &str) -> Result<Self, String> {
        let mut sources = Self::default();
        sources.add_file(&|path| std::fs::read_to_string(root.join(path)).ok(), path, &Names::new())?;
        Ok(sources)
    }

    /// Adds a file and those that it declares.
    pub(crate) fn add_file(
        &mut self,
        read: &dyn Fn(&str) -> Option<String>,
        path: &str,
        module: &Names,
    ) -> Result<(), String> {
        let text = read(path).ok_or_else(|| format!("{path} cannot be read"))?;
        let parsed = syn::parse_file(&text)
            .map_err(|error| format!("{path}:{}: {error}", error.span().start().line))?;
        let mut items = parsed.items;
        strip_tests(&mut items);
        let file = self.files.len();
        self.files.push(SourceFile { path: path.to_owned(), module: module.clone(), items: Vec::new() });
        let declared = self.add_module(module, &items, file);
        if let Some(added) = self.files.get_mut(file) {
            added.items = items;
        }
        let folder = folder_of(path);
        for inside in declared {
            let below = inside.iter().skip(module.len()).cloned().collect::<Vec<_>>().join("/");
            let candidates = [format!("{folder}/{below}.rs"), format!("{folder}/{below}/mod.rs")];
            let found = candidates.iter().find(|candidate| read(candidate).is_some());
            let next = found.ok_or_else(|| format!("{path}: no file for the module {below}"))?;
            self.add_file(read, next, &inside)?;
        }
        Ok(())
    }

    /// Notes what a module declares; gives the modules that stand in files of their own.
    fn add_module(&mut self, module: &Names, items: &[Item], file: usize) -> Vec<Names> {
        let mut known = Module { file, ..Module::default() };
        let mut elsewhere = Vec::new();
        for item in items {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let path = [module.clone(), vec![name.clone()]].concat();
                    known.children.insert(name);
                    match &inner.content {
                        Some((_, items)) => elsewhere.extend(self.add_module(&path, items, file)),
                        None => elsewhere.push(path),
                    }
                }
                Item::Use(used) => {
                    for leaf in leaves(&used.tree) {
                        match leaf.name {
                            Some(name) => known.uses.entry(name).or_default().push(leaf.path),
                            None => known.globs.push(leaf.path),
                        }
                    }
                }
                item => known.items.extend(name_of(item)),
            }
        }
        self.modules.insert(module.clone(), known);
        elsewhere
    }
}

/// Where the modules that a file declares are looked for.
fn folder_of(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        name => format!("{folder}/{}", name.trim_end_matches(".rs")),
    }
}

/// One name that a `use` brings in.
pub(crate) struct Leaf {
    /// The name here; none for `*`.
    pub(crate) name: Option<String>,
    /// What it stands for, as written.
    pub(crate) path: Names,
}

/// The names that a `use` brings in.
pub(crate) fn leaves(tree: &UseTree) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(tree, &Names::new(), &mut found);
    found
}

fn collect(tree: &UseTree, before: &Names, found: &mut Vec<Leaf>) {
    let with = |name: &str| [before.clone(), vec![name.to_owned()]].concat();
    match tree {
        UseTree::Path(path) => collect(&path.tree, &with(&path.ident.to_string()), found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, before, found)),
        UseTree::Glob(_) => found.push(Leaf { name: None, path: before.clone() }),
        UseTree::Name(name) if name.ident == "self" => {
            found.push(Leaf { name: before.last().cloned(), path: before.clone() });
        }
        UseTree::Name(name) => {
            found.push(Leaf { name: Some(name.ident.to_string()), path: with(&name.ident.to_string()) });
        }
        UseTree::Rename(renamed) => {
            let path =
                if renamed.ident == "self" { before.clone() } else { with(&renamed.ident.to_string()) };
            found.push(Leaf { name: Some(renamed.rename.to_string()), path });
        }
    }
}

fn name_of(item: &Item) -> Option<String> {
    match item {
        Item::Const(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Fn(item) => Some(item.sig.ident.to_string()),
        Item::Macro(item) => item.ident.as_ref().map(ToString::to_string),
        Item::Static(item) => Some(item.ident.to_string()),
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Trait(item) => Some(item.ident.to_string()),
        Item::Type(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Whether a `use` only hands on what another file owns.
pub(crate) fn is_reexport(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

fn strip_tests(items: &mut Vec<Item>) {
    items.retain(|item| !attributes(item).iter().any(is_for_tests));
    for item in items {
        match item {
            Item::Mod(inner) => {
                if let Some((_, items)) = &mut inner.content {
                    strip_tests(items);
                }
            }
            Item::Impl(block) => block.items.retain(|item| match item {
                syn::ImplItem::Fn(item) => !item.attrs.iter().any(is_for_tests),
                syn::ImplItem::Const(item) => !item.attrs.iter().any(is_for_tests),
                _ => true,
            }),
            _ => {}
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]`, `#[tokio::test]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last().map(|segment| segment.ident.to_string());
    match (last.as_deref(), &attribute.meta) {
        (Some("test"), _) => true,
        (Some("cfg"), syn::Meta::List(condition)) => asks_for_test(condition.tokens.clone()),
        _ => false,
    }
}

fn asks_for_test(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Group(_)] if name == "not" || name == "any" => false,
        tokens => tokens.iter().any(|token| match token {
            TokenTree::Ident(name) => name == "test",
            TokenTree::Group(group) => asks_for_test(group.stream()),
            _ => false,
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A crate of these files, whose root is `src/lib.rs`.
    pub(crate) fn of(files: &[(&str, &str)]) -> Crate {
        let read =
            |path: &str| files.iter().find(|(given, _)| *given == path).map(|(_, text)| (*text).to_owned());
        let mut sources = Crate::default();
        sources.add_file(&read, "src/lib.rs", &Names::new()).unwrap();
        sources
    }

    #[test]
    fn files_are_found_by_their_declarations_and_those_of_tests_are_not() {
        let sources = of(&[
            ("src/lib.rs", "pub mod a; mod inline { mod b; } #[cfg(test)] mod gone;"),
            ("src/a/mod.rs", "mod c;"),
            ("src/a/c.rs", "#[cfg(test)] mod tests { fn x() {} } #[tokio::test] async fn y() {} fn z() {}"),
            ("src/inline/b.rs", ""),
        ]);
        let mut paths: Vec<&str> = sources.files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["src/a/c.rs", "src/a/mod.rs", "src/inline/b.rs", "src/lib.rs"]);
        let c = &sources.modules[&vec!["a".to_owned(), "c".to_owned()]];
        assert_eq!(c.items, ["z".to_owned()].into());
    }

    #[test]
    fn a_file_that_is_missing_or_no_rust_is_said() {
        let missing = Crate::default().add_file(&|_| None, "src/lib.rs", &Names::new());
        assert_eq!(missing.unwrap_err(), "src/lib.rs cannot be read");
        let broken = |_: &str| Some("fn".to_owned());
        assert!(Crate::default().add_file(&broken, "src/lib.rs", &Names::new()).is_err());
        let lost = |path: &str| (path == "src/lib.rs").then(|| "mod a;".to_owned());
        let lost = Crate::default().add_file(&lost, "src/lib.rs", &Names::new());
        assert!(lost.unwrap_err().contains("no file for the module a"));
    }

    #[test]
    fn what_is_for_tests() {
        for (attribute, expected) in [
            ("#[cfg(test)]", true),
            ("#[cfg(all(test, unix))]", true),
            ("#[cfg(not(test))]", false),
            ("#[cfg(any(test, unix))]", false),
            ("#[cfg(unix)]", false),
            ("#[test]", true),
            ("#[actix_web::test]", true),
            ("#[doc = \"test\"]", false),
        ] {
            let text = format!("{attribute} fn x() {{}}");
            let item = syn::parse_str::<Item>(&text).unwrap();
            assert_eq!(attributes(&item).iter().any(is_for_tests), expected, "{attribute}");
        }
    }
}
