//! Asking every owner what it holds of a key.

use std::collections::{BTreeMap, VecDeque};

use super::{Answers, OrderFailed, ReadOrder};
use crate::protocol::messages::{ReadRows, RowsRead};
use crate::protocol::time::Time;
use ring::{NodeId, PreferenceList};

/// One inspection. Feed it with `handle_*`, then drain every `poll_*`.
#[derive(Debug)]
pub(super) struct Inspect {
    order: ReadOrder,
    owners: PreferenceList,
    asking: VecDeque<NodeId>,
    answers: BTreeMap<NodeId, Result<RowsRead, OrderFailed>>,
}

impl Inspect {
    pub(super) fn new(order: ReadOrder, owners: &PreferenceList, reachable: &[NodeId]) -> Self {
        let unreachable = OrderFailed::Unavailable {
            reachable: 0,
            required: 1,
        };
        let absent = owners.iter().filter(|node| !reachable.contains(node));
        Self {
            order,
            owners: *owners,
            asking: reachable.iter().copied().collect(),
            answers: absent.map(|node| (node, Err(unreachable))).collect(),
        }
    }

    pub(super) fn handle_rows(&mut self, from: NodeId, rows: Result<RowsRead, OrderFailed>) {
        self.answers.insert(from, rows);
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        if now >= self.order.deadline {
            let late = OrderFailed::TooFewAnswers {
                answered: 0,
                required: 1,
                timed_out: true,
            };
            for node in self.owners.iter() {
                self.answers.entry(node).or_insert(Err(late));
            }
        }
    }

    pub(super) fn deadline(&self) -> Time {
        self.order.deadline
    }

    pub(super) fn request(&self) -> ReadRows {
        let ReadOrder {
            vnode, selection, ..
        } = &self.order;
        ReadRows {
            vnode: *vnode,
            selection: selection.clone(),
            whole_clock: true,
            durable: None,
            bodies_up_to: None,
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<NodeId> {
        self.asking.pop_front()
    }

    pub(super) fn poll_event(&mut self) -> Option<Answers> {
        let answers = self
            .owners
            .iter()
            .map(|node| Some((node, self.answers.get(&node)?.clone())));
        answers.collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        Some(self.order.deadline)
    }
}
