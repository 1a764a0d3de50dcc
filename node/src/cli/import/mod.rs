//! `starling import`: a CSV or JSON-lines file into a bucket.
//!
//! Every line is one write, named by the file's digest and the line's number: a line that is sent
//! again, by a retry or by a second run, counts once for as long as the cluster remembers names
//! (15 minutes). What was done is noted in a progress file beside the input, so that the same
//! command goes on where it stopped; the file goes away when everything is in.
//!
//! Files: `source` lines of a file · `plan` what becomes of a line · `progress` what was done ·
//! `load` the loop.

mod load;
mod plan;
mod progress;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::data::{DurabilityName, kind_of, kind_parser};
use super::exit::{Exit, UsageError};
use super::output::Output;
use super::text::{grouped, seconds};
pub(crate) use load::{Import, Summary};
pub(crate) use plan::{KeySpec, Plan, ValueSpec};
pub(crate) use source::Format;
use starling::{Client, ErrorKind, Kind};

/// How to import.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImportOptions {
    /// The file.
    file: PathBuf,
    /// Into which bucket.
    #[arg(long)]
    bucket: String,
    /// Make the bucket, of this kind, if it is not there.
    #[arg(long, value_parser = kind_parser())]
    kind: Option<Kind>,
    /// The form of the file; told by its name if not given.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The field that is the key.
    #[arg(long, value_name = "FIELD", required_unless_present = "key_template")]
    key_field: Option<String>,
    /// The key made of several fields, such as '{name}:{architecture}'.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "key_field")]
    key_template: Option<String>,
    /// The field that is the value, amount, element, number, on or off, or thing to count.
    /// Without it a value or register is the whole record, a counter counts records, and a flag
    /// is turned on.
    #[arg(long, value_name = "FIELD")]
    value_field: Option<String>,
    /// Read each key first and write over what is there, instead of beside it: for values.
    #[arg(long)]
    replace: bool,
    /// Writes under way at one time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// How many replicas must have each write.
    #[arg(short, long, value_name = "COUNT")]
    w: Option<u8>,
    /// How durable at each of them.
    #[arg(long, value_enum, value_name = "LEVEL")]
    durability: Option<DurabilityName>,
    /// How long what is written lasts.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Stop after this many lines that cannot be imported.
    #[arg(long, default_value_t = 1000, value_name = "COUNT")]
    max_errors: usize,
    /// Where to note what is done; FILE.starling-progress if not given.
    #[arg(long, value_name = "FILE")]
    progress_file: Option<PathBuf>,
    /// Begin anew, whatever the progress file says.
    #[arg(long)]
    restart: bool,
    /// Go on although lines of an import that was cut off long ago may count twice.
    #[arg(long)]
    force: bool,
}

/// Imports and sums up.
pub(crate) async fn run(
    client: &Client,
    options: ImportOptions,
    output: Output,
) -> anyhow::Result<Exit> {
    let kind = bucket_kind(client, &options).await?;
    let (import, max_errors) = options.into_import(kind)?;
    let summary = import.run(client, max_errors, output).await?;
    print(&summary, output)?;
    Ok(if summary.errors == 0 && summary.is_complete {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// The kind of the bucket, which is made if `--kind` says so.
async fn bucket_kind(client: &Client, options: &ImportOptions) -> anyhow::Result<Kind> {
    let Some(kind) = options.kind else {
        return Ok(kind_of(client, &options.bucket).await);
    };
    match client.create_bucket(&options.bucket).kind(kind).await {
        // It is there with another n, which is no matter here; its kind shows with the first write.
        Err(error) if error.kind() != ErrorKind::WrongKind => Err(error.into()),
        Ok(_) | Err(_) => Ok(kind),
    }
}

impl ImportOptions {
    fn into_import(self, kind: Kind) -> anyhow::Result<(Import, usize)> {
        let key = match (&self.key_field, &self.key_template) {
            (Some(field), _) => KeySpec::field(field),
            (None, Some(template)) => KeySpec::template(template)?,
            (None, None) => return Err(UsageError("--key-field is missing".to_owned()).into()),
        };
        if self.replace && kind != Kind::Value {
            let why = format!("--replace is for values; a {kind} keeps no siblings");
            return Err(UsageError(why).into());
        }
        let value = value_spec(kind, self.value_field)?;
        let format = match self.format {
            Some(format) => format,
            None => Format::of(&self.file)?,
        };
        let progress = self.progress_file.unwrap_or_else(|| {
            let mut name = self.file.clone().into_os_string();
            name.push(".starling-progress");
            name.into()
        });
        let import = Import {
            file: self.file,
            format,
            plan: Plan {
                bucket: self.bucket,
                kind,
                key,
                value,
                replaces: self.replace,
                w: self.w,
                durability: self.durability.map(Into::into),
                ttl: self.ttl,
            },
            concurrency: usize::from(self.concurrency),
            progress: Some(progress),
            restarts: self.restart,
            is_forced: self.force,
        };
        Ok((import, self.max_errors))
    }
}

/// What of a record is written into a key of this kind.
fn value_spec(kind: Kind, field: Option<String>) -> Result<ValueSpec, UsageError> {
    match (kind, field) {
        (Kind::List, _) => Err(UsageError(
            "a list cannot be imported into, since lines arrive in any order; nothing was \
             imported: use list push"
                .to_owned(),
        )),
        (Kind::Map, _) => Err(UsageError(
            "a map cannot be imported into, since a record does not say of what kind its fields \
             are; nothing was imported: use map update, or a bucket of values"
                .to_owned(),
        )),
        (Kind::BoundedCounter, _) => Err(UsageError(
            "a bounded counter cannot be imported into; nothing was imported: add to it".to_owned(),
        )),
        (_, Some(field)) => Ok(ValueSpec::Field(field)),
        (Kind::Value | Kind::Register, None) => Ok(ValueSpec::Record),
        (Kind::Counter | Kind::Flag | Kind::DisableFlag, None) => Ok(ValueSpec::One),
        (kind, None) => {
            let why = format!("a {kind} needs --value-field, the field that is written into it");
            Err(UsageError(why))
        }
    }
}

fn print(summary: &Summary, output: Output) -> anyhow::Result<()> {
    if output.is_json() {
        output.json(&serde_json::json!({
            "v": 1,
            "written": summary.written,
            "repeated": summary.repeated,
            "skipped": summary.skipped,
            "errors": summary.errors,
            "complete": summary.is_complete,
            "seconds": summary.elapsed.as_secs_f64(),
        }))?;
        return Ok(());
    }
    let rate = per_second(summary.written, summary.elapsed);
    output.line(format_args!(
        "{} lines written in {} ({rate} a second), {} of them had been before, {} skipped as \
         done, {} errors",
        grouped(summary.written),
        seconds(summary.elapsed),
        grouped(summary.repeated),
        grouped(summary.skipped),
        grouped(summary.errors)
    ))?;
    if !summary.is_complete || summary.errors > 0 {
        output.note(
            "not everything is in; what is in stays. The same command goes on with the rest, and \
             tries the lines with errors again",
        );
    }
    Ok(())
}

/// How many in a second, as people write it.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    grouped(count.saturating_mul(1000) / millis)
}
