//! Directed tests: each rule of the vnode on the smallest history that needs it.

mod aliases;
mod bodies;
mod borrowed;
mod clearing;
mod collected;
mod covering;
mod doubles;
mod edits;
mod expiry;
mod items;
mod names;
mod pulls;
mod retries;
mod rights;
mod rights_lost;
mod selections;
mod syncing;
mod writes;

use std::cell::Cell;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_bytes::ByteBuf;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Action, Beginning, Command, FieldEdit, Limits, Rejected, Selected, Sending, Target, Trimmed,
    Vnode, Written, read_rows,
};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::{Change, Pull, Range, Selection};
use crate::protocol::stage::{Family, Source, SourceError, Span, Stage, Visit};
use crate::protocol::time::Time;
use crdt::kinds::map::Path;
use crdt::kinds::{Leaf, counter, value};
use crdt::{Context, Hlc, OpId, Row};
use ring::{BucketId, NodeId, PartitionId, QBits, ReplicaCount, Token, VnodeId};
use starling::wire::Siblings;

/// What is stored, and how often a key was asked for.
#[derive(Default)]
struct Disk(BTreeMap<Place, Vec<u8>>, Cell<usize>);

type Place = (Family, Vec<u8>);

impl Source for Disk {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        self.1.update(|reads| reads + 1);
        Ok(self.0.get(&(family, key.to_vec())).cloned())
    }

    fn walk(
        &self,
        family: Family,
        span: Span<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        let to = span.to.max(span.from).to_vec();
        let mut within = self.0.range((family, span.from.to_vec())..(family, to));
        let mut next = || match span.reverse {
            false => within.next(),
            true => within.next_back(),
        };
        while let Some(((_, key), value)) = next() {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A vnode on its own disk.
struct Owner {
    vnode: Vnode,
    disk: Disk,
    limits: Limits,
}

const ID: VnodeId = VnodeId {
    n: ReplicaCount::DEFAULT,
    partition: PartitionId(0),
};
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

impl Owner {
    fn new(node: NodeId) -> Self {
        let disk = Disk::default();
        let mut vnode = Vnode::recover(ID, beginning(node, 7), &disk).unwrap();
        vnode.set_owners(NODES.into_iter().filter(|&other| other != node));
        Self {
            vnode,
            disk,
            limits: Limits::default(),
        }
    }

    fn restart(&mut self, nonce: u64) {
        let node = NodeId(self.vnode.actor().node);
        self.vnode = Vnode::recover(ID, beginning(node, nonce), &self.disk).unwrap();
        self.vnode
            .set_owners(NODES.into_iter().filter(|&other| other != node));
    }

    fn commit<T>(&mut self, act: impl FnOnce(&mut Vnode, &mut Stage<'_>, &Limits) -> T) -> T {
        let mut stage = Stage::new(&self.disk);
        let result = act(&mut self.vnode, &mut stage, &self.limits);
        for (family, key, value) in stage.into_changes().iter() {
            match value {
                Some(value) => self.disk.0.insert((family, key.to_vec()), value.to_vec()),
                None => self.disk.0.remove(&(family, key.to_vec())),
            };
        }
        result
    }

    /// Enters a change of one key that is no map.
    fn write(&mut self, op: u64, context: &Context, action: Action) -> Result<Written, Rejected> {
        let mut command = command(op, vec![edit(&[], action)]);
        command.targets[0].context = context.clone();
        self.run(&command)
    }

    /// Enters a command; its stamp is a second and as many milliseconds as the operation says.
    fn run(&mut self, command: &Command) -> Result<Written, Rejected> {
        let hlc = Hlc::at(1_000 + command.operation.sequence);
        self.commit(|vnode, stage, limits| vnode.write(hlc, command, limits, stage).unwrap())
    }

    fn receive(&mut self, changes: &[Change]) -> Vec<Change> {
        self.commit(|vnode, stage, _| vnode.receive(Hlc::at(2_000), changes, stage).unwrap())
    }

    /// Returns how many entries went.
    fn trim(&mut self) -> usize {
        self.tidy().entries
    }

    fn tidy(&mut self) -> Trimmed {
        let at = Hlc::at(3_000);
        self.commit(|vnode, stage, limits| vnode.trim(at, limits, stage).unwrap())
    }

    /// Goes through what is cleared to the end, and forgets what can be forgotten.
    fn purge(&mut self) -> Vec<Change> {
        let mut answers = Vec::new();
        loop {
            let purged = self.commit(|vnode, stage, limits| {
                let purged = vnode.purge_cleared(Hlc::at(3_000), limits, stage);
                purged.unwrap()
            });
            answers.extend(purged.answers);
            if !purged.has_more {
                return answers;
            }
        }
    }

    fn void(&mut self) -> Vec<Change> {
        let at = Hlc::at(3_000);
        self.commit(|vnode, stage, limits| vnode.void_doubles(at, limits, stage).unwrap())
    }

    /// Pulls all that `from` has and this vnode lacks.
    fn pull(&mut self, from: &Self) {
        let want = from.vnode.clock().missing_from(self.vnode.clock());
        let pull = Pull {
            vnode: ID,
            incarnation: self.vnode.actor().nonce,
            want,
            have: self.vnode.clock().clone(),
        };
        let stage = Stage::new(&from.disk);
        let pulled = from.vnode.answer_pull(&pull, &from.limits, &stage).unwrap();
        self.commit(|vnode, stage, _| vnode.absorb(Hlc::at(2_000), &pulled.bundle, stage).unwrap());
    }

    fn row(&self, key: &RowKey) -> Row {
        Stage::new(&self.disk).row(key).unwrap()
    }

    fn values(&self) -> Vec<Bytes> {
        let siblings = value::siblings(&self.row(&key().row(Leaf::Value, b"")));
        siblings.into_iter().map(|sibling| sibling.value).collect()
    }

    fn counter(&self) -> i128 {
        self.counter_at(&key(), &[])
    }

    /// The value of a counter in a field of a map.
    fn counter_at(&self, prefix: &KeyPrefix, names: &[&'static str]) -> i128 {
        let (from, to) = prefix.leaf_range(&path(names), Leaf::Share);
        let rows = self.select(&Selection::Range(range(from, to, None))).rows;
        let shares = rows.iter().filter(|keyed| keyed.key.leaf() == Leaf::Share);
        counter::value(shares.map(|keyed| &keyed.row)).unwrap()
    }

    fn select(&self, selection: &Selection) -> Selected {
        let read = read_rows(&self.disk, selection, self.vnode.clears(), &self.limits);
        read.unwrap().unwrap()
    }

    fn stored(&self, family: Family) -> usize {
        self.disk.0.keys().filter(|(of, _)| *of == family).count()
    }
}

/// All write their logs to the disk and tell the others what they hold.
fn exchange_clocks(owners: &mut [Owner]) {
    owners
        .iter_mut()
        .for_each(|owner| owner.vnode.handle_synced());
    tell_clocks(owners);
}

/// All tell the others what they hold, and which of it is on their disks.
fn tell_clocks(owners: &mut [Owner]) {
    for asking in 0..3 {
        for answering in (0..3).filter(|&other| other != asking) {
            let peer = NODES[answering];
            let fingerprint = owners[asking].vnode.fingerprint(peer).unwrap();
            let difference = owners[answering].vnode.difference(&fingerprint);
            let vnode = &mut owners[asking].vnode;
            match difference {
                Some(difference) => vnode.handle_difference(Time::default(), peer, difference),
                None => vnode.handle_equal(peer),
            }
        }
    }
}

fn pull_all(owners: &mut [Owner]) {
    for asking in 0..3 {
        let mut pulling = std::mem::replace(&mut owners[asking], Owner::new(NODES[asking]));
        owners.iter().for_each(|from| pulling.pull(from));
        owners[asking] = pulling;
    }
}

fn beginning(node: NodeId, nonce: u64) -> Beginning {
    Beginning {
        node,
        bits: QBits::new(0).unwrap(),
        nonce,
        behind: false,
    }
}

fn key() -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(9), b"k", b"")
}

fn put(value: &'static str) -> Action {
    Action::Put(Bytes::from(value))
}

fn changes(written: &Written) -> &[Change] {
    match &written.sending {
        Sending::Changes(changes) => changes,
        Sending::Again(_) | Sending::Held(_) | Sending::Nothing => panic!("{written:?} is not new"),
    }
}

fn path(names: &[&'static str]) -> Path {
    Path::new(names.iter().map(|name| Bytes::from(*name)).collect()).unwrap()
}

fn edit(names: &[&'static str], action: Action) -> FieldEdit {
    FieldEdit {
        path: path(names),
        action,
    }
}

/// A command that changes one key, with the digest of what it asks.
fn command(op: u64, edits: Vec<FieldEdit>) -> Command {
    batch(op, vec![(key(), edits)])
}

/// A command that changes several keys.
fn batch(op: u64, changed: Vec<(KeyPrefix, Vec<FieldEdit>)>) -> Command {
    let digest = (xxh3_64(format!("{changed:?}").as_bytes()) >> 32) as u32;
    let targets = changed.into_iter().map(|(prefix, edits)| Target {
        prefix,
        context: Context::default(),
        has_context: false,
        only_if_current: false,
        siblings: Siblings::default(),
        edits,
    });
    Command {
        targets: targets.collect(),
        operation: op_id(op),
        digest,
        age_ms: 0,
        ttl_ms: None,
    }
}

fn op_id(sequence: u64) -> OpId {
    OpId {
        client: 1,
        sequence,
    }
}

/// Another key of the same partition key.
fn key_of(sort: &[u8]) -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(9), b"k", sort)
}

fn range(from: Vec<u8>, to: Vec<u8>, limit: Option<u32>) -> Range {
    Range {
        from: ByteBuf::from(from),
        to: ByteBuf::from(to),
        reverse: false,
        limit,
    }
}
