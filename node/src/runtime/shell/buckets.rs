//! New buckets: made here, pushed to everybody, acknowledged when a majority has them.

use serde_bytes::ByteBuf;

use super::Shell;
use crate::admin::Operation;
use crate::protocol::cluster::{
    BucketError, BucketProperties, BucketRecord, ClusterRequest, Holders, Offer,
};
use crate::protocol::time::{Moment, Time};
use crate::runtime::envelope::Asked;
use crate::runtime::event::Caller;
use ring::{MemberState, NodeId};
use starling::transport::ReplyTo;

/// A bucket whose maker waits until enough members have it.
#[derive(Debug)]
pub(super) struct Creating {
    reply: ReplyTo,
    since: Time,
    record: BucketRecord,
    holders: Holders,
}

impl Shell {
    /// A client wants a bucket: makes it, or finds it there, and sees to it that others have it.
    pub(super) fn create_bucket(
        &mut self,
        now: Moment,
        name: &str,
        properties: BucketProperties,
        reply: ReplyTo,
    ) {
        if self.turn.creations.len() >= MOST_CREATIONS {
            let response = self.desk.too_many_creations();
            return self.answer_client(reply, Operation::Cluster, now.time, &response);
        }
        let created = self.exchange.create_bucket(now, name, properties);
        // The bucket is on this node's disk before anybody is told of it.
        self.drain_exchange();
        match created {
            Ok((_, record)) => {
                let holders = self.push_state(now);
                let creating = Creating {
                    reply,
                    since: now.time,
                    record,
                    holders,
                };
                let number = self.turn.next_number;
                self.turn.creations.insert(number, creating);
                self.finish_creations(now.time);
            }
            Err(error) => {
                let response = self.desk.bucket_created(Err(error));
                self.answer_client(reply, Operation::Cluster, now.time, &response);
            }
        }
    }

    /// A member has taken the state in, or has not.
    pub(super) fn handle_holder(&mut self, number: u64, from: NodeId, holds: bool) {
        if let Some(creating) = self.turn.creations.get_mut(&number) {
            creating.holders.handle_answer(from, holds);
        }
        self.finish_creations(self.clock.time());
    }

    /// Answers the creations that are over.
    pub(super) fn finish_creations(&mut self, now: Time) {
        let over = |creating: &Creating| creating.holders.is_over(now);
        let creations = self.turn.creations.iter();
        let finished: Vec<u64> = creations
            .filter(|(_, creating)| over(creating))
            .map(|(&number, _)| number)
            .collect();
        for number in finished {
            let Some(creating) = self.turn.creations.remove(&number) else {
                continue;
            };
            let Creating {
                reply,
                since,
                record,
                holders,
            } = creating;
            let response = if holders.is_reached() {
                self.desk.bucket_created(self.still_there(record))
            } else {
                let (count, required) = (holders.count(), holders.required());
                self.desk
                    .bucket_below_majority(&record.name, count, required)
            };
            self.answer_client(reply, Operation::Cluster, since, &response);
        }
    }

    /// When to call [`Shell::finish_creations`].
    pub(super) fn creations_due(&self) -> Option<Time> {
        let creations = self.turn.creations.values();
        creations.map(|creating| creating.holders.deadline()).min()
    }

    /// Sends this node's state to all members that can be reached, under a new number.
    fn push_state(&mut self, now: Moment) -> Holders {
        let number = self.number();
        let members = self.exchange.state().into_iter();
        let members = members.flat_map(|state| state.members.iter());
        let members: Vec<NodeId> = members
            .filter(|member| member.state != MemberState::Removed)
            .map(|member| member.id)
            .collect();
        let state = self.exchange.encoded_state().unwrap_or_default().to_vec();
        let request = ClusterRequest::Exchange {
            instance: self.here.instance,
            offer: Offer::State(ByteBuf::from(state)),
        };
        let reachable = |&&node: &&NodeId| self.peers.connection(node).is_some();
        let asked: Vec<NodeId> = members.iter().filter(reachable).copied().collect();
        for &peer in &asked {
            let asked = Asked::Cluster(request.clone());
            self.peers.call(peer, &asked, Caller::Creation(number));
        }
        let deadline = now.time.after(super::BUCKETS_WITHIN);
        let mut holders = Holders::new(members.len(), asked, deadline);
        holders.handle_answer(self.here.node, self.turn.is_persisted);
        holders
    }

    /// The bucket, unless it gave way to another one of its name meanwhile.
    fn still_there(&self, record: BucketRecord) -> Created {
        let state = self.exchange.state().ok_or(BucketError::NotInitialised)?;
        let properties =
            |record: &BucketRecord| (record.kind, record.n, record.siblings, record.sloppy);
        match state.buckets.of_name(&record.name) {
            Some(known) if properties(known) != properties(&record) => {
                let known = known.clone();
                Err(BucketError::Conflict { known })
            }
            Some(_) | None => Ok(record),
        }
    }
}

/// A bucket, or why there is none.
type Created = Result<BucketRecord, BucketError>;

/// Buckets in the making; more are refused as overload.
const MOST_CREATIONS: usize = 256;
