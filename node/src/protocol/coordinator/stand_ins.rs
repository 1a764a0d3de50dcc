//! Who stands in for owners in one write: nodes outside of the preference list, which keep what it
//! does until the owners have it.

use std::collections::{BTreeSet, VecDeque};

use ring::NodeId;

/// The stand-ins of one write.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// Those that have not been asked, best first.
    waiting: VecDeque<NodeId>,
    asked: BTreeSet<NodeId>,
    acked: BTreeSet<NodeId>,
}

impl StandIns {
    pub(super) fn new(nodes: Vec<NodeId>) -> Self {
        Self {
            waiting: nodes.into(),
            ..Self::default()
        }
    }

    /// The next one to ask.
    pub(super) fn ask_next(&mut self) -> Option<NodeId> {
        let next = self.waiting.pop_front()?;
        self.asked.insert(next);
        Some(next)
    }

    /// This one keeps it.
    pub(super) fn ack(&mut self, node: NodeId) {
        self.asked.remove(&node);
        self.acked.insert(node);
    }

    /// This one does not.
    pub(super) fn fail(&mut self, node: NodeId) {
        self.asked.remove(&node);
    }

    /// Was this one asked?
    pub(super) fn is_asked(&self, node: NodeId) -> bool {
        self.asked.contains(&node)
    }

    /// How many keep it.
    pub(super) fn acks(&self) -> u8 {
        count(self.acked.len())
    }

    /// How many keep it or may yet answer that they do.
    pub(super) fn expected(&self) -> u8 {
        count(self.acked.len() + self.asked.len())
    }

    /// How many keep it, may answer so, or can still be asked.
    pub(super) fn possible(&self) -> u8 {
        count(self.acked.len() + self.asked.len() + self.waiting.len())
    }

    /// Is there nobody left to ask?
    pub(super) fn is_exhausted(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn count(nodes: usize) -> u8 {
    u8::try_from(nodes).unwrap_or(u8::MAX)
}
