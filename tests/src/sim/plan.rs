//! The plan of a run: everything that a seed decides before the first event.
//!
//! Faults are swarmed (Groce et al., *Swarm Testing*, ISSTA'12): each seed switches a random subset
//! on, at random rates, because a fault that is always there hides what happens without it.

use std::fmt;

use fastrand::Rng;

use super::queue::{Instant, MS, SECOND};
use super::wire::Links;
use starling::wire::Kind;

/// What a run will be like.
#[derive(Debug, Clone)]
pub struct Plan {
    /// From which everything else follows.
    pub seed: u64,
    /// Nodes; each key has three owners among them.
    pub(crate) nodes: usize,
    /// Clients.
    pub(crate) clients: usize,
    /// How long faults and clients go on.
    pub(crate) trouble: Instant,
    /// Between two operations of a client, on average.
    pub(crate) think: Instant,
    /// Of every kind of bucket, how many keys.
    pub(crate) keys: usize,
    /// What the keys hold.
    pub(crate) kinds: Vec<Kind>,
    /// Some writes change two keys at once.
    pub(crate) batches: bool,
    /// Some of what is written ends.
    pub(crate) expires: bool,
    /// Some writes may lean on stand-ins.
    pub(crate) leans: bool,
    /// Stand-ins keep hints; otherwise they refuse to.
    pub(crate) hints: bool,
    /// Clients are sessions.
    pub(crate) sessions: bool,
    /// Most reads are monotonic, and follow each other closely.
    pub(crate) monotonic: bool,
    /// Messages between nodes go over real connections.
    pub(crate) over_wire: bool,
    /// Every message goes through the codec.
    pub(crate) encodes: bool,
    /// Reads are answered without the committer when it rests.
    pub(crate) reads_inline: bool,
    /// A vnode that is catching up never goes on without a peer that it cannot reach.
    pub(crate) waits_for_all: bool,
    /// A restored disk is known to be one: its vnodes catch up.
    pub(crate) restores_known: bool,
    /// Collections of more than one row are cleared at once.
    pub(crate) clears_at_once: bool,
    /// Owners compare the content of their rows; when all is at rest, one disk loses a row in
    /// silence.
    pub(crate) scrubs: bool,
    /// Messages hold a few rows, so that pulls and syncs take several.
    pub(crate) small_messages: bool,
    /// A batch waits for its disk up to this long at each step.
    pub(crate) slow_disk: Instant,
    /// A message is on its way for up to this long.
    pub(crate) delay: Instant,
    /// A call that is not answered is given up after this long.
    pub(crate) call_timeout: Instant,
    /// How many messages in a thousand are lost.
    pub(crate) loss: u64,
    /// How many messages in a thousand arrive twice.
    pub(crate) duplicates: u64,
    /// The mean time between two strikes of each kind; absent kinds never strike.
    pub(crate) strikes: Vec<(Strike, Instant)>,
}

/// What the nemesis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// Messages in one direction between two nodes are lost for a while.
    Cut,
    /// A node is cut off from all others, in both directions.
    Isolate,
    /// kill -9, and a start some time later.
    ProcessCrash,
    /// The power fails.
    MachineCrash,
    /// The power fails and the disk is replaced by an empty one.
    Wipe,
    /// The disk is replaced by an older copy of itself.
    Restore,
    /// A node stands still.
    Pause,
    /// A wall clock jumps.
    WallStep,
    /// The store fails a few calls.
    StoreFault,
    /// A bit of a stored row flips.
    FlipBit,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut sometimes = |chance: f64| random.f64() < chance;
        let encodes = sometimes(0.2);
        let reads_inline = sometimes(0.5);
        let waits_for_all = sometimes(0.5);
        let restores_known = sometimes(0.7);
        let small_messages = sometimes(0.5);
        let [loses, duplicates, slow, quick] = [0.6, 0.5, 0.3, 0.5].map(&mut sometimes);
        let struck: Vec<_> = STRIKES.iter().filter(|_| sometimes(0.4)).collect();
        let mean = |&&(strike, least, most): &&(Strike, u64, u64)| {
            (strike, random.u64(least * SECOND..=most * SECOND))
        };
        let strikes: Vec<(Strike, Instant)> = struck.iter().map(mean).collect();
        let Shape {
            kinds,
            batches,
            expires,
            clears_at_once,
            leans,
            hints,
            sessions,
        } = Shape::of(seed, &strikes);
        Self {
            seed,
            kinds: [kinds, minima(seed)].concat(),
            batches,
            expires,
            leans,
            hints,
            sessions,
            nodes: if random.f64() < 0.7 {
                3
            } else {
                random.usize(4..=5)
            },
            clients: random.usize(2..=4),
            trouble: random.u64(15..=40) * SECOND,
            think: random.u64(60..=250) * MS,
            keys: random.usize(2..=4),
            encodes,
            over_wire: false,
            reads_inline,
            waits_for_all,
            restores_known,
            small_messages,
            scrubs: scrubs(seed),
            monotonic: Rng::with_seed(seed ^ MONOTONIC_SALT).f64() < 0.4,
            clears_at_once,
            slow_disk: if slow { random.u64(1..=40) * MS } else { MS },
            delay: if quick {
                2 * MS
            } else {
                random.u64(2..=300) * MS
            },
            call_timeout: random.u64(500..=3_000) * MS,
            loss: if loses { random.u64(5..=250) } else { 0 },
            duplicates: if duplicates { random.u64(5..=150) } else { 0 },
            strikes: [strikes, flips(seed)].concat(),
        }
    }

    /// The plan of a seed for a run over a wire: packets are lost, links cut and processes killed
    /// in every one of them.
    #[must_use]
    pub fn over_wire(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.over_wire = true;
        plan.loss = plan.loss.max(10);
        for (strike, mean) in [
            (Strike::Cut, 4 * SECOND),
            (Strike::ProcessCrash, 8 * SECOND),
        ] {
            if plan.strikes.iter().all(|(known, _)| *known != strike) {
                plan.strikes.push((strike, mean));
            }
        }
        plan
    }

    /// What befalls what is on its way.
    #[must_use]
    pub fn links(&self) -> Links {
        Links {
            nodes: self.nodes,
            loss: self.loss,
            duplicates: self.duplicates,
            delay: self.delay,
        }
    }

    /// What is switched on, in words.
    fn switches(&self) -> [(bool, &'static str); 14] {
        [
            (self.over_wire, "over real connections"),
            (self.batches, "batches"),
            (self.expires, "some versions end"),
            (self.leans, "some writes are sloppy"),
            (!self.hints, "nobody keeps hints"),
            (self.sessions, "sessions"),
            (self.monotonic, "monotonic reads"),
            (self.encodes, "messages encoded"),
            (self.reads_inline, "reads inline"),
            (self.waits_for_all, "catching up waits for all"),
            (self.restores_known, "restores known"),
            (self.small_messages, "small messages"),
            (self.scrubs, "contents compared, and a row lost"),
            (self.clears_at_once, "clears at once"),
        ]
    }
}

/// Whether bits flip, and how often: drawn apart, too.
fn flips(seed: u64) -> Vec<(Strike, Instant)> {
    let mut random = Rng::with_seed(seed ^ FLIP_SALT);
    let is_on = random.f64() < 0.25;
    let strike = is_on.then(|| (Strike::FlipBit, random.u64(3 * SECOND..=12 * SECOND)));
    strike.into_iter().collect()
}

/// Whether contents are compared, and a row is lost, which nothing else would find.
fn scrubs(seed: u64) -> bool {
    Rng::with_seed(seed ^ LOSS_SALT).f64() < 0.2
}

/// Whether there is a minimum: drawn apart, too.
fn minima(seed: u64) -> Vec<Kind> {
    let is_on = Rng::with_seed(seed ^ MINIMUM_SALT).f64() < 0.15;
    is_on.then_some(Kind::Min).into_iter().collect()
}

/// What clients work with: drawn apart, so that the rest of a plan does not depend on it.
struct Shape {
    kinds: Vec<Kind>,
    batches: bool,
    expires: bool,
    clears_at_once: bool,
    leans: bool,
    hints: bool,
    sessions: bool,
}

impl Shape {
    fn of(seed: u64, strikes: &[(Strike, Instant)]) -> Self {
        let mut random = Rng::with_seed(seed ^ SALT);
        let mut kinds = if random.f64() < 0.4 {
            BASIC.to_vec()
        } else {
            let among = BASIC.iter().chain(&[Kind::Map, Kind::Map]).chain(OTHERS);
            among.copied().filter(|_| random.f64() < 0.4).collect()
        };
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push(Kind::Map);
        }
        let batches = random.f64() < 0.4;
        // Who has a wrong clock ends things at a wrong time, as is documented.
        let is_timely = strikes
            .iter()
            .all(|(strike, _)| *strike != Strike::WallStep);
        Self {
            kinds,
            batches,
            expires: random.f64() < 0.2 && is_timely,
            clears_at_once: random.f64() < 0.5,
            leans: random.f64() < 0.8,
            hints: random.f64() < 0.8,
            sessions: random.f64() < 0.4,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            nodes,
            clients,
            keys,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {nodes} nodes, {clients} clients, {keys} keys of each of {:?}, ",
            self.kinds
        )?;
        let Self {
            trouble,
            think,
            delay,
            loss,
            duplicates,
            ..
        } = self;
        write!(
            f,
            "{} s of trouble, an operation every {} ms, ",
            trouble / SECOND,
            think / MS
        )?;
        write!(
            f,
            "delays up to {} ms, {loss} ‰ lost, {duplicates} ‰ twice, ",
            delay / MS
        )?;
        let Self {
            slow_disk,
            call_timeout,
            ..
        } = self;
        write!(
            f,
            "disk up to {} ms, calls up to {} ms",
            slow_disk / MS,
            call_timeout / MS
        )?;
        for (is_on, name) in self.switches() {
            if is_on {
                write!(f, ", {name}")?;
            }
        }
        for (strike, mean) in &self.strikes {
            write!(f, ", {strike:?} every {} s", mean / SECOND)?;
        }
        Ok(())
    }
}

/// Every kind of strike, with the least and the greatest mean time between two, in seconds.
const STRIKES: &[(Strike, u64, u64)] = &[
    (Strike::Cut, 1, 6),
    (Strike::Isolate, 4, 15),
    (Strike::ProcessCrash, 2, 12),
    (Strike::MachineCrash, 3, 15),
    (Strike::Wipe, 8, 30),
    (Strike::Restore, 8, 30),
    (Strike::Pause, 3, 12),
    (Strike::WallStep, 3, 12),
    (Strike::StoreFault, 3, 12),
];

/// The kinds of which a run has several keys each.
const BASIC: &[Kind] = &[Kind::Value, Kind::Counter, Kind::Set];
/// The kinds of which one key is enough: their rows are those of the fields of a map, too.
const OTHERS: &[Kind] = &[
    Kind::Register,
    Kind::Max,
    Kind::Flag,
    Kind::DisableFlag,
    Kind::GrowSet,
    Kind::RemoveSet,
    Kind::Sketch,
    Kind::List,
];
/// Parts the loss of a row from the rest of the plan.
const LOSS_SALT: u64 = 0x6c6f_7373_7321;
/// Parts the choice of minima from the rest of the plan.
const MINIMUM_SALT: u64 = 0x6d69_6e69_6d61;
/// Parts the choice of reads from the rest of the plan.
const MONOTONIC_SALT: u64 = 0x6d6f_6e6f_7321;
/// Parts the flipping of bits from the rest of the plan.
const FLIP_SALT: u64 = 0x666c_6970_7321;
/// Parts what clients work with from the rest of the plan.
const SALT: u64 = 0x6b69_6e64_7321;
