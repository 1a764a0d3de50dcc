//! What can be said about reads, writes and pages, whatever they are of.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Setting;
use crate::cli::connect::find_node;
use starling::{Context, Durability, OperationId, Query, Scan, Write};

/// How to read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadOptions {
    /// How many replicas must answer.
    #[arg(short, long, value_name = "COUNT")]
    r: Option<u8>,
    /// How many owners of the key must be among those.
    #[arg(long, value_name = "COUNT")]
    pr: Option<u8>,
    /// Only the replica of the node that is asked, whatever the others have.
    #[arg(long)]
    local: bool,
    /// Show nothing that more than half of the owners do not hold: no such read that begins later
    /// shows less. Not for pages and lengths.
    #[arg(long, conflicts_with = "local")]
    monotonic: bool,
    /// Ask this node (name, or the first digits of its id) and no other.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Also print the context for the next write, as a note.
    #[arg(long)]
    pub(super) show_context: bool,
}

/// How to write.
#[derive(Debug, Clone, Args)]
pub(crate) struct WriteOptions {
    /// How many replicas must have it.
    #[arg(short, long, value_name = "COUNT")]
    w: Option<u8>,
    /// How many owners of the key must be among those.
    #[arg(long, value_name = "COUNT")]
    pw: Option<u8>,
    /// Let stand-ins take the place of owners that are away, or with 'false' do not; the bucket's
    /// default if not given.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    sloppy: Option<bool>,
    /// How durable at each of them.
    #[arg(long, value_enum, value_name = "LEVEL")]
    durability: Option<DurabilityName>,
    /// What the write builds on, from a read or an earlier write of this key.
    #[arg(long, value_name = "TOKEN")]
    context: Option<String>,
    /// Write only if the coordinator shows nothing that --context does not cover; without
    /// --context, only if it shows nothing at all.
    #[arg(long)]
    if_current: bool,
    /// How long what is written lasts, 1ms to 10years.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Print the key's state at the coordinator after the write.
    #[arg(long)]
    return_value: bool,
    /// The operation's id, to send again what an error left open; it counts once.
    #[arg(long, value_name = "ID", conflicts_with = "idempotency_key")]
    operation: Option<OperationId>,
    /// A text of your own that names the operation, such as an order number.
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
    /// Also print the context for the next write, as a note.
    #[arg(long)]
    pub(super) show_context: bool,
}

/// Which stretch of something ordered.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageOptions {
    /// Only what begins with this.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["from", "to"])]
    prefix: Option<String>,
    /// Begin here.
    #[arg(long, value_name = "TEXT")]
    from: Option<String>,
    /// End before this.
    #[arg(long, value_name = "TEXT")]
    to: Option<String>,
    #[command(flatten)]
    pub(super) walk: WalkOptions,
}

/// How to go through something ordered.
#[derive(Debug, Clone, Args)]
pub(crate) struct WalkOptions {
    /// From the end to the beginning.
    #[arg(long)]
    reverse: bool,
    /// Stop after so many, and print a cursor.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    /// Go on from where an earlier scan of the same stretch stopped.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// How many replicas must answer for each page.
    #[arg(short, long, value_name = "COUNT")]
    r: Option<u8>,
}

/// A durability by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityName {
    /// Survives nothing.
    Memory,
    /// Survives kill -9, not power loss.
    Wal,
    /// Survives power loss.
    Synced,
}

impl ReadOptions {
    /// The read, as the options say.
    pub(super) fn apply<T>(
        &self,
        setting: &Setting,
        mut query: Query<T>,
    ) -> anyhow::Result<Query<T>> {
        if let Some(r) = self.r {
            query = query.r(r);
        }
        if let Some(pr) = self.pr {
            query = query.pr(pr);
        }
        if self.local {
            query = query.local();
        }
        if self.monotonic {
            query = query.monotonic();
        }
        if let Some(node) = &self.node {
            query = query.on_node(find_node(&setting.client, node)?);
        }
        Ok(match setting.timeout {
            Some(timeout) => query.timeout(timeout),
            None => query,
        })
    }
}

impl WriteOptions {
    /// The write, as the options say.
    pub(super) fn apply<M>(
        &self,
        setting: &Setting,
        mut write: Write<M>,
    ) -> anyhow::Result<Write<M>> {
        if let Some(w) = self.w {
            write = write.w(w);
        }
        if let Some(pw) = self.pw {
            write = write.pw(pw);
        }
        if let Some(sloppy) = self.sloppy {
            write = write.sloppy(sloppy);
        }
        if let Some(durability) = self.durability {
            write = write.durability(durability.into());
        }
        if let Some(token) = &self.context {
            write = write.context(&Context::from_token(token)?);
        }
        if self.if_current {
            write = write.only_if_current();
        }
        if let Some(ttl) = self.ttl {
            write = write.ttl(ttl);
        }
        if let Some(operation) = self.operation {
            write = write.operation_id(operation);
        }
        if let Some(name) = &self.idempotency_key {
            write = write.idempotency_key(name);
        }
        if self.return_value {
            write = write.return_value();
        }
        Ok(match setting.timeout {
            Some(timeout) => write.timeout(timeout),
            None => write,
        })
    }
}

impl PageOptions {
    /// The scan, as the options say.
    pub(super) fn apply<T>(&self, setting: &Setting, mut scan: Scan<T>) -> Scan<T> {
        if let Some(prefix) = &self.prefix {
            scan = scan.prefix(prefix);
        }
        scan = match (&self.from, &self.to) {
            (Some(from), Some(to)) => scan.range(from.as_str()..to.as_str()),
            (Some(from), None) => scan.range(from.as_str()..),
            (None, Some(to)) => scan.range(..to.as_str()),
            (None, None) => scan,
        };
        self.walk.apply(setting, scan)
    }
}

impl WalkOptions {
    /// The scan, as the options say.
    pub(super) fn apply<T>(&self, setting: &Setting, mut scan: Scan<T>) -> Scan<T> {
        if self.reverse {
            scan = scan.reverse();
        }
        if let Some(limit) = self.limit {
            let page = u32::try_from(limit).unwrap_or(u32::MAX);
            scan = scan.page_size(page.min(FULL_PAGE));
        }
        if let Some(cursor) = &self.cursor {
            scan = scan.resume(cursor);
        }
        if let Some(r) = self.r {
            scan = scan.r(r);
        }
        match setting.timeout {
            Some(timeout) => scan.timeout(timeout),
            None => scan,
        }
    }
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Memory => Self::Memory,
            DurabilityName::Wal => Self::Wal,
            DurabilityName::Synced => Self::Synced,
        }
    }
}

/// As many as a page has at most when nobody limits the scan.
const FULL_PAGE: u32 = 1_000;
