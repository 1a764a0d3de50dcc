//! What the node's cluster has agreed on: kept on disk, and handed to everybody who works by it.

use super::Shell;
use crate::protocol::cluster::{Changed, ClusterState, Event};
use crate::protocol::replica::Input;
use crate::runtime::committer::Queued;
use crate::runtime::envelope::Asked;
use crate::runtime::event::Caller;
use crate::store::{FileAccess, replace_file};
use ring::{ReplicaCount, Ring};

impl Shell {
    /// Takes up the state from the data directory.
    pub(super) fn begin(&mut self) {
        if self.exchange.state().is_some() {
            self.turn.is_persisted = true;
            self.use_members();
            self.use_state(true, true);
        } else {
            tracing::info!("this node belongs to no cluster yet; `starling init` begins one");
        }
        self.announce();
    }

    /// Carries out what the exchange wants.
    pub(super) fn drain_exchange(&mut self) {
        loop {
            let mut idle = true;
            while let Some(event) = self.exchange.poll_event() {
                idle = false;
                self.handle_exchange(event);
            }
            while let Some(transmit) = self.exchange.poll_transmit() {
                idle = false;
                let asked = Asked::Cluster(transmit.request);
                self.peers.call(transmit.to, &asked, Caller::Exchange);
            }
            if idle {
                return;
            }
        }
    }

    fn handle_exchange(&mut self, event: Event) {
        match event {
            Event::Changed(changed) => self.handle_changed(&changed),
            Event::Alarmed(alarm) => {
                tracing::error!(%alarm, "two processes are one node");
                let here = self.exchange.alarm(self.clock.now()).is_some();
                self.health.set_duplicate(here);
            }
            Event::Refused { peer, refusal } => {
                tracing::warn!(%peer, %refusal, "a peer refused this node");
            }
            Event::Unusable { peer, error } => {
                tracing::warn!(%peer, %error, "what a peer knows was refused");
            }
        }
    }

    fn handle_changed(&mut self, changed: &Changed) {
        for bucket in &changed.displaced {
            tracing::warn!(
                bucket = %bucket.name,
                "a bucket gave way to one of its name that was made earlier on another node"
            );
        }
        if !changed.members.is_empty() {
            // This node belonged to no cluster, and hears now who does.
            self.hear_of_members();
        }
        self.persist();
        self.use_state(changed.layout, changed.buckets);
        self.announce();
    }

    /// Keeps the state, with the members as they are known now, in the data directory. If that
    /// fails the node goes on and tries again with the next change: a restarted node learns from
    /// its peers what it missed.
    pub(super) fn persist(&mut self) {
        self.turn.keep_by = None;
        let Some(bytes) = self.exchange.encoded_state() else {
            return;
        };
        let path = self.directory.join(STATE_FILE);
        let kept = replace_file(&path, bytes, FileAccess::Owner);
        self.turn.is_persisted = kept.is_ok();
        if let Err(error) = kept {
            tracing::error!(%error, "the cluster's state could not be kept");
        }
    }

    /// Hands the state to the desk, the coordinator and the replica.
    fn use_state(&mut self, layout: bool, buckets: bool) {
        let Some(state) = self.exchange.state() else {
            return;
        };
        self.desk.refresh(state);
        let Some(known) = &state.layout else { return };
        if !layout && !buckets {
            return;
        }
        let ring = Ring::new(state.cluster, known.clone());
        let counts = counts(state, known.n());
        if layout {
            tracing::info!(layout = %known.id(), "the ring is known");
            self.coordinator.set_ring(ring.clone());
            self.health.set_initialised();
        }
        let input = Input::Topology {
            ring: Box::new(ring),
            counts,
        };
        self.turn.queued.push(Queued { input, bytes: 0 });
    }
}

/// Every n in use: those of the buckets, the layout's own, and the one of buckets to come.
fn counts(state: &ClusterState, n: ReplicaCount) -> Vec<ReplicaCount> {
    let mut counts = state.buckets.counts();
    counts.extend([n, ReplicaCount::DEFAULT]);
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// The file of the cluster's state, in the data directory.
pub(crate) const STATE_FILE: &str = "cluster.state";
