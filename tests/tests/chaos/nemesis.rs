//! Makes faults real, and ends them. It is told what is wrong now, and changes what differs from
//! that: so faults may overlap as they like, and none is left over.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

use crate::plan::{Fault, NODES};
use starling_tests::cluster::{Certificates, Cluster, Engine, Home, Node, Signal};
use starling_tests::netns::{Clocks, Disk, Links, Network};

/// A cluster, and the world it lives in.
#[derive(Debug)]
pub struct Nemesis {
    pub cluster: Cluster,
    network: Network,
    disks: Vec<Disk>,
    clocks: Option<Clocks>,
    states: Vec<State>,
}

/// How one node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    is_down: bool,
    is_frozen: bool,
    is_full: bool,
    /// Seconds.
    ahead: i64,
}

impl Nemesis {
    /// A cluster of nodes that each have a namespace, a disk, and a clock if `libfaketime` is
    /// there.
    pub async fn start(engine: Engine) -> anyhow::Result<Self> {
        let network = Network::make(NODES)?;
        let clocks = Clocks::find(Path::new("/run/clocks"))?;
        let directory = tempfile::Builder::new().prefix("cluster-").tempdir()?;
        let certificates = Certificates::make(directory.path())?;
        let (mut nodes, mut disks) = (Vec::new(), Vec::new());
        for at in 0..NODES {
            let name = format!("n{}", at + 1);
            let disk = Disk::make(&Path::new("/run/disks").join(&name))?;
            let mut home = Home::at(network.address(at), disk.path().join("data"));
            home = home.launcher(network.launcher(at));
            if let Some(clocks) = &clocks {
                home = home.environment(clocks.environment(&name));
            }
            nodes.push(Node::at(
                home,
                directory.path(),
                &name,
                &certificates,
                engine,
            )?);
            disks.push(disk);
        }
        let mut cluster = Cluster::of(directory, certificates, nodes).await?;
        cluster.init(PARTITION_BITS).await?;
        cluster.wait_ready().await?;
        Ok(Self {
            cluster,
            network,
            disks,
            clocks,
            states: vec![State::default(); NODES],
        })
    }

    /// Whether clocks can be set.
    pub fn has_clocks(&self) -> bool {
        self.clocks.is_some()
    }

    /// Makes exactly these faults be.
    pub fn enact(&mut self, faults: &[&Fault]) -> anyhow::Result<()> {
        let mut links = Links::default();
        let mut states = vec![State::default(); NODES];
        for fault in faults {
            fault.affect(&mut links);
            match fault {
                Fault::Freeze { node } => states[*node].is_frozen = true,
                Fault::Kill { nodes } => {
                    nodes.iter().for_each(|node| states[*node].is_down = true);
                }
                Fault::FullDisk { node } => states[*node].is_full = true,
                Fault::Clock { node, ahead } => states[*node].ahead = *ahead,
                Fault::Split { .. } | Fault::OneWay { .. } | Fault::Loss { .. } => {}
            }
        }
        self.network.set(&links)?;
        for (at, wanted) in states.into_iter().enumerate() {
            self.turn(at, wanted)
                .with_context(|| format!("n{}", at + 1))?;
        }
        Ok(())
    }

    /// Leaves every disk so many kilobytes, or with `None` all of its room.
    pub fn leave(&self, kilobytes: Option<u64>) -> anyhow::Result<()> {
        let mut disks = self.disks.iter();
        disks.try_for_each(|disk| kilobytes.map_or_else(|| disk.empty(), |room| disk.leave(room)))
    }

    /// Ends all faults, and starts anew who could not start on a full disk. Who ran meanwhile goes
    /// on by itself.
    pub async fn heal(&mut self, filled: &BTreeSet<usize>) -> anyhow::Result<()> {
        self.enact(&[])?;
        for at in filled {
            let node = self.cluster.node(*at);
            if node.has_ended()? {
                node.kill()?;
                node.start()?;
            }
        }
        self.cluster.wait_ready().await?;
        self.clocks.as_ref().map_or(Ok(()), Clocks::sweep)
    }

    /// Makes one node be as is wanted.
    fn turn(&mut self, at: usize, wanted: State) -> anyhow::Result<()> {
        let State {
            is_down,
            is_frozen,
            is_full,
            ahead,
        } = self.states[at];
        if wanted.is_full != is_full {
            let disk = &self.disks[at];
            if wanted.is_full {
                disk.fill()?
            } else {
                disk.empty()?
            }
        }
        if let Some(clocks) = self.clocks.as_ref().filter(|_| wanted.ahead != ahead) {
            clocks.set(&format!("n{}", at + 1), wanted.ahead)?;
        }
        let node = self.cluster.node(at);
        if wanted.is_down != is_down {
            if wanted.is_down {
                node.kill()?
            } else {
                node.start()?
            }
        }
        // A new process is not frozen yet.
        let is_frozen = is_frozen && wanted.is_down == is_down;
        if wanted.is_frozen != is_frozen && !wanted.is_down {
            let signal = if wanted.is_frozen {
                Signal::Stop
            } else {
                Signal::Continue
            };
            node.signal(signal)?;
        }
        self.states[at] = wanted;
        Ok(())
    }
}

/// Few partitions start and catch up fast.
const PARTITION_BITS: u8 = 4;
