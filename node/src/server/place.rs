//! Where a key lies, and which rows are asked for.

use std::fmt;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::desk::{Desk, Known, majority};
use super::failure;
use super::fields;
use super::kinds::model;
use super::token::Scope;
use crate::protocol::cluster::BucketRecord;
use crate::protocol::keys::{KeyPrefix, successor};
use crate::protocol::messages::{Range, Selection};
use crate::protocol::samples;
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Rows;
use ring::{Token, VnodeId};
use starling::wire::{Failure, Key, Kind, Page, Part, ReadRequest, ScanRequest, WriteRequest};

/// Where a key lies.
pub(super) struct Place<'a> {
    pub(super) known: &'a Known,
    pub(super) record: &'a BucketRecord,
    pub(super) token: Token,
    pub(super) vnode: VnodeId,
    pub(super) prefix: KeyPrefix,
}

impl Desk {
    /// Finds the key, and refuses it if this node does not own it.
    pub(super) fn place(&self, bucket: &str, key: &Key) -> Result<Place<'_>, Failure> {
        let place = self.find(bucket, key)?;
        let owners = place.known.ring.preference(place.record.n, place.token);
        if !owners.contains(self.node) {
            return Err(failure::not_owner(&place.known.name_of(owners.first())));
        }
        Ok(place)
    }

    /// How many owners must answer a read.
    pub(super) fn replicas(&self, place: &Place<'_>, read: &ReadRequest) -> Result<u8, Failure> {
        let bad = |what: &dyn fmt::Display| Err(failure::bad_request(what));
        match (read.local, read.monotonic, &read.part, read.r) {
            (true, true, _, _) => bad(
                &"`local` and `monotonic` exclude each other; nothing was read: one replica \
                  says nothing of the others",
            ),
            (_, true, Part::Page(_) | Part::Count(_) | Part::Estimate, _) => bad(
                &"pages, lengths and estimates cannot be monotonic; nothing was read: read the \
                  key as a whole, or single elements",
            ),
            (true, false, _, None | Some(1)) => Ok(1),
            (true, false, _, Some(r)) => bad(&format_args!(
                "r = {r} and `local` exclude each other; nothing was read: a local read has one \
                 replica"
            )),
            (false, is_monotonic, _, r) => {
                let asked = place.count("r", r)?;
                let pr = place.owners_count("pr", read.pr)?;
                let least = if is_monotonic {
                    place.count("r", None)?
                } else {
                    1
                };
                Ok(asked.max(pr).max(least))
            }
        }
    }

    /// Finds the key, whoever owns it.
    fn find(&self, bucket: &str, key: &Key) -> Result<Place<'_>, Failure> {
        let known = self.serving()?;
        key.check().map_err(|error| failure::of_limit(&error))?;
        let record = known.buckets.of_name(bucket);
        let record = record.ok_or_else(|| failure::unknown_bucket(bucket))?;
        let token = known.ring.token(record.id, &key.partition);
        let vnode = VnodeId {
            n: record.n,
            partition: known.ring.partition(token),
        };
        let mut place = Place {
            known,
            record,
            token,
            vnode,
            prefix: KeyPrefix::new(u8::from(record.n), token, record.id, &key.partition, b""),
        };
        place.prefix = place.prefix_of(&key.partition, &key.sort);
        Ok(place)
    }
}

impl Desk {
    /// Finds the key that a write is about. One that stand-ins may take is refused only by the
    /// coordinator, which knows whether an owner can be reached. True if it is such a one.
    pub(super) fn place_of_write(
        &self,
        write: &WriteRequest,
        key: &Key,
    ) -> Result<(Place<'_>, bool), Failure> {
        let place = self.find(&write.bucket, key)?;
        if write.sloppy.unwrap_or(place.record.sloppy) {
            return Ok((place, true));
        }
        self.place(&write.bucket, key).map(|place| (place, false))
    }
}

impl Place<'_> {
    /// Another key of the same partition key.
    pub(super) fn prefix_of(&self, partition: &[u8], sort: &[u8]) -> KeyPrefix {
        let n = u8::from(self.record.n);
        KeyPrefix::new(n, self.token, self.record.id, partition, sort)
    }

    pub(super) fn scope(&self, key: &Key, path: &Path, element: Option<&[u8]>) -> Scope {
        let part = match element {
            None if path.names().is_empty() => None,
            None => Some(path.prefix()),
            Some(element) => Some([&path.prefix()[..], &[0], element].concat()),
        };
        self.known
            .tokens
            .scope(self.record.id, key, part.as_deref())
    }

    pub(super) fn count(&self, what: &str, asked: Option<u8>) -> Result<u8, Failure> {
        count(self.known, self.record, what, asked)
    }

    /// How many owners: what was asked for, otherwise none in particular.
    pub(super) fn owners_count(&self, what: &str, asked: Option<u8>) -> Result<u8, Failure> {
        match asked {
            None | Some(0) => Ok(0),
            asked => self.count(what, asked),
        }
    }

    /// Is this what the bucket holds at this path?
    pub(super) fn check_kind(&self, path: &[ByteBuf], kind: Kind) -> Result<(), Failure> {
        let of_bucket = self.record.kind;
        if path.is_empty() && kind != of_bucket {
            return Err(failure::wrong_kind(&self.record.name, of_bucket, kind));
        }
        if !path.is_empty() && kind == Kind::BoundedCounter {
            return Err(failure::bad_request(
                &"a field of a map cannot be a bounded counter; nothing was done: keep it in a \
                  bucket of its own",
            ));
        }
        if !path.is_empty() && of_bucket != Kind::Map {
            return Err(failure::wrong_kind(&self.record.name, of_bucket, Kind::Map));
        }
        Ok(())
    }
}

/// How many replicas: what was asked for if the bucket has so many, otherwise more than half.
pub(super) fn count(
    known: &Known,
    record: &BucketRecord,
    what: &str,
    asked: Option<u8>,
) -> Result<u8, Failure> {
    let n = record.n;
    match asked {
        None => Ok(majority(known.ring.layout(), n)),
        Some(count) if (1..=u8::from(n)).contains(&count) => Ok(count),
        Some(count) => Err(failure::bad_request(&format_args!(
            "{what} = {count} is out of range; nothing was done: bucket {} has n = {n}, so ask \
             for 1 to {n}",
            record.name
        ))),
    }
}

/// A path that a client sent.
pub(super) fn path(names: &[ByteBuf]) -> Result<Path, Failure> {
    let names = names.iter().map(|name| Bytes::copy_from_slice(name));
    Path::new(names.collect()).map_err(|error| {
        failure::bad_request(&format_args!(
            "{error}; nothing was done: name another field"
        ))
    })
}

/// A key or a field of a map.
pub(super) struct Field<'a> {
    pub(super) path: &'a Path,
    pub(super) kind: Kind,
}

impl Field<'_> {
    /// The rows that make up what is asked for.
    pub(super) fn selection(&self, key: &KeyPrefix, part: &Part) -> Result<Selection, Failure> {
        let Some(leaf) = model(self.kind).leaf else {
            return self.selection_of_map(key, part);
        };
        match (part, leaf.rules().rows) {
            (Part::Whole, Rows::One) => Ok(Selection::Row(key.row_at(self.path, leaf, &[]))),
            (Part::Whole, Rows::Parts | Rows::Elements(_) | Rows::Items(_)) => {
                Ok(Selection::Range(all(key.leaf_range(self.path, leaf))))
            }
            (Part::Element(element), Rows::Elements(_)) => {
                starling::wire::check_element(element)
                    .map_err(|error| failure::of_limit(&error))?;
                Ok(Selection::Row(key.row_at(self.path, leaf, element)))
            }
            (Part::Page(page) | Part::Count(page), Rows::Elements(_) | Rows::Items(_)) => {
                page.check().map_err(|error| failure::of_limit(&error))?;
                Ok(Selection::Range(self.page(key, leaf, page)))
            }
            (Part::Estimate, Rows::Elements(_) | Rows::Items(_)) => {
                let mut range = all(key.leaf_range(self.path, leaf));
                range.limit = Some(samples::COUNTED);
                Ok(Selection::Sample(range))
            }
            (Part::Element(_), Rows::One | Rows::Parts | Rows::Items(_)) => {
                Err(failure::bad_request(&NO_ELEMENTS))
            }
            (Part::Page(_) | Part::Count(_) | Part::Estimate, Rows::One | Rows::Parts) => {
                Err(failure::bad_request(
                    &"only sets, lists and maps are read by pages or have a length; nothing was \
                      read",
                ))
            }
        }
    }

    fn selection_of_map(&self, key: &KeyPrefix, part: &Part) -> Result<Selection, Failure> {
        match part {
            Part::Whole => Ok(Selection::Range(all(key.field_range(self.path)))),
            Part::Page(page) | Part::Count(page) => {
                page.check().map_err(|error| failure::of_limit(&error))?;
                fields::range(key, self.path, page).map(Selection::Range)
            }
            Part::Estimate => {
                let mut range = all(key.field_range(self.path));
                range.limit = Some(samples::COUNTED);
                let depth = u8::try_from(self.path.names().len()).unwrap_or(u8::MAX);
                Ok(Selection::Names { range, depth })
            }
            Part::Element(_) => Err(failure::bad_request(&NO_ELEMENTS)),
        }
    }

    fn page(&self, key: &KeyPrefix, leaf: Leaf, page: &Page) -> Range {
        let row = |part: &[u8]| key.row_at(self.path, leaf, part).as_bytes().to_vec();
        let (first, end) = key.leaf_range(self.path, leaf);
        let from = page.from.as_ref().map_or(first, |part| row(part));
        let to = page.to.as_ref().map_or(end, |part| row(part));
        // A cursor is the part of the last row that was shown.
        let (from, to) = match (&page.cursor, page.reverse) {
            (None, _) => (from, to),
            (Some(part), false) => (from.max(successor(&row(part))), to),
            (Some(part), true) => {
                let before = to.min(row(part));
                (from, before)
            }
        };
        Range {
            from: ByteBuf::from(from),
            to: ByteBuf::from(to),
            reverse: page.reverse,
            limit: Some(page.limit),
        }
    }
}

/// The rows of the keys that a scan asks for.
pub(super) fn range_of_keys(place: &Place<'_>, scan: &ScanRequest) -> Result<Range, Failure> {
    let prefix = |sort: &[u8]| place.prefix_of(&scan.partition, sort);
    let page = &scan.page;
    let (first, end) = place.prefix.partition_range();
    let from = page
        .from
        .as_ref()
        .map_or(first, |sort| prefix(sort).as_bytes().to_vec());
    let to = page
        .to
        .as_ref()
        .map_or(end, |sort| prefix(sort).as_bytes().to_vec());
    // A cursor is the last sort key that was shown.
    let (from, to) = match (&page.cursor, page.reverse) {
        (None, _) => (from, to),
        (Some(sort), false) => (from.max(prefix(sort).end()), to),
        (Some(sort), true) => (from, to.min(prefix(sort).as_bytes().to_vec())),
    };
    let rows = if is_one_row(scan.kind) {
        page.limit
    } else {
        ROWS_OF_SCAN
    };
    Ok(Range {
        from: ByteBuf::from(from),
        to: ByteBuf::from(to),
        reverse: page.reverse,
        limit: Some(rows),
    })
}

/// Is a key of this kind one row?
pub(super) fn is_one_row(kind: Kind) -> bool {
    let leaf = model(kind).leaf;
    leaf.is_some_and(|leaf| matches!(leaf.rules().rows, Rows::One))
}

fn all((from, to): (Vec<u8>, Vec<u8>)) -> Range {
    Range {
        from: ByteBuf::from(from),
        to: ByteBuf::from(to),
        reverse: false,
        limit: None,
    }
}

const NO_ELEMENTS: &str = "only a set has elements; nothing was read";

/// Rows that one page of a scan looks at where a key has many.
const ROWS_OF_SCAN: u32 = 4_096;
