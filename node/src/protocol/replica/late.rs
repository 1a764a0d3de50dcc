//! What has waited here until nobody waits for it any more: it is not done.
//!
//! Whoever asks says how long it waits for the answer. A read that is begun later is work for
//! nobody, and makes the next one late too: a node that is behind would stay so ("Deadline" in
//! Dean and Barroso, *The Tail at Scale*, CACM 2013, and Maurer, *Fail at Scale*, ACM Queue 2015).
//!
//! Copies of writes are stored however late they are. Somebody wrote them, every owner must have
//! them in the end, and a pull of what was thrown away costs more than to store what is here.

use super::io::{Held, Input, Output, WriteError};
use super::{Batch, Replica};
use crate::mutants::{self, Mutant};
use crate::protocol::messages::{PeerReply, PeerRequest, Refusal};
use crate::protocol::time::Time;

impl Replica {
    /// How many inputs were not taken up, because they had waited until nobody waited for them.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Refuses what is late, and gives the rest.
    pub(super) fn refuse_late(&mut self, inputs: Vec<Input>, batch: &mut Batch<'_>) -> Vec<Input> {
        let now = batch.now.time;
        let (late, inputs): (Vec<Input>, Vec<Input>) =
            inputs.into_iter().partition(|input| input.is_late(now));
        self.expired += u64::try_from(late.len()).unwrap_or(u64::MAX);
        batch.outputs.extend(late.iter().filter_map(Input::refused));
        inputs
    }
}

impl Input {
    /// Does nobody wait any more for what would come of it?
    #[must_use]
    pub fn is_late(&self, now: Time) -> bool {
        let until = match self {
            // Not entered yet: its client tries again, or has given it up.
            Self::Write { until, .. } | Self::Read { until, .. } => *until,
            Self::Request { request, until, .. } if is_for_its_asker_alone(request) => *until,
            Self::Request { .. }
            | Self::Hold { .. }
            | Self::Reply { .. }
            | Self::Repair { .. }
            | Self::Scrub
            | Self::Unread(_)
            | Self::Tick
            | Self::Topology { .. } => return false,
        };
        until <= now && !mutants::is_active(Mutant::DeadlineIgnored)
    }

    /// Can it be dropped without a word, when there is too much to do?
    #[must_use]
    pub fn is_dispensable(&self) -> bool {
        matches!(self, Self::Repair { .. } | Self::Unread(_))
    }

    /// The answer to an input that is not taken up, because there is too much to do; none to what
    /// nobody waits for.
    #[must_use]
    pub fn refused(&self) -> Option<Output> {
        let refusal = Refusal::Overloaded;
        match *self {
            Self::Write { ticket, .. } => Some(Output::Written {
                ticket,
                result: Err(WriteError::Refused(refusal)),
            }),
            Self::Read { ticket, .. } => Some(Output::RowsRead {
                ticket,
                result: Err(refusal),
            }),
            Self::Hold { ticket, from, .. } => Some(Output::Held {
                ticket,
                held: Held {
                    from,
                    is_held: false,
                    has_answered: false,
                },
            }),
            Self::Request { from, call, .. } => Some(Output::Answer {
                to: from,
                call,
                reply: PeerReply::Refused(refusal),
            }),
            Self::Reply { .. }
            | Self::Repair { .. }
            | Self::Scrub
            | Self::Unread(_)
            | Self::Tick
            | Self::Topology { .. } => None,
        }
    }
}

/// Is a request of use to its asker alone, and only while that waits?
fn is_for_its_asker_alone(request: &PeerRequest) -> bool {
    match request {
        PeerRequest::Read(_)
        | PeerRequest::Grant(_)
        | PeerRequest::Compare(_)
        | PeerRequest::Pull(_)
        | PeerRequest::PullKey(_)
        | PeerRequest::Sync(_)
        | PeerRequest::Examine(_) => true,
        PeerRequest::Replicate(_)
        | PeerRequest::Again(_)
        | PeerRequest::Absorb(_)
        | PeerRequest::Keep(_)
        | PeerRequest::Repair { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Input, PeerRequest, Time};
    use crate::protocol::keys::KeyPrefix;
    use crate::protocol::messages::{ReadRows, Replicate, Selection};
    use ring::{BucketId, NodeId, PartitionId, ReplicaCount, Token, VnodeId};
    use starling::wire::Durability;

    const VNODE: VnodeId = VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    };

    fn at(ms: u64) -> Time {
        Time::at(Duration::from_millis(ms))
    }

    fn asked(request: PeerRequest) -> Input {
        Input::Request {
            from: NodeId(2),
            call: 1,
            request,
            until: at(50),
        }
    }

    #[test]
    fn a_read_is_late_from_the_moment_on_at_which_its_asker_gives_up() {
        let prefix = KeyPrefix::new(3, Token(0), BucketId(1), b"k", b"");
        let read = asked(PeerRequest::Read(ReadRows {
            vnode: VNODE,
            selection: Selection::Key(prefix),
            whole_clock: false,
            durable: None,
            bodies_up_to: None,
        }));
        assert!(!read.is_late(at(49)) && read.is_late(at(50)));
        assert!(read.refused().is_some());
    }

    #[test]
    fn what_tells_of_trouble_and_nobody_waits_for_is_dropped_before_it_piles_up() {
        let unread = Input::Unread(VNODE);
        assert!(unread.refused().is_none() && unread.is_dispensable());
        assert!(!Input::Tick.is_dispensable(), "time goes on");
    }

    #[test]
    fn a_copy_of_a_write_is_never_too_late() {
        let copy = asked(PeerRequest::Replicate(Replicate {
            vnode: VNODE,
            durability: Durability::Wal,
            changes: Vec::new(),
        }));
        assert!(!copy.is_late(at(1_000_000)));
    }
}
