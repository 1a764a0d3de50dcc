//! The committer over a disk that runs full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;

use super::committer::{VNODE, one_node_ring};
use super::harness::eventually;
use crate::admin::Metrics;
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{ReadRows, Refusal, Selection};
use crate::protocol::replica::{Input, Output, Past, Replica, ReplicaConfig, WriteError};
use crate::protocol::room::{Room, RoomGauge};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Action, Command, Rejected};
use crate::runtime::clock::Clock;
use crate::runtime::committer::{Committer, CommitterParts, Probe, Published, Queued};
use crate::runtime::store::Store;
use crate::runtime::view::Views;
use crate::store::{Backlog, Engine, Fault, MemoryEngine, StoreError};
use crdt::{Context, OpId};
use ring::{BucketId, NodeId, Token};
use starling::wire::Durability;

/// A committer, and a disk whose free space is what a test says.
struct Case {
    committer: Committer,
    outputs: Receiver<Vec<Output>>,
    engine: Arc<MemoryEngine>,
    free: Arc<AtomicU64>,
    /// How often the store was opened again. The first time the disk is still full.
    openings: Arc<AtomicUsize>,
    statistics: Published,
    tickets: u64,
}

impl Case {
    fn new() -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let (free, openings) = (Arc::new(AtomicU64::new(ROOMY)), Arc::default());
        let measured = Arc::clone(&free);
        let probe: Probe = Box::new(move || match measured.load(Ordering::Relaxed) {
            NOT_KNOWN => Err(std::io::ErrorKind::Other.into()),
            free => Ok(free),
        });
        let statistics = Published::default();
        let parts = CommitterParts {
            replica: Replica::new(
                NodeId(1),
                ReplicaConfig::default(),
                false,
                7,
                Past::default(),
            ),
            store: store(&engine, &openings),
            disk: Some((probe, RoomGauge::LEAST)),
            views: Arc::new(Views::default()),
            clock: Clock::start(),
            metrics: Arc::new(Metrics::new()),
            statistics: statistics.clone(),
        };
        let (sender, outputs) = mpsc::channel();
        // The test may have ended.
        let committer = Committer::start(parts, move |written| drop(sender.send(written)));
        let case = Self {
            committer: committer.expect("a thread"),
            outputs,
            engine,
            free,
            openings,
            statistics,
            tickets: 0,
        };
        let input = one_node_ring();
        case.committer.submit(vec![Queued { input, bytes: 0 }]);
        case
    }

    fn set_free(&self, bytes: u64) {
        self.free.store(bytes, Ordering::Relaxed);
    }

    fn wait_for(&self, room: Room) {
        eventually("the disk is looked at", || {
            self.statistics.latest().room == room
        });
    }

    fn write(&mut self, action: Action) -> Result<(), WriteError> {
        self.tickets += 1;
        let ticket = self.tickets;
        let operation = OpId {
            client: 1,
            sequence: ticket,
        };
        let input = Input::Write {
            ticket,
            vnode: VNODE,
            command: Command::single(prefix(), action, Context::default(), operation),
            durability: Durability::Wal,
            stands_in: false,
            until: Time::NEVER,
        };
        self.committer.submit(vec![Queued { input, bytes: 0 }]);
        self.answer(|output| match output {
            Output::Written { ticket: of, result } if of == ticket => Some(result.map(|_| ())),
            _ => None,
        })
    }

    /// How many rows a read of the key finds.
    fn read(&mut self) -> Result<usize, Refusal> {
        self.tickets += 1;
        let ticket = self.tickets;
        let read = ReadRows {
            vnode: VNODE,
            selection: Selection::Key(prefix()),
            whole_clock: false,
            durable: None,
            bodies_up_to: None,
        };
        let until = Time::NEVER;
        let input = Input::Read {
            ticket,
            read,
            until,
        };
        self.committer.submit(vec![Queued { input, bytes: 0 }]);
        self.answer(|output| match output {
            Output::RowsRead { ticket: of, result } if of == ticket => {
                Some(result.map(|read| read.rows.len()))
            }
            _ => None,
        })
    }

    fn answer<T>(&self, of: impl Fn(Output) -> Option<T>) -> T {
        loop {
            let outputs = self.outputs.recv_timeout(Duration::from_secs(10));
            let found = outputs.expect("an answer").into_iter().find_map(&of);
            if let Some(found) = found {
                return found;
            }
        }
    }
}

/// A store that meets a full disk the first time that it is opened again.
fn store(engine: &Arc<MemoryEngine>, openings: &Arc<AtomicUsize>) -> Store {
    let (same, count) = (Arc::clone(engine), Arc::clone(openings));
    let open = move || -> Result<Arc<dyn Engine>, StoreError> {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            let (database, detail) = ("/db".into(), String::new());
            return Err(StoreError::DiskFull { database, detail });
        }
        same.heal();
        Ok(Arc::clone(&same) as Arc<dyn Engine>)
    };
    Store::new(Arc::clone(engine) as Arc<dyn Engine>, Arc::new(open))
}

#[test]
fn growth_is_refused_before_the_disk_is_full_and_goes_on_by_itself() {
    let mut case = Case::new();
    assert_eq!(case.write(put()), Ok(()));
    case.set_free(RoomGauge::LEAST / 2);
    case.wait_for(Room::Scarce);
    assert_eq!(
        case.write(put()),
        Err(WriteError::Rejected(Rejected::DiskFull))
    );
    assert_eq!(case.read(), Ok(1));
    assert_eq!(case.write(Action::Clear(None)), Ok(()), "a delete goes on");
    assert_eq!(case.read(), Ok(0));
    case.set_free(RoomGauge::LEAST / 8);
    case.wait_for(Room::Spent);
    let refused = Err(WriteError::Rejected(Rejected::DiskFull));
    assert_eq!(case.write(Action::Clear(None)), refused);
    assert_eq!(case.read(), Ok(0));
    case.set_free(ROOMY);
    case.wait_for(Room::Ample);
    assert_eq!(case.write(put()), Ok(()));
    assert_eq!(case.openings.load(Ordering::Relaxed), 0);
    case.committer.stop().expect("an orderly end");
}

#[test]
fn a_store_that_met_a_full_disk_answers_reads_and_is_opened_again() {
    let mut case = Case::new();
    assert_eq!(case.write(put()), Ok(()));
    // As between two looks at the disk.
    case.set_free(NOT_KNOWN);
    case.engine.inject(Fault::DiskFull, u32::MAX);
    let may_be_there = Err(WriteError::Refused(Refusal::DiskFull));
    assert_eq!(case.write(put()), may_be_there);
    let refused = Err(WriteError::Rejected(Rejected::DiskFull));
    assert_eq!(case.write(Action::Clear(None)), refused);
    assert_eq!(case.read(), Ok(1));
    case.set_free(ROOMY);
    eventually("the store is opened again", || {
        case.write(Action::Clear(None)).is_ok()
    });
    assert_eq!(case.openings.load(Ordering::Relaxed), 2);
    assert_eq!(case.read(), Ok(0));
    case.committer.stop().expect("an orderly end");
}

#[test]
fn fewer_writes_are_taken_on_while_the_store_is_behind_and_all_again_without_any_that_asks() {
    let mut case = Case::new();
    case.engine.set_backlog(Backlog {
        files: 12,
        ..Backlog::default()
    });
    eventually("the store is looked at", || {
        case.write(put()).is_ok() && case.committer.pressure() == 500
    });
    eventually("the metrics show it", || {
        case.statistics.latest().backlog.files == 12
    });
    case.engine.set_backlog(Backlog::default());
    eventually("it keeps up again", || case.committer.pressure() == 0);
    case.committer.stop().expect("an orderly end");
}

fn prefix() -> KeyPrefix {
    KeyPrefix::new(3, Token(0), BucketId(1), b"k", b"")
}

fn put() -> Action {
    Action::Put(Bytes::from_static(b"value"))
}

const ROOMY: u64 = 1 << 40;
const NOT_KNOWN: u64 = u64::MAX;
