//! What the metrics show of reads of large values.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// The counters of bodies that did not travel, or later than others.
#[derive(Debug, Default)]
pub(crate) struct BodyCounters {
    /// Versions that peers answered without their bodies.
    pub(crate) left_out: Counter,
    /// Owners that were asked for such bodies after all.
    pub(crate) fetched: Counter,
}

impl BodyCounters {
    /// Names them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let left_out = "Versions that peers answered without their bodies";
        registry.register("bodies_left_out", left_out, self.left_out.clone());
        let fetched = "Owners that were asked for bodies that they had left out";
        registry.register("bodies_fetched", fetched, self.fetched.clone());
    }
}
