//! Copies of an increment in a bounded counter are taken back, each once, by the node that made it.

use super::rights_in;
use crate::protocol::event::{Application, Effect, Operation};
use crate::protocol::messages::Change;
use crate::protocol::stage::{SourceError, Stage};
use crate::protocol::vnode::records::{Increment, Record};
use crate::protocol::vnode::{Limits, Vnode};
use crdt::kinds::bounded::Rights;
use crdt::{Dot, Hlc, OpId};
use ring::NodeId;

impl Vnode {
    /// Takes back this node's copies of one operation, as far as every owner holds it and the
    /// winner durably. True if no copy is left to take back, and no other owner has an add to take
    /// back: it may lose its disk, and must then learn from the record that the add is a copy.
    pub(in crate::protocol::vnode) fn take_back(
        &mut self,
        (id, record): (OpId, &Record),
        hlc: Hlc,
        limits: &Limits,
        stage: &mut Stage<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<bool, SourceError> {
        let is_stale = self.is_stale(id, record, hlc, limits);
        let mut is_done = true;
        for increment in rights_in(record) {
            let mut losers: Vec<Dot> = self.left_at(record, increment.place).collect();
            let winner = losers.first().copied();
            self.free_the_last(increment, winner);
            losers.retain(|loser| Some(*loser) != winner && !record.taken.contains(loser));
            if increment.amount > 0 {
                let is_owner = |node: u64| self.peers.contains_key(&NodeId(node));
                is_done &= !losers.iter().any(|loser| is_owner(loser.actor.node));
            } else if is_stale {
                continue;
            }
            losers.retain(|loser| loser.actor.node == self.actor.node);
            for loser in losers {
                let is_safe = winner.is_some_and(|winner| self.may_go(loser, winner));
                // A record may come before the increments that it is about.
                let may_act = is_safe && self.awaited().is_none() && self.clock.contains(loser);
                let rights = if may_act {
                    self.without(increment, loser, stage)?
                } else {
                    None
                };
                let Some(rights) = rights else {
                    is_done = false;
                    continue;
                };
                let application = application(record, loser);
                let operation = Operation {
                    id,
                    digest: record.digest,
                    effect: Effect::TakenBack(application),
                };
                let prefix = increment.share.prefix();
                let row = self.own_rights(&prefix);
                let delta = self.rights_delta(hlc, &prefix, &rights, stage)?;
                changes.push(self.own_change_of(hlc, &row, delta, Some(operation), stage)?);
            }
        }
        Ok(is_done)
    }

    /// This node's rights without one application; `None` if they are too few for that.
    fn without(
        &self,
        increment: &Increment,
        loser: Dot,
        stage: &Stage<'_>,
    ) -> Result<Option<Rights>, SourceError> {
        let (node, prefix) = (self.actor.node, increment.share.prefix());
        let ledger = self.ledger(&prefix, stage)?;
        let amount = increment.amount.unsigned_abs();
        if increment.amount < 0 {
            return Ok(ledger.add(node, amount).ok());
        }
        let others = self.reserved_in(&self.own_rights(&prefix), Some(loser));
        let left = ledger.rights_of(node).saturating_sub(others);
        let rights = ledger.spend(node, amount).ok();
        Ok(rights.filter(|_| amount <= left))
    }

    /// Was the operation doubled when this vnode began, and is it so old that the other owners may
    /// have forgotten it? Then the disk may be an old one, and this node may have taken its copy
    /// back already. A spend stays counted twice rather than be given back twice.
    fn is_stale(&self, id: OpId, record: &Record, now: Hlc, limits: &Limits) -> bool {
        let age = now.milliseconds().saturating_sub(record.hlc.milliseconds());
        age > limits.retry_window_ms && self.doubled_before.contains(&id)
    }
}

fn application(record: &Record, dot: Dot) -> Application {
    let (first, last) = record
        .applied
        .span_of(dot)
        .unwrap_or((dot.counter, dot.counter));
    Application { dot, first, last }
}
