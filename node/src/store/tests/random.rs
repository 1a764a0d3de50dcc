//! Long random histories against a model that is too simple to be wrong.
//!
//! The model keeps the whole state after every batch since the last synced barrier. The same
//! seeds run on every engine, so engines that agree with the model agree with each other.

use std::collections::BTreeMap;

use super::{Barrier, Batch, Direction, Engine, KeyRange, Row, Subject, Table, View};
use super::{get, rows, rows_towards};

pub(super) fn random_histories_agree_with_the_model<S: Subject>() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut subject = S::new();
        let mut model = Model::default();
        for step in 0..150 {
            let at = format!("seed {seed}, step {step}");
            subject = model.step(subject, &mut random, &at);
        }
        model.check_newest(subject.engine(), &format!("end of seed {seed}"));
    }
}

type State = [BTreeMap<Vec<u8>, Vec<u8>>; Table::COUNT];

/// The states a crash may leave, oldest first; the last one is what reads see.
struct Model {
    states: Vec<State>,
    /// The oldest state that a crash of the process may leave.
    with_system: usize,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            states: vec![State::default()],
            with_system: 0,
        }
    }
}

impl Model {
    fn step<S: Subject>(&mut self, mut subject: S, random: &mut fastrand::Rng, at: &str) -> S {
        match random.u8(0..100) {
            0..60 => self.write(subject.engine(), random),
            60..75 => check_scan(subject.engine(), self.newest(), random, at),
            75..80 => self.write_behind_snapshot(subject.engine(), random, at),
            80..90 => {
                subject.barrier(Barrier::Wal);
                self.with_system = self.states.len() - 1;
            }
            90..95 => {
                subject.barrier(Barrier::Synced);
                self.states.drain(..self.states.len() - 1);
                self.with_system = 0;
            }
            95..98 => {
                subject = subject.crash_process();
                self.settle(subject.engine(), self.with_system, at);
                subject.barrier(Barrier::Synced);
            }
            _ => {
                subject = subject.crash_machine(random.u8(..));
                self.settle(subject.engine(), 0, at);
                subject.barrier(Barrier::Synced);
            }
        }
        subject
    }

    fn write(&mut self, engine: &dyn Engine, random: &mut fastrand::Rng) {
        let mut batch = Batch::new();
        let mut state = self.newest().clone();
        for _ in 0..random.usize(0..8) {
            let table = Table::ALL[random.usize(..Table::COUNT)];
            let rows = &mut state[table.index()];
            let (key, other) = (random_key(random), random_key(random));
            match random.u8(0..10) {
                0..6 => {
                    let value = vec![random.u8(..); random.usize(0..200)];
                    batch.put(table, &key, &value);
                    rows.insert(key, value);
                }
                6..9 => {
                    batch.delete(table, &key);
                    rows.remove(&key);
                }
                _ => {
                    batch.delete_range(table, &key, &other);
                    rows.retain(|row, _| *row < key || other <= *row);
                }
            }
        }
        engine.write(&batch).expect("a write");
        self.states.push(state);
    }

    fn write_behind_snapshot(&mut self, engine: &dyn Engine, random: &mut fastrand::Rng, at: &str) {
        let before = self.newest().clone();
        let snapshot = engine.snapshot().expect("a snapshot");
        self.write(engine, random);
        assert_eq!(whole(&*snapshot), before, "snapshot at {at}");
        check_scan(&*snapshot, &before, random, at);
        self.check_newest(engine, at);
    }

    /// The store came back from a crash: it must be in one of the states from `oldest` on, and
    /// from here on that is the only one.
    fn settle(&mut self, engine: &dyn Engine, oldest: usize, at: &str) {
        let found = whole(engine);
        let legal = self
            .states
            .drain(..)
            .skip(oldest)
            .any(|state| state == found);
        assert!(legal, "no legal state after the crash at {at}: {found:?}");
        *self = Self {
            states: vec![found],
            with_system: 0,
        };
    }

    fn newest(&self) -> &State {
        self.states.last().expect("there is always a newest state")
    }

    fn check_newest(&self, engine: &dyn Engine, at: &str) {
        assert_eq!(&whole(engine), self.newest(), "{at}");
    }
}

/// A random range, in both directions, and a random key.
fn check_scan(view: &dyn View, state: &State, random: &mut fastrand::Rng, at: &str) {
    let table = Table::ALL[random.usize(..Table::COUNT)];
    let (from, to) = (random_key(random), random_key(random));
    let range = KeyRange::between(&from, &to);
    let inside = state[table.index()]
        .iter()
        .filter(|(key, _)| from <= **key && **key < to);
    let mut expected: Vec<Row> = inside
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(rows(view, table, range.clone()), expected, "{at}");
    expected.reverse();
    assert_eq!(
        rows_towards(view, table, range, Direction::Backward),
        expected,
        "{at}"
    );
    assert_eq!(
        get(view, table, &from),
        state[table.index()].get(&from).cloned(),
        "{at}"
    );
}

fn whole(view: &dyn View) -> State {
    Table::ALL.map(|table| rows(view, table, KeyRange::all()).into_iter().collect())
}

/// Few bytes and short keys, so that keys meet each other and each other's prefixes.
fn random_key(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(0..4);
    (0..length)
        .map(|_| [0, 1, b'a', 0xff][random.usize(..4)])
        .collect()
}
