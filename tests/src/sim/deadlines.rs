//! Until when somebody waits for what a node does: what it does later is done for nobody.
//!
//! A call's time runs from when the node has it, since a message does not know how long it was on
//! its way; that of a client's order from when the client sent it.

use super::queue::Instant;
use super::world::{Broken, World};
use crate::invariants::Observation;
use starling_node::protocol::messages::PeerReply;
use starling_node::protocol::replica::Output;

impl World {
    /// A node has a peer's call, and this is how long the peer waits.
    pub(crate) fn note_left(&mut self, node: usize, call: u64, left: Instant) {
        let until = self.queue.now().saturating_add(left);
        if let Some(process) = &mut self.nodes[node].process {
            process.awaited.insert(call, until);
        }
    }

    /// How much a node has not taken up because it was late.
    pub(crate) fn expired(&self, node: usize) -> u64 {
        let process = self.nodes[node].process.as_ref();
        process.map_or(0, |process| process.replica.expired())
    }

    /// Holds what a batch has done against the time for which it was waited for.
    pub(crate) fn observe_deadlines(
        &mut self,
        node: usize,
        outputs: &[Output],
    ) -> Result<(), Broken> {
        let at = self.queue.now();
        for output in outputs {
            let (what, until) = match output {
                Output::Written {
                    ticket,
                    result: Ok(_),
                } => ("a write", self.order_until(*ticket)),
                Output::RowsRead {
                    ticket,
                    result: Ok(_),
                } => ("a read", self.order_until(*ticket)),
                Output::Answer { call, reply, .. } if is_work(reply) => {
                    let process = self.nodes[node].process.as_mut();
                    let until = process.and_then(|process| process.awaited.remove(call));
                    ("a peer's request", until)
                }
                _ => continue,
            };
            let Some(until) = until else { continue };
            let carried_out = Observation::CarriedOut {
                node,
                what,
                at,
                until,
            };
            Self::check(&self.ledger, &carried_out)?;
        }
        Ok(())
    }

    fn order_until(&self, ticket: u64) -> Option<Instant> {
        Some(self.attempts.get(&ticket)?.until)
    }
}

/// Was something read for this answer? Copies of writes are stored however late they are.
fn is_work(reply: &PeerReply) -> bool {
    matches!(
        reply,
        PeerReply::Rows(_)
            | PeerReply::Differences(_)
            | PeerReply::Pulled(_)
            | PeerReply::Page(_)
            | PeerReply::Examined(_)
    )
}
