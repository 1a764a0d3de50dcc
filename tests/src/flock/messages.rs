//! What goes from node to node, and the batches it becomes.

use std::collections::VecDeque;

use super::{Bird, Flock};
use crate::sim::disk::{barrier_of, batch_of};
use ring::NodeId;
use starling_node::protocol::messages::{PeerReply, PeerRequest, Refusal, codec};
use starling_node::protocol::replica::{Input, Output};
use starling_node::protocol::time::Time;
use starling_node::runtime::source::StoreSource;
use starling_node::store::Engine;

impl Flock {
    /// Hands an input in, and carries out all that follows from it. Gives what comes out at this
    /// node, and in consequence at others, for somebody else than a peer.
    pub(super) fn handle(&mut self, node: NodeId, input: Input) -> Vec<Output> {
        let mut waiting = VecDeque::from([(node, input)]);
        let mut mine = Vec::new();
        while let Some((at, input)) = waiting.pop_front() {
            for output in self.commit(at, input) {
                match output {
                    Output::Call {
                        to,
                        tag,
                        request,
                        until,
                    } if self.reaches(at, to) && !self.hanging.contains(&to) => {
                        self.bytes += encoded(&request);
                        // The call's name says who waits for its answer.
                        let request = Input::Request {
                            from: at,
                            call: tag << 8 | at.0,
                            request,
                            until,
                        };
                        waiting.push_back((to, request));
                    }
                    Output::Call { to, .. } if self.hanging.contains(&to) => {}
                    Output::Call { to, tag, .. } => {
                        let (from, reply) = (to, None);
                        waiting.push_back((at, Input::Reply { from, tag, reply }));
                    }
                    Output::Answer { to, call, reply } if call != ASKED => {
                        self.bytes += encoded(&reply);
                        let (from, tag, reply) = (at, call >> 8, Some(reply));
                        waiting.push_back((to, Input::Reply { from, tag, reply }));
                    }
                    output => mine.push(output),
                }
            }
        }
        mine
    }

    fn commit(&mut self, at: NodeId, input: Input) -> Vec<Output> {
        let now = self.clocks_of(at);
        let Bird {
            engine, replica, ..
        } = self.bird(at);
        let disk = StoreSource::new(engine);
        let Ok(commit) = replica.handle_batch(now, vec![input], &disk) else {
            let outputs = replica.handle_failure(Refusal::Storage, &disk);
            self.failures += 1;
            return outputs;
        };
        engine
            .write(&batch_of(&commit.changes))
            .expect("no fault is injected");
        engine
            .barrier(barrier_of(commit.barrier))
            .expect("no fault is injected");
        replica.handle_committed(now.time, commit.barrier);
        commit.outputs
    }

    /// Asks `to` something as `from`, and waits for the answer.
    pub fn ask(&mut self, from: NodeId, to: NodeId, request: PeerRequest) -> Option<PeerReply> {
        let asked = Input::Request {
            from,
            call: ASKED,
            request,
            until: Time::NEVER,
        };
        let outputs = self.handle(to, asked).into_iter();
        let mut replies = outputs.filter_map(|output| match output {
            Output::Answer { reply, .. } => Some(reply),
            _ => None,
        });
        replies.next()
    }

    /// How many bytes all nodes have sent each other since this was asked last, what tests asked
    /// left out.
    pub fn take_bytes(&mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }
}

fn encoded(message: &impl serde::Serialize) -> usize {
    codec::encode(message).expect("a message has bytes").len()
}

/// The name of a call that a test makes.
const ASKED: u64 = 0;
