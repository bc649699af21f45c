//! What breaks a rule and has to wait, if anything does. An entry goes when its violation does.

use crate::Violation;

/// Rule and place of each.
pub(crate) const KNOWN: &[(&str, &str)] = &[];

/// What was found, held against what is known.
pub(crate) struct Verdict<'a> {
    known: Vec<&'a Violation>,
    new: Vec<&'a Violation>,
    /// Entries whose violation is gone.
    stale: Vec<(&'a str, &'a str)>,
}

/// Sorts what was found.
pub(crate) fn judge<'a>(found: &'a [Violation], entries: &[(&'a str, &'a str)]) -> Verdict<'a> {
    let names =
        |entry: &(&str, &str), violation: &Violation| entry.0 == violation.rule && entry.1 == violation.place;
    let (known, new) =
        found.iter().partition(|violation| entries.iter().any(|entry| names(entry, violation)));
    let stale = entries.iter().filter(|entry| !found.iter().any(|violation| names(entry, violation)));
    Verdict { known, new, stale: stale.copied().collect() }
}

impl Verdict<'_> {
    /// Prints it; whether nothing is new and nothing is stale.
    pub(crate) fn print(&self) -> bool {
        for violation in &self.known {
            let message = violation.message.lines().next().unwrap_or_default();
            println!("known  {}: {}: {message}", violation.rule, violation.place);
        }
        for violation in &self.new {
            println!("NEW    {}: {}: {}", violation.rule, violation.place, violation.message);
        }
        for (rule, place) in &self.stale {
            println!("GONE   {rule}: {place}: take its entry out of dev/shape/src/known.rs");
        }
        println!("violations         {} known, {} new", self.known.len(), self.new.len());
        self.holds()
    }

    fn holds(&self) -> bool {
        self.new.is_empty() && self.stale.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_fails_and_so_does_an_entry_for_nothing() {
        let violation = Violation { rule: "lines", place: "src/x.rs f".into(), message: "61 lines".into() };
        let found = [violation];
        let entry = ("lines", "src/x.rs f");
        assert!(judge(&found, &[entry]).holds());
        assert!(!judge(&found, &[]).holds(), "new");
        assert!(!judge(&found, &[("parameters", "src/x.rs f")]).holds(), "another rule");
        assert!(!judge(&[], &[entry]).holds(), "the violation is gone, and its entry is not");
        assert!(judge(&[], &[]).holds());
    }
}
