//! One coordinator: a replica, the completion records, and the making of voids.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Mutant;
use super::ghost::{Ghost, Operation};
use crate::common::{Delta, Replica};
use crdt::codec::Encoder;
use crdt::kinds::counter::{Share, value, version};
use crdt::{Actor, Applications, Clock, Context, Dot, Hlc, OpId};

/// One batch, as it is stored and sent: writes, and the record of the operation behind them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    writes: Vec<(Delta, Ghost)>,
    records: Vec<Record>,
}

/// The dots of one operation.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    operation: Operation,
    applications: Applications,
}

impl Batch {
    /// Does it write nothing?
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Did `actor` write it?
    pub(crate) fn is_from(&self, actor: Actor) -> bool {
        self.writes
            .iter()
            .any(|(delta, _)| delta.dot.actor == actor)
    }
}

impl Record {
    /// Every dot that the operation is known to be applied under.
    pub(crate) fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.applications.dots()
    }
}

/// What a new state of a share is made from: an older one, what it truly reflects, and the context
/// that covers exactly that.
#[derive(Debug, Clone, Default)]
struct Basis {
    share: Share,
    ghost: Ghost,
    over: Context,
}

/// One coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) records: BTreeMap<OpId, Record>,
    /// By part: what its share reflects. No rule reads it.
    pub(crate) ghosts: BTreeMap<Bytes, Ghost>,
    /// The newest clocks of the others that this node knows.
    pub(crate) peers: BTreeMap<Actor, Clock>,
    /// What this node wrote last of each part: the memory of the blind path.
    written: BTreeMap<Bytes, Basis>,
    mutant: Option<Mutant>,
}

impl Node {
    pub(crate) fn new(node: u64, mutant: Option<Mutant>) -> Self {
        Self {
            replica: Replica::new(node),
            records: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            peers: BTreeMap::new(),
            written: BTreeMap::new(),
            mutant,
        }
    }

    /// Applies an operation, unless its record is here. From memory alone if `blind`.
    pub(crate) fn increment(&mut self, operation: Operation, blind: bool) -> Option<(Dot, Batch)> {
        if self.records.contains_key(&operation.id) {
            return None;
        }
        let part = part(operation.key, self.replica.actor);
        let dot = self.replica.clock.next(self.replica.actor);
        let mut basis = if blind {
            self.written.get(&part).cloned().unwrap_or_default()
        } else {
            self.read(&part)
        };
        if self.mutant == Some(Mutant::ShipsLastAmount) {
            basis.share = Share::default();
        }
        basis.share.add(dot.counter, operation.amount);
        basis.ghost.added.insert(dot);
        let write = self.write(part, basis);
        let applications = Applications::new(dot, dot.counter);
        let record = Record {
            operation,
            applications,
        };
        self.records.insert(operation.id, record.clone());
        Some((
            dot,
            Batch {
                writes: vec![write],
                records: vec![record],
            },
        ))
    }

    /// Takes away all that this node sees of a counter.
    pub(crate) fn reset(&mut self, key: u8) -> Batch {
        let parts = self.parts(key);
        let mut batch = Batch::default();
        for part in parts {
            let mut basis = self.read(&part);
            basis.share.reset();
            basis.ghost.reset.extend(basis.ghost.added.clone());
            batch.writes.push(self.write(part, basis));
        }
        batch
    }

    /// Makes the losers of each record void, if that is safe.
    pub(crate) fn make_voids(&mut self) -> Batch {
        let mut batch = Batch::default();
        for record in self.records.values().cloned().collect::<Vec<_>>() {
            let winner = record.applications.at(0).next();
            let safe = winner.is_some_and(|winner| self.is_safe(winner));
            for loser in record.applications.at(0).skip(1).filter(|_| safe) {
                batch.writes.extend(self.make_void(record.operation, loser));
            }
        }
        batch
    }

    pub(crate) fn handle(&mut self, batch: &Batch) {
        for (delta, ghost) in &batch.writes {
            self.replica.receive(delta);
            self.ghosts
                .entry(delta.part.clone())
                .or_default()
                .join(ghost);
        }
        batch.records.iter().for_each(|record| self.learn(record));
    }

    /// Pulls one counter, or all of them, with the records of its operations.
    pub(crate) fn pull(&mut self, source: &Self, key: Option<u8>) {
        if source.replica.actor == self.replica.actor {
            return;
        }
        let prefix = key.map_or_else(Vec::new, |key| vec![key]);
        let pulled = self.replica.pull(&source.replica, &prefix);
        for part in pulled.values() {
            let ghost = source.ghosts.get(part).cloned().unwrap_or_default();
            self.ghosts.entry(part.clone()).or_default().join(&ghost);
        }
        for record in source.records.values() {
            if record
                .applications
                .dots()
                .any(|dot| pulled.contains_key(&dot))
            {
                self.learn(record);
            }
        }
        self.peers
            .insert(source.replica.actor, source.replica.clock.clone());
    }

    /// The counter's value, and what it truly reflects.
    pub(crate) fn counter(&self, key: u8) -> (i128, Ghost) {
        let parts = self.parts(key);
        let rows = parts.iter().filter_map(|part| self.replica.rows.get(part));
        let value = value(rows).expect("every row here holds shares");
        let mut ghost = Ghost::default();
        for part in &parts {
            ghost.join(&self.ghosts[part]);
        }
        (value, ghost)
    }

    fn make_void(&mut self, operation: Operation, loser: Dot) -> Option<(Delta, Ghost)> {
        let part = part(operation.key, loser.actor);
        let mut basis = self.read(&part);
        match self.mutant {
            Some(Mutant::NoVoid) => return None,
            Some(Mutant::VoidIgnoresReset) => {
                if loser.actor != self.replica.actor || basis.ghost.voided.contains(&loser) {
                    return None;
                }
                let next = self.replica.clock.next(loser.actor);
                basis.share.add(next.counter, -operation.amount);
            }
            _ if basis.share.is_settled(loser.counter) => return None,
            _ => basis.share.void(loser.counter, operation.amount),
        }
        basis.ghost.voided.insert(loser);
        Some(self.write(part, basis))
    }

    /// Is the dot here and on a second replica?
    fn is_safe(&self, dot: Dot) -> bool {
        let elsewhere = self.peers.values().any(|clock| clock.contains(dot));
        let early = self.mutant == Some(Mutant::VoidBeforeWinnerIsSafe);
        self.replica.clock.contains(dot) && (elsewhere || early)
    }

    fn learn(&mut self, record: &Record) {
        let here = self
            .records
            .entry(record.operation.id)
            .or_insert_with(|| record.clone());
        here.applications.join(&record.applications);
    }

    fn read(&self, part: &Bytes) -> Basis {
        let row = self.replica.row(part);
        let share = Share::of(&row).expect("every row here holds shares");
        let ghost = self.ghosts.get(part).cloned().unwrap_or_default();
        let over = row.seen();
        Basis { share, ghost, over }
    }

    fn write(&mut self, part: Bytes, basis: Basis) -> (Delta, Ghost) {
        let Basis { share, ghost, over } = basis;
        let version = version(&share, Hlc::at(1), None);
        let delta = self.replica.write(part.clone(), Some(version), over);
        self.ghosts.entry(part.clone()).or_default().join(&ghost);
        let mut over = Context::default();
        over.insert(delta.dot);
        let written = Basis {
            share,
            ghost: ghost.clone(),
            over,
        };
        self.written.insert(part, written);
        (delta, ghost)
    }

    fn parts(&self, key: u8) -> Vec<Bytes> {
        let parts = self.ghosts.keys().filter(|part| part.starts_with(&[key]));
        parts.cloned().collect()
    }
}

fn part(key: u8, actor: Actor) -> Bytes {
    let mut encoder = Encoder::default();
    encoder.u8(key);
    actor.encode(&mut encoder);
    encoder.finish().into()
}
