//! Bits that flip in what a node has stored, and what the node makes of it.

use std::ops::ControlFlow;

use super::bits;
use super::world::{Broken, World};
use crdt::Clock;
use crdt::kinds::Leaf;
use ring::VnodeId;
use starling_node::protocol::keys::{
    RowKey, checkpoint_key, damaged_key, data_range, vnode_end, vnode_prefix,
};
use starling_node::protocol::replica::ScrubCounts;
use starling_node::protocol::stage::{Family, Source, decode_row};
use starling_node::protocol::vnode::Vnode;
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Batch, Engine, Table};

/// A key and its value.
type Stored = (Vec<u8>, Vec<u8>);

impl World {
    /// Flips a bit of a row, if every other owner of its vnode has all that this one ever had
    /// settled: data of which no whole copy is left cannot come back.
    pub(crate) fn flip_a_bit(&mut self, node: usize) {
        let vnodes = self.vnodes_of(node);
        if vnodes.is_empty() || self.is_something_damaged() {
            return;
        }
        let id = vnodes[self.random.usize(..vnodes.len())];
        let rows = self.rows_of(node, id);
        if rows.is_empty() || !self.do_others_cover(node, id) {
            return;
        }
        let (key, mut stored) = rows[self.random.usize(..rows.len())].clone();
        let byte = self.random.usize(..stored.len());
        stored[byte] ^= 1 << self.random.u32(..8);
        let mut batch = Batch::new();
        batch.put(Table::Data, &key, &stored);
        if self.nodes[node].engine.write(&batch).is_ok() {
            self.tally.count("a row was damaged");
            let (now, key) = (self.queue.now(), key.escape_ascii());
            self.trace
                .note(now, format_args!("n{node}: a bit of {key} flips"));
        }
    }

    /// Is a stored row damaged anywhere, or a vnode in quarantine for it?
    pub(crate) fn is_something_damaged(&self) -> bool {
        (0..self.nodes.len()).any(|node| {
            let process = self.nodes[node].process.as_ref();
            let quarantined = process.is_some_and(|p| p.replica.quarantined().count() > 0);
            quarantined || self.is_damaged(node)
        })
    }

    fn is_damaged(&self, node: usize) -> bool {
        let counts = [self.ring.layout().n()];
        let owned = self.ring.vnodes_of(self.nodes[node].id, &counts);
        let mut damaged = owned.filter(|&id| {
            let disk = StoreSource::new(&self.nodes[node].engine);
            let is_marked = disk.get(Family::Meta, &damaged_key(id));
            let mut rows = self.rows_of(node, id).into_iter();
            !matches!(is_marked, Ok(None)) || rows.any(|(key, row)| decode_row(&key, &row).is_err())
        });
        damaged.next().is_some()
    }

    /// What came of the vnodes that a node has put into quarantine, or could not read. One in
    /// quarantine stands by nothing any more, as if its disk had been replaced.
    pub(crate) fn note_quarantine(&mut self, node: usize) {
        let now = self.queue.now();
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.replica.take_unread().is_some() {
            self.tally.count("something of a vnode could not be read");
        }
        let replica = &process.replica;
        let damaged: Vec<VnodeId> = replica.quarantined().map(|(id, _)| id).collect();
        let seen = (replica.quarantines(), damaged.len());
        let before = std::mem::replace(&mut process.quarantined, seen);
        if seen.0 > before.0 {
            self.tally.count("a vnode went into quarantine");
            self.trace
                .note(now, format_args!("n{node} has damaged vnodes: {damaged:?}"));
            self.ledger.has_loss = true;
            self.ledger.new_disks.insert(node);
            self.nodes[node].disk_since = now;
            for id in damaged {
                self.ledger.lose_vnode(node, id);
            }
        } else if seen.1 < before.1 {
            self.tally.count("a vnode began anew after damage");
            self.trace
                .note(now, format_args!("n{node} begins a damaged vnode anew"));
        }
    }

    /// A disk forgets a row, and nobody notices: the clock says that it was here. It is one
    /// whose loss owners can tell from others: it has no end and is not a clear, which owners
    /// forget by themselves. Where a vnode still logs events, their trimming would touch the row.
    /// Returns how many versions it showed.
    pub(crate) fn lose_a_row(&mut self) -> u64 {
        let node = self.random.usize(..self.nodes.len());
        let mut rows = Vec::new();
        for id in self.vnodes_of(node) {
            if self.does_log(node, id) {
                continue;
            }
            rows.extend(self.rows_of(node, id).into_iter().filter_map(|(key, row)| {
                let row = decode_row(&key, &row).ok()?;
                let is_clear = RowKey::decode(&key).ok()?.leaf() == Leaf::Cleared;
                let mut versions = row.versions().values();
                let lasts = versions.all(|version| version.expires_ms.is_none());
                let count = u64::try_from(row.versions().len()).unwrap_or(u64::MAX);
                (lasts && !is_clear && count > 0).then_some((key, count))
            }));
        }
        if rows.is_empty() {
            return 0;
        }
        let (key, count) = &rows[self.random.usize(..rows.len())];
        let mut batch = Batch::new();
        batch.delete(Table::Data, key);
        if self.nodes[node].engine.write(&batch).is_err() {
            return 0;
        }
        self.tally.count("a row was lost in silence");
        let (now, key) = (self.queue.now(), key.escape_ascii());
        self.trace.note(now, format_args!("n{node}: {key} is lost"));
        *count
    }

    fn does_log(&self, node: usize, id: VnodeId) -> bool {
        let mut found = false;
        let disk = StoreSource::new(&self.nodes[node].engine);
        let (from, to) = (vnode_prefix(id), vnode_end(id));
        let scanned = disk.scan(Family::Dotlog, &from, &to, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        });
        found || scanned.is_err()
    }

    /// What the scrubs of all nodes have given back, since it was lost; and nothing else may have
    /// been, nor may one have been unable to say who is right.
    pub(crate) fn check_scrubs(&mut self, lost: u64) -> Result<(), Broken> {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let counts = processes.map(|process| process.replica.scrub_counts());
        let counts: Vec<ScrubCounts> = counts.collect();
        let restored: u64 = counts.iter().map(|counts| counts.restored).sum();
        let alarms: u64 = counts.iter().map(|counts| counts.alarms).sum();
        self.tally.add("a lost version was restored", restored);
        if restored != lost || alarms > 0 {
            let what = format!("{lost} versions were lost, {restored} restored, {alarms} alarms");
            return Err(("scrub", what));
        }
        Ok(())
    }

    fn vnodes_of(&self, node: usize) -> Vec<VnodeId> {
        let process = self.nodes[node].process.iter();
        let vnodes = process.flat_map(|process| process.replica.vnodes());
        vnodes.map(Vnode::id).collect()
    }

    fn rows_of(&self, node: usize, id: VnodeId) -> Vec<Stored> {
        let (from, to) = data_range(id, bits());
        let mut rows = Vec::new();
        let disk = StoreSource::new(&self.nodes[node].engine);
        let scanned = disk.scan(Family::Data, &from, &to, &mut |key, stored| {
            rows.push((key.to_vec(), stored.to_vec()));
            ControlFlow::Continue(())
        });
        // A disk that cannot be read now is left alone.
        scanned.map_or_else(|_| Vec::new(), |()| rows)
    }

    fn do_others_cover(&self, node: usize, id: VnodeId) -> bool {
        let disk = StoreSource::new(&self.nodes[node].engine);
        let Ok(Some(settled)) = disk.get(Family::Meta, &checkpoint_key(id)) else {
            return false;
        };
        let Ok(settled) = Clock::decode(&settled) else {
            return false;
        };
        // Where others have nothing at all, what lies here is kept, whatever it is.
        if settled == Clock::default() {
            return false;
        }
        let owners = self.ring.owners(id.n, id.partition);
        let mut others = owners
            .iter()
            .flat_map(|list| list.iter())
            .map(|owner| self.index_of(owner))
            .filter(|&other| other != node);
        others.all(|other| {
            let process = self.nodes[other].process.as_ref();
            let vnode = process.and_then(|process| process.replica.vnode(id));
            vnode.is_some_and(|vnode| !vnode.is_catching_up() && vnode.clock().covers(&settled))
        })
    }
}
