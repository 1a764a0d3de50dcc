//! Calls to peers on behalf of orders, and how fast they are answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::read::Read;
use super::repairs::Stale;
use super::{Coordinator, Effect, write};
use crate::protocol::messages::{PeerRequest, ReadRows, Selection};
use crate::protocol::replica::Input;
use crate::protocol::time::{Moment, Time};
use ring::NodeId;

/// The calls under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    next: u64,
    open: BTreeMap<u64, Call>,
}

/// The order that a call is for, and until when it waits.
type Whose = (u64, Time);

#[derive(Debug)]
struct Call {
    ticket: u64,
    to: NodeId,
    /// When it was made, if it tells how fast the peer answers.
    paced: Option<Time>,
}

impl Coordinator {
    pub(super) fn ask_rows(
        &mut self,
        now: Time,
        (ticket, until): Whose,
        to: NodeId,
        read: ReadRows,
    ) {
        if to == self.node {
            let input = Input::Read {
                ticket,
                read,
                until,
            };
            self.effects.push_back(Effect::Submit(input));
            return;
        }
        // A page of rows takes as long as it is large, which says little of the peer.
        let paced = match read.selection {
            // What must be durable waits for the disk.
            Selection::Key(_) | Selection::Row(_) => Some(now).filter(|_| read.durable.is_none()),
            Selection::Range(_)
            | Selection::Keys { .. }
            | Selection::Sample(_)
            | Selection::Names { .. } => None,
        };
        let call = self.begin_call(ticket, to, paced);
        self.effects.push_back(Effect::Call {
            to,
            call,
            request: PeerRequest::Read(read),
            until,
        });
    }

    pub(super) fn transmit(&mut self, whose: Whose, transmit: write::Transmit) {
        match transmit {
            write::Transmit::Here(input) => self.effects.push_back(Effect::Submit(*input)),
            write::Transmit::Peer(to, request) => self.call(whose, to, *request),
        }
    }

    pub(super) fn call(&mut self, (ticket, until): Whose, to: NodeId, request: PeerRequest) {
        let call = self.begin_call(ticket, to, None);
        self.effects.push_back(Effect::Call {
            to,
            call,
            request,
            until,
        });
    }

    fn begin_call(&mut self, ticket: u64, to: NodeId, paced: Option<Time>) -> u64 {
        let call = self.calls.next;
        self.calls.next += 1;
        if let Some(asked) = paced {
            self.pace.handle_asked(to, (asked.since_start(), call));
        }
        self.calls.open.insert(call, Call { ticket, to, paced });
        call
    }

    /// Forgets a call; gives whose it was and who was asked.
    pub(super) fn end_call(
        &mut self,
        now: Time,
        call: u64,
        is_answered: bool,
    ) -> Option<(u64, NodeId)> {
        let Call { ticket, to, paced } = self.calls.open.remove(&call)?;
        if let Some(asked) = paced {
            let question = (asked.since_start(), call);
            if is_answered {
                self.pace.handle_answer(now.since_start(), to, question);
            } else {
                self.pace.handle_failure(to, question);
            }
        }
        Some((ticket, to))
    }

    /// Lets whoever lacks something of a key that was read pull it, this node or the other.
    pub(super) fn repair(&mut self, now: Moment, read: &Read) {
        let young = now
            .wall_ms
            .saturating_sub(duration_ms(self.config.repair_after));
        for (peer, side) in read.poll_repairs(self.node, young) {
            let Some((vnode, prefix)) = read.key() else {
                continue;
            };
            match side {
                Stale::Here => {
                    let input = Input::Repair {
                        from: peer,
                        vnode,
                        prefix,
                    };
                    self.effects.push_back(Effect::Submit(input));
                }
                Stale::There => {
                    // No order waits for this: the reply is dropped.
                    let whose = (u64::MAX, read.deadline());
                    self.call(whose, peer, PeerRequest::Repair { vnode, prefix });
                }
            }
        }
    }
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
