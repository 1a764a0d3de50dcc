//! Writes and reads: at one node's replica, or through its coordinator.

use std::time::Duration;

use bytes::Bytes;

use super::{Flock, TOKEN};
use crdt::{Context, Dot, OpId};
use ring::{BucketId, NodeId, ReplicaCount, VnodeId};
use starling::wire::Durability;
use starling_node::protocol::coordinator::{
    Effect, Order, OrderFailed, Outcome, WriteDone, WriteOrder,
};
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::{ReadRows, Refusal, Replicate, RowsRead, Selection};
use starling_node::protocol::replica::{Input, Output, WriteError};
use starling_node::protocol::time::Time;
use starling_node::protocol::vnode::{Action, Command, Sending, Written};

impl Flock {
    /// Enters a write, by an owner or a stand-in.
    ///
    /// # Errors
    /// What the replica refuses it for.
    pub fn enter(
        &mut self,
        node: NodeId,
        command: Command,
        stands_in: bool,
    ) -> Result<Written, WriteError> {
        let write = Input::Write {
            ticket: command.operation.sequence,
            vnode: self.vnode(),
            command,
            durability: Durability::Synced,
            stands_in,
            until: Time::NEVER,
        };
        let outputs = self.handle(node, write).into_iter();
        let mut written = outputs.filter_map(|output| match output {
            Output::Written { result, .. } => Some(result),
            _ => None,
        });
        written.next().expect("a write is answered")
    }

    /// Enters a write at an owner: what the others are to get.
    ///
    /// # Panics
    /// When it is refused, or not new.
    pub fn write(&mut self, owner: NodeId, sequence: u64, action: Action) -> Replicate {
        let written = self.enter(owner, command(sequence, action), false);
        let written = written.expect("nothing is over a limit");
        let Sending::Changes(changes) = written.sending else {
            panic!("{written:?} is not new")
        };
        Replicate {
            vnode: self.vnode(),
            durability: Durability::Synced,
            changes,
        }
    }

    /// Writes the name of a key as its value at one node; the others pull it.
    ///
    /// # Errors
    /// What the replica refuses it for.
    pub fn put(&mut self, node: NodeId, key: &str) -> Result<(), WriteError> {
        self.sequence += 1;
        let operation = OpId {
            client: 2,
            sequence: self.sequence,
        };
        let value = Action::Put(Bytes::copy_from_slice(key.as_bytes()));
        let command = Command::single(self.prefix(key), value, Context::default(), operation);
        self.enter(node, command, false).map(|_| ())
    }

    /// The rows of a key at one node.
    ///
    /// # Errors
    /// What the replica refuses it for.
    pub fn read(&mut self, node: NodeId, key: &str) -> Result<RowsRead, Refusal> {
        let read = ReadRows {
            vnode: self.vnode(),
            selection: Selection::Key(self.prefix(key)),
            whole_clock: false,
            durable: None,
            bodies_up_to: None,
        };
        let (ticket, until) = (0, Time::NEVER);
        let read = Input::Read {
            ticket,
            read,
            until,
        };
        let rows = self.handle(node, read).into_iter();
        let mut rows = rows.filter_map(|output| match output {
            Output::RowsRead { result, .. } => Some(result),
            _ => None,
        });
        rows.next().expect("a read is answered")
    }

    /// A reader beside the replica could not read something of a vnode.
    pub fn tell_unread(&mut self, node: NodeId, id: VnodeId) {
        self.handle(node, Input::Unread(id));
    }

    /// Somebody wants the contents compared by one node, now.
    pub fn scrub(&mut self, node: NodeId) {
        self.handle(node, Input::Scrub);
    }

    /// Carries out a client's write with (w, pw).
    ///
    /// # Errors
    /// What the coordinator says of it.
    pub fn order(
        &mut self,
        at: NodeId,
        command: Command,
        (w, pw): (u8, u8),
        sloppy: bool,
    ) -> Result<WriteDone, OrderFailed> {
        let now = self.now();
        let sequence = command.operation.sequence;
        let order = Order::Write(WriteOrder {
            vnode: self.vnode(),
            command,
            w,
            pw,
            sloppy,
            durability: Durability::Wal,
            read_back: None,
            session: None,
            deadline: now.time.after(Duration::from_secs(1)),
        });
        self.bird(at).coordinator.handle_order(now, sequence, order);
        while let Some(effect) = self.bird(at).coordinator.poll_effect() {
            match effect {
                Effect::Submit(input) => {
                    for output in self.handle(at, input) {
                        self.bird(at).coordinator.handle_output(now, output);
                    }
                }
                Effect::Call {
                    to, call, request, ..
                } => {
                    let reachable = self.reaches(at, to);
                    let reply = reachable.then(|| self.ask(at, to, request)).flatten();
                    self.bird(at).coordinator.handle_reply(now, call, reply);
                }
                Effect::Finished {
                    outcome: Outcome::Written(done),
                    ..
                } => return done,
                Effect::Finished { outcome, .. } => panic!("{outcome:?} is none of a write"),
            }
        }
        panic!("the write never ends")
    }

    /// A key of the partition, in a bucket of values.
    #[must_use]
    pub fn prefix(&self, key: &str) -> KeyPrefix {
        prefix(self.n, key)
    }
}

fn prefix(n: ReplicaCount, key: &str) -> KeyPrefix {
    KeyPrefix::new(u8::from(n), TOKEN, BucketId(1), key.as_bytes(), b"")
}

/// A put of the key `k`, of which there are three copies.
#[must_use]
pub fn put(sequence: u64) -> Command {
    command(sequence, Action::Put(Bytes::from_static(b"v")))
}

/// An increment of the key `k`, of which there are three copies.
#[must_use]
pub fn increment(sequence: u64) -> Command {
    command(sequence, Action::Increment(1))
}

/// An operation on the key `k`, of which there are three copies.
#[must_use]
pub fn command(sequence: u64, action: Action) -> Command {
    let operation = OpId {
        client: 1,
        sequence,
    };
    let key = prefix(ReplicaCount::DEFAULT, "k");
    Command::single(key, action, Context::default(), operation)
}

/// The dots of what a write sends to others.
#[must_use]
pub fn dots_of(written: &Written) -> Vec<Dot> {
    match &written.sending {
        Sending::Changes(changes) => changes.iter().map(|change| change.event.dot).collect(),
        _ => Vec::new(),
    }
}
