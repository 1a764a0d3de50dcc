//! The loop of an import: lines in, writes out, so many at one time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use super::plan::{Plan, Step};
use super::progress::Progress;
use super::source::{self, Format, Line, Lines};
use crate::cli::clock::{self, Stopwatch};
use crate::cli::output::Output;
use starling::{Client, Error, Kind, OperationId, Written};

/// One import.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// From which file.
    pub(crate) file: PathBuf,
    /// In which form.
    pub(crate) format: Format,
    /// What becomes of its records.
    pub(crate) plan: Plan,
    /// Writes under way at one time.
    pub(crate) concurrency: usize,
    /// Where to note what is done; `None` for nowhere.
    pub(crate) progress: Option<PathBuf>,
    /// Ignores an earlier note.
    pub(crate) restarts: bool,
    /// Goes on where lines may count twice.
    pub(crate) is_forced: bool,
}

/// What came of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Lines written in this run.
    pub(crate) written: u64,
    /// Those of them that the cluster knew already.
    pub(crate) repeated: u64,
    /// Lines that an earlier run had done.
    pub(crate) skipped: u64,
    /// Lines that could not be imported.
    pub(crate) errors: u64,
    /// The whole file was read.
    pub(crate) is_complete: bool,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// A line's number, and what came of its write.
type Ended = (u64, Result<Written, Error>);

/// What an import holds while it runs.
struct Run<'a> {
    import: &'a Import,
    client: &'a Client,
    operations: (u64, u64),
    progress: Progress,
    summary: Summary,
    writes: JoinSet<Ended>,
    bar: ProgressBar,
    watch: Stopwatch,
    saved: Duration,
    output: Output,
    max_errors: usize,
}

impl Import {
    /// Imports; stops, with what was done noted, after `max_errors` lines with errors, on Ctrl-C,
    /// and when the cluster does not take writes for [`PATIENCE`].
    pub(crate) async fn run(
        &self,
        client: &Client,
        max_errors: usize,
        output: Output,
    ) -> anyhow::Result<Summary> {
        let digest = source::digest(&self.file)?;
        let operations = self.plan.operations(digest);
        let progress = self.earlier(operations)?;
        let mut lines = Lines::open(&self.file, self.format)?;
        let watch = Stopwatch::start();
        let mut run = Run {
            import: self,
            client,
            operations,
            progress,
            summary: Summary::default(),
            writes: JoinSet::new(),
            bar: progress_bar(digest.bytes),
            watch,
            saved: Duration::ZERO,
            output,
            max_errors,
        };
        let read = tokio::select! {
            read = run.read_all(&mut lines) => read,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        let finished = run.finish().await;
        run.bar.finish_and_clear();
        read.and(finished)?;
        run.summary.elapsed = watch.elapsed();
        Ok(run.summary)
    }

    fn earlier(&self, operations: (u64, u64)) -> anyhow::Result<Progress> {
        let Some(path) = self.progress.as_ref().filter(|_| !self.restarts) else {
            return Ok(Progress::new(operations));
        };
        let Some(progress) = Progress::load(path, operations)? else {
            return Ok(Progress::new(operations));
        };
        if self.plan.kind == Kind::Counter && progress.is_stale(clock::wall()) && !self.is_forced {
            bail!(
                "the earlier import was cut off more than 14 minutes ago, too long for the cluster \
                 to recognise its last increments; nothing was imported now: --force goes on, and \
                 counts up to {} lines perhaps twice",
                self.concurrency
            );
        }
        Ok(progress)
    }
}

impl Run<'_> {
    async fn read_all(&mut self, lines: &mut Lines) -> anyhow::Result<()> {
        while let Some(Line { number, record }) = lines.next().context("reading the file")? {
            self.bar.set_position(lines.position());
            if !self.progress.begin(number) {
                self.summary.skipped += 1;
                continue;
            }
            let step = record.and_then(|record| self.import.plan.step(&record));
            match step {
                Ok(step) => self.start(number, step),
                Err(why) => self.line_error(number, &why)?,
            }
            while self.writes.len() >= self.import.concurrency {
                self.settle_one().await?;
            }
            self.note_progress(false)?;
        }
        while !self.writes.is_empty() {
            self.settle_one().await?;
        }
        self.summary.is_complete = true;
        Ok(())
    }

    fn start(&mut self, number: u64, step: Step) {
        let bucket = self.client.bucket(&self.import.plan.bucket);
        let plan = self.import.plan.clone();
        let operation = OperationId {
            client: self.operations,
            sequence: number,
        };
        self.writes.spawn(async move {
            let watch = Stopwatch::start();
            loop {
                match plan.write(&bucket, &step, operation).await {
                    Err(error) if error.is_retryable() && watch.elapsed() < PATIENCE => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    done => return (number, done),
                }
            }
        });
    }

    /// Waits for one write.
    async fn settle_one(&mut self) -> anyhow::Result<()> {
        let Some(ended) = self.writes.join_next().await else {
            return Ok(());
        };
        let (number, written) = ended.context("a write was interrupted")?;
        match written {
            Ok(written) => {
                self.summary.written += 1;
                self.summary.repeated += u64::from(written.is_repeated());
                self.progress.end(number, true);
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                // It stays under way, so that the note does not pass it.
                Err(anyhow::Error::new(error).context(format!(
                    "the cluster did not take line {number} for {} s; what is in stays, and the \
                     same command goes on",
                    PATIENCE.as_secs()
                )))
            }
            Err(error) => self.line_error(number, &error.to_string()),
        }
    }

    fn line_error(&mut self, number: u64, why: &str) -> anyhow::Result<()> {
        self.progress.end(number, false);
        self.summary.errors += 1;
        let (file, output) = (self.import.file.display(), self.output);
        if self.summary.errors <= SHOWN_ERRORS {
            self.bar
                .suspend(|| output.note(format_args!("{file}:{number}: {why}")));
        } else if self.summary.errors == SHOWN_ERRORS + 1 {
            self.bar
                .suspend(|| output.note("further errors are counted and not shown"));
        }
        if usize::try_from(self.summary.errors).is_ok_and(|errors| errors >= self.max_errors) {
            bail!(
                "{} lines could not be imported, which --max-errors does not allow; what is in \
                   stays, and the same command goes on",
                self.summary.errors
            );
        }
        Ok(())
    }

    /// Lets the writes that are under way end, and notes what is done. A finished import needs no
    /// note.
    async fn finish(&mut self) -> anyhow::Result<()> {
        while !self.writes.is_empty() {
            // Its error has been told, or is open and settled by the next run.
            self.settle_one().await.unwrap_or_default();
        }
        let Some(path) = &self.import.progress else {
            return Ok(());
        };
        if self.summary.is_complete && self.summary.errors == 0 {
            return match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| path.display().to_string())
                }
                _ => Ok(()),
            };
        }
        self.note_progress(true)
    }

    /// Notes what is done, about once a second.
    fn note_progress(&mut self, is_last: bool) -> anyhow::Result<()> {
        let Some(path) = &self.import.progress else {
            return Ok(());
        };
        let now = self.watch.elapsed();
        if is_last || now.saturating_sub(self.saved) >= SAVE_EVERY {
            self.saved = now;
            self.progress.save(path, clock::wall())?;
        }
        Ok(())
    }
}

/// Drawn on stderr, if that is a terminal.
fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// How long the cluster may refuse a line before the import stops.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);
const SAVE_EVERY: Duration = Duration::from_secs(1);
const SHOWN_ERRORS: u64 = 20;
