//! The network: it loses, duplicates, reorders and cuts.

use crate::world::World;
use starling_node::protocol::messages::{PeerReply, PeerRequest};
use starling_node::protocol::replica::{Input, Output};
use starling_node::protocol::time::Time;

/// Which call a message belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tag {
    /// A node's own.
    Own(u64),
    /// The replication of an operation.
    Client(usize),
}

/// A message under way. What a process has sent may arrive when it is gone, but for comparisons: an
/// owner that heard an ended process after its successor would take the one for the other.
#[derive(Debug, Clone)]
pub(crate) enum Packet {
    Call(Ends, Tag, Box<PeerRequest>),
    Reply(Ends, Tag, Box<PeerReply>),
}

/// From which node to which one, and for which process of the asker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) life: u64,
}

impl World {
    pub(crate) fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.rng.usize(..self.network.len());
        let packet = self.network.swap_remove(index);
        if self.rng.u32(..100) < 5 {
            self.network.push(packet.clone());
        }
        self.hand_over(packet);
    }

    pub(crate) fn hand_over(&mut self, packet: Packet) {
        match packet {
            Packet::Call(ends, tag, request) => {
                let is_over = self.nodes[ends.from].life != ends.life;
                if self.is_cut(ends) || (is_over && matches!(*request, PeerRequest::Compare(_))) {
                    return;
                }
                let from = self.nodes[ends.from].id;
                let request = Input::Request {
                    from,
                    call: 0,
                    request: *request,
                    until: Time::NEVER,
                };
                for output in self.handle(ends.to, request) {
                    if let Output::Answer { reply, .. } = output {
                        self.post(Packet::Reply(ends, tag, Box::new(reply)));
                    }
                }
            }
            Packet::Reply(ends, tag, reply) => {
                if self.is_cut(ends) || self.nodes[ends.from].life != ends.life {
                    return;
                }
                match tag {
                    Tag::Own(tag) => {
                        let from = self.nodes[ends.to].id;
                        let reply = Some(*reply);
                        self.handle(ends.from, Input::Reply { from, tag, reply });
                    }
                    Tag::Client(operation) if *reply == PeerReply::Acked => {
                        self.oracle.acknowledged(operation);
                    }
                    Tag::Client(_) => {}
                }
            }
        }
    }

    pub(crate) fn post(&mut self, packet: Packet) {
        if self.rng.f64() >= self.loss {
            self.network.push(packet);
        }
    }

    fn is_cut(&self, ends: Ends) -> bool {
        let (node, until) = self.cut;
        self.now_ms < until && (ends.from == node || ends.to == node)
    }

    pub(crate) fn ends(&self, from: usize, to: usize) -> Ends {
        let life = self.nodes[from].life;
        Ends { from, to, life }
    }
}
