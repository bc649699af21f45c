//! How long functions are, how many parameters they take, and how much `Deps` carries.

use std::fmt;

use syn::visit::{self, Visit};
use syn::{Block, FnArg, Item, Signature};

use crate::Violation;
use crate::sources::Crate;

const MOST_LINES: usize = 60;
const MOST_PARAMETERS: usize = 5;
const MOST_FIELDS: usize = 8;

/// What was measured.
#[derive(Default)]
pub(crate) struct Figures {
    functions: usize,
    longest: (usize, String),
    most_parameters: (usize, String),
    deps: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "functions          {}", self.functions)?;
        writeln!(to, "longest            {} lines: {}", self.longest.0, self.longest.1)?;
        writeln!(to, "most parameters    {}: {}", self.most_parameters.0, self.most_parameters.1)?;
        write!(to, "fields of Deps     {}", self.deps)
    }
}

/// Measures every function of a crate.
pub(crate) fn check(sources: &Crate, figures: &mut Figures, found: &mut Vec<Violation>) {
    for file in &sources.files {
        let mut walk = Walk { path: &file.path, owner: None, figures, found };
        file.items.iter().for_each(|item| walk.visit_item(item));
    }
}

struct Walk<'a> {
    path: &'a str,
    /// The type or trait whose function comes.
    owner: Option<String>,
    figures: &'a mut Figures,
    found: &'a mut Vec<Violation>,
}

impl Walk<'_> {
    fn measure(&mut self, signature: &Signature, block: &Block) {
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        let place = format!("{} {name}", self.path);
        let from = signature.fn_token.span.start().line;
        let lines = block.brace_token.span.close().end().line + 1 - from;
        let parameters = signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).count();
        self.figures.functions += 1;
        if lines > self.figures.longest.0 {
            self.figures.longest = (lines, place.clone());
        }
        if parameters > self.figures.most_parameters.0 {
            self.figures.most_parameters = (parameters, place.clone());
        }
        if lines > MOST_LINES {
            let message = format!("line {from}: {lines} lines, and {MOST_LINES} is the limit");
            self.found.push(Violation { rule: "lines", place: place.clone(), message });
        }
        if parameters > MOST_PARAMETERS {
            let message = format!("line {from}: {parameters} parameters, and {MOST_PARAMETERS} is the limit");
            self.found.push(Violation { rule: "parameters", place, message });
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let outer = self.owner.replace(type_name(&item.self_ty));
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let outer = self.owner.replace(item.ident.to_string());
        visit::visit_item_trait(self, item);
        self.owner = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn type_name(of: &syn::Type) -> String {
    match of {
        syn::Type::Path(path) => {
            path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
        }
        syn::Type::Reference(inner) => type_name(&inner.elem),
        _ => String::from("_"),
    }
}

/// `Deps` is the one struct that everything could end up in.
pub(crate) fn check_deps(service: &[Crate], figures: &mut Figures, found: &mut Vec<Violation>) {
    let mut seen = false;
    for file in service.iter().flat_map(|sources| &sources.files) {
        for item in &file.items {
            let Item::Struct(item) = item else { continue };
            if item.ident != "Deps" {
                continue;
            }
            (seen, figures.deps) = (true, item.fields.len());
            if item.fields.len() > MOST_FIELDS {
                let message = format!("{} fields, and {MOST_FIELDS} is the limit", item.fields.len());
                found.push(Violation { rule: "fields", place: format!("{} Deps", file.path), message });
            }
        }
    }
    if !seen {
        let message = String::from("there is no struct of this name: change what this rule looks for");
        found.push(Violation { rule: "fields", place: String::from("Deps"), message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::of;

    fn found(text: &str) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        check(&of(&[("src/lib.rs", text)]), &mut Figures::default(), &mut found);
        found.into_iter().map(|violation| (violation.rule, violation.place)).collect()
    }

    /// A function of that many lines.
    fn long(lines: usize) -> String {
        format!("/// A comment.\n#[inline]\nfn long() {{{}}}\n", "\n".repeat(lines - 1))
    }

    #[test]
    fn a_function_may_have_sixty_lines_and_not_one_more() {
        assert_eq!(found(&long(60)), []);
        assert_eq!(found(&long(61)), [("lines", "src/lib.rs long".to_owned())]);
        let method = format!("impl Thing {{ {} }}", long(61));
        assert_eq!(found(&method), [("lines", "src/lib.rs Thing::long".to_owned())]);
        let default = format!("trait Able {{ {} }}", long(61));
        assert_eq!(found(&default), [("lines", "src/lib.rs Able::long".to_owned())]);
        let inner = format!("mod inner {{ fn outer() {{ {} }} }}", long(61));
        assert_eq!(found(&inner).len(), 2, "a function in a function counts for both");
        assert_eq!(found(&format!("#[cfg(test)] mod tests {{ {} }}", long(61))), []);
    }

    #[test]
    fn a_function_may_take_five_parameters_beside_self() {
        assert_eq!(found("fn five(a: u8, b: u8, c: u8, d: u8, e: u8) {}"), []);
        let six = "fn six(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}";
        assert_eq!(found(six), [("parameters", "src/lib.rs six".to_owned())]);
        assert_eq!(found("impl X { fn five(&self, a: u8, b: u8, c: u8, d: u8, e: u8) {} }"), []);
        let six = "impl X { fn six(&mut self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {} }";
        assert_eq!(found(six), [("parameters", "src/lib.rs X::six".to_owned())]);
    }

    #[test]
    fn deps_may_have_eight_fields_and_must_exist() {
        let with = |fields: usize| {
            let (mut found, text) = (Vec::new(), format!("struct Deps({});", "u8, ".repeat(fields)));
            check_deps(&[of(&[("src/lib.rs", &text)])], &mut Figures::default(), &mut found);
            found.len()
        };
        assert_eq!((with(8), with(9)), (0, 1));
        let mut found = Vec::new();
        check_deps(&[of(&[("src/lib.rs", "struct Other;")])], &mut Figures::default(), &mut found);
        assert_eq!(found.len(), 1, "a rule that finds nothing to check says so");
    }
}
