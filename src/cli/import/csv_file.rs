//! Reads users from a CSV file with a header.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, bail};

use crate::domain::import::{Column, SourceRow};

/// No row of a user is as long. What is, is a quote that nobody closed, and would be read into memory whole.
const LONGEST: usize = 16 << 20;

/// A CSV file, being read.
pub(super) struct CsvFile {
    reader: csv::Reader<Bounded>,
    columns: Vec<Column>,
}

impl CsvFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("--source {} cannot be read", path.display()))?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // Not CRLF, with which the lines are counted from the wrong end of it. The CR is trimmed like other spaces.
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(Bounded { file, left: LONGEST });
        let mut header = csv::ByteRecord::new();
        if !reader.read_byte_record(&mut header)? {
            bail!("the source is empty: its first line must name the columns ({})", known());
        }
        Ok(Self { reader, columns: columns(&header)? })
    }

    /// The next rows; none at the end.
    pub(super) fn page(&mut self, most: usize) -> anyhow::Result<Vec<SourceRow>> {
        let mut page = Vec::with_capacity(most);
        let mut record = csv::ByteRecord::new();
        while page.len() < most {
            self.reader.get_mut().left = LONGEST;
            let begins = self.reader.position().line();
            let more = self.reader.read_byte_record(&mut record).with_context(|| {
                format!("the source cannot be read on, from line {begins}: is a quote there never closed?")
            })?;
            if !more {
                break;
            }
            if !record.iter().all(<[u8]>::is_empty) && record.as_slice() != b"\r" {
                page.push(self.row(&record));
            }
        }
        Ok(page)
    }

    fn row(&self, record: &csv::ByteRecord) -> SourceRow {
        let line = record.position().map_or(0, csv::Position::line);
        let mut row = SourceRow::new(line);
        for (column, bytes) in self.columns.iter().zip(record) {
            row.put(*column, bytes);
        }
        if record.len() != self.columns.len() {
            row.spoil(format!(
                "the line has {} fields, the header {}: put quotes around a value with a comma, and complete a line \
                 that was cut off",
                record.len(),
                self.columns.len()
            ));
        }
        row
    }
}

fn columns(header: &csv::ByteRecord) -> anyhow::Result<Vec<Column>> {
    let mut columns = Vec::new();
    let mut unknown = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name);
        let name = name.trim_start_matches('\u{feff}').trim();
        match Column::ALL.into_iter().find(|column| column.name() == name) {
            Some(column) if columns.contains(&column) => bail!("the header names {name} twice"),
            Some(column) => columns.push(column),
            None => unknown.push(format!("{:?}", name.chars().take(40).collect::<String>())),
        }
    }
    if !unknown.is_empty() {
        bail!(
            "the header names columns that are unknown: {}; known are {}, between commas",
            unknown.join(", "),
            known()
        );
    }
    if !columns.contains(&Column::KakaoId) {
        bail!("the header does not name the column kakao_id, without which nobody can log in");
    }
    Ok(columns)
}

fn known() -> String {
    Column::ALL.map(Column::name).join(", ")
}

/// A file of which only so much is read until somebody allows more.
struct Bounded {
    file: File,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(ErrorKind::InvalidData, "a row is longer than 16 MiB"));
        }
        let most = buffer.len().min(self.left);
        let count = self.file.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}
