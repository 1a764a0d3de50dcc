//! The counters of membership: what gossip costs, and what it thinks of whom.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use ring::{MemberState, NodeId};

/// The counters of one node's gossip. All may be used from any thread.
#[derive(Debug, Default)]
pub(crate) struct GossipMetrics {
    phi: Family<PeerLabels, Gauge<f64, AtomicU64>>,
    state: Family<PeerLabels, Gauge>,
    sent_messages: Counter,
    sent_bytes: Counter,
    received_messages: Counter,
    received_bytes: Counter,
    /// Messages that found no room in the loop's queue.
    pub(crate) dropped: Counter,
    /// Members that went down, in the eyes of this node.
    pub(crate) verdicts: Counter,
    /// Suspicions of this node that it has refuted.
    pub(crate) refutations: Counter,
    /// Pauses of this process that were noticed.
    pub(crate) pauses: Counter,
    /// How much this node doubts itself, 0 to 8.
    pub(crate) health: Gauge,
}

/// The number and the name of a peer.
type PeerLabels = [(&'static str, String); 2];

/// What this node thinks of a member.
#[derive(Debug)]
pub(crate) struct MemberShown {
    /// Who.
    pub(crate) id: NodeId,
    /// What people call it.
    pub(crate) name: String,
    /// What it is held for.
    pub(crate) state: MemberState,
    /// How suspicious its silence is.
    pub(crate) phi: f64,
}

impl GossipMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let phi = "How suspicious a peer's silence is; from 8 on it is suspected";
        registry.register("phi", phi, self.phi.clone());
        let state = "What a peer is held for: 0 up, 1 suspect, 2 down, 3 removed";
        registry.register("member_state", state, self.state.clone());
        let health = "How much this node doubts itself, from 0 to 8";
        registry.register("gossip_local_health", health, self.health.clone());
        for (name, help, counter) in [
            (
                "gossip_sent_messages",
                "Gossip messages sent",
                &self.sent_messages,
            ),
            ("gossip_sent_bytes", "Bytes of them", &self.sent_bytes),
            (
                "gossip_received_messages",
                "Gossip messages received",
                &self.received_messages,
            ),
            (
                "gossip_received_bytes",
                "Bytes of them",
                &self.received_bytes,
            ),
            (
                "gossip_dropped_messages",
                "Gossip messages dropped because too many waited",
                &self.dropped,
            ),
            (
                "members_down",
                "Times that a member went down",
                &self.verdicts,
            ),
            (
                "refutations",
                "Times that this node was suspected and said that it lives",
                &self.refutations,
            ),
            (
                "pauses",
                "Times that this process was away for half a second or longer",
                &self.pauses,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    /// A message was sent.
    pub(crate) fn said(&self, bytes: usize) {
        self.sent_messages.inc();
        self.sent_bytes
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// A message has come.
    pub(crate) fn heard(&self, bytes: usize) {
        self.received_messages.inc();
        self.received_bytes
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Shows a member as it is now.
    pub(crate) fn show(&self, member: &MemberShown) {
        let labels = [
            ("peer", member.id.to_string()),
            ("name", member.name.clone()),
        ];
        self.phi.get_or_create(&labels).set(member.phi);
        self.state
            .get_or_create(&labels)
            .set(number_of(member.state));
    }
}

fn number_of(state: MemberState) -> i64 {
    match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Down => 2,
        MemberState::Removed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::{GossipMetrics, MemberShown, MemberState, NodeId, Registry};

    #[test]
    fn a_member_is_shown_by_its_number_and_name() {
        let metrics = GossipMetrics::default();
        let mut registry = Registry::with_prefix("starling");
        metrics.register(&mut registry);
        metrics.show(&MemberShown {
            id: NodeId(0xab),
            name: "kv-1".to_owned(),
            state: MemberState::Down,
            phi: 12.5,
        });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        for line in [
            "starling_phi{peer=\"00000000000000ab\",name=\"kv-1\"} 12.5",
            "starling_member_state{peer=\"00000000000000ab\",name=\"kv-1\"} 2",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
