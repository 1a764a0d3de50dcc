//! The laws. Each runs a kind through many seeds and says which one broke it.

use std::collections::BTreeSet;

use bytes::Bytes;
use fastrand::Rng;

use crate::common::Replica;
use crate::subject::{Rows, Subject};
use crate::world::{World, alive, filled};
use crdt::Row;

fn seeds() -> u64 {
    let asked = std::env::var("STARLING_MODEL_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(40)
}

fn joined(x: &Row, y: &Row) -> Row {
    let mut row = x.clone();
    row.join(y);
    row
}

/// Joined rows do not depend on order, grouping or repetition, and neither does what is shown.
pub(crate) fn join<S: Subject>() {
    for seed in 0..seeds() {
        let world = World::random::<S>(&mut Rng::with_seed(seed));
        let [a, b, c] = [0, 1, 2].map(|at| &world.replicas[at]);
        let parts: BTreeSet<&Bytes> = world.replicas.iter().flat_map(|r| r.rows.keys()).collect();
        let (mut left, mut right) = (Rows::new(), Rows::new());
        for part in parts {
            let [x, y, z] = [a, b, c].map(|replica| replica.filled(part));
            assert_eq!(joined(&x, &y), joined(&y, &x), "seed {seed}");
            assert_eq!(joined(&x, &x), x, "seed {seed}");
            let (one, other) = (joined(&joined(&x, &y), &z), joined(&x, &joined(&y, &z)));
            assert_eq!(one, other, "seed {seed}");
            left.insert(part.clone(), one);
            right.insert(part.clone(), joined(&z, &joined(&y, &x)));
        }
        assert_eq!(S::shown(&left), S::shown(&right), "seed {seed}");
    }
}

/// A replica that receives what another has, delta by delta, is as one that joined its rows.
pub(crate) fn delta<S: Subject>() {
    for seed in 0..seeds() {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::random::<S>(&mut rng);
        let (mut receives, mut pulls) = (world.replicas[0].clone(), world.replicas[0].clone());
        let source = &world.replicas[1];
        rng.shuffle(&mut world.deltas);
        let deltas = world.deltas.iter();
        deltas
            .filter(|delta| source.clock.contains(delta.dot))
            .for_each(|delta| receives.receive(delta));
        pulls.pull(source, b"");
        assert_eq!(receives.clock, pulls.clock, "seed {seed}");
        assert_eq!(alive(&receives), alive(&pulls), "seed {seed}");
        let shown = S::shown(&filled(&receives));
        assert_eq!(shown, S::shown(&filled(&pulls)), "seed {seed}");
    }
}

/// Everyone gets everything in an order of its own, twice, and then all of them show the same.
pub(crate) fn convergence<S: Subject>() {
    for seed in 0..seeds() {
        let mut rng = Rng::with_seed(seed);
        let world = World::random::<S>(&mut rng);
        let mut replicas = world.replicas;
        replicas.push(Replica::new(9));
        for replica in &mut replicas {
            let mut arriving = [&world.deltas[..], &world.deltas].concat();
            rng.shuffle(&mut arriving);
            arriving.iter().for_each(|delta| replica.receive(delta));
        }
        let (first, others) = replicas.split_first().expect("there are four replicas");
        for other in others {
            assert_eq!(alive(first), alive(other), "seed {seed}");
            let shown = S::shown(&filled(first));
            assert_eq!(shown, S::shown(&filled(other)), "seed {seed}");
        }
    }
}

/// Rows are what their bytes say, and equal rows have equal bytes.
pub(crate) fn bytes<S: Subject>() {
    for seed in 0..seeds() {
        let world = World::random::<S>(&mut Rng::with_seed(seed));
        for row in world
            .replicas
            .iter()
            .flat_map(|replica| filled(replica).into_values())
        {
            let bytes = row.encode();
            let read = Row::decode(&bytes);
            assert_eq!(read.as_ref(), Ok(&row), "seed {seed}");
            assert_eq!(read.map(|row| row.encode()), Ok(bytes), "seed {seed}");
        }
    }
}

/// Without concurrency the kind is the plain type, after every single operation.
pub(crate) fn sequence<S: Subject>() {
    for seed in 0..seeds() {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new();
        let mut plain = S::Plain::default();
        for _ in 0..40 {
            let operation = S::random(&mut rng);
            world.act::<S>(0, &operation);
            S::apply(&mut plain, &operation);
            let shown = S::shown(&filled(&world.replicas[0]));
            assert_eq!(
                shown,
                S::plainly(&plain),
                "seed {seed}, after {operation:?}"
            );
        }
    }
}
