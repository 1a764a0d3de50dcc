//! Rows and clocks that are read beside the committer always belong together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crdt::{Context, Dot, OpId};
use ring::{BucketId, PartitionId, ReplicaCount, Token, VnodeId};
use starling::wire::Durability;

use super::committer::{NODE, committer, one_node_ring};
use crate::protocol::keys::{KeyPrefix, Tag};
use crate::protocol::messages::{ReadRows, Selection};
use crate::protocol::replica::{Input, Output};
use crate::protocol::vnode::{Action, Command, Limits};
use crate::runtime::committer::Queued;
use crate::runtime::source::StoreSource;
use crate::store::MemoryEngine;

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
    let reader = {
        let (stop, engine, row) = (
            Arc::clone(&stop),
            Arc::clone(&engine),
            prefix.row(Tag::Value, b""),
        );
        thread::spawn(move || {
            let read = ReadRows {
                vnode,
                selection: Selection::Row(row),
                whole_clock: false,
            };
            let mut seen = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let Some(rows) = views.read(&read, &Limits::default(), &StoreSource::new(&*engine))
                else {
                    continue;
                };
                let rows = rows.expect("a store that reads").expect("a small row");
                let shown: Vec<Dot> = rows
                    .rows
                    .iter()
                    .flat_map(|row| row.row.versions().keys().copied())
                    .collect();
                for dot in shown {
                    // Every write goes to this row and covers the one before, so the clock that
                    // belongs to a version ends with its dot.
                    assert_eq!(rows.clock.base(dot.actor), dot.counter);
                    seen = seen.max(dot.counter);
                }
            }
            seen
        })
    };
    let mut context = Context::default();
    for sequence in 1..=WRITES {
        let command = Command {
            prefix: prefix.clone(),
            action: Action::Put(Bytes::from_static(b"value")),
            context: context.clone(),
            operation: OpId {
                client: 1,
                sequence,
            },
            age_ms: 0,
        };
        let durability = Durability::Memory;
        let input = Input::Write {
            ticket: sequence,
            vnode,
            command,
            durability,
        };
        committer.submit(vec![Queued { input, bytes: 0 }]);
        context = written(&outputs);
    }
    stop.store(true, Ordering::Relaxed);
    let seen = reader.join().expect("no pair was torn");
    assert!(seen > 0 && seen <= WRITES, "{seen} at node {NODE}");
    committer.stop().expect("an orderly end");
}

fn written(outputs: &mpsc::Receiver<Vec<Output>>) -> Context {
    loop {
        let outputs = outputs
            .recv_timeout(Duration::from_secs(10))
            .expect("an answer");
        for output in outputs {
            if let Output::Written { result, .. } = output {
                return result.expect("a write that is entered").context;
            }
        }
    }
}

const WRITES: u64 = 5_000;
