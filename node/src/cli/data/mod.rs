//! `put get delete incr reset sadd srem smembers`: one operation on one key.
//!
//! The demo's shell reads the same commands with the same options.

mod read;
mod write;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use super::exit::Exit;
use super::output::Output;
use starling::{Bucket, Client, Durability, Key, Kind, OperationId};

/// One operation on one key.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DataCommand {
    /// Read a key: a value with its siblings, a counter, or a set.
    Get {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        options: ReadOptions,
    },
    /// Write a value. Without --context it becomes a sibling of what is there.
    Put {
        #[command(flatten)]
        target: Target,
        /// The value itself, @FILE, or - for standard input.
        value: String,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Remove what --context covers of a key, or all that the coordinator sees.
    Delete {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Add to a counter; a negative amount subtracts.
    Incr {
        #[command(flatten)]
        target: Target,
        /// How much.
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        amount: i64,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Take a counter back to zero, as far as the coordinator sees it.
    Reset {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Put elements into a set.
    Sadd {
        #[command(flatten)]
        target: Target,
        /// The elements.
        #[arg(required = true)]
        elements: Vec<String>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Take elements out of a set.
    Srem {
        #[command(flatten)]
        target: Target,
        /// The elements.
        #[arg(required = true)]
        elements: Vec<String>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read a set's elements.
    Smembers {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        options: ReadOptions,
    },
}

/// Which key.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key, which places it on the ring.
    key: String,
    /// The sort key, which orders the keys of one KEY.
    #[arg(long, default_value = "", value_name = "TEXT")]
    sort: String,
}

/// How to read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadOptions {
    /// How many replicas must answer.
    #[arg(short, long, value_name = "COUNT")]
    r: Option<u8>,
    /// Only the replica of the node that is asked, whatever the others have.
    #[arg(long)]
    local: bool,
    /// Ask this node (name, or the first digits of its id) and no other.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Also print the context for the next write, as a note.
    #[arg(long)]
    show_context: bool,
}

/// How to write.
#[derive(Debug, Clone, Args)]
pub(crate) struct WriteOptions {
    /// How many replicas must have it.
    #[arg(short, long, value_name = "COUNT")]
    w: Option<u8>,
    /// How durable at each of them.
    #[arg(long, value_enum, value_name = "LEVEL")]
    durability: Option<DurabilityName>,
    /// What the write builds on, from a read or an earlier write of this key.
    #[arg(long, value_name = "TOKEN")]
    context: Option<String>,
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
    show_context: bool,
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

impl DataCommand {
    /// Runs the operation and prints its answer.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Get { target, options } => {
                let kind = kind_of(client, &target.bucket).await;
                read::run(client, kind, &target, &options, output).await
            }
            Self::Smembers { target, options } => {
                read::run(client, Kind::Set, &target, &options, output).await
            }
            Self::Put {
                target,
                value,
                options,
            } => {
                let value = super::text::read_value(&value)?;
                let write = target.bucket(client).put(target.key(), value);
                options.run(write, &target, output).await
            }
            Self::Delete { target, options } => {
                let write = target.bucket(client).delete(target.key());
                options.run(write, &target, output).await
            }
            Self::Incr {
                target,
                amount,
                options,
            } => {
                let write = target.bucket(client).counter(target.key()).add(amount);
                options.run(write, &target, output).await
            }
            Self::Reset { target, options } => {
                let write = target.bucket(client).counter(target.key()).reset();
                options.run(write, &target, output).await
            }
            Self::Sadd {
                target,
                elements,
                options,
            } => {
                let write = target.bucket(client).set(target.key()).add_all(elements);
                options.run(write, &target, output).await
            }
            Self::Srem {
                target,
                elements,
                options,
            } => {
                let write = target.bucket(client).set(target.key()).remove_all(elements);
                options.run(write, &target, output).await
            }
        }
    }
}

impl Target {
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.key, &self.sort)
    }

    fn bucket(&self, client: &Client) -> Bucket {
        client.bucket(&self.bucket)
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

/// What a bucket holds; for one that nobody knows, values, so that the node can say so itself.
pub(crate) async fn kind_of(client: &Client, bucket: &str) -> Kind {
    let known = || client.topology().bucket(bucket).map(|bucket| bucket.kind);
    if let Some(kind) = known() {
        return kind;
    }
    // It may have been made a moment ago. If nobody answers, the read itself will tell.
    client.refresh().await.unwrap_or_default();
    known().unwrap_or(Kind::Value)
}

/// Reads a kind by its name; `--help` lists them all.
pub(crate) fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(|(_, name)| name)).try_map(|name| name.parse::<Kind>())
}
