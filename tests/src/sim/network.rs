//! Calls and messages, and what befalls them: loss, delay, duplication, reordering, cuts.

use super::describe::{Reply, Request};
use super::queue::{Instant, MS};
use super::world::{Happening, World};
use ring::NodeId;
use starling_node::protocol::coordinator::{Effect, Order, Outcome};
use starling_node::protocol::messages::{PeerReply, PeerRequest, codec};
use starling_node::protocol::replica::{Input, Output};
use starling_node::protocol::time::Time;

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Request {
        from: usize,
        to: usize,
        call: u64,
        request: PeerRequest,
        /// For how long the answer is waited for.
        left: Instant,
    },
    Reply {
        from: usize,
        to: usize,
        call: u64,
        reply: PeerReply,
    },
    Order {
        client: usize,
        to: usize,
        attempt: u64,
        order: Box<Order>,
    },
    Outcome {
        client: usize,
        attempt: u64,
        outcome: Box<Outcome>,
    },
}

/// A call that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    from: usize,
    life: u32,
    pub(crate) to: usize,
    waiting: Waiting,
}

/// Who waits.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Coordinator(u64),
    Replica(u64),
}

impl World {
    /// Carries out what a node's coordinator wants.
    pub(crate) fn drain(&mut self, node: usize) {
        loop {
            let process = self.nodes[node].process.as_mut();
            let Some(effect) = process.and_then(|process| process.coordinator.poll_effect()) else {
                break;
            };
            match effect {
                Effect::Submit(input) => self.submit(node, input),
                Effect::Call {
                    to,
                    call,
                    request,
                    until,
                } => {
                    let waiting = Waiting::Coordinator(call);
                    self.begin_call((node, to), waiting, request, until);
                }
                Effect::Finished { ticket, outcome } => self.finish(node, ticket, outcome),
            }
        }
        self.wake_later(node);
    }

    fn submit(&mut self, node: usize, input: Input) {
        if let Input::Repair { .. } = input {
            self.tally.count("a read repaired");
        }
        if let Input::Write {
            stands_in: true, ..
        } = input
        {
            self.tally.count("a stand-in coordinated");
        }
        let inline = if self.plan.reads_inline {
            self.read_inline(node, &input)
        } else {
            None
        };
        match inline {
            Some(output) => self.coordinate(node, output),
            None => self.feed(node, input),
        }
    }

    pub(crate) fn send_call(&mut self, node: usize, output: Output) {
        if let Output::Call {
            to,
            tag,
            request,
            until,
        } = output
        {
            self.begin_call((node, to), Waiting::Replica(tag), request, until);
        }
    }

    pub(crate) fn send_answer(&mut self, node: usize, output: Output) {
        if let Output::Answer { to, call, reply } = output {
            self.promise_answer(node, call, &reply);
            let to = self.index_of(to);
            self.send(
                node,
                to,
                Message::Reply {
                    from: node,
                    to,
                    call,
                    reply,
                },
            );
        }
    }

    fn begin_call(
        &mut self,
        (from, to): (usize, NodeId),
        waiting: Waiting,
        request: PeerRequest,
        until: Time,
    ) {
        let until = self.nodes[from].world_time(until);
        let left = until.saturating_sub(self.queue.now());
        if let PeerRequest::Repair { .. } = request {
            self.tally.count("a read repaired");
        }
        let (call, to) = (self.next, self.index_of(to));
        self.next += 1;
        let life = self.nodes[from].life;
        self.calls.insert(
            call,
            Call {
                from,
                life,
                to,
                waiting,
            },
        );
        let timeout = self.plan.call_timeout;
        self.queue.after(timeout, Happening::CallEnds { call });
        self.send(
            from,
            to,
            Message::Request {
                from,
                to,
                call,
                request,
                left,
            },
        );
    }

    /// A call ends, with a reply or without.
    pub(crate) fn end_call(&mut self, call: u64, reply: Option<PeerReply>) {
        let Some(Call {
            from,
            life,
            to,
            waiting,
        }) = self.calls.remove(&call)
        else {
            return;
        };
        if self.nodes[from].life != life {
            return;
        }
        let now = self.queue.now();
        let moment = self.nodes[from].moment(now);
        match waiting {
            Waiting::Coordinator(call) => {
                if let Some(process) = &mut self.nodes[from].process {
                    process.coordinator.handle_reply(moment, call, reply);
                }
                self.drain(from);
            }
            Waiting::Replica(tag) => {
                let from_peer = self.nodes[to].id;
                self.feed(
                    from,
                    Input::Reply {
                        from: from_peer,
                        tag,
                        reply,
                    },
                );
            }
        }
    }

    /// Puts a message on the link between two nodes.
    fn send(&mut self, from: usize, to: usize, message: Message) {
        let Some(message) = self.over_wire(message) else {
            return;
        };
        let is_cut = self.cuts.get(&(from, to)).is_some_and(|&cuts| cuts > 0);
        if is_cut || self.loses() {
            self.tally.count("a message was lost");
            self.trace
                .note(self.queue.now(), format_args!("n{from} to n{to}: lost"));
            let call = match &message {
                Message::Request { call, .. } | Message::Reply { call, .. } => *call,
                Message::Order { .. } | Message::Outcome { .. } => return,
            };
            // A connection that breaks ends its calls; a link that swallows lets them time out.
            if self.chance(0.5) {
                let delay = self.delay();
                self.queue.after(delay, Happening::CallEnds { call });
            }
            return;
        }
        self.dispatch(message);
    }

    /// Puts a message between a client and a node on its way.
    pub(crate) fn send_client(&mut self, message: Message) {
        if self.loses() {
            self.tally.count("a message was lost");
        } else {
            self.dispatch(message);
        }
    }

    fn dispatch(&mut self, message: Message) {
        let again = self.plan.duplicates > 0 && !self.is_healed;
        if again && self.random.u64(0..1_000) < self.plan.duplicates {
            self.tally.count("a message was delivered twice");
            // A duplicate may be very late.
            let delay = self.delay() * if self.chance(0.2) { 20 } else { 1 };
            self.queue
                .after(delay, Happening::Arrives(Box::new(message.clone())));
        }
        let delay = self.delay();
        self.queue
            .after(delay, Happening::Arrives(Box::new(message)));
    }

    pub(crate) fn arrive(&mut self, message: Message) {
        let now = self.queue.now();
        match message {
            Message::Request {
                from,
                to,
                call,
                request,
                left,
            } => {
                let node = &self.nodes[to];
                if node.process.is_none() {
                    return;
                }
                if node.paused_until > now {
                    let later = Message::Request {
                        from,
                        to,
                        call,
                        request,
                        left,
                    };
                    self.queue
                        .at(node.paused_until, Happening::Arrives(Box::new(later)));
                    return;
                }
                self.trace
                    .note(now, format_args!("n{from} to n{to} call {call}"));
                self.trace
                    .say(now, format_args!("    {}", Request(&request)));
                let request = self.through_codec(request);
                self.handle_request((from, to), call, request, left);
            }
            Message::Reply {
                from,
                to,
                call,
                reply,
            } => {
                self.trace
                    .note(now, format_args!("n{from} answers n{to} call {call}"));
                self.trace.say(now, format_args!("    {}", Reply(&reply)));
                let reply = self.through_codec(reply);
                self.end_call(call, Some(reply));
            }
            Message::Order {
                client,
                to,
                attempt,
                order,
            } => {
                self.take_order(client, to, attempt, *order);
            }
            Message::Outcome {
                client,
                attempt,
                outcome,
            } => {
                self.hear(client, attempt, *outcome);
            }
        }
    }

    fn handle_request(
        &mut self,
        (from, to): (usize, usize),
        call: u64,
        request: PeerRequest,
        left: Instant,
    ) {
        let now = self.queue.now();
        self.note_asked(to, call, &request);
        self.note_left(to, call, left);
        let from = self.nodes[from].id;
        let until = self.nodes[to].moment(now + left).time;
        if self.plan.reads_inline
            && let PeerRequest::Read(read) = &request
            && let Some(Output::RowsRead {
                result: Ok(rows), ..
            }) = self.read_inline(
                to,
                &Input::Read {
                    ticket: 0,
                    read: read.clone(),
                    until,
                },
            )
        {
            let answer = Output::Answer {
                to: from,
                call,
                reply: PeerReply::Rows(rows),
            };
            return self.send_answer(to, answer);
        }
        self.feed(
            to,
            Input::Request {
                from,
                call,
                request,
                until,
            },
        );
    }

    fn through_codec<T>(&mut self, value: T) -> T
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        if !self.plan.encodes {
            return value;
        }
        let decoded = codec::encode(&value)
            .ok()
            .and_then(|bytes| codec::decode(&bytes).ok());
        match decoded {
            Some(decoded) if decoded == value => decoded,
            _ => {
                self.broken = Some(("naming", format!("{value:?} does not survive the codec")));
                value
            }
        }
    }

    fn loses(&mut self) -> bool {
        !self.is_healed && self.plan.loss > 0 && self.random.u64(0..1_000) < self.plan.loss
    }

    /// How long a message is on its way: mostly little, sometimes the most.
    fn delay(&mut self) -> Instant {
        let most = if self.is_healed {
            2 * MS
        } else {
            self.plan.delay
        };
        let most = if self.chance(0.7) { most / 8 } else { most };
        MS / 5 + self.up_to(most)
    }
}
