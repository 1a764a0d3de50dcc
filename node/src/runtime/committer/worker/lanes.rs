//! What waits for the committer, in two lanes: what users wait for, and the background.
//!
//! A pull or a page of a full sync can take as long as a thousand small inputs. So a batch takes up
//! all that users wait for, within its caps, and of the background no more than one input with it:
//! replicas that catch up cost users one such input a batch at the most, and are never forgotten.
//! Where no user waits, the background has whole batches.

use std::collections::VecDeque;

use crate::protocol::messages::PeerRequest;
use crate::protocol::replica::Input;
use crate::runtime::committer::Queued;

/// Inputs that wait, each lane in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    users: VecDeque<Queued>,
    background: VecDeque<Queued>,
}

impl Lanes {
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.background.is_empty()
    }

    /// The next batch, within the caps.
    pub(super) fn take(&mut self) -> Vec<Input> {
        let mut batch = Vec::new();
        fill(&mut batch, &mut self.users, MOST_INPUTS);
        let background = if batch.is_empty() {
            MOST_INPUTS
        } else {
            BESIDE_USERS
        };
        fill(&mut batch, &mut self.background, background);
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
            if is_background(&queued.input) {
                self.background.push_back(queued);
            } else {
                self.users.push_back(queued);
            }
        }
    }
}

/// Is it between replicas alone, with no user's request behind it?
fn is_background(input: &Input) -> bool {
    match input {
        Input::Request { request, .. } => match request {
            PeerRequest::Absorb(_)
            | PeerRequest::Repair { .. }
            | PeerRequest::Compare(_)
            | PeerRequest::Pull(_)
            | PeerRequest::PullKey(_)
            | PeerRequest::Sync(_)
            | PeerRequest::Examine(_) => true,
            PeerRequest::Replicate(_)
            | PeerRequest::Again(_)
            | PeerRequest::Keep(_)
            | PeerRequest::Read(_)
            | PeerRequest::Grant(_) => false,
        },
        Input::Reply { .. } | Input::Repair { .. } | Input::Scrub => true,
        Input::Write { .. }
        | Input::Read { .. }
        | Input::Hold { .. }
        | Input::Tick
        | Input::Topology { .. } => false,
    }
}

/// Inputs of one lane in one batch. More would make the first of them wait too long.
const MOST_INPUTS: usize = 512;
/// Inputs of the background in a batch for users.
const BESIDE_USERS: usize = 1;
/// Bytes of inputs of one lane in one batch, exceeded by the last one at most.
const MOST_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::{
        BESIDE_USERS, Input, Lanes, MOST_BYTES, MOST_INPUTS, PeerRequest, Queued, is_background,
    };
    use crate::protocol::messages::Replicate;
    use crate::protocol::time::Time;
    use crdt::dots::DotSet;
    use ring::{NodeId, PartitionId, ReplicaCount, VnodeId};
    use starling::wire::Durability;

    const VNODE: VnodeId = VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    };

    /// A session's write waits for it.
    fn of_user(ticket: u64) -> Queued {
        let input = Input::Hold {
            ticket,
            vnode: VNODE,
            dots: DotSet::default(),
            from: None,
        };
        Queued { input, bytes: 1 }
    }

    fn of_background(tag: u64) -> Queued {
        let input = Input::Reply {
            from: NodeId(1),
            tag,
            reply: None,
        };
        Queued { input, bytes: 1 }
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
    fn users_do_not_wait_for_the_background_and_it_has_its_turn_in_every_batch() {
        let mut lanes = Lanes::default();
        lanes.extend((0..10).map(of_background));
        lanes.extend((0..1_000).map(of_user));
        let (users, background) = parts(&lanes.take());
        assert_eq!(users, Vec::from_iter(0..512));
        assert_eq!(background, [0]);
        let (users, background) = parts(&lanes.take());
        assert_eq!(users, Vec::from_iter(512..1_000));
        assert_eq!(background.len(), BESIDE_USERS);
        let (users, background) = parts(&lanes.take());
        assert_eq!((users.len(), background), (0, Vec::from_iter(2..10)));
        assert!(lanes.is_empty() && lanes.take().is_empty());
    }

    #[test]
    fn a_batch_is_full_at_so_many_inputs_or_bytes() {
        let mut lanes = Lanes::default();
        let large = |ticket| Queued {
            bytes: MOST_BYTES / 2,
            ..of_user(ticket)
        };
        lanes.extend((0..3).map(large));
        lanes.extend([of_background(7), of_background(8)]);
        assert_eq!(parts(&lanes.take()), (vec![0, 1], vec![7]));
        assert_eq!(parts(&lanes.take()), (vec![2], vec![8]));
        lanes.extend((0..1_000).map(of_background));
        assert_eq!(lanes.take().len(), MOST_INPUTS);
    }

    #[test]
    fn what_a_peer_asks_for_its_users_is_for_users() {
        let request = |request| Input::Request {
            from: NodeId(1),
            call: 1,
            request,
            until: Time::NEVER,
        };
        let compare = PeerRequest::Compare(Vec::new());
        assert!(is_background(&request(compare)));
        let replicate = Replicate {
            vnode: VNODE,
            durability: Durability::Wal,
            changes: Vec::new(),
        };
        let replicate = PeerRequest::Replicate(replicate);
        assert!(!is_background(&request(replicate)));
    }
}
