//! A write: entered here first, then sent to every other owner of every live layout at once, and
//! answered when enough of them have it as durably as was asked. It is never rolled back.

use std::collections::{BTreeMap, VecDeque};

use super::joined::Joined;
use super::{OrderFailed, Tally, WriteDone, WriteOrder};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{Absorb, PeerRequest, ReadRows, Replicate, RowsRead};
use crate::protocol::replica::{Input, WriteError};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Sending, Written};
use crdt::{Context, Row};
use ring::{NodeId, PreferenceList};

/// One write. Feed it with `handle_*`, then drain every `poll_*`.
#[derive(Debug)]
pub(super) struct Write {
    here: NodeId,
    order: WriteOrder,
    others: Vec<NodeId>,
    tally: Tally,
    steps: VecDeque<Step>,
    entered: Option<(Vec<Context>, bool)>,
    read_back: ReadBack,
    failed: Option<OrderFailed>,
    late: bool,
}

/// What a write wants done.
#[derive(Debug)]
pub(super) enum Transmit {
    /// By the replica of this node.
    Here(Box<Input>),
    /// By a peer.
    Peer(NodeId, Box<PeerRequest>),
}

#[derive(Debug)]
enum Step {
    Enter,
    Send(NodeId, PeerRequest),
    ReadBack,
}

#[derive(Debug)]
enum ReadBack {
    NotAsked,
    Waiting,
    Done(BTreeMap<RowKey, Row>),
}

impl Write {
    /// A write of a key of these owners, this node among them. With too few of them reachable it
    /// fails before anything is done.
    pub(super) fn new(
        here: NodeId,
        order: WriteOrder,
        owners: &PreferenceList,
        reachable: &[NodeId],
    ) -> Self {
        let count = u8::try_from(reachable.len()).unwrap_or(u8::MAX);
        let failed = (count < order.w).then_some(OrderFailed::Unavailable {
            reachable: count,
            required: order.w,
        });
        let mut tally = Tally::new(vec![*owners], order.w);
        for node in owners.iter().filter(|node| !reachable.contains(node)) {
            tally.fail(node);
        }
        let read_back = if order.read_back.is_some() {
            ReadBack::Waiting
        } else {
            ReadBack::NotAsked
        };
        Self {
            here,
            others: owners.iter().filter(|&node| node != here).collect(),
            tally,
            steps: VecDeque::from([Step::Enter]),
            entered: None,
            read_back,
            failed,
            late: false,
            order,
        }
    }

    /// The replica of this node has entered the write, or refused it.
    pub(super) fn handle_written(&mut self, result: Result<Written, WriteError>) {
        let Written {
            sending,
            contexts,
            repeated,
        } = match result {
            Ok(written) => written,
            Err(WriteError::Rejected(rejected)) => {
                self.failed = Some(OrderFailed::Rejected(rejected));
                return;
            }
            Err(WriteError::Refused(refusal)) => {
                self.failed = Some(OrderFailed::Refused(refusal));
                return;
            }
        };
        self.entered = Some((contexts, repeated));
        self.tally.ack(self.here);
        let (vnode, durability) = (self.order.vnode, self.order.durability);
        let request = match sending {
            Sending::Changes(changes) => PeerRequest::Replicate(Replicate {
                vnode,
                durability,
                changes,
            }),
            Sending::Again(bundle) => PeerRequest::Absorb(Absorb {
                vnode,
                durability,
                bundle,
            }),
            Sending::Held(holders) => {
                // Who does not hold it has to pull it, and cannot be waited for.
                for &node in &self.others {
                    if holders.contains(&node) {
                        self.tally.ack(node);
                    } else {
                        self.tally.fail(node);
                    }
                }
                return self.want_read_back();
            }
            Sending::Nothing => {
                self.others.iter().for_each(|&node| self.tally.ack(node));
                return self.want_read_back();
            }
        };
        for &peer in &self.others {
            self.steps.push_back(Step::Send(peer, request.clone()));
        }
        self.want_read_back();
    }

    pub(super) fn handle_ack(&mut self, from: NodeId, acked: bool) {
        if acked {
            self.tally.ack(from);
        } else {
            self.tally.fail(from);
        }
    }

    pub(super) fn handle_rows(&mut self, from: NodeId, rows: Result<RowsRead, OrderFailed>) {
        if from == self.here
            && let Ok(rows) = rows
        {
            let mut joined = Joined::default();
            joined.add(rows);
            self.read_back = ReadBack::Done(joined.finish().0);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.late |= now >= self.order.deadline;
    }

    pub(super) fn poll_transmit(&mut self, ticket: u64) -> Option<Transmit> {
        if self.failed.is_some() {
            return None;
        }
        let WriteOrder {
            vnode, durability, ..
        } = self.order;
        Some(match self.steps.pop_front()? {
            Step::Enter => {
                let command = self.order.command.clone();
                Transmit::Here(Box::new(Input::Write {
                    ticket,
                    vnode,
                    command,
                    durability,
                }))
            }
            Step::Send(peer, request) => Transmit::Peer(peer, Box::new(request)),
            Step::ReadBack => {
                let selection = self.order.read_back.clone()?;
                let read = ReadRows {
                    vnode,
                    selection,
                    whole_clock: false,
                };
                Transmit::Here(Box::new(Input::Read { ticket, read }))
            }
        })
    }

    pub(super) fn poll_event(&mut self) -> Option<Result<WriteDone, OrderFailed>> {
        if let Some(failed) = self.failed {
            return Some(Err(failed));
        }
        let Some((contexts, repeated)) = &self.entered else {
            return self.late.then_some(Err(OrderFailed::Unknown));
        };
        let (acks, required) = (self.tally.acks(), self.tally.required());
        if !self.tally.is_reached() {
            let below = OrderFailed::BelowQuorum { acks, required };
            return (self.late || self.tally.is_impossible()).then_some(Err(below));
        }
        let rows = match &mut self.read_back {
            ReadBack::Waiting if self.late => return Some(Err(OrderFailed::Unknown)),
            ReadBack::Waiting => return None,
            ReadBack::NotAsked => None,
            ReadBack::Done(rows) => Some(std::mem::take(rows)),
        };
        Some(Ok(WriteDone {
            contexts: contexts.clone(),
            acks,
            rows,
            repeated: *repeated,
        }))
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        Some(self.order.deadline)
    }

    fn want_read_back(&mut self) {
        if self.order.read_back.is_some() {
            self.steps.push_back(Step::ReadBack);
        }
    }
}
