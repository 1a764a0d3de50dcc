//! What the metrics show of the disk under the store.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::protocol::room::Room;
use crate::runtime::Statistics;

/// The gauges of one disk.
#[derive(Debug, Default)]
pub(super) struct DiskGauges {
    free: Gauge,
    full: Gauge,
}

impl DiskGauges {
    /// Names them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let free = "Bytes free on the disk under the store";
        registry.register("disk_free_bytes", free, self.free.clone());
        let full = "0 with room, 1 when growth is refused, 2 when all writes are";
        registry.register("disk_full", full, self.full.clone());
    }

    /// The disk has come to this.
    pub(super) fn show(&self, statistics: &Statistics) {
        if let Some(free) = statistics.free_bytes {
            self.free.set(i64::try_from(free).unwrap_or(i64::MAX));
        }
        self.full.set(match statistics.room {
            Room::Ample => 0,
            Room::Scarce => 1,
            Room::Spent => 2,
        });
    }
}
