//! What the metrics show of the disk under the store, and of how the store keeps up.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::protocol::room::Room;
use crate::runtime::Statistics;

/// The gauges of one disk.
#[derive(Debug, Default)]
pub(super) struct DiskGauges {
    free: Gauge,
    full: Gauge,
    unsorted_files: Gauge,
    unsorted_bytes: Gauge,
    pressure: Gauge,
}

impl DiskGauges {
    /// Names them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let free = "Bytes free on the disk under the store";
        registry.register("disk_free_bytes", free, self.free.clone());
        let full = "0 with room, 1 when growth is refused, 2 when all writes are";
        registry.register("disk_full", full, self.full.clone());
        let files = "Files of the table with the most that the store has yet to sort";
        registry.register("store_unsorted_files", files, self.unsorted_files.clone());
        let bytes = "Bytes of the table with the most that the store has yet to sort";
        registry.register("store_unsorted_bytes", bytes, self.unsorted_bytes.clone());
        let pressure = "Thousandths of its clients' writes that the node does not take on for that";
        registry.register("store_pressure", pressure, self.pressure.clone());
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
        let backlog = statistics.backlog;
        for (gauge, value) in [
            (&self.unsorted_files, backlog.files),
            (&self.unsorted_bytes, backlog.bytes),
            (&self.pressure, u64::from(backlog.pressure())),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
