//! Rights that move: a node that lacks some asks, and another grants them by its own row.

use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::Change;
use crate::protocol::stage::{SourceError, Stage};
use crate::protocol::vnode::command::{Action, Command, FieldEdit};
use crate::protocol::vnode::{Vnode, versions_of};
use crdt::kinds::bounded::Rights;
use crdt::{Hlc, Row, Version};
use ring::NodeId;

/// What a refused spend lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The counter.
    pub prefix: KeyPrefix,
    /// How much is missing here, at least 1.
    pub lacking: u64,
    /// The other owners that have rights as far as is known here, the one with the most first.
    pub holders: Vec<NodeId>,
}

impl Vnode {
    /// The first counter in which this node cannot spend what a command asks for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn shortage(
        &self,
        command: &Command,
        stage: &Stage<'_>,
    ) -> Result<Option<Shortage>, SourceError> {
        for target in &command.targets {
            let amount_of = |edit: &FieldEdit| {
                if let Action::Bounded(amount) = edit.action {
                    i128::from(amount)
                } else {
                    0
                }
            };
            let asked = target.edits.iter().map(amount_of).sum::<i128>();
            let asked = u64::try_from(-asked).unwrap_or(0);
            if asked == 0 {
                continue;
            }
            let ledger = self.ledger(&target.prefix, stage)?;
            let lacking = asked.saturating_sub(self.spendable(&target.prefix, &ledger));
            if lacking == 0 {
                continue;
            }
            let rights = |node: &NodeId| ledger.rights_of(node.0);
            let mut holders: Vec<NodeId> = self.peers.keys().copied().collect();
            holders.retain(|node| rights(node) > 0);
            holders.sort_by_key(|node| std::cmp::Reverse(rights(node)));
            let prefix = target.prefix.clone();
            return Ok(Some(Shortage {
                prefix,
                lacking,
                holders,
            }));
        }
        Ok(None)
    }

    /// Grants rights to another owner: what it lacks, or half of what this node may spend if that
    /// is more, and never more than this node may spend. Nothing while this vnode is not whole.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn grant(
        &mut self,
        hlc: Hlc,
        prefix: &KeyPrefix,
        (to, lacking): (NodeId, u64),
        stage: &mut Stage<'_>,
    ) -> Result<Option<Change>, SourceError> {
        let row = self.own_rights(prefix);
        let is_here = row.vnode(self.bits) == Some((u8::from(self.id.n), self.id.partition));
        if !is_here || !self.peers.contains_key(&to) || self.awaited().is_some() {
            return Ok(None);
        }
        let ledger = self.ledger(prefix, stage)?;
        let spendable = self.spendable(prefix, &ledger);
        let amount = spendable.min(lacking.max(spendable / 2));
        let granted = ledger.grant(self.actor.node, to.0, amount);
        let Some(rights) = granted.ok().filter(|_| amount > 0) else {
            return Ok(None);
        };
        let delta = self.rights_delta(hlc, prefix, &rights, stage)?;
        self.own_change(hlc, &row, delta, stage).map(Some)
    }

    /// The delta that makes this node's row say `rights`, under the next dot.
    pub(super) fn rights_delta(
        &self,
        hlc: Hlc,
        prefix: &KeyPrefix,
        rights: &Rights,
        stage: &Stage<'_>,
    ) -> Result<Row, SourceError> {
        let current = stage.row(&self.own_rights(prefix))?;
        let version = Version::new(hlc, None, rights.encode());
        Ok(Row::write(self.next_dot(), version, versions_of(&current)))
    }
}
