//! A small replica that stores writes by read, join and strip: the delta form with nothing else.
//!
//! It holds one partition. A part is whatever names a row: a set's element, or key and actor of a
//! counter's share.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crdt::{Actor, Clock, Context, Dot, Row, Version};

/// One write as it travels.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) part: Bytes,
    pub(crate) row: Row,
    pub(crate) dot: Dot,
}

/// One replica.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) actor: Actor,
    pub(crate) clock: Clock,
    pub(crate) rows: BTreeMap<Bytes, Row>,
    log: BTreeMap<Dot, Bytes>,
}

impl Replica {
    pub(crate) fn new(node: u64) -> Self {
        Self {
            actor: Actor { node, nonce: node },
            clock: Clock::default(),
            rows: BTreeMap::new(),
            log: BTreeMap::new(),
        }
    }

    /// Coordinates a write of `version`, or a delete, over what `context` covers.
    pub(crate) fn write(&mut self, part: Bytes, version: Option<Version>, over: Context) -> Delta {
        let dot = self.clock.next(self.actor);
        let row = match version {
            Some(version) => Row::write(dot, version, over),
            None => Row::delete(over),
        };
        let delta = Delta { part, row, dot };
        self.receive(&delta);
        delta
    }

    /// Takes a delta, unless its dot has been seen.
    pub(crate) fn receive(&mut self, delta: &Delta) {
        if !self.clock.contains(delta.dot) {
            let mut row = self.row(&delta.part);
            row.join(&delta.row);
            self.clock.insert(delta.dot);
            self.log.insert(delta.dot, delta.part.clone());
            self.store(delta.part.clone(), row);
        }
    }

    /// Pulls the rows behind the dots that this replica lacks, of the parts that begin with
    /// `prefix`. Returns those parts and dots.
    pub(crate) fn pull(&mut self, source: &Self, prefix: &[u8]) -> BTreeMap<Dot, Bytes> {
        let missing = source.clock.missing_from(&self.clock);
        let dots = missing.ranges().flat_map(|(actor, first, last)| {
            (first..=last).map(move |counter| Dot::new(actor, counter))
        });
        let wanted: BTreeMap<Dot, Bytes> = dots
            .map(|dot| (dot, source.log[&dot].clone()))
            .filter(|(_, part)| part.starts_with(prefix))
            .collect();
        let parts: BTreeSet<&Bytes> = wanted.values().collect();
        let mut joined = Vec::new();
        for &part in &parts {
            let mut row = self.filled(part);
            row.join(&source.filled(part));
            joined.push((part.clone(), row));
        }
        for (&dot, part) in &wanted {
            self.clock.insert(dot);
            self.log.insert(dot, part.clone());
        }
        for (part, row) in joined {
            self.store(part, row);
        }
        wanted
    }

    /// The row as it is stored.
    pub(crate) fn row(&self, part: &[u8]) -> Row {
        self.rows.get(part).cloned().unwrap_or_default()
    }

    /// The row, speaking for the whole replica.
    pub(crate) fn filled(&self, part: &[u8]) -> Row {
        let mut row = self.row(part);
        row.fill(&self.clock);
        row
    }

    fn store(&mut self, part: Bytes, mut row: Row) {
        row.strip(&self.clock);
        if row.is_empty() {
            self.rows.remove(&part);
        } else {
            self.rows.insert(part, row);
        }
    }
}
