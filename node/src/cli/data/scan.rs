//! `scan keys`: many keys, by pages.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::options::PageOptions;
use super::show::{lines, state_json};
use super::{Setting, kind_of};
use crate::cli::exit::Exit;
use crate::cli::text::{bytes_json, shown};
use starling::wire::State;
use starling::{Entry, FieldState, Found, Key, Scan};

/// Many keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ScanCommand {
    /// Read the keys of one partition key, in the order of their sort keys.
    Scan {
        /// The bucket, of any kind.
        bucket: String,
        /// The partition key: what `--sort` is not part of.
        partition: String,
        #[command(flatten)]
        page: PageOptions,
    },
    /// List the keys of a bucket, in no order that means anything.
    Keys {
        /// The bucket, of any kind.
        bucket: String,
        /// Stop at the end of the page that reaches so many, and print a cursor.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Go on from where an earlier list stopped.
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
        /// How many replicas must answer for each page.
        #[arg(short, long, value_name = "COUNT")]
        r: Option<u8>,
        /// Wait this long before each page but the first, to leave the cluster to others.
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        pause: Option<Duration>,
    },
}

impl ScanCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Scan {
                bucket,
                partition,
                page,
            } => {
                let kind = kind_of(&setting.client, &bucket).await;
                let scan = setting.bucket(&bucket).scan_states(partition, kind);
                let scan = page.apply(setting, scan);
                walk(setting, scan, page.walk.limit, entry_json, entry_lines).await
            }
            Self::Keys {
                bucket,
                limit,
                cursor,
                r,
                pause,
            } => {
                let mut keys = setting.bucket(&bucket).keys();
                if let Some(cursor) = &cursor {
                    keys = keys.resume(cursor);
                }
                if let Some(r) = r {
                    keys = keys.r(r);
                }
                if let Some(timeout) = setting.timeout {
                    keys = keys.timeout(timeout);
                }
                if let Some(pause) = pause {
                    keys = keys.pause(pause);
                }
                list(setting, keys, limit).await
            }
        }
    }
}

/// Prints what a scan gives, and where it stopped if that is not the end.
pub(super) async fn walk<T: 'static>(
    setting: &Setting,
    mut scan: Scan<T>,
    limit: Option<u64>,
    to_json: impl Fn(&T) -> Value,
    to_lines: impl Fn(&T) -> Vec<Vec<u8>>,
) -> anyhow::Result<Exit> {
    let output = setting.output;
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0
        && let Some(item) = scan.try_next().await?
    {
        left -= 1;
        if output.is_json() {
            output.json(&to_json(&item))?;
        } else {
            for line in to_lines(&item) {
                output.bytes(&line)?;
            }
        }
    }
    tell_cursor(setting, scan.cursor())
}

/// A list of keys can stop between two pages only: a cursor has no other places.
async fn list(
    setting: &Setting,
    mut keys: starling::Keys,
    limit: Option<u64>,
) -> anyhow::Result<Exit> {
    let output = setting.output;
    let mut left = limit.unwrap_or(u64::MAX);
    while let Some(key) = keys.try_next().await? {
        left = left.saturating_sub(1);
        if output.is_json() {
            output.json(&key_json(&key))?;
        } else {
            output.line(key_text(&key))?;
        }
        if left == 0 && keys.is_between_pages() {
            break;
        }
    }
    tell_cursor(setting, keys.cursor())
}

fn tell_cursor(setting: &Setting, cursor: Option<String>) -> anyhow::Result<Exit> {
    if let Some(cursor) = cursor {
        if setting.output.is_json() {
            setting.output.json(&json!({ "v": 1, "cursor": cursor }))?;
        } else {
            setting
                .output
                .note(format_args!("more with --cursor {cursor}"));
        }
    }
    Ok(Exit::Done)
}

/// A key in one line: what is no text is escaped, and the sort key follows a tab.
fn key_text(key: &Key) -> String {
    let partition = shown(&key.partition);
    if key.sort.is_empty() {
        partition
    } else {
        format!("{partition}\t{}", shown(&key.sort))
    }
}

fn key_json(key: &Key) -> Value {
    json!({ "v": 1, "key": bytes_json(&key.partition), "sort": bytes_json(&key.sort) })
}

fn entry_json(entry: &Entry<Found<State>>) -> Value {
    let mut all = key_json(&entry.key);
    all["state"] = state_json(&FieldState::from(entry.read.value().clone()));
    all["context"] = json!(entry.read.context().to_token());
    all
}

fn entry_lines(entry: &Entry<Found<State>>) -> Vec<Vec<u8>> {
    let sort = shown(&entry.key.sort);
    let state = FieldState::from(entry.read.value().clone());
    let lines = lines(&state).into_iter();
    lines
        .map(|line| [sort.as_bytes(), b"\t", &line].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Key, key_text};

    #[test]
    fn a_key_stays_in_its_line() {
        assert_eq!(key_text(&Key::new("größe", "")), "größe");
        assert_eq!(key_text(&Key::new("a\tb", "c\n")), "a\\tb\tc\\n");
        assert_eq!(key_text(&Key::new([0xff_u8], "1")), "\\xff\t1");
    }
}
