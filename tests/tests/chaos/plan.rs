//! What goes wrong when: drawn from one number, before anything happens.
//!
//! A round is a window with faults, after which all is healed. Which sorts of fault a round has is
//! drawn first, so that rounds differ in more than in timing (a swarm).

use std::fmt;
use std::time::Duration;

use starling_tests::netns::{End, Links};

/// The faults of one round.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// How long it goes on.
    pub window: Duration,
    /// What happens in it.
    pub episodes: Vec<Episode>,
}

/// A fault, for a while.
#[derive(Debug, PartialEq, Eq)]
pub struct Episode {
    pub fault: Fault,
    /// Since the beginning of the window.
    pub begin: Duration,
    /// Not after the end of the window.
    pub end: Duration,
}

/// Something that is wrong for as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// These nodes and the others do not hear each other, and the clients hear one side only.
    Split {
        nodes: Vec<usize>,
        clients_too: bool,
    },
    /// Packets from one end to the other are lost, and none the other way.
    OneWay { from: End, to: End },
    /// So many of a hundred packets are lost on every link.
    Loss { percent: u8 },
    /// SIGSTOP, and SIGCONT at the end.
    Freeze { node: usize },
    /// SIGKILL, and a new start at the end.
    Kill { nodes: Vec<usize> },
    /// The disk has no room for one more block.
    FullDisk { node: usize },
    /// The wall clock is ahead by so many seconds, or behind.
    Clock { node: usize, ahead: i64 },
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let window = random.u64(WINDOW);
        let mut sorts: Vec<usize> = (0..SORTS.len()).collect();
        random.shuffle(&mut sorts);
        sorts.truncate(random.usize(2..=4));
        let mut episodes = Vec::new();
        for sort in sorts {
            for _ in 0..random.u8(1..=2) {
                let begin = random.u64(..window * 3 / 4);
                let end = (begin + random.u64(LENGTH)).min(window);
                episodes.push(Episode {
                    fault: SORTS[sort](&mut random),
                    begin: Duration::from_millis(begin),
                    end: Duration::from_millis(end),
                });
            }
        }
        episodes.sort_by_key(|episode| episode.begin);
        let window = Duration::from_millis(window);
        Self { window, episodes }
    }

    /// Each instant at which a fault begins or ends, in order.
    pub fn moments(&self) -> Vec<Duration> {
        let both = |episode: &Episode| [episode.begin, episode.end];
        let mut moments: Vec<Duration> = self.episodes.iter().flat_map(both).collect();
        moments.sort();
        moments.dedup();
        moments
    }

    /// What is wrong at an instant.
    pub fn active_at(&self, now: Duration) -> Vec<&Fault> {
        let is_on = |episode: &&Episode| (episode.begin..episode.end).contains(&now);
        let active = self.episodes.iter().filter(is_on);
        active.map(|episode| &episode.fault).collect()
    }

    /// Whether somebody's disk is full at some time.
    pub fn fills_a_disk(&self) -> bool {
        let fills = |episode: &Episode| matches!(episode.fault, Fault::FullDisk { .. });
        self.episodes.iter().any(fills)
    }
}

impl Fault {
    /// What sort it is, for a table.
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Split { .. } => "network split",
            Self::OneWay { .. } => "one-way cut",
            Self::Loss { .. } => "packet loss",
            Self::Freeze { .. } => "SIGSTOP",
            Self::Kill { .. } => "kill -9",
            Self::FullDisk { .. } => "full disk",
            Self::Clock { .. } => "wrong clock",
        }
    }

    /// Adds what it does to the network.
    pub fn affect(&self, links: &mut Links) {
        match self {
            Self::Split { nodes, clients_too } => {
                let mut side: Vec<End> = nodes.iter().copied().map(End::Node).collect();
                if *clients_too {
                    side.push(End::Clients);
                }
                let others = ends().filter(|end| !side.contains(end));
                for other in others.collect::<Vec<End>>() {
                    side.iter().for_each(|end| links.cut_both(*end, other));
                }
            }
            Self::OneWay { from, to } => links.cut(*from, *to),
            Self::Loss { percent } => {
                for from in ends() {
                    let others = ends().filter(|to| *to != from);
                    others.for_each(|to| links.lose(from, to, *percent));
                }
            }
            Self::Freeze { .. }
            | Self::Kill { .. }
            | Self::FullDisk { .. }
            | Self::Clock { .. } => {}
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |nodes: &[usize]| {
            let names: Vec<String> = nodes.iter().map(|at| End::Node(*at).to_string()).collect();
            names.join(" ")
        };
        match self {
            Self::Split { nodes, clients_too } => {
                let clients = if *clients_too { " clients" } else { "" };
                write!(f, "{}{clients} split off", names(nodes))
            }
            Self::OneWay { from, to } => write!(f, "{from} -> {to} cut"),
            Self::Loss { percent } => write!(f, "{percent} % lost"),
            Self::Freeze { node } => write!(f, "{} frozen", End::Node(*node)),
            Self::Kill { nodes } => write!(f, "{} killed", names(nodes)),
            Self::FullDisk { node } => write!(f, "{}'s disk full", End::Node(*node)),
            Self::Clock { node, ahead } => write!(f, "{}'s clock {ahead:+} s", End::Node(*node)),
        }
    }
}

/// Everybody.
fn ends() -> impl Iterator<Item = End> {
    (0..NODES).map(End::Node).chain([End::Clients])
}

/// From one to so many different nodes.
fn some(random: &mut fastrand::Rng, most: usize) -> Vec<usize> {
    let mut nodes: Vec<usize> = (0..NODES).collect();
    random.shuffle(&mut nodes);
    nodes.truncate(random.usize(1..=most));
    nodes.sort_unstable();
    nodes
}

/// Draws a fault of one sort.
type Draw = fn(&mut fastrand::Rng) -> Fault;

const SORTS: &[Draw] = &[
    |random| Fault::Split {
        nodes: some(random, 2),
        clients_too: random.bool(),
    },
    |random| {
        let mut all: Vec<End> = ends().collect();
        random.shuffle(&mut all);
        Fault::OneWay {
            from: all[0],
            to: all[1],
        }
    },
    |random| Fault::Loss {
        percent: random.u8(5..=40),
    },
    |random| Fault::Freeze {
        node: random.usize(..NODES),
    },
    |random| {
        // Now and then there is no quorum left, or nobody.
        let most = if random.u8(..6) == 0 { NODES } else { 2 };
        let nodes = some(random, most);
        Fault::Kill { nodes }
    },
    |random| Fault::FullDisk {
        node: random.usize(..NODES),
    },
    |random| Fault::Clock {
        node: random.usize(..NODES),
        // As far as the simulator lets clocks go.
        ahead: random.i64(-300..=300),
    },
];

/// Two more than own a key, so that faults may meet all owners, some, or none.
pub const NODES: usize = 5;
/// Milliseconds of a round with faults.
const WINDOW: std::ops::Range<u64> = 6_000..12_000;
/// Milliseconds of a fault: shorter and longer than a node takes to notice that a peer is gone.
const LENGTH: std::ops::Range<u64> = 200..6_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Duration, Fault, Links, Plan};

    #[test]
    fn a_seed_repeats_its_plan() {
        assert_eq!(Plan::draw(7), Plan::draw(7));
        assert_ne!(Plan::draw(7), Plan::draw(8));
    }

    #[test]
    fn every_fault_is_over_at_the_end_of_its_window() {
        for seed in 0..1_000 {
            let plan = Plan::draw(seed);
            assert!(plan.active_at(plan.window).is_empty(), "seed {seed}");
            let last = plan.moments().last().copied();
            assert!(last.is_some_and(|last| last <= plan.window), "seed {seed}");
            assert!(
                plan.episodes
                    .iter()
                    .all(|episode| episode.begin < episode.end)
            );
        }
    }

    #[test]
    fn few_rounds_see_every_sort_of_fault() {
        let plans: Vec<Plan> = (0..20).map(Plan::draw).collect();
        let episodes = plans.iter().flat_map(|plan| &plan.episodes);
        let sorts: BTreeSet<&str> = episodes.map(|episode| episode.fault.sort()).collect();
        assert_eq!(sorts.len(), super::SORTS.len(), "{sorts:?}");
    }

    #[test]
    fn a_split_leaves_each_side_in_touch() {
        let split = Fault::Split {
            nodes: vec![0, 1],
            clients_too: true,
        };
        let mut links = Links::default();
        split.affect(&mut links);
        let rules = links.rules(super::End::Node(1));
        assert!(
            !rules.contains("10.77.0.1 ") && !rules.contains("10.77.0.100 "),
            "{rules}"
        );
        assert!(
            rules.contains("10.77.0.3 ") && rules.contains("10.77.0.5 "),
            "{rules}"
        );
        assert_eq!(Plan::draw(1).active_at(Duration::MAX), Vec::<&Fault>::new());
    }
}
