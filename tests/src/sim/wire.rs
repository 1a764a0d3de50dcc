//! Messages between nodes over something else than the queue, such as real connections.
//!
//! A [`Wire`] has a time of its own, which the world lets pass from event to event: never further
//! than to the next of them, and no further than to the first thing that arrives. What befalls
//! messages is then the wire's to do, as the plan's [`Links`] say, and it alone says who reaches
//! whom. Clients and their orders stay in the queue.

use std::fmt;
use std::time::Duration;

use super::network::Message;
use super::queue::Instant;
use super::world::{Happening, Step, World};
use starling_node::protocol::messages::{PeerReply, PeerRequest};

/// What carries messages between nodes, which are named by their numbers, from 0. Its time is that
/// of the world, in microseconds.
pub trait Wire: fmt::Debug {
    /// A node's process begins.
    fn start(&mut self, node: usize);
    /// A node's process is gone, without a word.
    fn stop(&mut self, node: usize);
    /// A node stands still until then.
    fn stall(&mut self, node: usize, until: u64);
    /// Nothing gets from one node to another, or everything that could before.
    fn cut(&mut self, from: usize, to: usize, is_cut: bool);
    /// From now on nothing is lost, late or cut.
    fn heal(&mut self);
    /// A node asks another, and waits for so long.
    fn ask(&mut self, from: usize, to: usize, call: u64, left: Duration, request: PeerRequest);
    /// A node answers a call that has arrived at it.
    fn answer(&mut self, node: usize, call: u64, reply: PeerReply);
    /// Lets time pass until then, or until something arrives. Gives what has.
    fn wait(&mut self, until: u64) -> Vec<Arrived>;
    /// Which paths were walked, and how often.
    fn counts(&self) -> Vec<(&'static str, u64)>;
}

/// Something that has arrived.
#[derive(Debug)]
pub struct Arrived {
    /// When.
    pub at: u64,
    /// At which node.
    pub node: usize,
    /// What.
    pub arrival: Arrival,
}

/// What arrives at a node.
#[derive(Debug)]
pub enum Arrival {
    /// Another node's call.
    Asked {
        /// Who asks.
        from: usize,
        /// The call, as its answer must name it.
        call: u64,
        /// For how long the other waits.
        left: Duration,
        /// What it asks.
        request: PeerRequest,
    },
    /// The end of a call of its own, with a reply or without.
    Answered {
        /// The call.
        call: u64,
        /// What the other says.
        reply: Option<PeerReply>,
    },
    /// Another node can be called, or not any more.
    Reachable {
        /// Which.
        peer: usize,
        /// Whether it can.
        is_up: bool,
    },
}

/// What befalls what is on its way.
#[derive(Debug, Clone, Copy)]
pub struct Links {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many of a thousand are lost.
    pub loss: u64,
    /// How many of a thousand arrive twice.
    pub duplicates: u64,
    /// How long they take at the most, in microseconds.
    pub delay: u64,
}

impl World {
    /// The next thing to happen before `limit`.
    pub(crate) fn next_before(&mut self, limit: Instant) -> Option<Happening> {
        if let Some(wire) = &mut self.wire {
            let until = self.queue.next_at().map_or(limit, |at| at.min(limit));
            for Arrived { at, node, arrival } in wire.wait(until) {
                let happening = self.happening(node, arrival);
                self.queue.at(at, happening);
            }
        }
        self.queue.next_before(limit)
    }

    fn happening(&self, node: usize, arrival: Arrival) -> Happening {
        match arrival {
            Arrival::Asked {
                from,
                call,
                left,
                request,
            } => Happening::Arrives(Box::new(Message::Request {
                from,
                to: node,
                call,
                request,
                left: u64::try_from(left.as_micros()).unwrap_or(u64::MAX),
            })),
            Arrival::Answered {
                call,
                reply: Some(reply),
            } => {
                let from = self.calls.get(&call).map_or(node, |asked| asked.to);
                Happening::Arrives(Box::new(Message::Reply {
                    from,
                    to: node,
                    call,
                    reply,
                }))
            }
            Arrival::Answered { call, reply: None } => Happening::CallEnds { call },
            Arrival::Reachable { peer, is_up } => Happening::Process {
                node,
                life: self.nodes[node].life,
                step: Step::Notices {
                    peer,
                    reachable: is_up,
                },
            },
        }
    }

    /// Hands a message between nodes to the wire; gives it back if there is none.
    pub(crate) fn over_wire(&mut self, message: Message) -> Option<Message> {
        let Some(wire) = &mut self.wire else {
            return Some(message);
        };
        match message {
            Message::Request {
                from,
                to,
                call,
                request,
                left,
            } => wire.ask(from, to, call, Duration::from_micros(left), request),
            Message::Reply {
                from, call, reply, ..
            } => wire.answer(from, call, reply),
            Message::Order { .. } | Message::Outcome { .. } => return Some(message),
        }
        None
    }

    /// Lets a node hear some time later that a peer can be reached, or cannot: a wire says that by
    /// itself.
    pub(crate) fn notice_later(
        &mut self,
        node: usize,
        delay: Instant,
        peer: usize,
        reachable: bool,
    ) {
        if self.wire.is_none() {
            self.later(node, delay, Step::Notices { peer, reachable });
        }
    }

    /// A node hears that a peer can be reached, or cannot.
    pub(crate) fn notice(&mut self, node: usize, peer: usize, reachable: bool) {
        let id = self.nodes[peer].id;
        if let Some(process) = &mut self.nodes[node].process {
            process.coordinator.handle_reachable(id, reachable);
        }
    }

    /// Ends a node's process, wherever it is.
    pub(crate) fn stop(&mut self, node: usize) {
        self.nodes[node].stop();
        if let Some(wire) = &mut self.wire {
            wire.stop(node);
        }
    }

    /// Tells the wire whether a link is cut.
    pub(crate) fn show_cut(&mut self, from: usize, to: usize) {
        let is_cut = self.cuts.get(&(from, to)).is_some_and(|&cuts| cuts > 0);
        if let Some(wire) = &mut self.wire {
            wire.cut(from, to, is_cut);
        }
    }
}
