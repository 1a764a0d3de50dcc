//! `get put delete mget`: values, and what all kinds have in common.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::json;

use super::options::{ReadOptions, WriteOptions};
use super::place::Place;
use super::read::exit_of;
use super::show::{lines, state_json};
use super::{Setting, kind_of, read, write};
use crate::cli::exit::Exit;
use crate::cli::text::{bytes_json, read_value, shown};
use starling::wire::State;
use starling::{Error, FieldState, Found, Key};

/// Values, and what all kinds have in common.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ValueCommand {
    /// Read a key or field of any kind; of a value all siblings.
    Get {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
    /// Write a value. Without --context it becomes a sibling of what is there.
    Put {
        #[command(flatten)]
        place: Place,
        /// The value itself, @FILE, or - for standard input.
        value: String,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Remove a key or field of any kind: what --context covers, or all that the coordinator sees.
    Delete {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read several keys, of a bucket of any kind.
    Mget {
        /// The bucket.
        bucket: String,
        /// The keys.
        #[arg(required = true)]
        keys: Vec<String>,
        /// How many replicas must answer each read.
        #[arg(short, long, value_name = "COUNT")]
        r: Option<u8>,
    },
}

impl ValueCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Get { place, options } => read::run_any(setting, &place, &options).await,
            Self::Put {
                place,
                value,
                options,
            } => {
                let put = place.home(setting).put(read_value(&value)?);
                write::run(setting, &place, &options, put).await
            }
            Self::Delete { place, options } => {
                let delete = place.home(setting).delete();
                write::run(setting, &place, &options, delete).await
            }
            Self::Mget { bucket, keys, r } => get_many(setting, &bucket, keys, r).await,
        }
    }
}

/// What came of the read of one key.
type Answer = Result<Found<State>, Error>;

/// Prints the keys in the order in which they were named; the worst of them is the exit code.
async fn get_many(
    setting: &Setting,
    bucket: &str,
    keys: Vec<String>,
    r: Option<u8>,
) -> anyhow::Result<Exit> {
    let kind = kind_of(&setting.client, bucket).await;
    let handle = setting.bucket(bucket);
    let mut reads = handle.multi_get_states(keys.clone(), kind);
    if let Some(r) = r {
        reads = reads.r(r);
    }
    if let Some(timeout) = setting.timeout {
        reads = reads.timeout(timeout);
    }
    let mut answers: BTreeMap<Key, Answer> = BTreeMap::new();
    while let Some((key, answer)) = reads.next().await {
        answers.insert(key, answer);
    }
    let mut exit = Exit::Done;
    for key in &keys {
        match answers.get(&Key::from(key)) {
            Some(Ok(found)) => exit = exit.max(show_one(setting, key, found)?),
            Some(Err(error)) => {
                setting.output.note(format_args!("{key}: {error}"));
                exit = exit.max(Exit::of_error(error));
            }
            None => {}
        }
    }
    Ok(exit)
}

fn show_one(setting: &Setting, key: &str, found: &Found<State>) -> anyhow::Result<Exit> {
    let output = setting.output;
    let state = FieldState::from(found.value().clone());
    let exit = exit_of(&state);
    if output.is_json() {
        output.json(&json!({
            "v": 1,
            "key": bytes_json(key.as_bytes()),
            "state": state_json(&state),
            "context": found.context().to_token(),
        }))?;
    } else {
        for line in lines(&state) {
            let key = shown(key.as_bytes());
            output.bytes(&[key.as_bytes(), b"\t", &line].concat())?;
        }
    }
    if exit == Exit::Failed {
        output.note(format_args!("{key}: there is no value"));
    }
    Ok(exit)
}
