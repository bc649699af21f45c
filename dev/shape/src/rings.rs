//! Files that need each other: neither can be read, tested or moved without the other.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::Violation;
use crate::sources::{Crate, Names, is_reexport, leaves};

/// From a file to another, by their places in [`Crate::files`], with a path and line that show it.
type Edges = BTreeMap<(usize, usize), String>;

/// Reports every set of files that depend on each other.
pub(crate) fn check(sources: &Crate, found: &mut Vec<Violation>) {
    let edges = edges(sources);
    for ring in rings(sources.files.len(), &edges) {
        let path = |file: &usize| sources.files.get(*file).map_or("", |file| file.path.as_str());
        let place = ring.iter().map(path).collect::<Vec<_>>().join(" ");
        let inside = edges.iter().filter(|((from, to), _)| ring.contains(from) && ring.contains(to));
        let lines = inside.map(|((from, to), why)| format!("\n    {} -> {}: {why}", path(from), path(to)));
        let message = format!("{} files need each other{}", ring.len(), lines.collect::<Vec<_>>().concat());
        found.push(Violation { rule: "rings", place, message });
    }
}

/// The sets of two or more files of which each reaches each.
fn rings(files: usize, edges: &Edges) -> BTreeSet<BTreeSet<usize>> {
    let from_each: Vec<BTreeSet<usize>> = (0..files).map(|file| reached_from(file, edges)).collect();
    let reaches = |from: usize, to: usize| from_each.get(from).is_some_and(|to_files| to_files.contains(&to));
    (0..files)
        .map(|file| (0..files).filter(|other| reaches(file, *other) && reaches(*other, file)).collect())
        .filter(|ring: &BTreeSet<usize>| ring.len() > 1)
        .collect()
}

fn reached_from(file: usize, edges: &Edges) -> BTreeSet<usize> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(from) = open.pop() {
        let next = edges.range((from, 0)..=(from, usize::MAX)).map(|((_, to), _)| *to);
        open.extend(next.filter(|to| reached.insert(*to)));
    }
    reached
}

fn edges(sources: &Crate) -> Edges {
    let mut edges = Edges::new();
    for (place, file) in sources.files.iter().enumerate() {
        let mut walk = Walk { sources, file: place, module: file.module.clone(), edges: &mut edges };
        file.items.iter().for_each(|item| walk.visit_item(item));
    }
    edges
}

struct Walk<'a> {
    sources: &'a Crate,
    file: usize,
    module: Names,
    edges: &'a mut Edges,
}

impl Walk<'_> {
    fn note(&mut self, path: &[String], line: usize) {
        let owner = self.sources.owner(&self.module, path);
        if let Some(owner) = owner.filter(|owner| *owner != self.file) {
            self.edges
                .entry((self.file, owner))
                .or_insert_with(|| format!("{} (line {line})", path.join("::")));
        }
    }

    /// The paths of two or more names in what a macro is given.
    fn scan(&mut self, tokens: TokenStream) {
        let (mut path, mut line, mut joined): (Names, usize, bool) = (Names::new(), 0, false);
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(name) => {
                    if !joined {
                        self.note_if_path(&path, line);
                        (path, line) = (Names::new(), name.span().start().line);
                    }
                    path.push(name.to_string());
                    joined = false;
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' && colon.spacing() == Spacing::Joint => {
                    joined = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                    drop(tokens.next());
                }
                other => {
                    self.note_if_path(&path, line);
                    (path, joined) = (Names::new(), false);
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }
        self.note_if_path(&path, line);
    }

    fn note_if_path(&mut self, path: &[String], line: usize) {
        if path.len() > 1 {
            self.note(path, line);
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    /// What a file hands on with `pub use` it need not depend on: whoever uses it does.
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if is_reexport(&item.vis) {
            return;
        }
        let line = item.use_token.span.start().line;
        for leaf in leaves(&item.tree) {
            self.note(&leaf.path, line);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
        if path.leading_colon.is_none() {
            self.note(&names, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.scan(item.tokens.clone());
    }

    /// Documentation links and derives are no dependency of a file on another.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::of;

    fn places(files: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        check(&of(files), &mut found);
        found.into_iter().map(|violation| violation.place).collect()
    }

    /// Two files: `a` needs `b`, and `b` holds this.
    fn with(b: &str) -> Vec<String> {
        places(&[
            ("src/lib.rs", "pub mod a; pub mod b; pub use a::f;"),
            ("src/a.rs", "use crate::b::g; pub fn f() { g() } pub struct S; pub mod inner { pub fn h() {} }"),
            ("src/b.rs", &format!("pub fn g() {{}} {b}")),
        ])
    }

    #[test]
    fn a_ring_is_found_by_use_by_path_by_type_by_macro_and_through_a_re_export() {
        for b in [
            "use crate::a::f;",
            "use super::a::{self as other};",
            "fn x() { crate::a::f() }",
            "fn x() { super::a::inner::h() }",
            "fn x(s: &crate::a::S) {}",
            "use crate::f;",
            "fn x() { println!(\"{}\", crate::a::f()); }",
            "macro_rules! call { () => { crate::a::f() } }",
            "mod inside { fn x() { super::super::a::f() } }",
        ] {
            assert_eq!(with(b), ["src/a.rs src/b.rs"], "{b}");
        }
    }

    #[test]
    fn no_ring_without_an_arrow_back() {
        for b in [
            "",
            "/// See [`crate::a::f`].\nfn x() {}",
            "// crate::a::f()",
            "#[cfg(test)] mod tests { use crate::a::f; }",
            "pub use crate::a::f;",
            "use std::fmt; fn x() { let a = 1; a.f(); }",
        ] {
            assert_eq!(with(b), [""; 0], "{b}");
        }
    }

    #[test]
    fn a_ring_of_three_is_one_ring_and_a_parent_may_be_in_it() {
        let files = [
            ("src/lib.rs", "pub mod a; pub mod b; pub mod c;"),
            ("src/a.rs", "use crate::b::B; pub struct A(B);"),
            ("src/b.rs", "use crate::c::C; pub struct B(C);"),
            ("src/c.rs", "use crate::a::A; pub struct C(A);"),
        ];
        assert_eq!(places(&files), ["src/a.rs src/b.rs src/c.rs"]);
        let files = [
            ("src/lib.rs", "pub mod flow;"),
            ("src/flow/mod.rs", "mod verb; pub struct Deps(verb::Counter);"),
            ("src/flow/verb.rs", "use super::Deps; pub struct Counter; fn f(deps: Deps) {}"),
        ];
        assert_eq!(places(&files), ["src/flow/mod.rs src/flow/verb.rs"]);
    }
}
