//! `kakao-auth import`: users from Supabase Auth, Auth.js, Better Auth or CSV (`docs/import.md`).

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use csv::{ByteRecord, Reader, ReaderBuilder, Writer};

use super::block_on;
use crate::domain::Clock;
use crate::domain::import::{Candidate, Found, judge};
use crate::flow::refusal::chain;
use crate::settings::Settings;
use crate::store::Db;
use crate::store::import::{Product, Source, Written, look, write};

/// Rows that are written at once.
const BATCH: usize = 500;

/// Some rows were refused; the report says which.
const SOME_REFUSED: u8 = 2;

/// The columns that a CSV file may have.
const COLUMNS: [&str; 8] =
    ["kakao_id", "id", "nickname", "name", "picture", "email", "phone_number", "created_at"];

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// A file with a header.
    Csv,
    /// Supabase Auth.
    Supabase,
    /// Auth.js (`NextAuth`).
    Authjs,
    /// Better Auth.
    BetterAuth,
}

#[derive(Args)]
pub(super) struct Options {
    /// Where the users come from.
    #[arg(long)]
    from: From,
    /// A CSV file, or the other product's database: <postgres://…> or <sqlite://…>.
    #[arg(long)]
    source: String,
    /// The Kakao app that the users logged in to: its numbers mean nothing in another app.
    #[arg(long)]
    app_id: i64,
    /// Writes nothing, and says what would happen.
    #[arg(long)]
    dry_run: bool,
    /// Writes what became of each row into this CSV file, which must not be there yet.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Gives everybody a new id, also where the source has UUIDs.
    #[arg(long)]
    new_ids: bool,
    /// The schema of the source's tables: auth for Supabase, else public.
    #[arg(long)]
    schema: Option<String>,
}

pub(super) fn run(options: &Options, settings: &Settings) -> anyhow::Result<ExitCode> {
    check_app(options, settings)?;
    let mut report = Report::open(options.report.as_deref())?;
    block_on(async {
        let db = Db::connect_lazy(settings.database.url.reveal(), 2)?;
        // Before anything is read: the table must be there.
        let table = db.has_users().await.map_err(|error| anyhow::anyhow!(chain(&error)));
        table.context("the users table cannot be read; run kakao-auth migrate first")?;
        let mut import =
            Import { db: &db, options, report: &mut report, seen: HashSet::new(), batch: Vec::new() };
        match options.from {
            From::Csv => import.file(Path::new(&options.source)).await?,
            From::Supabase => import.tables(Product::Supabase, "auth").await?,
            From::Authjs => import.tables(Product::AuthJs, "public").await?,
            From::BetterAuth => import.tables(Product::BetterAuth, "public").await?,
        }
        import.flush().await
    })?;
    report.finish()
}

fn check_app(options: &Options, settings: &Settings) -> anyhow::Result<()> {
    match settings.kakao.app_id {
        None => bail!(
            "kakao.app_id is not set: member numbers belong to one Kakao app, so it must be known which one this is"
        ),
        Some(ours) if ours != options.app_id => bail!(
            "--app-id {} is not kakao.app_id {ours}: the same person has another number in another app, so these users \
             could never log in here; nothing was read",
            options.app_id
        ),
        Some(_) => Ok(()),
    }
}

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Created,
    WouldCreate,
    Exists,
    Conflict,
    Duplicate,
    Invalid,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::WouldCreate => "would_create",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
        }
    }

    const fn is_refusal(self) -> bool {
        matches!(self, Self::Conflict | Self::Duplicate | Self::Invalid)
    }
}

/// The report file, and the sums.
struct Report {
    file: Option<Writer<File>>,
    counts: BTreeMap<Outcome, u64>,
}

/// Where a row stood, and what it called itself.
#[derive(Clone, Default)]
struct Place {
    line: u64,
    source_id: String,
    kakao_id: String,
}

impl Report {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let file = match path {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().write(true).create_new(true).open(path);
                let file =
                    file.with_context(|| format!("the report {} cannot be made anew", path.display()))?;
                let mut writer = Writer::from_writer(file);
                writer.write_record(["line", "source_id", "kakao_id", "outcome", "user_id", "reason"])?;
                Some(writer)
            }
        };
        Ok(Self { file, counts: BTreeMap::new() })
    }

    fn row(&mut self, place: &Place, outcome: Outcome, user: &str, reason: &str) -> anyhow::Result<()> {
        *self.counts.entry(outcome).or_default() += 1;
        if let Some(file) = &mut self.file {
            let line = place.line.to_string();
            file.write_record([&line, &place.source_id, &place.kakao_id, outcome.name(), user, reason])?;
        } else if outcome.is_refusal() {
            eprintln!("row {} (kakao_id {:?}): {}: {reason}", place.line, place.kakao_id, outcome.name());
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<ExitCode> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        if self.counts.is_empty() {
            println!("no rows");
        }
        for (outcome, count) in &self.counts {
            println!("{}: {count}", outcome.name());
        }
        let refused = self.counts.keys().any(|outcome| outcome.is_refusal());
        Ok(if refused { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS })
    }
}

struct Import<'a> {
    db: &'a Db,
    options: &'a Options,
    report: &'a mut Report,
    /// Numbers of this run: the second row of one is a duplicate.
    seen: HashSet<i64>,
    batch: Vec<(Place, Candidate)>,
}

impl Import<'_> {
    async fn tables(&mut self, product: Product, schema: &str) -> anyhow::Result<()> {
        let schema = self.options.schema.as_deref().unwrap_or(schema);
        let open = Source::open(&self.options.source, product, schema).await;
        let mut source =
            open.map_err(|error| anyhow::anyhow!(chain(&error))).context("the source cannot be read")?;
        let mut line = 0;
        loop {
            let page = source.next().await.map_err(|error| anyhow::anyhow!(chain(&error)));
            let page = page.context("the source cannot be read to its end; run the import again to go on")?;
            if page.is_empty() {
                return Ok(());
            }
            for found in page {
                line += 1;
                self.take(line, &found).await?;
            }
        }
    }

    async fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .from_path(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let columns = header(&mut reader)?;
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).context("the file cannot be read to its end")? {
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != columns.len() {
                let reason = format!("the row has {} fields, the header has {}", record.len(), columns.len());
                self.report.row(&Place { line, ..Place::default() }, Outcome::Invalid, "", &reason)?;
                continue;
            }
            if let Some(found) = found(&record, &columns) {
                self.take(line, &found).await?;
            } else {
                let reason = "the row is not UTF-8: save the file as UTF-8";
                self.report.row(&Place { line, ..Place::default() }, Outcome::Invalid, "", reason)?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, line: u64, found: &Found) -> anyhow::Result<()> {
        let short = |text: &Option<String>| text.as_deref().unwrap_or_default().chars().take(64).collect();
        let place = Place { line, source_id: short(&found.source_id), kakao_id: short(&found.kakao_id) };
        match judge(found, !self.options.new_ids, Clock::System.now()) {
            Err(unfit) => self.report.row(&place, Outcome::Invalid, "", &unfit.to_string())?,
            Ok(candidate) if !self.seen.insert(candidate.kakao_id.0) => {
                self.report.row(&place, Outcome::Duplicate, "", "an earlier row has the same kakao_id")?;
            }
            Ok(candidate) => self.batch.push((place, candidate)),
        }
        if self.batch.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let (places, batch): (Vec<Place>, Vec<Candidate>) = self.batch.drain(..).unzip();
        let dry = self.options.dry_run;
        let written = if dry { look(self.db, &batch).await } else { write(self.db, &batch).await };
        let written = written.map_err(|error| anyhow::anyhow!(chain(&error)));
        let written =
            written.context("users cannot be written; run the import again to go on where it stopped")?;
        for ((place, candidate), written) in places.iter().zip(&batch).zip(written) {
            let id = candidate.id.to_string();
            match written {
                Written::Created if dry => self.report.row(place, Outcome::WouldCreate, &id, "")?,
                Written::Created => self.report.row(place, Outcome::Created, &id, "")?,
                Written::Exists(user) => self.report.row(place, Outcome::Exists, &user.to_string(), "")?,
                Written::Conflict => {
                    let reason = "another user has this id; import with --new-ids, or mend the source";
                    self.report.row(place, Outcome::Conflict, &id, reason)?;
                }
            }
        }
        Ok(())
    }
}

/// The columns, by their place.
fn header(reader: &mut Reader<File>) -> anyhow::Result<Vec<&'static str>> {
    let header = reader.byte_headers().context("the header cannot be read")?.clone();
    let known = COLUMNS.join(", ");
    let mut columns = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = String::from_utf8_lossy(name);
        // Spreadsheets begin a file with a byte order mark.
        let name =
            if index == 0 { name.trim_start_matches('\u{feff}') } else { &name }.trim().to_ascii_lowercase();
        let column = COLUMNS.into_iter().find(|column| *column == name);
        let column =
            column.with_context(|| format!("the column {name:?} is not known; known are {known}"))?;
        if columns.contains(&column) {
            bail!("the column {column} stands twice");
        }
        columns.push(column);
    }
    if !columns.contains(&"kakao_id") {
        bail!("there is no column kakao_id; known are {known}");
    }
    Ok(columns)
}

fn found(record: &ByteRecord, columns: &[&str]) -> Option<Found> {
    let mut found = Found::default();
    for (column, value) in columns.iter().zip(record) {
        let value = Some(std::str::from_utf8(value).ok()?.to_owned());
        match *column {
            "kakao_id" => found.kakao_id = value,
            "id" => found.source_id = value,
            "nickname" => found.nickname = value,
            "name" => found.name = value,
            "picture" => found.picture = value,
            "email" => found.email = value,
            "phone_number" => found.phone_number = value,
            _ => found.created_at = value,
        }
    }
    Some(found)
}
