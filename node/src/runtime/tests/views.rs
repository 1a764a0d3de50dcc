//! Rows and clocks that are read beside the committer always belong together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::committer::{committer, one_node_ring};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{ReadRows, Selection};
use crate::protocol::replica::{Input, Output};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Action, Command, Limits};
use crate::runtime::committer::Queued;
use crate::runtime::source::StoreSource;
use crate::runtime::view::Views;
use crate::store::MemoryEngine;
use crdt::kinds::Leaf;
use crdt::{Context, OpId};
use ring::{BucketId, PartitionId, ReplicaCount, Token, VnodeId};
use starling::wire::Durability;

#[test]
fn pairs_of_row_and_clock_are_never_torn() {
    let engine = Arc::new(MemoryEngine::new());
    let (sender, outputs) = mpsc::channel();
    let (committer, views) = committer(Arc::clone(&engine), sender);
    committer.submit(vec![Queued {
        input: one_node_ring(),
        bytes: 0,
    }]);
    let vnode = VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    };
    let prefix = KeyPrefix::new(3, Token(0), BucketId(1), b"k", b"");
    let stop = Arc::new(AtomicBool::new(false));
    let selection = Selection::Row(prefix.row(Leaf::Value, b""));
    let read = ReadRows {
        vnode,
        selection,
        whole_clock: false,
        durable: None,
        bodies_up_to: None,
    };
    let stopped = Arc::clone(&stop);
    let reader = thread::spawn(move || read_until(&stopped, &read, &views, &engine));
    let mut context = Context::default();
    for sequence in 1..=WRITES {
        let action = Action::Put(Bytes::from_static(b"value"));
        let operation = OpId {
            client: 1,
            sequence,
        };
        let command = Command::single(prefix.clone(), action, context.clone(), operation);
        let durability = Durability::Memory;
        let input = Input::Write {
            ticket: sequence,
            vnode,
            command,
            durability,
            stands_in: false,
            until: Time::NEVER,
        };
        committer.submit(vec![Queued { input, bytes: 0 }]);
        context = written(&outputs);
    }
    stop.store(true, Ordering::Relaxed);
    let seen = reader.join().expect("no pair was torn");
    assert!(seen > 0 && seen <= WRITES, "{seen}");
    committer.stop().expect("an orderly end");
}

/// Reads until told to stop; gives the last dot's counter.
fn read_until(stop: &AtomicBool, read: &ReadRows, views: &Views, engine: &MemoryEngine) -> u64 {
    let mut seen = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(pair) = views.read(read, &Limits::default(), &StoreSource::new(engine)) else {
            continue;
        };
        let pair = pair.expect("a store that reads").expect("a small row");
        for dot in pair.rows.iter().flat_map(|row| row.row.versions().keys()) {
            // Every write goes to this row and covers the one before, so the clock that belongs to
            // a version ends with its dot.
            assert_eq!(pair.clock.base(dot.actor), dot.counter);
            seen = seen.max(dot.counter);
        }
    }
    seen
}

fn written(outputs: &mpsc::Receiver<Vec<Output>>) -> Context {
    loop {
        let outputs = outputs
            .recv_timeout(Duration::from_secs(10))
            .expect("an answer");
        for output in outputs {
            if let Output::Written { result, .. } = output {
                return result.expect("a write that is entered").contexts.remove(0);
            }
        }
    }
}

const WRITES: u64 = 5_000;
