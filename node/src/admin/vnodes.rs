//! What the metrics show of vnodes: how many there are, and which do not count.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::runtime::Statistics;

/// The gauges of one node's vnodes.
#[derive(Debug, Default)]
pub(super) struct VnodeGauges {
    all: Gauge,
    catching_up: Gauge,
    quarantined: Gauge,
    walked: Gauge,
    restored: Gauge,
    alarms: Gauge,
    given_up: Gauge,
    unagreed_seconds: Gauge,
    clock_actors: Gauge,
    clock_dots: Gauge,
}

impl VnodeGauges {
    /// Names them.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("vnodes", "Vnodes of this node", self.all.clone());
        let catching_up = "Vnodes that do not count for reads yet";
        registry.register("vnodes_catching_up", catching_up, self.catching_up.clone());
        let quarantined = "Vnodes that are damaged and in no use: check the disk";
        registry.register("vnodes_quarantined", quarantined, self.quarantined.clone());
        let gauges = [
            (
                "scrub_walks",
                "Vnodes whose content was compared with the other owners since the start",
                &self.walked,
            ),
            (
                "scrub_restored",
                "Versions that this node alone had lost, and has again: check its disk",
                &self.restored,
            ),
            (
                "scrub_alarms",
                "Versions on which owners with equal clocks differ for unknown reasons",
                &self.alarms,
            ),
            (
                "scrub_given_up",
                "Stretches of rows that could not be compared",
                &self.given_up,
            ),
            (
                "scrub_unagreed_seconds",
                "For how long some vnode was not found equal to all its owners",
                &self.unagreed_seconds,
            ),
            (
                "clock_actors",
                "Actors in the clocks of the vnodes",
                &self.clock_actors,
            ),
            (
                "clock_dots",
                "Dots in the clocks of the vnodes above one that is missing",
                &self.clock_dots,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    /// So many there are now.
    pub(super) fn show(&self, statistics: &Statistics) {
        let shown = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.all.set(shown(statistics.vnodes));
        self.catching_up.set(shown(statistics.catching_up));
        let quarantined = i64::try_from(statistics.quarantined.len());
        self.quarantined.set(quarantined.unwrap_or(i64::MAX));
        self.clock_actors.set(shown(statistics.clocks.actors));
        self.clock_dots.set(shown(statistics.clocks.beyond_bases));
        let scrub = statistics.scrub;
        self.walked.set(shown(scrub.walked));
        self.restored.set(shown(scrub.restored));
        self.alarms.set(shown(scrub.alarms));
        self.given_up.set(shown(scrub.given_up));
        self.unagreed_seconds
            .set(shown(statistics.unagreed_ms / 1_000));
    }
}
