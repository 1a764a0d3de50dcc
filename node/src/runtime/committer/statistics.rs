//! What the committer shows of its vnodes, for people and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::protocol::hints::{Hints, KeptFor};
use crate::protocol::replica::{Aside, Lag, Quarantine, Replica, ScrubCounts};
use crate::protocol::room::Room;
use crate::protocol::time::Time;
use crate::protocol::vnode::Vnode;
use crate::store::{Backlog, EngineStatistics, Table};
use crdt::clock::Size;
use ring::{NodeId, VnodeId};

/// The state of a node's vnodes at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// Each of them that is not damaged, in the order of their ids.
    pub(crate) each: Vec<VnodeStatistics>,
    /// How many there are.
    pub(crate) vnodes: u64,
    /// How many of them are catching up and do not count for reads.
    pub(crate) catching_up: u64,
    /// The vnodes that are damaged or cannot be read, and in no use, each with what is to be said
    /// of it.
    pub(crate) quarantined: BTreeMap<VnodeId, String>,
    /// Operation records kept.
    pub(crate) records: u64,
    /// What the clocks of the vnodes hold, all together.
    pub(crate) clocks: Size,
    /// What is kept for owners that were away.
    pub(crate) hints: BTreeMap<NodeId, KeptFor>,
    /// Events of that, and bytes, each counted once however many owners lack it.
    pub(crate) hints_kept: (u64, u64),
    /// Events that owners have taken over since the start, counted once for each owner.
    pub(crate) hints_delivered: u64,
    /// What is damaged of that, each with what is to be said of it.
    pub(crate) hints_damaged: BTreeSet<String>,
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
    /// How far the wall clock is ahead of those of most nodes, in milliseconds; 0 if it agrees.
    pub(crate) clock_ahead_ms: i64,
    /// How much room the disk has.
    pub(crate) room: Room,
    /// Bytes of it that are free; `None` if the store is not on a disk.
    pub(crate) free_bytes: Option<u64>,
    /// How far the store is behind with what it puts off.
    pub(crate) backlog: Backlog,
    /// What came of comparing contents with the other owners.
    pub(crate) scrub: ScrubCounts,
    /// For how many milliseconds some vnode has not been found equal to all its other owners;
    /// counted from the start where it never was.
    pub(crate) unagreed_ms: u64,
    /// When all this was so.
    pub(crate) shown_at: Time,
    /// Why the last batch failed that did.
    pub(crate) failure: Option<String>,
}

/// One vnode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VnodeStatistics {
    /// Which.
    pub(crate) id: VnodeId,
    /// Other owners.
    pub(crate) others: u8,
    /// It does not count for reads.
    pub(crate) is_catching_up: bool,
    /// When the last walk began that found its content equal to that of all other owners; `None` if
    /// none did since the start.
    pub(crate) agreed: Option<Time>,
}

/// The sizes of all clocks, added up.
fn clocks(replica: &Replica) -> Size {
    let sizes = replica.vnodes().map(|vnode| vnode.clock().size());
    sizes.fold(Size::default(), |all, one| Size {
        actors: all.actors + one.actors,
        beyond_bases: all.beyond_bases + one.beyond_bases,
    })
}

impl Statistics {
    /// Looks at all vnodes.
    pub(super) fn of(now: Time, replica: &Replica, engine: EngineStatistics) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let each: Vec<VnodeStatistics> = replica
            .vnodes()
            .map(|vnode| VnodeStatistics {
                id: vnode.id(),
                others: u8::try_from(vnode.peers().count()).unwrap_or(u8::MAX),
                is_catching_up: vnode.is_catching_up(),
                agreed: replica.agreed(vnode.id()),
            })
            .collect();
        let shared = each.iter().filter(|vnode| vnode.others > 0);
        let agreed = shared.map(|vnode| vnode.agreed.unwrap_or_default());
        let unagreed = agreed.min().map(|oldest| now.since(oldest).as_millis());
        Self {
            vnodes: count(each.len()),
            catching_up: count(each.iter().filter(|vnode| vnode.is_catching_up).count()),
            each,
            quarantined: replica
                .quarantined()
                .map(|(id, damaged)| (id, words(id, damaged)))
                .chain(
                    replica
                        .unread()
                        .map(|(id, aside)| (id, unread_words(id, aside))),
                )
                .collect(),
            records: replica.vnodes().map(Vnode::records).sum(),
            clocks: clocks(replica),
            hints: replica.hints().kept(),
            hints_kept: replica.hints().total(),
            hints_delivered: replica.hints().delivered(),
            hints_damaged: damaged_hints(replica.hints()),
            lags: replica.lags(),
            rows: engine.rows_of(Table::Data),
            events: engine.rows_of(Table::Dotlog),
            disk_bytes: engine.disk_bytes,
            stamps_ahead: replica.stamps_ahead(),
            clock_ahead_ms: replica.wall_ahead_ms(),
            room: Room::Ample,
            free_bytes: None,
            backlog: Backlog::default(),
            scrub: replica.scrub_counts(),
            shown_at: now,
            unagreed_ms: u64::try_from(unagreed.unwrap_or(0)).unwrap_or(u64::MAX),
            failure: None,
        }
    }

    /// Logs what has happened to contents since `earlier`.
    pub(super) fn tell_news(&self, earlier: &Self) {
        for (id, words) in &self.quarantined {
            if earlier.quarantined.get(id) != Some(words) {
                tracing::error!("{words}");
            }
        }
        for id in earlier.quarantined.keys() {
            if !self.quarantined.contains_key(id) {
                let partition = id.partition.0;
                tracing::warn!(partition, "a vnode that was in no use has begun anew");
            }
        }
        for words in self.hints_damaged.difference(&earlier.hints_damaged) {
            tracing::error!("{words}");
        }
        let restored = self.scrub.restored.saturating_sub(earlier.scrub.restored);
        if restored > 0 {
            tracing::error!(
                restored,
                "this node had lost rows that all other owners have, and has them again: check its \
                 disk"
            );
        }
        let alarms = self.scrub.alarms.saturating_sub(earlier.scrub.alarms);
        if alarms > 0 {
            tracing::error!(
                alarms,
                "owners with equal clocks hold different rows, and nobody can say who is right; \
                 nothing was changed: check the disks of all owners, and compare what matters with \
                 `starling inspect`"
            );
        }
    }
}

/// What is to be said of a damaged vnode.
fn words(id: VnodeId, damaged: &Quarantine) -> String {
    let what = format!("partition {} (n = {})", id.partition.0, id.n);
    let reason = damaged.reason();
    match damaged.stuck() {
        Some(stuck) => format!(
            "{what} is damaged ({reason}) and cannot be emptied ({stuck}): stop this node, move \
             the directory `db` in its data directory aside and start it again, and it fills \
             itself from the other owners"
        ),
        None if damaged.is_emptying() => {
            format!("{what} was damaged ({reason}) and is filled anew from the other owners")
        }
        None if !damaged.unused_at().is_empty() => {
            let nodes = damaged.unused_at().iter().map(ToString::to_string);
            format!(
                "{what} is damaged ({reason}) and in no use, and node {} has no such vnode in use \
                 either. If it is damaged there too, each may wait for the other: to give up what \
                 is here, stop this node, move the directory `db` in its data directory aside and \
                 start it again, and it fills itself from the owners that are in use",
                nodes.collect::<Vec<_>>().join(", node ")
            )
        }
        None => format!(
            "{what} is damaged ({reason}) and in no use: it is filled anew when the other owners \
             have all that it held; without another owner it stays as it is"
        ),
    }
}

/// What is to be said of a vnode that cannot be read now.
fn unread_words(id: VnodeId, aside: &Aside) -> String {
    let next = if aside.was_in_use() {
        "that is tried again, and the walk over what is stored goes there: what cannot be read for \
         ten seconds counts as damage; check the disk"
    } else {
        "it has not begun since the start, and that is tried again, once a minute and for ever. \
         Check the disk; if it will not be read again, stop this node, move the directory `db` in \
         its data directory aside and start it again, and it fills itself from the other owners, \
         if there are any"
    };
    format!(
        "partition {} (n = {}) is in no use, since something of it could not be read ({}): {next}",
        id.partition.0,
        id.n,
        aside.reason()
    )
}

/// What is to be said of hints that are damaged, or cannot be read.
fn damaged_hints(hints: &Hints) -> BTreeSet<String> {
    let what = |id: VnodeId| {
        let (partition, n) = (id.partition.0, id.n);
        format!("what this node keeps for the owners of partition {partition} (n = {n})")
    };
    let damaged = hints.damaged().map(|(id, reason)| {
        format!(
            "{} is damaged ({reason}): it is not handed over, and nothing is added. The owners \
             have these writes from each other, but for those that stand-ins alone acknowledged: \
             have clients repeat them. The bytes stay; check the disk",
            what(id)
        )
    });
    let unreadable = hints.unreadable().map(|(id, reason)| {
        format!(
            "{} could not be read ({reason}): until it can, which is tried once a minute at the \
             least, it is not handed over, and nothing is added. The owners have these writes from \
             each other, but for those that stand-ins alone acknowledged; check the disk",
            what(id)
        )
    });
    let hidden = hints.hidden().map(|reason| {
        format!(
            "where this node keeps writes for others cannot be read everywhere ({reason}): what \
             lies there is not handed over until that succeeds, which is tried once a minute at \
             the least; all else is. Check the disk"
        )
    });
    damaged.chain(unreadable).chain(hidden).collect()
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
