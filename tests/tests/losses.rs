//! Losses, one by one: what the simulator found, each as the few steps that show it.

use bytes::Bytes;

use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Context, Dot, Hlc, OpId};
use ring::{BucketId, ClusterId, NodeId, PartitionId, QBits, ReplicaCount, Ring, Token, VnodeId};
use starling::wire::Durability;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::{Change, Difference, Pull};
use starling_node::protocol::replica::{Input, Past, Replica, ReplicaConfig};
use starling_node::protocol::stage::Stage;
use starling_node::protocol::time::{Moment, Time};
use starling_node::protocol::vnode::{
    Action, Beginning, Command, Limits, Sending, Vnode, mark_all_behind,
};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Barrier, Engine, MemoryEngine};
use starling_tests::rings::of_equal_nodes;
use starling_tests::sim::disk::batch_of;

/// A vnode that began without its peers had nobody to wait for, and counted for reads at once.
#[test]
fn a_vnode_that_lost_data_waits_for_the_other_owners() {
    let engine = MemoryEngine::new();
    assert!(
        started(&engine, true, 1)
            .vnodes()
            .all(Vnode::is_catching_up)
    );
}

/// The next process knew of no loss: it had ended like any other.
#[test]
fn a_crash_while_catching_up_does_not_end_it() {
    let engine = MemoryEngine::new();
    started(&engine, true, 1);
    engine.crash_process();
    assert!(
        started(&engine, false, 2)
            .vnodes()
            .all(Vnode::is_catching_up)
    );
}

/// The process ended before its first batch, which would have said that it was behind.
#[test]
fn a_crash_before_the_first_batch_does_not_end_catching_up() {
    let engine = MemoryEngine::new();
    let disk = StoreSource::new(&engine);
    let recover = || Vnode::recover(id(), beginning(1), &disk).expect("the disk is sound");
    let mut stage = Stage::new(&disk);
    recover().checkpoint(&mut stage);
    engine
        .write(&batch_of(&stage.into_changes()))
        .expect("no fault is injected");
    assert!(!recover().is_catching_up());
    let marks = mark_all_behind(&disk).expect("the disk is sound");
    engine
        .write(&batch_of(&marks))
        .expect("no fault is injected");
    assert!(recover().is_catching_up());
}

/// The winner was everywhere long before its coordinator could hear so: the loser waits for that
/// word, and nothing else.
#[test]
fn a_retry_is_made_void_when_the_last_owner_tells_that_it_holds_the_winner() {
    let (mut winner, mut loser) = (Node::begin(1), Node::begin(2));
    let first = winner.write(1, Action::Increment(5), Context::default());
    let again = loser.write(1, Action::Increment(5), Context::default());
    winner.receive(&again);
    loser.receive(&first);
    for node in [&mut winner, &mut loser] {
        node.vnode.handle_synced();
        node.vnode.set_owners([NodeId(3)]);
    }
    assert_eq!(winner.void(), []);
    let told = Difference {
        vnode: id(),
        incarnation: 3,
        clock: winner.vnode.clock().clone(),
        durable: winner.vnode.clock().clone(),
        whole: true,
    };
    winner
        .vnode
        .handle_difference(Time::default(), NodeId(3), told);
    let voids = winner.void();
    assert_eq!(voids.len(), 1);
    assert_eq!(voids[0].event.row, again[0].event.row);
}

/// A kill that travels without the event it came from outlives it, should that be lost.
#[test]
fn a_pulled_row_brings_every_event_that_changed_it() {
    let mut source = Node::begin(1);
    let first = source.write(1, Action::Put("old".into()), Context::default());
    let seen = Context::of(dots(&first));
    let removal = source.write(2, Action::Clear(Some(Leaf::Value)), seen);
    let second = source.write(3, Action::Put("new".into()), Context::default());
    let mut have = crdt::Clock::default();
    have.insert(first[0].event.dot);
    let pull = Pull {
        vnode: id(),
        incarnation: 2,
        want: dots(&second),
        have,
    };
    let disk = StoreSource::new(&source.engine);
    let pulled = source
        .vnode
        .answer_pull(&pull, &Limits::default(), &Stage::new(&disk));
    let events = pulled.expect("the disk is sound").bundle.events;
    assert!(events.iter().any(|event| event.dot == removal[0].event.dot));
}

/// A share is a running total: without its first part, a retry of that counted twice.
#[test]
fn a_share_is_not_entered_without_the_increments_it_sums_up() {
    let (mut source, mut other) = (Node::begin(1), Node::begin(2));
    let first = source.write(1, Action::Increment(5), Context::default());
    let second = source.write(2, Action::Increment(7), Context::default());
    assert!(other.lacks(&second));
    assert!(!other.lacks(&first));
    other.receive(&first);
    assert!(!other.lacks(&second));
}

/// A vnode with its disk.
struct Node {
    engine: MemoryEngine,
    vnode: Vnode,
}

impl Node {
    fn begin(node: u64) -> Self {
        let engine = MemoryEngine::new();
        let recovered = Vnode::recover(id(), beginning(node), &StoreSource::new(&engine));
        let vnode = recovered.expect("the disk is sound");
        Self { engine, vnode }
    }

    fn write(&mut self, sequence: u64, action: Action, context: Context) -> Vec<Change> {
        let operation = OpId {
            client: 1,
            sequence,
        };
        let command = Command::single(prefix(), action, context, operation);
        let written = self.commit(|vnode, stage| {
            vnode.write(Hlc::at(sequence), &command, &Limits::default(), stage)
        });
        let written = written
            .expect("the disk is sound")
            .expect("nothing is over a limit");
        let Sending::Changes(changes) = written.sending else {
            panic!("{written:?} is not new")
        };
        changes
    }

    fn lacks(&self, changes: &[Change]) -> bool {
        self.vnode.lacks_increments(changes).is_some()
    }

    fn receive(&mut self, changes: &[Change]) {
        let received = self.commit(|vnode, stage| vnode.receive(Hlc::at(1), changes, stage));
        received.expect("the disk is sound");
    }

    fn void(&mut self) -> Vec<Change> {
        let trimmed =
            self.commit(|vnode, stage| vnode.void_doubles(Hlc::at(9), &Limits::default(), stage));
        trimmed.expect("the disk is sound")
    }

    fn commit<T>(&mut self, work: impl FnOnce(&mut Vnode, &mut Stage<'_>) -> T) -> T {
        let disk = StoreSource::new(&self.engine);
        let mut stage = Stage::new(&disk);
        let done = work(&mut self.vnode, &mut stage);
        self.engine
            .write(&batch_of(&stage.into_changes()))
            .expect("no fault is injected");
        done
    }
}

fn beginning(node: u64) -> Beginning {
    Beginning {
        node: NodeId(node),
        bits: bits(),
        nonce: node,
        behind: false,
    }
}

/// A node of three, after its first batch.
fn started(engine: &MemoryEngine, behind: bool, seed: u64) -> Replica {
    let config = ReplicaConfig::default();
    let mut replica = Replica::new(NodeId(1), config, behind, seed, Past::default());
    let topology = Input::Topology {
        ring: Box::new(ring()),
        counts: vec![ReplicaCount::DEFAULT],
    };
    let commit = replica.handle_batch(Moment::default(), vec![topology], &StoreSource::new(engine));
    let commit = commit.expect("the disk is sound");
    engine
        .write(&batch_of(&commit.changes))
        .expect("no fault is injected");
    let barrier = if commit.barrier == Durability::Memory {
        Barrier::Memory
    } else {
        Barrier::Wal
    };
    engine.barrier(barrier).expect("no fault is injected");
    replica
}

fn ring() -> Ring {
    of_equal_nodes(ClusterId(1), 3, bits(), ReplicaCount::DEFAULT)
}

fn dots(changes: &[Change]) -> DotSet {
    let mut dots = DotSet::default();
    changes
        .iter()
        .map(|change| change.event.dot)
        .for_each(|dot: Dot| dots.insert(dot));
    dots
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

fn prefix() -> KeyPrefix {
    KeyPrefix::new(3, Token(1), BucketId(1), &Bytes::from_static(b"k"), b"")
}
