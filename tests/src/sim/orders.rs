//! What a coordinator gets of an operation: the same order at every try but for its age.

use std::time::Duration;

use super::queue::{Instant, MS};
use super::world::World;
use crdt::Dot;
use starling::wire::Siblings;
use starling_node::protocol::coordinator::{Order, ReadOrder, WriteOrder};
use starling_node::protocol::messages::Selection;
use starling_node::protocol::vnode::{Command, Target};

/// One try of an operation, at one coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) operation: usize,
    pub(crate) client: usize,
    pub(crate) began: Instant,
    /// Until when the client waits.
    pub(crate) until: Instant,
    /// How many promises had been taken back by then.
    pub(crate) forsaken: u64,
    /// The events that it made, or found.
    pub(crate) dots: Vec<Dot>,
}

impl World {
    /// The order for an operation's next try.
    pub(crate) fn order(&mut self, client: usize, operation: usize, node: usize) -> Order {
        let now = self.queue.now();
        let asked = &self.ledger.operations[operation];
        let subject = &self.ledger.subjects[asked.subject];
        let moment = self.nodes[node].moment(now);
        // Some are in such a hurry that what a slow disk delays comes too late for them.
        let is_hasty = self.next.is_multiple_of(8);
        let patience = if is_hasty {
            2 * self.plan.slow_disk
        } else {
            self.plan.call_timeout
        };
        let patience = Duration::from_micros(patience);
        let deadline = moment.time.after(patience);
        let selection = Selection::Key(subject.prefix.clone());
        let vnode = subject.vnode;
        let session = self.session_of(client, vnode);
        if asked.changes.is_empty() {
            return Order::Read(ReadOrder {
                vnode,
                selection,
                r: asked.quorum,
                local: false,
                repair: Some(subject.prefix.clone()),
                session,
                monotonic: asked.is_monotonic.then_some(asked.durability),
                deadline,
            });
        }
        let targets = asked.changes.iter().map(|wanted| Target {
            prefix: self.ledger.subjects[wanted.subject].prefix.clone(),
            context: wanted.context.clone(),
            has_context: false,
            only_if_current: false,
            siblings: Siblings::default(),
            edits: wanted.edits.clone(),
        });
        let command = Command {
            targets: targets.collect(),
            operation: asked.id,
            // One name stands for one change, so the name says what is asked.
            digest: u32::try_from(asked.id.sequence).unwrap_or(u32::MAX),
            age_ms: (now - asked.invoked).div_ceil(MS),
            ttl_ms: asked.ttl_ms,
        };
        let (w, durability) = (asked.quorum, asked.durability);
        let (pw, sloppy) = (asked.leaning.unwrap_or(0), asked.leaning.is_some());
        let read_back = (self.random.f64() < 0.2).then_some(selection);
        Order::Write(WriteOrder {
            vnode,
            command,
            w,
            pw,
            sloppy,
            durability,
            read_back,
            session,
            deadline,
        })
    }
}
