//! The committer over a store that fails.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use bytes::Bytes;

use crate::admin::Metrics;
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::Refusal;
use crate::protocol::replica::{Input, Output, Past, Replica, ReplicaConfig, WriteError};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Action, Command};
use crate::runtime::clock::Clock;
use crate::runtime::committer::{Committer, CommitterParts, Published, Queued, past};
use crate::runtime::store::Store;
use crate::runtime::view::Views;
use crate::store::{Fault, MemoryEngine};
use crdt::{Context, Hlc, OpId};
use ring::{
    BucketId, ClusterId, Layout, NodeId, NodeRole, NodeState, PartitionId, QBits, ReplicaCount,
    Ring, RoleStamp, Roles, Token, VnodeId, Zone,
};
use starling::wire::Durability;

const NODE: NodeId = NodeId(1);
/// A vnode of it.
pub(super) const VNODE: VnodeId = VnodeId {
    n: ReplicaCount::DEFAULT,
    partition: PartitionId(0),
};

/// A committer of one node, and its views.
pub(super) fn committer(
    engine: Arc<MemoryEngine>,
    outputs: Sender<Vec<Output>>,
) -> (Committer, Arc<Views>) {
    let views = Arc::new(Views::default());
    let parts = CommitterParts {
        replica: Replica::new(NODE, ReplicaConfig::default(), false, 7, Past::default()),
        store: Store::fixed(engine),
        disk: None,
        views: Arc::clone(&views),
        clock: Clock::start(),
        metrics: Arc::new(Metrics::new()),
        statistics: Published::default(),
    };
    // The test may have ended.
    let committer = Committer::start(parts, move |written| drop(outputs.send(written)));
    (committer.expect("a thread"), views)
}

/// A ring that this node owns alone.
pub(super) fn one_node_ring() -> Input {
    let role = NodeRole {
        stamp: RoleStamp {
            counter: 1,
            author: NODE,
        },
        state: NodeState::Normal,
        weight: 100,
        zone: Zone::new("z").expect("a zone"),
    };
    let roles: Roles = [(NODE, role)].into_iter().collect();
    let bits = QBits::new(2).expect("four partitions");
    let layout = Layout::first(roles, bits, ReplicaCount::DEFAULT).expect("a layout");
    let ring = Box::new(Ring::new(ClusterId(1), layout));
    Input::Topology {
        ring,
        counts: vec![ReplicaCount::DEFAULT],
    }
}

fn put(ticket: u64) -> Queued {
    let prefix = KeyPrefix::new(3, Token(0), BucketId(1), b"k", b"");
    let action = Action::Put(Bytes::from_static(b"value"));
    let operation = OpId {
        client: 1,
        sequence: ticket,
    };
    let command = Command::single(prefix, action, Context::default(), operation);
    let input = Input::Write {
        ticket,
        vnode: VNODE,
        command,
        durability: Durability::Wal,
        stands_in: false,
        until: Time::NEVER,
    };
    Queued { input, bytes: 0 }
}

fn outcome(outputs: &Receiver<Vec<Output>>, of: u64) -> Result<(), WriteError> {
    loop {
        let outputs = outputs
            .recv_timeout(Duration::from_secs(10))
            .expect("an answer");
        for output in outputs {
            match output {
                Output::Written { ticket, result } if ticket == of => return result.map(|_| ()),
                _ => {}
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let engine = Arc::new(MemoryEngine::new());
    let (sender, outputs) = mpsc::channel();
    let (committer, _views) = committer(Arc::clone(&engine), sender);
    committer.submit(vec![
        Queued {
            input: one_node_ring(),
            bytes: 0,
        },
        put(1),
    ]);
    assert_eq!(outcome(&outputs, 1), Ok(()));
    engine.inject(Fault::DiskFull, 1);
    committer.submit(vec![put(2)]);
    assert_eq!(
        outcome(&outputs, 2),
        Err(WriteError::Refused(Refusal::DiskFull))
    );
    engine.heal();
    committer.submit(vec![put(3)]);
    assert_eq!(outcome(&outputs, 3), Ok(()));
    committer.stop().expect("an orderly end");
}

#[test]
fn a_store_that_cannot_be_read_fails_the_batch_and_not_the_node() {
    let engine = Arc::new(MemoryEngine::new());
    let (sender, outputs) = mpsc::channel();
    let (committer, _views) = committer(Arc::clone(&engine), sender);
    committer.submit(vec![
        Queued {
            input: one_node_ring(),
            bytes: 0,
        },
        put(1),
    ]);
    assert_eq!(outcome(&outputs, 1), Ok(()));
    engine.inject(Fault::ReadError, 1);
    committer.submit(vec![put(2)]);
    assert_eq!(
        outcome(&outputs, 2),
        Err(WriteError::Refused(Refusal::Storage))
    );
    committer.submit(vec![put(3)]);
    assert_eq!(outcome(&outputs, 3), Ok(()));
    committer.stop().expect("an orderly end");
}

#[test]
fn what_waits_at_the_end_is_written_and_stamps_go_on() {
    let engine = Arc::new(MemoryEngine::new());
    let (sender, outputs) = mpsc::channel();
    let (committer, _views) = committer(Arc::clone(&engine), sender);
    let mut inputs = vec![Queued {
        input: one_node_ring(),
        bytes: 0,
    }];
    inputs.extend((1..=60).map(put));
    committer.submit(inputs);
    committer.stop().expect("an orderly end");
    let written = outputs.iter().flatten();
    let entered = written.filter(|output| matches!(output, Output::Written { result: Ok(_), .. }));
    assert_eq!(entered.count(), 60);
    let past = past(&*engine).expect("a store that reads");
    assert!(past.stamp > Hlc::default() && past.surely_ms > 0);
}
