//! `kakao-auth import`: users of another product, or of a CSV file, by Kakao's member number.
//!
//! Users who are there already are never changed, so a run that was ended half-way is simply run again.

mod csv_file;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use self::csv_file::CsvFile;
use self::report::Report;
use crate::domain::import::{Judge, NewUser, Outcome, Refused, SourceRow};
use crate::domain::{Clock, Timestamp};
use crate::settings::Settings;
use crate::store::import::foreign::{Foreign, Product};
use crate::store::import::{self, BATCH, Standing};
use crate::store::{Db, Pool};

/// Some rows did not become users; the others did. Not 2, with which a wrong command line ends.
const SOME_REFUSED: u8 = 3;

#[derive(Args)]
pub(super) struct Options {
    /// What wrote the source.
    #[arg(long, value_enum)]
    from: From,
    /// A CSV file, or the product's database: postgres://…, for Auth.js and Better Auth also sqlite://….
    #[arg(long, value_name = "FILE|URL")]
    source: String,
    /// The number of the Kakao app whose member numbers these are. Other apps know the same people by other numbers.
    #[arg(long, value_name = "N")]
    app_id: i64,
    /// Reads and judges everything, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Writes a CSV file with what became of each row. Must not exist.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Gives everybody a new id, even where the source's is a UUID.
    #[arg(long)]
    new_ids: bool,
    /// The Postgres schema of the product's tables; without it auth for Supabase, public for the others.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// A file with a header: `kakao_id` and, as known, `id`, `nickname`, `name`, `picture`, `email`, `phone_number`, `created_at`.
    Csv,
    /// Supabase Auth.
    Supabase,
    /// Auth.js, once `NextAuth`.
    Authjs,
    /// Better Auth.
    BetterAuth,
}

pub(super) fn run(options: &Options, settings: &Settings) -> anyhow::Result<ExitCode> {
    same_app(options.app_id, settings.kakao.app_id)?;
    let report = super::runtime::block_on(async {
        let pool = Pool::connect_lazy(settings.database.url.reveal(), 1)?;
        let mut db = pool.handle();
        if !import::is_migrated(&mut db).await.context("the database of this service does not answer")? {
            bail!("the database of this service has no table users yet: run kakao-auth migrate first");
        }
        let mut source = Source::open(options).await?;
        let now = Clock::System.now();
        let mut import = Import {
            db,
            judge: Judge::new(!options.new_ids, now),
            report: Report::create(options.report.as_deref())?,
            dry_run: options.dry_run,
            now,
        };
        let outcome = import.all(&mut source).await;
        import.report.flush().context("the report cannot be written")?;
        if let Err(error) = outcome {
            let so_far = import.report.summary();
            return Err(error.context(format!(
                "the import ended early, after {so_far}; run it again: who is there by now is left as it is"
            )));
        }
        pool.close().await;
        Ok(import.report)
    })?;
    println!("{}", report.summary());
    if options.dry_run {
        println!("nothing was written: this was a dry run");
    }
    if report.refused() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    match &options.report {
        Some(path) => eprintln!("{} rows need a look; {} says why", report.refused(), path.display()),
        None => eprintln!("{} rows need a look; --report FILE lists them all", report.refused()),
    }
    Ok(ExitCode::from(SOME_REFUSED))
}

/// Kakao gives a person another member number in each app: with those of another app, people would log in as strangers,
/// or as somebody else.
fn same_app(given: i64, ours: Option<i64>) -> anyhow::Result<()> {
    match ours {
        None => bail!(
            "kakao.app_id is not set. Member numbers belong to one Kakao app: set it to the number of the app that this \
             service logs in with, so that --app-id can be compared"
        ),
        Some(ours) if ours != given => bail!(
            "--app-id {given} is not the Kakao app of this service (kakao.app_id is {ours}). Its member numbers mean \
             other people here; they cannot be imported"
        ),
        Some(_) => Ok(()),
    }
}

enum Source {
    Csv(CsvFile),
    Foreign(Box<Foreign>),
}

impl Source {
    async fn open(options: &Options) -> anyhow::Result<Self> {
        let product = match options.from {
            From::Csv => None,
            From::Supabase => Some(Product::Supabase),
            From::Authjs => Some(Product::AuthJs),
            From::BetterAuth => Some(Product::BetterAuth),
        };
        let sqlite = options.source.starts_with("sqlite:");
        let postgres = ["postgres://", "postgresql://"].iter().any(|start| options.source.starts_with(start));
        if options.schema.is_some() && !postgres {
            bail!("--schema is for a source in Postgres");
        }
        let Some(product) = product else {
            if postgres || sqlite {
                bail!("--from csv reads a file, but --source is the URL of a database");
            }
            return Ok(Self::Csv(CsvFile::open(Path::new(&options.source))?));
        };
        // The source is not repeated: it may hold a password.
        if !postgres && (!sqlite || product == Product::Supabase) {
            bail!(
                "--source must be the URL of the product's database: postgres://… (sqlite://… for authjs and better-auth)"
            );
        }
        let foreign = Foreign::open(&options.source, product, options.schema.as_deref()).await;
        Ok(Self::Foreign(Box::new(foreign.context("the source cannot be read")?)))
    }

    async fn page(&mut self) -> anyhow::Result<Vec<SourceRow>> {
        match self {
            Self::Csv(file) => file.page(BATCH),
            Self::Foreign(foreign) => foreign.page().await.context("the source cannot be read on"),
        }
    }
}

/// An import under way.
struct Import {
    db: Db,
    judge: Judge,
    report: Report,
    dry_run: bool,
    now: Timestamp,
}

impl Import {
    async fn all(&mut self, source: &mut Source) -> anyhow::Result<()> {
        loop {
            let rows = source.page().await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.batch(&rows).await?;
            self.report.flush().context("the report cannot be written")?;
        }
    }

    async fn batch(&mut self, rows: &[SourceRow]) -> anyhow::Result<()> {
        let judged: Vec<Result<NewUser, Refused>> = rows.iter().map(|row| self.judge.judge(row)).collect();
        let users: Vec<NewUser> = judged.iter().filter_map(|judged| judged.as_ref().ok()).cloned().collect();
        let standings = if self.dry_run {
            import::standing(&mut self.db, &users.iter().collect::<Vec<_>>()).await
        } else {
            import::insert(&mut self.db, &users, self.now).await
        };
        let mut standings = standings.context("the database of this service failed")?.into_iter();
        for (row, judged) in rows.iter().zip(judged) {
            match judged {
                Ok(user) => {
                    let standing = standings.next().context("a user without a standing")?;
                    self.stood(row, &user, standing)?;
                }
                Err(refused) => self.report.add(row, refused.outcome, None, &refused.reason)?,
            }
        }
        Ok(())
    }

    fn stood(&mut self, row: &SourceRow, user: &NewUser, standing: Standing) -> anyhow::Result<()> {
        let note = user.note.unwrap_or_default();
        match standing {
            Standing::New if self.dry_run => {
                // A new id is not decided before it is written.
                let id = user.keeps_id.then_some(user.id);
                self.report.add(row, Outcome::WouldCreate, id, note)
            }
            Standing::New => self.report.add(row, Outcome::Created, Some(user.id), note),
            Standing::Exists(id) => {
                let other = user.keeps_id && id != user.id;
                let note = if other { "this person has another id here, in user_id" } else { "" };
                self.report.add(row, Outcome::Exists, Some(id), note)
            }
            Standing::Taken => {
                let reason = "the id belongs to a user with another kakao_id, or none: change one of them, or use --new-ids";
                self.report.add(row, Outcome::Conflict, None, reason)
            }
        }
    }
}
