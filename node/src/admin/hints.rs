//! What the metrics show of hints: what this node keeps for owners that were away.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::runtime::Statistics;

/// The gauges of what one node keeps for others.
#[derive(Debug, Default)]
pub(super) struct HintGauges {
    events: Gauge,
    bytes: Gauge,
    delivered: Gauge,
    damaged: Gauge,
}

impl HintGauges {
    /// Names them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let events = "Writes kept as a stand-in for owners that were away";
        registry.register("hints", events, self.events.clone());
        let bytes = "Bytes of them";
        registry.register("hints_bytes", bytes, self.bytes.clone());
        let delivered = "Writes that owners have taken over from this stand-in since its start";
        registry.register("hints_delivered", delivered, self.delivered.clone());
        let damaged = "Partitions of which what is kept is damaged, and is not handed over";
        registry.register("hints_damaged", damaged, self.damaged.clone());
    }

    /// So much is kept now.
    pub(super) fn show(&self, statistics: &Statistics) {
        let shown = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (events, bytes) = statistics.hints_kept;
        self.events.set(shown(events));
        self.bytes.set(shown(bytes));
        self.delivered.set(shown(statistics.hints_delivered));
        let damaged = i64::try_from(statistics.hints_damaged.len());
        self.damaged.set(damaged.unwrap_or(i64::MAX));
    }
}
