//! The other side of an exchange: answering peers, and taking in what they know.

use serde_bytes::ByteBuf;

use super::{Event, Exchange, Known};
use crate::protocol::cluster::lives::{Alarm, MEMORY};
use crate::protocol::cluster::messages::{
    ClusterRefusal, ClusterReply, ClusterRequest, Hello, Offer,
};
use crate::protocol::cluster::plan::InitPlan;
use crate::protocol::cluster::state::{Changed, ClusterState, StateError};
use crate::protocol::time::Moment;
use ring::NodeId;

impl Exchange {
    /// Answers a peer, who is `from` by its certificate.
    pub fn handle_request(
        &mut self,
        now: Moment,
        from: NodeId,
        request: ClusterRequest,
    ) -> ClusterReply {
        let answer = match request {
            ClusterRequest::Hello(hello) => self.welcome(now, from, hello),
            ClusterRequest::Exchange { instance, offer } => {
                if self.heard(now, from, instance) {
                    Err(ClusterRefusal::DuplicateNode)
                } else {
                    self.answer_offer(now, from, &offer)
                }
            }
            ClusterRequest::Init(plan) => self.begin(now, &plan),
        };
        answer.unwrap_or_else(ClusterReply::Refused)
    }

    fn welcome(
        &mut self,
        now: Moment,
        from: NodeId,
        hello: Hello,
    ) -> Result<ClusterReply, ClusterRefusal> {
        if hello.cluster != self.here.cluster {
            return Err(ClusterRefusal::OtherCluster {
                cluster: self.here.cluster,
            });
        }
        if hello.node != from {
            return Err(ClusterRefusal::WrongNode { certified: from });
        }
        if self.heard(now, from, hello.instance) {
            return Err(ClusterRefusal::DuplicateNode);
        }
        let (instance, initialised) = (self.here.instance, self.state.is_some());
        Ok(ClusterReply::Welcome {
            instance,
            initialised,
        })
    }

    fn answer_offer(
        &mut self,
        now: Moment,
        from: NodeId,
        offer: &Offer,
    ) -> Result<ClusterReply, ClusterRefusal> {
        match (offer, &self.state) {
            (Offer::Digest(_), None) => Ok(ClusterReply::Blank),
            (Offer::Digest(theirs), Some(known)) if *theirs == known.digest => {
                Ok(ClusterReply::Same)
            }
            (Offer::Digest(_), Some(known)) => {
                Ok(ClusterReply::State(ByteBuf::from(known.bytes.clone())))
            }
            (Offer::State(bytes), Some(_) | None) => match self.join(now, bytes) {
                Ok(_digest) => Ok(ClusterReply::Joined),
                Err(error) => {
                    let reason = error.to_string();
                    self.events.push_back(Event::Unusable { peer: from, error });
                    Err(ClusterRefusal::Unusable { reason })
                }
            },
        }
    }

    /// Begins a cluster, or confirms that this node belongs to it.
    fn begin(&mut self, now: Moment, plan: &InitPlan) -> Result<ClusterReply, ClusterRefusal> {
        let Hello { cluster, node, .. } = self.here;
        if plan.cluster != cluster {
            return Err(ClusterRefusal::OtherCluster { cluster });
        }
        if self.state.is_some() {
            return Ok(ClusterReply::Initialised { already: true });
        }
        if plan.members.iter().all(|member| member.node != node) {
            return Err(ClusterRefusal::NotInPlan { node });
        }
        let unusable = |reason: String| ClusterRefusal::Unusable { reason };
        let state = ClusterState::from_plan(plan).map_err(|error| unusable(error.to_string()))?;
        self.adopt(now, state)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(ClusterReply::Initialised { already: false })
    }

    /// Takes in what a peer answered; gives the digest of it, if it was taken in.
    pub(super) fn take_in(&mut self, now: Moment, from: NodeId, bytes: &[u8]) -> Option<u64> {
        let joined = self.join(now, bytes);
        joined
            .map_err(|error| self.events.push_back(Event::Unusable { peer: from, error }))
            .ok()
    }

    fn join(&mut self, now: Moment, bytes: &[u8]) -> Result<u64, StateError> {
        let mut theirs = ClusterState::decode(bytes)?;
        let digest = theirs.agreed_digest()?;
        let Some(known) = &mut self.state else {
            return self.adopt(now, theirs).map(|()| digest);
        };
        let mut joined = known.state.clone();
        // Of members gossip alone tells.
        theirs.members.clone_from(&joined.members);
        let changed = joined.join(&theirs)?;
        if !changed.is_nothing() {
            *known = Known::of(joined, self.here)?;
            self.handle_changed(now, changed);
        }
        Ok(digest)
    }

    fn adopt(&mut self, now: Moment, state: ClusterState) -> Result<(), StateError> {
        let members = state.members.iter().map(|member| member.id).collect();
        let (layout, buckets) = (state.layout.is_some(), !state.buckets.is_empty());
        self.state = Some(Known::of(state, self.here)?);
        let changed = Changed {
            members,
            layout,
            buckets,
            displaced: Vec::new(),
        };
        self.handle_changed(now, changed);
        Ok(())
    }

    /// The state has changed: says so here and to all peers.
    pub(super) fn handle_changed(&mut self, now: Moment, changed: Changed) {
        self.events.push_back(Event::Changed(changed));
        self.tell_all(now);
    }

    /// A process of `node` has spoken; says whether two of them live.
    pub(super) fn heard(&mut self, now: Moment, node: NodeId, instance: u64) -> bool {
        if node == self.here.node {
            self.lives.heard(now.time, node, self.here.instance);
        }
        let is_duplicate = self.lives.heard(now.time, node, instance);
        if is_duplicate && node == self.here.node {
            self.raise_alarm(now);
        } else if is_duplicate {
            self.events
                .push_back(Event::Alarmed(Alarm::DuplicateNode { node }));
        }
        is_duplicate
    }

    pub(super) fn raise_alarm(&mut self, now: Moment) {
        self.alarm_until = now.time.after(MEMORY);
        self.events.push_back(Event::Alarmed(Alarm::DuplicateNode {
            node: self.here.node,
        }));
    }
}

impl Known {
    pub(super) fn of(state: ClusterState, here: Hello) -> Result<Self, StateError> {
        if state.cluster != here.cluster {
            let (here, there) = (here.cluster, state.cluster);
            return Err(StateError::OtherCluster { here, there });
        }
        let bytes = state.encode()?;
        Ok(Self {
            digest: state.agreed_digest()?,
            state,
            bytes,
        })
    }
}
