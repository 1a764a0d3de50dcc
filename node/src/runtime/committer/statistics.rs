//! What the committer shows of its vnodes, for people and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::protocol::hints::KeptFor;
use crate::protocol::replica::{Lag, Replica};
use crate::protocol::room::Room;
use crate::protocol::vnode::Vnode;
use crate::store::{EngineStatistics, Table};
use ring::NodeId;

/// The state of a node's vnodes at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// How many there are.
    pub(crate) vnodes: u64,
    /// How many of them are catching up and do not count for reads.
    pub(crate) catching_up: u64,
    /// Operation records kept.
    pub(crate) records: u64,
    /// What is kept for owners that were away.
    pub(crate) hints: BTreeMap<NodeId, KeptFor>,
    /// Events of that, and bytes, each counted once however many owners lack it.
    pub(crate) hints_kept: (u64, u64),
    /// Events that owners have taken over since the start, counted once for each owner.
    pub(crate) hints_delivered: u64,
    /// How far each peer and this node are apart.
    pub(crate) lags: BTreeMap<NodeId, Lag>,
    /// Rows of keys, about.
    pub(crate) rows: u64,
    /// Events in the dotlog, about.
    pub(crate) events: u64,
    /// Bytes of the store's files.
    pub(crate) disk_bytes: u64,
    /// Stamps of peers that lay too far ahead.
    pub(crate) stamps_ahead: u64,
    /// How much room the disk has.
    pub(crate) room: Room,
    /// Bytes of it that are free; `None` if the store is not on a disk.
    pub(crate) free_bytes: Option<u64>,
    /// Why the last batch failed that did.
    pub(crate) failure: Option<String>,
}

impl Statistics {
    /// Looks at all vnodes.
    pub(super) fn of(replica: &Replica, engine: EngineStatistics) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            vnodes: count(replica.vnodes().count()),
            catching_up: count(
                replica
                    .vnodes()
                    .filter(|vnode| vnode.is_catching_up())
                    .count(),
            ),
            records: replica.vnodes().map(Vnode::records).sum(),
            hints: replica.hints().kept(),
            hints_kept: replica.hints().total(),
            hints_delivered: replica.hints().delivered(),
            lags: replica.lags(),
            rows: engine.rows_of(Table::Data),
            events: engine.rows_of(Table::Dotlog),
            disk_bytes: engine.disk_bytes,
            stamps_ahead: replica.stamps_ahead(),
            room: Room::Ample,
            free_bytes: None,
            failure: None,
        }
    }
}

/// The statistics that were shown last, shared by whoever shows and reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    latest: Arc<Mutex<Arc<Statistics>>>,
}

impl Published {
    /// The latest.
    pub(crate) fn latest(&self) -> Arc<Statistics> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows others.
    pub(super) fn show(&self, statistics: Statistics) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(statistics);
    }
}
