//! `sadd srem smembers sismember scard sscan`: sets of all three kinds.

use bytes::Bytes;
use clap::Subcommand;
use serde_json::json;

use super::count::CountOptions;
use super::options::{PageOptions, ReadOptions, WriteOptions};
use super::place::Place;
use super::scan::walk;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use crate::cli::text::bytes_json;
use starling::{Kind, Scan};

/// Sets.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SetCommand {
    /// Put elements into a set.
    Sadd {
        #[command(flatten)]
        place: Place,
        /// The elements.
        #[arg(required = true)]
        elements: Vec<String>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Take elements out of a set.
    Srem {
        #[command(flatten)]
        place: Place,
        /// The elements.
        #[arg(required = true)]
        elements: Vec<String>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read a set's elements at once.
    Smembers {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
    /// Read whether an element is in a set: 1 or 0.
    Sismember {
        #[command(flatten)]
        place: Place,
        /// The element.
        element: String,
        #[command(flatten)]
        options: ReadOptions,
    },
    /// Count a set's elements, by pages.
    Scard {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: CountOptions,
    },
    /// Read a set's elements by pages, in byte order.
    Sscan {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        page: PageOptions,
    },
}

impl SetCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Sadd {
                place,
                elements,
                options,
            } => {
                let home = place.home(setting);
                let kind = place.kind(setting, &SETS).await?;
                if kind == Kind::GrowSet {
                    let add = home.grow_set().add_all(elements);
                    return write::run(setting, &place, &options, add).await;
                }
                let add = home.set(kind).add_all(elements);
                write::run(setting, &place, &options, add).await
            }
            Self::Srem {
                place,
                elements,
                options,
            } => {
                let kind = place.kind(setting, &SHRINKING).await?;
                let remove = place.home(setting).set(kind).remove_all(elements);
                write::run(setting, &place, &options, remove).await
            }
            Self::Smembers { place, options } => read::run(setting, &place, &SETS, &options).await,
            Self::Sismember {
                place,
                element,
                options,
            } => contains(setting, &place, element, &options).await,
            Self::Scard { place, options } => count(setting, &place, options).await,
            Self::Sscan { place, page } => {
                let scan = page.apply(setting, scan_of(setting, &place).await?);
                let json = |element: &Bytes| json!({ "v": 1, "element": bytes_json(element) });
                let lines = |element: &Bytes| vec![element.to_vec()];
                walk(setting, scan, page.walk.limit, json, lines).await
            }
        }
    }
}

async fn contains(
    setting: &Setting,
    place: &Place,
    element: String,
    options: &ReadOptions,
) -> anyhow::Result<Exit> {
    let kind = place.kind(setting, &SETS).await?;
    let home = place.home(setting);
    let query = match kind {
        Kind::GrowSet => home.grow_set().contains(element.clone()),
        kind => home.set(kind).contains(element.clone()),
    };
    let is_in = options.apply(setting, query)?.await?;
    if setting.output.is_json() {
        let mut answer = place.json();
        answer["element"] = bytes_json(element.as_bytes());
        answer["contains"] = json!(is_in);
        setting.output.json(&answer)?;
    } else {
        setting.output.line(u8::from(is_in))?;
    }
    Ok(Exit::Done)
}

async fn count(setting: &Setting, place: &Place, options: CountOptions) -> anyhow::Result<Exit> {
    let home = place.home(setting);
    let ways = match place.kind(setting, &SETS).await? {
        Kind::GrowSet => {
            let set = home.grow_set();
            (set.len(), set.approximate_len())
        }
        kind => {
            let set = home.set(kind);
            (set.len(), set.approximate_len())
        }
    };
    options.show(setting, ways, place.json()).await
}

async fn scan_of(setting: &Setting, place: &Place) -> anyhow::Result<Scan<Bytes>> {
    let kind = place.kind(setting, &SETS).await?;
    let home = place.home(setting);
    Ok(match kind {
        Kind::GrowSet => home.grow_set().scan(),
        kind => home.set(kind).scan(),
    })
}

/// The kinds of sets; the first is what a field is unless --kind says otherwise.
pub(super) const SETS: [Kind; 3] = [Kind::Set, Kind::GrowSet, Kind::RemoveSet];
/// Those from which something is taken out.
const SHRINKING: [Kind; 2] = [Kind::Set, Kind::RemoveSet];
