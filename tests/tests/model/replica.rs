//! One vnode with its disk, and the ghost beside it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::oracle::Event;
use crdt::kinds::Leaf;
use crdt::{Context, Dot, Hlc, OpId, Row};
use ring::{BucketId, NodeId, PartitionId, QBits, ReplicaCount, Token, VnodeId};
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::{Bundle, Change, Cursor, Page, ReadRows, Selection, Sync};
use starling_node::protocol::stage::Stage;
use starling_node::protocol::time::Time;
use starling_node::protocol::vnode::{Action, Beginning, Command, Limits, Sending, Vnode};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Engine, MemoryEngine};
use starling_tests::sim::disk::{Image, batch_of};

/// One of the keys.
pub(crate) type Key = u8;

/// What has truly reached a vnode, key by key.
pub(crate) type Ghosts = BTreeMap<Key, BTreeSet<Event>>;

/// A vnode.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) node: u64,
    pub(crate) vnode: Vnode,
    pub(crate) ghosts: Ghosts,
    engine: MemoryEngine,
}

/// A copy of a disk, and what the vnode on it reflects.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    image: Image,
    ghosts: Ghosts,
}

impl Replica {
    /// A vnode on an empty disk, or on a copy. The nonce is never used again.
    pub(crate) fn begin(node: u64, nonce: u64, snapshot: Option<&Snapshot>) -> Self {
        let engine = snapshot.map_or_else(MemoryEngine::new, |snapshot| {
            snapshot
                .image
                .restore()
                .expect("a new engine has no faults")
        });
        let beginning = Beginning {
            node: NodeId(node),
            bits: bits(),
            nonce,
            behind: true,
        };
        let vnode =
            Vnode::recover(id(), beginning, &StoreSource::new(&engine)).expect("the disk is sound");
        let ghosts = snapshot
            .map(|snapshot| snapshot.ghosts.clone())
            .unwrap_or_default();
        let mut replica = Self {
            node,
            vnode,
            ghosts,
            engine,
        };
        replica.commit(|vnode, stage| vnode.checkpoint(stage));
        replica
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let image = Image::of(&self.engine).expect("no fault is injected");
        Snapshot {
            image,
            ghosts: self.ghosts.clone(),
        }
    }

    /// Enters a client's put (of the event's number) or delete. Returns what the others must get.
    pub(crate) fn write(
        &mut self,
        key: Key,
        event: Event,
        is_put: bool,
        context: Context,
    ) -> (Vec<Change>, Vec<Dot>) {
        let body = Bytes::from(event.to_string());
        let action = if is_put {
            Action::Put(body)
        } else {
            Action::Clear(Some(Leaf::Value))
        };
        let sequence = event as u64 + 1;
        let operation = OpId {
            client: 1,
            sequence,
        };
        let command = Command::single(prefix(key), action, context, operation);
        let written = self.commit(|vnode, stage| {
            let hlc = Hlc::at(sequence);
            vnode
                .write(hlc, &command, &Limits::default(), stage)
                .expect("the disk is sound")
        });
        self.ghosts.entry(key).or_default().insert(event);
        match written.expect("nothing is over a limit").sending {
            Sending::Changes(changes) => {
                let dots = changes.iter().map(|change| change.event.dot).collect();
                (changes, dots)
            }
            other => panic!("a new operation was taken for {other:?}"),
        }
    }

    pub(crate) fn receive(&mut self, changes: &[Change], key: Key, event: Event) {
        let is_new = changes
            .iter()
            .any(|c| !self.vnode.clock().contains(c.event.dot));
        self.commit(|vnode, stage| {
            vnode
                .receive(Hlc::at(1), changes, stage)
                .expect("the disk is sound")
        });
        if is_new {
            self.ghosts.entry(key).or_default().insert(event);
        }
    }

    /// Takes the bundle of a pull: of the rows that bring something new, all that their sender saw.
    pub(crate) fn absorb(&mut self, bundle: &Bundle, ghosts: &Ghosts) {
        let clock = self.vnode.clock();
        let missing = bundle
            .events
            .iter()
            .filter(|event| !clock.contains(event.dot));
        let mut news: BTreeSet<KeyPrefix> = missing.map(|event| event.row.prefix()).collect();
        for keyed in &bundle.rows {
            if keyed.row.versions().keys().any(|&dot| !clock.contains(dot)) {
                news.insert(keyed.key.prefix());
            }
        }
        self.commit(|vnode, stage| {
            vnode
                .absorb(Hlc::at(1), bundle, stage)
                .expect("the disk is sound")
        });
        self.haunt(ghosts, |key| news.contains(&prefix(key)));
    }

    /// Takes a page of a full sync: of its whole range, all that its sender saw.
    pub(crate) fn absorb_page(&mut self, page: &Page, ghosts: &Ghosts) {
        let expected = self
            .vnode
            .next_page()
            .map(|(_, sync)| (sync.incarnation, sync.from));
        let is_next = expected == Some((page.incarnation, page.from.clone()));
        self.commit(|vnode, stage| {
            vnode
                .absorb_page(Hlc::at(1), page, stage)
                .expect("the disk is sound")
        });
        // A page that the vnode did not wait for, or of another incarnation, changes nothing.
        let was_taken = is_next && (page.next.is_none() || self.vnode.next_page().is_some());
        let is_of_rows = matches!(page.from, Cursor::Rows | Cursor::RowsAfter(_));
        if was_taken && is_of_rows {
            self.haunt(ghosts, |key| {
                let row = prefix(key).row(Leaf::Value, &[]);
                let is_after = match &page.from {
                    Cursor::RowsAfter(after) => row.as_bytes() > &after[..],
                    _ => true,
                };
                let is_before = match &page.next {
                    Some(Cursor::RowsAfter(upto)) => row.as_bytes() <= &upto[..],
                    _ => true,
                };
                is_after && is_before
            });
        }
    }

    pub(crate) fn answer_sync(&self, sync: &Sync, limits: &Limits) -> Page {
        let disk = StoreSource::new(&self.engine);
        self.vnode
            .answer_sync(sync, limits, &Stage::new(&disk))
            .expect("the disk is sound")
    }

    /// What this vnode wants of another's, and the other's answer.
    pub(crate) fn pull_from(
        &mut self,
        source: &Self,
        limits: &Limits,
    ) -> Option<starling_node::protocol::messages::Pulled> {
        self.compare(source);
        let pull = self
            .vnode
            .wanted(Time::default(), NodeId(source.node), Default::default())?;
        let disk = StoreSource::new(&source.engine);
        let pulled = source.vnode.answer_pull(&pull, limits, &Stage::new(&disk));
        Some(pulled.expect("the disk is sound"))
    }

    /// Learns the clocks of another vnode.
    pub(crate) fn compare(&mut self, other: &Self) {
        let node = NodeId(other.node);
        let Some(fingerprint) = self.vnode.fingerprint(node) else {
            return;
        };
        match other.vnode.difference(&fingerprint) {
            Some(difference) => self
                .vnode
                .handle_difference(Time::default(), node, difference),
            None => self.vnode.handle_equal(node),
        }
    }

    /// Trims what every owner holds, and settles what a full sync left.
    pub(crate) fn trim(&mut self) -> usize {
        self.vnode.handle_synced();
        self.commit(|vnode, stage| {
            let trimmed = vnode.trim(Hlc::at(0), &Limits::default(), stage);
            let settled = vnode.settle_some(stage);
            settled.expect("the disk is sound");
            trimmed.expect("the disk is sound").entries
        })
    }

    /// The row of a key, filled with the clock that belongs to it.
    pub(crate) fn filled(&self, key: Key) -> Row {
        let disk = StoreSource::new(&self.engine);
        let selection = Selection::Key(prefix(key));
        let read = ReadRows {
            vnode: id(),
            selection,
            whole_clock: false,
            durable: None,
            bodies_up_to: None,
        };
        let read = self
            .vnode
            .read(&read, &Limits::default(), &Stage::new(&disk));
        let read = read.expect("the disk is sound").expect("rows are small");
        let mut row = read
            .rows
            .into_iter()
            .next()
            .map(|keyed| keyed.row)
            .unwrap_or_default();
        row.fill(&read.clock);
        row
    }

    /// The stored row.
    pub(crate) fn stored(&self, key: Key) -> Row {
        let disk = StoreSource::new(&self.engine);
        let row = prefix(key).row(Leaf::Value, &[]);
        Stage::new(&disk).row(&row).expect("the disk is sound")
    }

    /// The events that the vnode shows of a key.
    pub(crate) fn shown(&self, key: Key) -> BTreeSet<Event> {
        let row = self.stored(key);
        let bodies = row.versions().values().map(|version| version.body.clone());
        let numbers = bodies.map(|body| String::from_utf8_lossy(&body).parse());
        numbers
            .collect::<Result<_, _>>()
            .expect("bodies are the numbers of events")
    }

    pub(crate) fn ghost(&self, key: Key) -> BTreeSet<Event> {
        self.ghosts.get(&key).cloned().unwrap_or_default()
    }

    fn haunt(&mut self, ghosts: &Ghosts, which: impl Fn(Key) -> bool) {
        for (&key, ghost) in ghosts.iter().filter(|&(&key, _)| which(key)) {
            self.ghosts.entry(key).or_default().extend(ghost);
        }
    }

    /// Runs one batch and writes it.
    fn commit<T>(&mut self, work: impl FnOnce(&mut Vnode, &mut Stage<'_>) -> T) -> T {
        let disk = StoreSource::new(&self.engine);
        let mut stage = Stage::new(&disk);
        let done = work(&mut self.vnode, &mut stage);
        let batch = batch_of(&stage.into_changes());
        self.engine.write(&batch).expect("no fault is injected");
        done
    }
}

fn bits() -> QBits {
    QBits::new(0).expect("a ring may be whole")
}

fn id() -> VnodeId {
    VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    }
}

fn prefix(key: Key) -> KeyPrefix {
    KeyPrefix::new(3, Token(u64::from(key)), BucketId(1), &[key], b"")
}
