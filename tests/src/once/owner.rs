//! One owner: a vnode on its disk.

use std::ops::ControlFlow;
use std::time::Duration;

use super::TTL_GRACE_MS;
use crate::sim::disk::batch_of;
use crdt::{Context, Hlc, Row};
use ring::{BucketId, NodeId, PartitionId, QBits, ReplicaCount, Token, VnodeId};
use starling_node::protocol::clears::Clears;
use starling_node::protocol::keys::{KeyPrefix, RowKey};
use starling_node::protocol::messages::{Bundle, Change, KeyedRow, Page, Pulled, Range, Selection};
use starling_node::protocol::stage::{Family, Source, Stage};
use starling_node::protocol::time::Time;
use starling_node::protocol::vnode::{
    Beginning, Command, Limits, Rejected, Vnode, Written, read_rows,
};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Engine, MemoryEngine};

/// A vnode on its disk.
#[derive(Debug)]
pub struct Owner {
    /// The number of its node.
    pub node: u64,
    /// The vnode.
    pub vnode: Vnode,
    engine: MemoryEngine,
}

impl Owner {
    /// An owner on an empty disk. The nonce is never used again.
    #[must_use]
    pub fn begin(node: u64, nonce: u64) -> Self {
        let engine = MemoryEngine::new();
        let mut owner = Self {
            node,
            vnode: recovered(node, nonce, &engine),
            engine,
        };
        owner.commit(|vnode, stage| vnode.checkpoint(stage));
        owner
    }

    /// The process ends and another begins on the same disk, which has all that was written.
    pub(super) fn restart(&mut self, nonce: u64) {
        self.vnode = recovered(self.node, nonce, &self.engine);
    }

    /// Enters a client's write.
    ///
    /// # Errors
    /// The vnode refuses it.
    pub fn write(&mut self, hlc: Hlc, command: &Command) -> Result<Written, Rejected> {
        let limits = Limits::default();
        let written = self.commit(|vnode, stage| vnode.write(hlc, command, &limits, stage));
        written.expect("the disk is sound")
    }

    /// Takes deltas, unless they sum up increments that are not here: then it asks for the rows.
    pub fn receive(&mut self, hlc: Hlc, changes: &[Change]) -> Vec<Change> {
        if self.vnode.lacks_increments(changes).is_some() {
            return Vec::new();
        }
        let answers = self.commit(|vnode, stage| vnode.receive(hlc, changes, stage));
        answers.expect("the disk is sound")
    }

    /// Takes rows and their events.
    pub(super) fn absorb(&mut self, hlc: Hlc, bundle: &Bundle) -> Vec<Change> {
        let answers = self.commit(|vnode, stage| vnode.absorb(hlc, bundle, stage));
        answers.expect("the disk is sound")
    }

    /// What this owner wants of another, and what that one answers.
    #[must_use]
    pub fn ask(&mut self, source: &Self) -> Option<Pulled> {
        self.compare(source);
        let from = NodeId(source.node);
        let pull = self
            .vnode
            .wanted(Time::default(), from, Duration::default())?;
        let disk = StoreSource::new(&source.engine);
        let stage = Stage::new(&disk);
        let pulled = source.vnode.answer_pull(&pull, &Limits::default(), &stage);
        Some(pulled.expect("the disk is sound"))
    }

    /// Takes the answer to a pull. What is trimmed there is fetched by a full sync.
    pub fn take(&mut self, hlc: Hlc, from: u64, pulled: &Pulled) -> Vec<Change> {
        if pulled.incarnation != self.vnode.actor().nonce {
            return Vec::new();
        }
        let answers = self.absorb(hlc, &pulled.bundle);
        self.vnode.handle_pulled(NodeId(from), pulled.more);
        let lacking = pulled.trimmed.difference(self.vnode.clock().dots());
        if !lacking.is_empty() {
            self.vnode.begin_sync(NodeId(from));
        }
        answers
    }

    /// The next page of a full sync from `source`, if one is under way.
    pub(super) fn next_page(&self, source: &Self) -> Option<Page> {
        let (_, sync) = self.vnode.next_page()?;
        let disk = StoreSource::new(&source.engine);
        let stage = Stage::new(&disk);
        let page = source.vnode.answer_sync(&sync, &Limits::default(), &stage);
        Some(page.expect("the disk is sound"))
    }

    pub(super) fn take_page(&mut self, hlc: Hlc, page: &Page) -> Vec<Change> {
        let answers = self.commit(|vnode, stage| vnode.absorb_page(hlc, page, stage));
        answers.expect("the disk is sound")
    }

    /// Learns the clocks of another owner.
    pub fn compare(&mut self, other: &Self) {
        let node = NodeId(other.node);
        let Some(fingerprint) = self.vnode.fingerprint(node) else {
            return;
        };
        match other.vnode.difference(&fingerprint) {
            Some(difference) => {
                let now = Time::default();
                self.vnode.handle_difference(now, node, difference);
            }
            None => self.vnode.handle_equal(node),
        }
    }

    /// Housekeeping, as a node does it twice a second. Returns the voids, and
    /// the removals of shares.
    pub fn tend(&mut self, hlc: Hlc) -> Vec<Change> {
        let limits = Limits::default();
        self.vnode.handle_synced();
        let answers = self.commit(|vnode, stage| {
            let mut answers = vnode.void_doubles(hlc, &limits, stage)?;
            answers.extend(vnode.trim(hlc, &limits, stage)?.answers);
            vnode.settle_some(stage)?;
            Ok::<_, starling_node::protocol::stage::SourceError>(answers)
        });
        answers.expect("the disk is sound")
    }

    /// Removes what was over a while ago.
    pub(super) fn sweep(&mut self, now_ms: u64) -> usize {
        let swept = self.commit(|vnode, stage| vnode.sweep_expired(now_ms, stage));
        swept.expect("the disk is sound")
    }

    /// Removes records whose window has passed, a stretch at a time. Returns how many went.
    pub fn sweep_records(&mut self, now_ms: u64) -> usize {
        let limits = Limits::default();
        let swept = self.commit(|vnode, stage| vnode.sweep_records(now_ms, &limits, stage));
        swept.expect("the disk is sound")
    }

    /// How many entries of one family the disk holds.
    #[must_use]
    pub fn stored(&self, family: Family) -> usize {
        let disk = StoreSource::new(&self.engine);
        let mut count = 0;
        let scanned = disk.scan(family, &[], &[0xff; 64], &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        });
        scanned.expect("the disk is sound");
        count
    }

    /// What a client that reads here takes away of a key.
    #[must_use]
    pub fn seen(&self, prefix: &KeyPrefix) -> Context {
        let mut context = Row::default();
        context.fill(self.vnode.clock());
        let mut seen = context.seen();
        for keyed in self.rows_of(prefix) {
            keyed
                .row
                .versions()
                .keys()
                .for_each(|&dot| seen.insert(dot));
        }
        seen
    }

    fn rows_of(&self, prefix: &KeyPrefix) -> Vec<KeyedRow> {
        self.select(&Selection::Key(prefix.clone()))
    }

    /// The rows between two keys.
    pub(super) fn rows_between(&self, (from, to): (Vec<u8>, Vec<u8>)) -> Vec<Row> {
        let range = Range {
            from: from.into(),
            to: to.into(),
            reverse: false,
            limit: None,
        };
        let rows = self.select(&Selection::Range(range)).into_iter();
        rows.map(|keyed| keyed.row).collect()
    }

    /// A stored row.
    #[must_use]
    pub fn row(&self, key: &RowKey) -> Row {
        let disk = StoreSource::new(&self.engine);
        Stage::new(&disk).row(key).expect("the disk is sound")
    }

    fn select(&self, selection: &Selection) -> Vec<KeyedRow> {
        let disk = StoreSource::new(&self.engine);
        let read = read_rows(&disk, selection, &Clears::default(), &Limits::default());
        read.expect("the disk is sound")
            .expect("rows are small")
            .rows
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

fn recovered(node: u64, nonce: u64, engine: &MemoryEngine) -> Vnode {
    let beginning = Beginning {
        node: NodeId(node),
        bits: QBits::new(0).expect("a ring may be whole"),
        nonce,
        behind: false,
    };
    let id = VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    };
    let vnode = Vnode::recover(id, beginning, &StoreSource::new(engine));
    vnode.expect("the disk is sound")
}

/// One of the keys of a run.
pub(super) fn prefix(key: u8) -> KeyPrefix {
    KeyPrefix::new(3, Token(u64::from(key)), BucketId(1), &[key], b"")
}

/// When everything that ended before `now_ms` has been removed.
pub(super) fn after_the_grace(now_ms: u64) -> u64 {
    now_ms + 2 * TTL_GRACE_MS
}
