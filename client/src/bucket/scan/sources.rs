//! What can be scanned: how a page is asked for, and what its answer holds.

use bytes::Bytes;

use super::{Ask, Entry, Open, Scan};
use crate::bucket::Target;
use crate::bucket::answers::{Answer, ListItem, MapEntry, owned};
use crate::error::Error;
use crate::wire::{
    Kind, Outcome, Page, Part, ReadRequest, ReadResponse, Request, Response, ScanRequest, State,
};

impl<T: 'static> Scan<Entry<T>> {
    /// A scan of keys whose sort keys order them.
    pub(crate) fn of_keys(
        target: Target,
        kind: Kind,
        finish: fn(Answer) -> Result<T, Error>,
    ) -> Self {
        let (bucket, partition) = (target.bucket.clone(), target.key.partition.clone());
        let ask: Ask = Box::new(move |page, r| {
            Request::Scan(ScanRequest {
                bucket: bucket.clone(),
                kind,
                partition: partition.clone(),
                page,
                r,
                timeout_ms: 0,
            })
        });
        let of = target.clone();
        let open: Open<Entry<T>> = Box::new(move |node, response| {
            let Response::Scanned(response) = response else {
                return Err(Error::unexpected(node, Outcome::NotApplied));
            };
            let (answered, mut entries) = (response.answered, Vec::new());
            for scanned in response.keys {
                let mut target = of.clone();
                target.key.sort = scanned.sort.clone();
                let key = target.key.clone();
                let sort = owned(scanned.sort);
                let response = ReadResponse {
                    state: scanned.state,
                    context: scanned.context,
                    answered,
                    next: None,
                };
                let read = finish(Answer {
                    target,
                    node,
                    response,
                })?;
                entries.push((sort, Entry { key, read }));
            }
            Ok((entries, response.next))
        });
        Self::new(target, ask, open)
    }
}

/// Makes of the bytes of an element or item what is scanned. Whoever fails says where they are.
type Decode<T> = fn(&Target, Bytes) -> Result<T, Error>;

impl<T: 'static> Scan<T> {
    /// A scan of the elements of a set.
    pub(crate) fn of_elements(target: Target, kind: Kind, decode: Decode<T>) -> Self {
        let ask = ask_part(&target, kind, Part::Page);
        let of = target.clone();
        let open: Open<T> = Box::new(move |node, response| match response {
            Response::Read(ReadResponse {
                state: State::Set(elements),
                next,
                ..
            }) => {
                let elements = elements.into_iter().map(owned);
                let items = elements.map(|element| Ok((element.clone(), decode(&of, element)?)));
                Ok((items.collect::<Result<_, Error>>()?, next))
            }
            _ => Err(Error::unexpected(node, Outcome::NotApplied)),
        });
        Self::new(target, ask, open)
    }
}

impl<T: 'static> Scan<ListItem<T>> {
    /// A scan of the items of a list.
    pub(crate) fn of_items(target: Target, decode: Decode<T>) -> Self {
        let ask = ask_part(&target, Kind::List, Part::Page);
        let of = target.clone();
        let open: Open<ListItem<T>> = Box::new(move |node, response| match response {
            Response::Read(ReadResponse {
                state: State::List(items),
                next,
                ..
            }) => {
                let items = items.into_iter().map(|item| {
                    let item = ListItem::new(item).decoded(|bytes| decode(&of, bytes))?;
                    Ok((item.position.to_bytes(), item))
                });
                Ok((items.collect::<Result<_, Error>>()?, next))
            }
            _ => Err(Error::unexpected(node, Outcome::NotApplied)),
        });
        Self::new(target, ask, open)
    }
}

impl Scan<MapEntry> {
    /// A scan of the fields of a map.
    pub(in crate::bucket) fn of_fields(target: Target) -> Self {
        let ask = ask_part(&target, Kind::Map, Part::Page);
        let open: Open<MapEntry> = Box::new(|node, response| match response {
            Response::Read(ReadResponse {
                state: State::Map(fields),
                next,
                ..
            }) => {
                let entries = MapEntry::all(fields).into_iter();
                let items = entries.map(|entry| (entry.name.clone(), entry));
                Ok((items.collect(), next))
            }
            _ => Err(Error::unexpected(node, Outcome::NotApplied)),
        });
        Self::new(target, ask, open).page_size(FIELDS)
    }
}

impl Scan<u64> {
    /// How many elements, items or names of fields each page has, without them.
    pub(in crate::bucket) fn of_lengths(target: Target, kind: Kind) -> Self {
        let ask = ask_part(&target, kind, Part::Count);
        let open: Open<u64> = Box::new(|node, response| match response {
            Response::Read(ReadResponse {
                state: State::Number(Some(count)),
                next,
                ..
            }) if count >= 0 => Ok((vec![(Bytes::new(), count.unsigned_abs())], next)),
            _ => Err(Error::unexpected(node, Outcome::NotApplied)),
        });
        Self::new(target, ask, open)
    }
}

fn ask_part(target: &Target, kind: Kind, part: fn(Page) -> Part) -> Ask {
    let (bucket, key, path) = (
        target.bucket.clone(),
        target.key.clone(),
        target.path.clone(),
    );
    Box::new(move |page, r| {
        Request::Read(ReadRequest {
            bucket: bucket.clone(),
            key: key.clone(),
            path: path.clone(),
            kind,
            part: part(page),
            r,
            local: false,
            timeout_ms: 0,
            pr: None,
            monotonic: false,
        })
    })
}

/// Fields that are asked for at a time: a node looks at no fewer rows for a page of them.
const FIELDS: u32 = 4_096;
