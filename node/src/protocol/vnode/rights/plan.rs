//! What an increment of a bounded counter comes to.

use crate::protocol::vnode::command::{Rejected, Target};
use crate::protocol::vnode::plan::{Body, Checked, Planner};
use crate::protocol::vnode::versions_of;
use crdt::kinds::bounded::Refused;

impl Planner<'_> {
    /// Adds, or with a negative amount spends. Several in one command count as their sum.
    pub(in crate::protocol::vnode) fn bounded(
        &mut self,
        target: &Target,
        amount: i64,
    ) -> Checked<()> {
        let vnode = self.vnode;
        if let Some(waits_for) = vnode.awaited() {
            return Ok(Err(Rejected::NotWhole { waits_for }));
        }
        let node = vnode.actor.node;
        let key = vnode.own_rights(&target.prefix);
        let planned = self.places.get(&key).map(|&place| &self.plans[place].body);
        let before = match planned {
            Some(Body::Rights(_, before)) => *before,
            Some(Body::None | Body::Bytes(_) | Body::Reset(_) | Body::Added(..)) | None => 0,
        };
        let Some(amount) = before.checked_add(amount) else {
            return Ok(Err(Rejected::CounterOverflow));
        };
        let ledger = vnode.ledger(&target.prefix, self.stage)?;
        let value = ledger.value();
        let magnitude = amount.unsigned_abs();
        let changed = if amount >= 0 {
            if value.saturating_add(i128::from(amount)) > i128::from(i64::MAX) {
                return Ok(Err(Rejected::CounterOverflow));
            }
            ledger.add(node, magnitude)
        } else {
            let available = vnode.spendable(&target.prefix, &ledger);
            if magnitude > available {
                return Ok(Err(Rejected::Insufficient {
                    asked: magnitude,
                    available,
                    value: u64::try_from(value).unwrap_or(u64::MAX),
                }));
            }
            ledger.spend(node, magnitude)
        };
        match changed {
            Ok(rights) => {
                let current = self.stage.row(&key)?;
                let context = versions_of(&current);
                self.push(
                    (key, current),
                    Body::Rights(rights.encode(), amount),
                    context,
                );
                Ok(Ok(()))
            }
            Err(Refused::Insufficient { .. } | Refused::Overflow | Refused::ToItself) => {
                Ok(Err(Rejected::CounterOverflow))
            }
        }
    }
}
