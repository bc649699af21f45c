//! What is said of each row, and of all of them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};

use crate::domain::UserId;
use crate::domain::import::{Column, Outcome, SourceRow};

/// Refused rows that are shown when there is no file for them.
const SHOWN: u64 = 20;

/// Longest part of a value of the source that is repeated.
const REPEATED: usize = 64;

/// Counts rows, and writes them down if asked to.
pub(super) struct Report {
    file: Option<csv::Writer<File>>,
    counts: [u64; Outcome::ALL.len()],
}

impl Report {
    /// Into a new file that only its owner reads, or into none.
    pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let mut report = Self { file: None, counts: Default::default() };
        if let Some(path) = path {
            let name = path.display();
            let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    bail!("--report {name} exists already and is not overwritten: name another file")
                }
                opened => opened.with_context(|| format!("--report {name} cannot be written"))?,
            };
            let mut file = csv::Writer::from_writer(file);
            file.write_record(["line", "source_id", "kakao_id", "outcome", "user_id", "reason"])?;
            report.file = Some(file);
        }
        Ok(report)
    }

    /// Takes the outcome of a row down.
    pub(super) fn add(
        &mut self,
        row: &SourceRow,
        outcome: Outcome,
        user: Option<UserId>,
        reason: &str,
    ) -> anyhow::Result<()> {
        self.counts[outcome as usize] += 1;
        if let Some(file) = &mut self.file {
            let line = row.line.to_string();
            let user = user.map(|user| user.to_string()).unwrap_or_default();
            let (id, kakao_id) = (repeated(row, Column::Id), repeated(row, Column::KakaoId));
            file.write_record([&line, id, kakao_id, outcome.name(), &user, reason])
                .context("the report cannot be written")?;
        } else if outcome.is_refused() && self.refused() <= SHOWN {
            eprintln!("line {}: {}: {reason}", row.line, outcome.name());
        }
        Ok(())
    }

    /// Puts what was taken down on the disk's side.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush)
    }

    /// Rows that somebody has to look at.
    pub(super) fn refused(&self) -> u64 {
        Outcome::ALL.iter().filter(|outcome| outcome.is_refused()).map(|outcome| self.count(*outcome)).sum()
    }

    /// One line.
    pub(super) fn summary(&self) -> String {
        let parts = Outcome::ALL.iter().filter(|outcome| self.count(**outcome) > 0);
        let parts: Vec<String> =
            parts.map(|outcome| format!("{} {}", self.count(*outcome), outcome.name())).collect();
        let rows: u64 = self.counts.iter().sum();
        if rows == 0 { "0 rows".into() } else { format!("{rows} rows: {}", parts.join(", ")) }
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }
}

fn repeated(row: &SourceRow, column: Column) -> &str {
    let text = row.get(column).unwrap_or_default();
    &text[..text.floor_char_boundary(REPEATED)]
}
