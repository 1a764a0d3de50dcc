//! `list push|insert|remove|show`: items in an order.
//!
//! An item is named by its position, which never changes; `show` prints them. An index is a
//! position only for as long as nobody else changes the list: it is looked up when the command
//! runs.

use std::ops::Bound;

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::json;

use super::options::{WalkOptions, WriteOptions};
use super::place::Place;
use super::scan::walk;
use super::show::item_json;
use super::{Setting, write};
use crate::cli::exit::{Exit, UsageError};
use crate::cli::text::{hex, unhex};
use starling::{Gap, Kind, List, ListItem, Position, Scan};

/// Lists.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ListCommand {
    /// Put items at the end of a list, or at its beginning.
    Push {
        #[command(flatten)]
        place: Place,
        /// The items.
        #[arg(required = true)]
        items: Vec<String>,
        /// At the beginning, in this order.
        #[arg(long)]
        front: bool,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Put items between two others.
    Insert {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        spot: Spot,
        /// The items.
        #[arg(required = true)]
        items: Vec<String>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Take items out, by their positions or indices.
    Remove {
        #[command(flatten)]
        place: Place,
        /// The items' positions, as `list show` prints them.
        #[arg(required_unless_present = "at", value_parser = position)]
        positions: Vec<Position>,
        /// The item with this index, from 0, as the list is now; repeat it for several.
        #[arg(long, value_name = "INDEX")]
        at: Vec<u64>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read a list by pages: the items and their positions.
    Show {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        walk: WalkOptions,
    },
}

/// Where to put items.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Spot {
    /// Before the item with this index, from 0, as the list is now.
    #[arg(long, value_name = "INDEX")]
    at: Option<u64>,
    /// Behind the item at this position.
    #[arg(long, value_name = "POSITION", value_parser = position)]
    after: Option<Position>,
    /// Before the item at this position.
    #[arg(long, value_name = "POSITION", value_parser = position)]
    before: Option<Position>,
}

impl ListCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Push {
                place,
                items,
                front,
                options,
            } => {
                let list = list_at(setting, &place).await?;
                let scan = list.scan();
                let scan = if front { scan } else { scan.reverse() };
                let end = first(setting, scan).await?;
                let gap = if front {
                    Gap::between(None, end.as_ref())
                } else {
                    Gap::between(end.as_ref(), None)
                };
                write::run(setting, &place, &options, list.insert(&gap, items)).await
            }
            Self::Insert {
                place,
                spot,
                items,
                options,
            } => {
                let list = list_at(setting, &place).await?;
                let gap = spot.gap(setting, &list).await?;
                write::run(setting, &place, &options, list.insert(&gap, items)).await
            }
            Self::Remove {
                place,
                mut positions,
                at,
                options,
            } => {
                let list = list_at(setting, &place).await?;
                positions.extend(look_up(setting, &list, at).await?);
                write::run(setting, &place, &options, list.remove_all(positions)).await
            }
            Self::Show { place, walk: how } => {
                let scan = list_at(setting, &place).await?.scan();
                let scan = how.apply(setting, scan);
                walk(setting, scan, how.limit, json_line, text_line).await
            }
        }
    }
}

impl Spot {
    async fn gap(self, setting: &Setting, list: &List) -> anyhow::Result<Gap> {
        let Self { at, after, before } = self;
        if let Some(index) = at {
            return gap_at(setting, list, index).await;
        }
        let scan = list.scan();
        let neighbour = match (&after, &before) {
            (Some(after), _) => {
                let behind = (Bound::Excluded(after.as_bytes()), Bound::Unbounded);
                first(setting, scan.range::<&[u8]>(behind)).await?
            }
            (None, Some(before)) => {
                first(setting, scan.range(..before.as_bytes()).reverse()).await?
            }
            (None, None) => None,
        };
        Ok(match &after {
            Some(after) => Gap::between(Some(after), neighbour.as_ref()),
            None => Gap::between(neighbour.as_ref(), before.as_ref()),
        })
    }
}

async fn list_at(setting: &Setting, place: &Place) -> anyhow::Result<List> {
    place.kind(setting, &[Kind::List]).await?;
    Ok(place.home(setting).list())
}

/// The position of the first item of a scan.
async fn first(setting: &Setting, scan: Scan<ListItem>) -> anyhow::Result<Option<Position>> {
    let mut scan = in_time(setting, scan.page_size(1));
    Ok(scan.try_next().await?.map(|item| item.position))
}

/// The gap before the item with an index; one too many is the end of the list.
async fn gap_at(setting: &Setting, list: &List, index: u64) -> anyhow::Result<Gap> {
    let mut scan = in_time(setting, list.scan());
    let (mut before, mut left) = (None, index);
    while let Some(item) = scan.try_next().await? {
        if left == 0 {
            return Ok(Gap::between(before.as_ref(), Some(&item.position)));
        }
        before = Some(item.position);
        left -= 1;
    }
    if left > 0 {
        return Err(no_item(index));
    }
    Ok(Gap::between(before.as_ref(), None))
}

/// The positions of the items with these indices.
async fn look_up(
    setting: &Setting,
    list: &List,
    mut indices: Vec<u64>,
) -> anyhow::Result<Vec<Position>> {
    indices.sort_unstable();
    indices.dedup();
    let mut scan = in_time(setting, list.scan());
    let (mut next, mut found) = (0, Vec::new());
    for index in indices {
        loop {
            let Some(item) = scan.try_next().await? else {
                return Err(no_item(index));
            };
            next += 1;
            if next > index {
                found.push(item.position);
                break;
            }
        }
    }
    Ok(found)
}

fn in_time(setting: &Setting, scan: Scan<ListItem>) -> Scan<ListItem> {
    match setting.timeout {
        Some(timeout) => scan.timeout(timeout),
        None => scan,
    }
}

fn no_item(index: u64) -> anyhow::Error {
    anyhow::anyhow!(
        "the list has no item {index}; nothing was written: `list show` says what it has, from 0"
    )
}

fn json_line(item: &ListItem) -> serde_json::Value {
    let mut all = item_json(item);
    all["v"] = json!(1);
    all
}

fn text_line(item: &ListItem) -> Vec<Vec<u8>> {
    let position = hex(item.position.as_bytes());
    vec![[position.as_bytes(), b"\t", &item.value[..]].concat()]
}

/// A position as `list show` prints it.
fn position(text: &str) -> Result<Position, UsageError> {
    let bytes = unhex(text).filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| {
        UsageError(format!(
            "{text:?} is no position: take one that `list show` prints"
        ))
    })?;
    Ok(Position::from_bytes(Bytes::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::{hex, position};

    #[test]
    fn a_position_is_passed_back_as_it_was_printed() {
        let read = position("00ff10").unwrap();
        assert_eq!(hex(read.as_bytes()), "00ff10");
        for wrong in ["", "0", "0g", "+1"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }
}
