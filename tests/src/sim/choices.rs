//! What a client asks for.

use bytes::Bytes;

use super::ledger::Operation;
use super::world::World;
use crdt::kinds::Leaf;
use crdt::{Context, OpId};
use starling::wire::{Durability, Kind};
use starling_node::protocol::vnode::{Action, SetLeaf};

impl World {
    /// The next operation of a client.
    pub(crate) fn choose(&mut self, client: usize) -> Operation {
        let subject = self.random.usize(..self.ledger.subjects.len());
        self.clients[client].sequence += 1;
        let id = OpId {
            client: self.clients[client].id,
            sequence: self.clients[client].sequence,
        };
        let (action, context) = self.change(client, subject, id);
        let quorum = match self.random.u32(..10) {
            0..2 => 1,
            2..9 => 2,
            _ => 3,
        };
        let durability = match self.random.u32(..10) {
            0..2 => Durability::Memory,
            2..7 => Durability::Wal,
            _ => Durability::Synced,
        };
        let invoked = self.queue.now();
        Operation {
            id,
            subject,
            action,
            context,
            quorum,
            durability,
            invoked,
            ended: None,
        }
    }

    /// A change of a key, and the context that goes with it; or neither, for a read.
    fn change(&mut self, client: usize, subject: usize, id: OpId) -> (Option<Action>, Context) {
        if self.chance(0.35) {
            return (None, Context::default());
        }
        let known = self.clients[client]
            .contexts
            .get(&subject)
            .cloned()
            .unwrap_or_default();
        let of_client = if self.chance(0.75) {
            known
        } else {
            Context::default()
        };
        let kind = self.ledger.subjects[subject].kind;
        let action = match kind {
            Kind::Value if self.chance(0.75) => {
                Action::Put(Bytes::from(format!("{}.{}", id.client, id.sequence)))
            }
            Kind::Value => Action::Clear(Some(Leaf::Value)),
            Kind::Counter => return (self.change_counter(subject), Context::default()),
            // The simulated keys are of three kinds; this is the third.
            _ => match self.random.u32(..20) {
                0..11 => Action::Add(SetLeaf::AddWins, self.elements()),
                11..18 => Action::Remove(SetLeaf::AddWins, self.elements()),
                _ => Action::Clear(Some(Leaf::Element)),
            },
        };
        (Some(action), of_client)
    }

    /// Increments by powers of eight, so that a sum says which of them it holds and how often.
    fn change_counter(&mut self, subject: usize) -> Option<Action> {
        if self.ledger.subjects[subject].is_reset && self.chance(0.15) {
            return Some(Action::Clear(Some(Leaf::Share)));
        }
        let earlier = self.ledger.operations.iter().filter(|operation| {
            operation.subject == subject && matches!(operation.action, Some(Action::Increment(_)))
        });
        let power = u32::try_from(earlier.count()).unwrap_or(u32::MAX);
        let amount = 8_i64.checked_pow(power)?;
        Some(Action::Increment(if self.chance(0.3) {
            -amount
        } else {
            amount
        }))
    }

    fn elements(&mut self) -> Vec<Bytes> {
        let count = self.random.usize(1..=3);
        (0..count)
            .map(|_| Bytes::from(format!("e{}", self.random.u8(..4))))
            .collect()
    }
}
