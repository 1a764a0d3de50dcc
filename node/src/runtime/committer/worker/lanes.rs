//! What waits for the committer, in two lanes: what takes a moment, and what takes long.
//!
//! A pull of much, a page of a full sync or a stretch of scrub can take as long as a thousand small
//! inputs. So a batch takes up all that is small, within its caps, and of the large no more than
//! one input with it: replicas that catch up cost users one such input a batch at the most, and are
//! never forgotten. Where nothing small waits, the large have whole batches.
//!
//! It is the work that counts, not whose it is. What replicas say to each other in few words stays
//! beside what users ask: a write may wait for a pull of a few dots, and a comparison that comes
//! too late makes a busy replica look like one that is gone.

use std::collections::VecDeque;

use crate::protocol::messages::PeerRequest;
use crate::protocol::replica::Input;
use crate::runtime::committer::Queued;

/// Inputs that wait, each lane in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    small: VecDeque<Queued>,
    large: VecDeque<Queued>,
}

impl Lanes {
    pub(super) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// The next batch, within the caps.
    pub(super) fn take(&mut self) -> Vec<Input> {
        let mut batch = Vec::new();
        fill(&mut batch, &mut self.small, MOST_INPUTS);
        let large = if batch.is_empty() {
            MOST_INPUTS
        } else {
            BESIDE_SMALL
        };
        fill(&mut batch, &mut self.large, large);
        batch
    }
}

/// Moves inputs from a lane into a batch: so many, and so many bytes.
fn fill(batch: &mut Vec<Input>, lane: &mut VecDeque<Queued>, most: usize) {
    let mut bytes = 0;
    for _ in 0..most {
        let Some(queued) = lane.pop_front() else {
            return;
        };
        bytes += queued.bytes;
        batch.push(queued.input);
        if bytes >= MOST_BYTES {
            return;
        }
    }
}

impl Extend<Queued> for Lanes {
    fn extend<T: IntoIterator<Item = Queued>>(&mut self, inputs: T) {
        for queued in inputs {
            if is_large(&queued) {
                self.large.push_back(queued);
            } else {
                self.small.push_back(queued);
            }
        }
    }
}

/// Can it take long, and is it between replicas? What a user asks is never large: the limits of
/// operations see to that.
fn is_large(Queued { input, bytes }: &Queued) -> bool {
    match input {
        Input::Request { request, .. } => match request {
            PeerRequest::Sync(_) | PeerRequest::Examine(_) => true,
            PeerRequest::Pull(pull) => pull.want.len() > FEW_DOTS,
            PeerRequest::Absorb(_) => *bytes > FEW_BYTES,
            PeerRequest::Compare(_)
            | PeerRequest::PullKey(_)
            | PeerRequest::Repair { .. }
            | PeerRequest::Replicate(_)
            | PeerRequest::Again(_)
            | PeerRequest::Keep(_)
            | PeerRequest::Read(_)
            | PeerRequest::Grant(_) => false,
        },
        Input::Reply { .. } => *bytes > FEW_BYTES,
        Input::Write { .. }
        | Input::Read { .. }
        | Input::Hold { .. }
        | Input::Repair { .. }
        | Input::Scrub
        | Input::Unread(_)
        | Input::Tick
        | Input::Topology { .. } => false,
    }
}

/// Inputs of one lane in one batch. More would make the first of them wait too long.
const MOST_INPUTS: usize = 512;
/// Large inputs in a batch with small ones.
const BESIDE_SMALL: usize = 1;
/// Bytes of inputs of one lane in one batch, exceeded by the last one at most.
const MOST_BYTES: usize = 4 << 20;
/// Dots that a pull brings in a moment.
const FEW_DOTS: u64 = 64;
/// Bytes that are entered in a moment.
const FEW_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::{
        BESIDE_SMALL, FEW_BYTES, FEW_DOTS, Input, Lanes, MOST_BYTES, MOST_INPUTS, PeerRequest,
        Queued, is_large,
    };
    use crate::protocol::messages::Pull;
    use crate::protocol::time::Time;
    use crdt::dots::DotSet;
    use crdt::{Actor, Clock, Dot};
    use ring::{NodeId, PartitionId, ReplicaCount, VnodeId};

    const VNODE: VnodeId = VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    };

    /// A session's write waits for it.
    fn small(ticket: u64) -> Queued {
        let input = Input::Hold {
            ticket,
            vnode: VNODE,
            dots: DotSet::default(),
            from: None,
        };
        Queued { input, bytes: 1 }
    }

    fn reply(tag: u64, bytes: usize) -> Queued {
        let input = Input::Reply {
            from: NodeId(1),
            tag,
            reply: None,
        };
        Queued { input, bytes }
    }

    fn large(tag: u64) -> Queued {
        reply(tag, FEW_BYTES + 1)
    }

    /// The tickets and the tags in a batch.
    fn parts(batch: &[Input]) -> (Vec<u64>, Vec<u64>) {
        let tickets = batch.iter().filter_map(|input| match input {
            Input::Hold { ticket, .. } => Some(*ticket),
            _ => None,
        });
        let tags = batch.iter().filter_map(|input| match input {
            Input::Reply { tag, .. } => Some(*tag),
            _ => None,
        });
        (tickets.collect(), tags.collect())
    }

    #[test]
    fn what_takes_a_moment_does_not_wait_for_what_takes_long_which_has_its_turn_in_every_batch() {
        let mut lanes = Lanes::default();
        lanes.extend((0..10).map(large));
        lanes.extend((0..1_000).map(small));
        let (tickets, tags) = parts(&lanes.take());
        assert_eq!(tickets, Vec::from_iter(0..512));
        assert_eq!(tags, [0]);
        let (tickets, tags) = parts(&lanes.take());
        assert_eq!(tickets, Vec::from_iter(512..1_000));
        assert_eq!(tags.len(), BESIDE_SMALL);
        let (tickets, tags) = parts(&lanes.take());
        assert_eq!((tickets.len(), tags), (0, Vec::from_iter(2..10)));
        assert!(lanes.is_empty() && lanes.take().is_empty());
    }

    #[test]
    fn a_batch_is_full_at_so_many_inputs_or_bytes() {
        let mut lanes = Lanes::default();
        let heavy = |ticket| Queued {
            bytes: MOST_BYTES / 2,
            ..small(ticket)
        };
        lanes.extend((0..3).map(heavy));
        lanes.extend([large(7), large(8)]);
        assert_eq!(parts(&lanes.take()), (vec![0, 1], vec![7]));
        assert_eq!(parts(&lanes.take()), (vec![2], vec![8]));
        lanes.extend((0..1_000).map(small));
        assert_eq!(lanes.take().len(), MOST_INPUTS);
    }

    #[test]
    fn a_write_that_waits_for_few_dots_and_a_comparison_wait_behind_nothing_large() {
        let request = |request| Queued {
            input: Input::Request {
                from: NodeId(1),
                call: 1,
                request,
                until: Time::NEVER,
            },
            bytes: 1,
        };
        let pull = |dots: u64| {
            let actor = Actor { node: 1, nonce: 1 };
            let mut want = DotSet::default();
            for counter in 1..=dots {
                want.insert(Dot::new(actor, counter));
            }
            PeerRequest::Pull(Pull {
                vnode: VNODE,
                incarnation: 1,
                want,
                have: Clock::default(),
            })
        };
        assert!(!is_large(&request(pull(FEW_DOTS))));
        assert!(is_large(&request(pull(FEW_DOTS + 1))));
        assert!(!is_large(&request(PeerRequest::Compare(Vec::new()))));
        assert!(!is_large(&reply(1, FEW_BYTES)));
    }
}
