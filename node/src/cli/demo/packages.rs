//! The first job: the machine's Debian packages, by three imports of one file.
//!
//! | bucket | kind | key | holds |
//! |---|---|---|---|
//! | `packages` | value | name:architecture | the package's record |
//! | `sections` | set | section | the keys of its packages |
//! | `sizes` | counter | section | the installed size of its packages, in KiB |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::steps::Steps;
use crate::cli::clock::Stopwatch;
use crate::cli::import::{Format, Import, KeySpec, Plan, Summary, ValueSpec, per_second};
use crate::cli::text::grouped;
use starling::{Client, Kind};

/// What must be in the cluster when the job is done.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// Records by key.
    pub(super) records: BTreeMap<String, String>,
    /// Keys by section.
    pub(super) sections: BTreeMap<String, BTreeSet<String>>,
    /// Sizes by section.
    pub(super) sizes: BTreeMap<String, i64>,
}

/// Writes the database to a file and imports it.
pub(super) async fn import(
    client: &Client,
    directory: &Path,
    steps: &Steps,
) -> anyhow::Result<Packages> {
    let watch = Stopwatch::start();
    let records = query()?;
    let packages = Packages::of(&records)?;
    let file = directory.join("packages.jsonl");
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    fs::write(&file, lines.join("\n") + "\n").context("writing the package file")?;
    let count = grouped(u64::try_from(records.len())?);
    steps.done(
        format_args!("dpkg-query lists {count} packages"),
        watch.elapsed(),
    )?;
    for (bucket, kind, key, value) in [
        (PACKAGES, Kind::Value, "key", ValueSpec::Record),
        (
            SECTIONS,
            Kind::Set,
            "section",
            ValueSpec::Field("key".to_owned()),
        ),
        (
            SIZES,
            Kind::Counter,
            "section",
            ValueSpec::Field("installed_size".to_owned()),
        ),
    ] {
        let plan = Plan {
            bucket: bucket.to_owned(),
            kind,
            key: KeySpec::field(key),
            value,
            replaces: false,
            w: None,
            durability: None,
            ttl: None,
        };
        import_into(client, &file, plan, steps).await?;
    }
    Ok(packages)
}

async fn import_into(
    client: &Client,
    file: &Path,
    plan: Plan,
    steps: &Steps,
) -> anyhow::Result<()> {
    let bucket = plan.bucket.clone();
    client.create_bucket(&bucket).kind(plan.kind).await?;
    let import = Import {
        file: file.to_owned(),
        format: Format::Jsonl,
        plan,
        concurrency: 32,
        progress: None,
        restarts: true,
        is_forced: false,
    };
    let Summary {
        written,
        errors,
        elapsed,
        ..
    } = import.run(client, MAX_ERRORS, steps.output()).await?;
    if errors > 0 {
        bail!("{errors} packages could not be imported into {bucket}");
    }
    let rate = per_second(written, elapsed);
    let written = grouped(written);
    steps.done(
        format_args!("{written} writes into {bucket}, {rate} a second"),
        elapsed,
    )
}

impl Packages {
    fn of(records: &[Value]) -> anyhow::Result<Self> {
        let mut packages = Self::default();
        for record in records {
            let text = |field: &str| -> anyhow::Result<String> {
                let value = record.get(field).and_then(Value::as_str);
                Ok(value
                    .with_context(|| format!("a record without {field}"))?
                    .to_owned())
            };
            let (key, section) = (text("key")?, text("section")?);
            let size = record
                .get("installed_size")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            packages
                .sections
                .entry(section.clone())
                .or_default()
                .insert(key.clone());
            *packages.sizes.entry(section).or_default() += size;
            packages.records.insert(key, record.to_string());
        }
        Ok(packages)
    }
}

/// What the machine's package database says.
fn query() -> anyhow::Result<Vec<Value>> {
    let asked = Command::new("dpkg-query")
        .arg("-W")
        .arg("-f")
        .arg(FIELDS)
        .output();
    let asked = asked.context("dpkg-query does not run: the job needs a Debian; try --job none")?;
    if !asked.status.success() {
        bail!(
            "dpkg-query failed: {}",
            String::from_utf8_lossy(&asked.stderr).trim()
        );
    }
    let text = String::from_utf8(asked.stdout).context("the package database is no UTF-8")?;
    text.lines().map(record).collect()
}

fn record(line: &str) -> anyhow::Result<Value> {
    let fields: Vec<&str> = line.splitn(7, '\t').collect();
    let [name, architecture, version, section, size, status, summary] = fields[..] else {
        bail!("dpkg-query printed a line of {} fields", fields.len());
    };
    let section = if section.is_empty() { "none" } else { section };
    Ok(json!({
        "key": format!("{name}:{architecture}"),
        "name": name,
        "architecture": architecture,
        "version": version,
        "section": section,
        "installed_size": size.parse().unwrap_or(0_i64),
        "status": status,
        "summary": summary,
    }))
}

pub(super) const PACKAGES: &str = "packages";
pub(super) const SECTIONS: &str = "sections";
pub(super) const SIZES: &str = "sizes";
const FIELDS: &str = "${Package}\\t${Architecture}\\t${Version}\\t${Section}\\t${Installed-Size}\\t\
                      ${Status}\\t${binary:Summary}\\n";
/// An import of the demo has no bad lines.
const MAX_ERRORS: usize = 10;

#[cfg(test)]
mod tests {
    use super::{Packages, record};

    #[test]
    fn packages_add_up_by_section() {
        let lines = [
            "a\tall\t1\tlibs\t10\tok\tA",
            "b\tall\t1\tlibs\t5\tok\tB\tb",
            "c\tall\t1\t\t\tok\t",
        ];
        let records: Vec<_> = lines.iter().map(|line| record(line).unwrap()).collect();
        let packages = Packages::of(&records).unwrap();
        assert_eq!(packages.records.len(), 3);
        assert_eq!(packages.sizes["libs"], 15);
        assert_eq!(packages.sizes["none"], 0);
        assert!(packages.sections["libs"].contains("b:all"));
        assert!(record("a\tb").is_err());
    }
}
