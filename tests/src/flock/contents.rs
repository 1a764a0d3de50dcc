//! What the disks hold, and damage to it.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::Flock;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};
use ring::NodeId;
use starling_node::protocol::keys::{checkpoint_key, data_range};
use starling_node::protocol::stage::{Family, Source, encode_row};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Barrier, Batch, Engine, MemoryEngine, Table};

/// A key and its value.
pub type Stored = (Vec<u8>, Vec<u8>);

impl Flock {
    /// Writes so many rows, as somebody else had written them long ago.
    pub(super) fn fill(&self, engine: &MemoryEngine, rows: u64) {
        if rows == 0 {
            return;
        }
        let (mut batch, mut clock) = (Batch::new(), Clock::default());
        let actor = Actor { node: 9, nonce: 9 };
        for number in 1..=rows {
            let dot = Dot::new(actor, number);
            let version = Version::new(Hlc::at(number), None, Bytes::from_static(b"value"));
            let key = self.prefix(&format!("row-{number:07}"));
            let key = key.row(Leaf::Value, b"");
            let row = Row::write(dot, version, Context::default());
            let stored = encode_row(key.as_bytes(), &row);
            batch.put(Table::Data, key.as_bytes(), &stored);
            clock.insert(dot);
        }
        batch.put(Table::Meta, &checkpoint_key(self.vnode()), &clock.encode());
        engine.write(&batch).expect("no fault is injected");
    }

    /// The stored rows of a node, damaged or not.
    #[must_use]
    pub fn rows(&self, node: NodeId) -> Vec<Stored> {
        let (from, to) = data_range(self.vnode(), self.bits);
        let mut rows = Vec::new();
        StoreSource::new(self.engine(node))
            .scan(Family::Data, &from, &to, &mut |key, stored| {
                rows.push((key.to_vec(), stored.to_vec()));
                ControlFlow::Continue(())
            })
            .expect("no fault is injected");
        rows
    }

    /// The stored row of a key.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn row(&self, node: NodeId, key: &str) -> Stored {
        let prefix = self.prefix(key);
        let rows = self.rows(node).into_iter();
        let mut rows = rows.filter(|(key, _)| key.starts_with(prefix.as_bytes()));
        rows.next().expect("there is such a row")
    }

    /// Flips a bit of the stored row of a key.
    pub fn damage(&mut self, node: NodeId, key: &str) {
        let (key, mut stored) = self.row(node, key);
        stored[3] ^= 4;
        self.store(node, Table::Data, &key, Some(&stored));
    }

    /// Writes behind the node's back.
    pub fn store(&mut self, node: NodeId, table: Table, key: &[u8], value: Option<&[u8]>) {
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(table, key, value),
            None => batch.delete(table, key),
        }
        let engine = self.engine(node);
        engine.write(&batch).expect("no fault is injected");
        engine
            .barrier(Barrier::Synced)
            .expect("no fault is injected");
    }

    /// The clock of a node's vnode, if it serves.
    #[must_use]
    pub fn clock(&self, node: NodeId) -> Option<Clock> {
        let vnode = self.replica(node).vnode(self.vnode());
        vnode.map(|vnode| vnode.clock().clone())
    }

    /// Does a node have what this dot names?
    #[must_use]
    pub fn holds(&self, node: NodeId, dot: Dot) -> bool {
        let vnode = self.replica(node).vnode(self.vnode());
        vnode.is_some_and(|vnode| vnode.clock().contains(dot))
    }

    /// Does a stand-in keep it for somebody?
    #[must_use]
    pub fn keeps(&self, node: NodeId, dot: Dot) -> bool {
        let hints = self.replica(node).hints();
        hints.holds(self.vnode(), std::iter::once(dot))
    }
}
