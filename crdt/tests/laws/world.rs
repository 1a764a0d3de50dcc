//! Three replicas and all that was ever written at them.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::common::{Delta, Replica};
use crate::subject::{Rows, Subject};
use crdt::{Dot, Hlc, OpId, Version};

/// A run of random operations and deliveries.
pub(crate) struct World {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) deltas: Vec<Delta>,
    stamp: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            replicas: (1..=3).map(Replica::new).collect(),
            deltas: Vec::new(),
            stamp: 0,
        }
    }

    /// Operations at random replicas. Deltas arrive late, twice, in any order, or by a pull.
    pub(crate) fn random<S: Subject>(rng: &mut Rng) -> Self {
        let mut world = Self::new();
        for _ in 0..rng.usize(5..40) {
            let at = rng.usize(0..world.replicas.len());
            match rng.u8(0..10) {
                0..5 => {
                    let operation = S::random(rng);
                    world.act::<S>(at, &operation);
                }
                5..9 if !world.deltas.is_empty() => {
                    let delta = &world.deltas[rng.usize(0..world.deltas.len())];
                    world.replicas[at].receive(delta);
                }
                _ => {
                    let source = world.replicas[rng.usize(0..3)].clone();
                    world.replicas[at].pull(&source, b"");
                }
            }
        }
        world
    }

    /// Coordinates an operation at a replica.
    pub(crate) fn act<S: Subject>(&mut self, at: usize, operation: &S::Operation) {
        let replica = &mut self.replicas[at];
        let dot = replica.clock.next(replica.actor);
        for (part, edit) in S::edits(&replica.rows, dot, operation) {
            self.stamp += 1;
            let sequence = self.stamp;
            let op = OpId {
                client: 1,
                sequence,
            };
            let stamp = Hlc::at(sequence);
            let version = edit.body.map(|body| Version::new(stamp, Some(op), body));
            self.deltas.push(replica.write(part, version, edit.context));
        }
    }
}

/// All rows of a replica, each speaking for the whole replica.
pub(crate) fn filled(replica: &Replica) -> Rows {
    let parts = replica.rows.keys().cloned();
    parts
        .map(|part| (part.clone(), replica.filled(&part)))
        .collect()
}

/// The dots of each row.
pub(crate) type Alive<'a> = BTreeMap<&'a [u8], Vec<Dot>>;

/// What is alive in each row that has a version: what two equal replicas agree on.
pub(crate) fn alive(replica: &Replica) -> Alive<'_> {
    let rows = replica.rows.iter();
    let rows = rows.filter(|(_, row)| !row.versions().is_empty());
    rows.map(|(part, row)| (&part[..], row.versions().keys().copied().collect()))
        .collect()
}
