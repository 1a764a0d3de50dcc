//! From a client's write to a command, with everything checked on the way.

use std::borrow::Cow;

use bytes::Bytes;
use serde_bytes::ByteBuf;
use xxhash_rust::xxh3::xxh3_64;

use super::accept::{Accepted, deadline};
use super::desk::{DEFAULT_DURABILITY, Desk};
use super::failure;
use super::kinds::{Model, model};
use super::place::{Field, Place, path};
use super::shown::{Shape, Wrote};
use super::state::{Amount, Shown};
use super::token::Scope;
use crate::protocol::coordinator::{Order, WriteOrder};
use crate::protocol::time::Moment;
use crate::protocol::vnode::{Action, Command, FieldEdit, Target};
use crdt::kinds::hll;
use crdt::kinds::list::Position;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use crdt::{Actor, Context, Dot, OpId};
use starling::wire::{
    Edit, Failure, Key, Kind, Mutation, OperationId, Part, WriteItem, WriteRequest,
};

impl Desk {
    pub(super) fn take_write(
        &self,
        now: Moment,
        write: &WriteRequest,
    ) -> Result<Accepted, Failure> {
        write.check().map_err(|error| failure::of_limit(&error))?;
        let key_of = |item: &WriteItem| Key {
            partition: write.partition.clone(),
            sort: item.sort.clone(),
        };
        // The request names at least one key: it was checked.
        let first = write
            .items
            .first()
            .map(key_of)
            .ok_or_else(failure::no_change)?;
        let (place, sloppy) = self.place_of_write(write, &first)?;
        let digest = digest(write)?;
        let operation = op_id(write.operation);
        let mut targets = Vec::with_capacity(write.items.len());
        let mut scopes = Vec::with_capacity(write.items.len());
        for item in &write.items {
            let key = key_of(item);
            check_ttl(write.ttl_ms, &item.edits)?;
            let (context, scope) = open(&place, &key, item)?;
            targets.push(Target {
                prefix: place.prefix_of(&key.partition, &key.sort),
                edits: edits(&place, item, operation)?,
                context,
                has_context: !item.context.is_empty(),
                only_if_current: item.only_if_current,
                siblings: place.record.siblings,
            });
            scopes.push(scope);
        }
        let shown = shown(&place, now);
        let whole = Field {
            path: &Path::root(),
            kind: place.record.kind,
        };
        let reads_back = write.return_value && targets.len() == 1;
        let read_back = reads_back.then(|| whole.selection(&place.prefix, &Part::Whole));
        let order = WriteOrder {
            vnode: place.vnode,
            w: place.count("w", write.w)?,
            pw: place.owners_count("pw", write.pw)?,
            sloppy,
            durability: write.durability.unwrap_or(DEFAULT_DURABILITY),
            read_back: read_back.transpose()?,
            session: None,
            deadline: deadline(now, write.timeout_ms)?,
            command: Command {
                targets,
                operation,
                digest,
                age_ms: write.age_ms,
                ttl_ms: write.ttl_ms,
            },
        };
        Ok(Accepted::Order {
            order: Order::Write(order),
            shape: Shape::write(Wrote { shown, scopes }),
        })
    }
}

/// What an answer with the key's state shows.
fn shown(place: &Place<'_>, now: Moment) -> Shown {
    Shown {
        kind: place.record.kind,
        siblings: place.record.siblings,
        depth: 0,
        amount: Amount::Shown,
        reverse: false,
        now_ms: now.wall_ms,
    }
}

/// The context of a write. Only a change of one element can build on a read of that element alone,
/// and a change of one field on a read of that field: they have seen nothing of the others.
fn open(place: &Place<'_>, key: &Key, item: &WriteItem) -> Result<(Context, Scope), Failure> {
    let mut scopes = vec![place.scope(key, &Path::root(), None)];
    if let [edit] = &item.edits[..] {
        let path = path(&edit.path)?;
        scopes.push(place.scope(key, &path, None));
        if let Mutation::Remove(elements) | Mutation::Add(elements) = &edit.mutation
            && let [element] = &elements[..]
        {
            scopes.push(place.scope(key, &path, Some(element)));
        }
    }
    let opened = place.known.tokens.open(&item.context, &scopes);
    opened.map_err(|bad| failure::bad_context(&bad))
}

fn edits(place: &Place<'_>, item: &WriteItem, operation: OpId) -> Result<Vec<FieldEdit>, Failure> {
    let mut edits: Vec<FieldEdit> = Vec::with_capacity(item.edits.len());
    for (index, edit) in item.edits.iter().enumerate() {
        place.check_kind(&edit.path, edit.kind)?;
        let path = path(&edit.path)?;
        let is_reset = edit.kind == Kind::Counter && edit.mutation == Mutation::Delete;
        if is_reset && !item.context.is_empty() {
            return Err(failure::bad_request(
                &"a counter is reset by what its coordinator sees; nothing was written: reset it \
                  without a context",
            ));
        }
        let action = action(edit, operation, index, &place.record.name)?;
        let is_clear = |action: &Action| matches!(action, Action::Clear(_));
        let meets = |other: &FieldEdit| {
            let (a, b) = (path.names(), other.path.names());
            (is_clear(&action) && b.starts_with(a)) || (is_clear(&other.action) && a.starts_with(b))
        };
        if edits.iter().any(meets) {
            return Err(failure::bad_request(
                &"a write deletes a field and changes it too; nothing was written: do one after \
                  the other",
            ));
        }
        edits.push(FieldEdit { path, action });
    }
    Ok(edits)
}

/// What a mutation is in a field of this kind.
fn action(edit: &Edit, operation: OpId, index: usize, bucket: &str) -> Result<Action, Failure> {
    let kind = edit.kind;
    let wrong = || failure::wrong_mutation(bucket, kind, &edit.mutation);
    let bytes = |value: &ByteBuf| Bytes::copy_from_slice(value);
    let all = |values: &[ByteBuf]| values.iter().map(bytes).collect::<Vec<_>>();
    let Model { leaf, kept, .. } = model(kind);
    if edit.mutation == Mutation::Delete {
        return match kept {
            Some(why) => Err(failure::bad_request(&why)),
            None => Ok(Action::Clear(leaf)),
        };
    }
    let leaf = leaf.ok_or_else(wrong)?;
    let action = match (&edit.mutation, kind) {
        (Mutation::Increment(0), Kind::BoundedCounter) => {
            return Err(failure::bad_request(
                &"a bounded counter changes by 1 to 2^63 - 1 at a time; nothing was written",
            ));
        }
        (Mutation::Increment(amount), Kind::BoundedCounter) => {
            return Ok(Action::Bounded(*amount));
        }
        (Mutation::Increment(amount), Kind::Counter) => return Ok(Action::Increment(*amount)),
        (Mutation::Put(value), Kind::Value) => return Ok(Action::Put(bytes(value))),
        (Mutation::Put(value), _) => Action::one(leaf, Update::Assign(bytes(value))),
        (Mutation::Offer(number), _) => Action::one(leaf, Update::Offer(*number)),
        (Mutation::Switch(on), _) => Action::one(leaf, Update::Switch(*on)),
        (Mutation::Add(things), Kind::Sketch) => {
            let hashes = things.iter().map(|thing| xxh3_64(thing));
            Action::Update(leaf, hll::updates(hashes))
        }
        (Mutation::Add(elements), _) => Action::each(leaf, all(elements), &Update::Add),
        (Mutation::Remove(parts), _) => Action::each(leaf, all(parts), &Update::Remove),
        (
            Mutation::Insert {
                after,
                before,
                items,
            },
            Kind::List,
        ) => {
            let maker = maker(operation, index);
            let positions = positions(after.as_ref(), before.as_ref(), items.len(), maker)?;
            let items = all(items).into_iter().map(Update::Insert);
            Action::Update(leaf, positions.into_iter().zip(items).collect())
        }
        (Mutation::Delete | Mutation::Increment(_) | Mutation::Insert { .. }, _) => {
            return Err(wrong());
        }
    };
    if action.is_of_kind() {
        Ok(action)
    } else {
        Err(wrong())
    }
}

/// Positions between two neighbours. They follow from the request alone, so that a retry through
/// another coordinator means the same items, if it names the same neighbours. Between others they
/// are other positions: where both tries are entered, there are two items.
fn positions(
    after: Option<&ByteBuf>,
    before: Option<&ByteBuf>,
    count: usize,
    maker: Dot,
) -> Result<Vec<Bytes>, Failure> {
    let decode = |position: &ByteBuf| {
        Position::decode(position).map_err(|error| {
            failure::bad_request(&format_args!(
                "a list has no such position ({error}); nothing was written: pass what a read of \
                 the list has shown"
            ))
        })
    };
    let after = after.map(decode).transpose()?;
    let before = before.map(decode).transpose()?;
    // The number of items was checked.
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let made = Position::run(after.as_ref(), before.as_ref(), maker, count);
    let made = made.map_err(|error| {
        failure::bad_request(&format_args!(
            "{error}; nothing was written: read the list again"
        ))
    })?;
    Ok(made
        .iter()
        .map(|position| position.as_bytes().clone())
        .collect())
}

/// Who makes the positions of one insertion: the operation, and which of its changes. A client's
/// operations are counted from 0, the events of a maker from 1.
fn maker(operation: OpId, index: usize) -> Dot {
    let halves = operation.client.to_be_bytes();
    let half = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&halves[at..at + 8]);
        u64::from_be_bytes(bytes)
    };
    let nonce = half(8).wrapping_add(index as u64);
    let (nonce, counter) = match operation.sequence.checked_add(1) {
        Some(counter) => (nonce, counter),
        None => (!nonce, u64::MAX),
    };
    let node = half(0);
    Dot::new(Actor { node, nonce }, counter)
}

fn check_ttl(ttl_ms: Option<u64>, edits: &[Edit]) -> Result<(), Failure> {
    let Some(ttl) = ttl_ms else {
        return Ok(());
    };
    if !(1..=MAX_TTL_MS).contains(&ttl) {
        return Err(failure::bad_request(&format_args!(
            "a time to live of {ttl} ms is out of range; nothing was written: allow 1 ms to \
             10 years"
        )));
    }
    match edits.iter().find(|edit| !edit.kind.takes_ttl()) {
        Some(edit) => Err(failure::bad_request(&format_args!(
            "a {} has no time to live; nothing was written: write it without one",
            edit.kind
        ))),
        None => Ok(()),
    }
}

/// A hash of all that is asked, but for what a retry may have learnt since: the contexts, and
/// beside what it puts the items of a list. Whoever pushes reads the end first, and finds there
/// what the first try, or somebody else, has pushed.
fn digest(write: &WriteRequest) -> Result<u32, Failure> {
    let asked = write.items.iter().map(|item| {
        let edits: Vec<_> = item.edits.iter().map(without_gap).collect();
        (&item.sort, item.only_if_current, edits)
    });
    let asked: Vec<_> = asked.collect();
    let bytes = rmp_serde::to_vec(&(&write.bucket, &write.partition, asked, write.ttl_ms));
    let bytes = bytes.map_err(|error| failure::bad_request(&error))?;
    // The upper half of the hash.
    Ok((xxh3_64(&bytes) >> 32) as u32)
}

fn without_gap(edit: &Edit) -> Cow<'_, Edit> {
    let Mutation::Insert { items, .. } = &edit.mutation else {
        return Cow::Borrowed(edit);
    };
    Cow::Owned(Edit {
        path: edit.path.clone(),
        kind: edit.kind,
        mutation: Mutation::Insert {
            after: None,
            before: None,
            items: items.clone(),
        },
    })
}

pub(super) fn op_id(
    OperationId {
        client: (high, low),
        sequence,
    }: OperationId,
) -> OpId {
    OpId {
        client: (u128::from(high) << 64) | u128::from(low),
        sequence,
    }
}

/// Ten years.
const MAX_TTL_MS: u64 = 10 * 366 * 24 * 3_600 * 1_000;
