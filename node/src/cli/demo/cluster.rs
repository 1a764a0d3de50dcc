//! The demo's nodes as child processes.
//!
//! A node ends when its standard input does, so none outlives the demo, however that ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

use super::place::{Place, Prepared};
use super::steps::Steps;
use crate::cli::clock::Stopwatch;
use crate::cli::http;
use crate::cli::init::initialise;
use ring::{QBits, ReplicaCount};

/// The demo's nodes.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Before the place, so that no process is left when a temporary place goes.
    nodes: Vec<DemoNode>,
    place: Place,
}

/// One of them.
#[derive(Debug)]
struct DemoNode {
    prepared: Prepared,
    child: Option<Child>,
}

impl Cluster {
    /// Prepares the nodes, or takes up those that an earlier demo left in the directory.
    pub(super) fn create(directory: Option<PathBuf>, count: usize) -> anyhow::Result<Self> {
        let place = Place::open(directory)?;
        let nodes = place.nodes(count)?.into_iter();
        let nodes = nodes
            .map(|prepared| DemoNode {
                prepared,
                child: None,
            })
            .collect();
        Ok(Self { nodes, place })
    }

    /// Starts all nodes and makes them a cluster, if they are none yet.
    pub(super) async fn begin(&mut self, steps: &Steps) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        for node in 0..self.nodes.len() {
            self.start(node).await?;
        }
        let n = ReplicaCount::new(u8::try_from(self.nodes.len().min(3))?)?;
        let members = self.nodes.iter().map(|node| node.prepared.member());
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let first = self.nodes.first().context("a demo has a node")?;
        initialise(&first.prepared.config, members, QBits::DEMO, n).await?;
        for node in &mut self.nodes {
            node.wait_for("/readyz").await?;
        }
        let addresses: Vec<String> = self.nodes.iter().map(DemoNode::title).collect();
        let majority = u8::from(n) / 2 + 1;
        steps.done(
            format_args!(
                "{}   {} partitions, n={n} r={majority} w={majority}",
                addresses.join("   "),
                QBits::DEMO.partition_count()
            ),
            watch.elapsed(),
        )
    }

    /// Kills a node as `kill -9` does.
    pub(super) async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        let node = self.node_mut(node)?;
        let Some(mut child) = node.child.take() else {
            bail!("{} is not running", node.prepared.name);
        };
        child
            .kill()
            .await
            .with_context(|| format!("killing {}", node.prepared.name))
    }

    /// Starts a node and waits until it answers.
    pub(super) async fn start(&mut self, node: usize) -> anyhow::Result<()> {
        let name = self.name(node).to_owned();
        let (config, log) = (self.place.config_file(&name), self.place.log_file(&name));
        let node = self.node_mut(node)?;
        if node.child.is_some() && !node.has_ended() {
            bail!("{name} is running");
        }
        let output = File::options().append(true).create(true).open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("server")
            .arg("-c")
            .arg(config)
            .arg("--exit-with-parent")
            // It must not hear the Ctrl-C that is meant for the demo.
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        node.child = Some(command.spawn().context("starting a node")?);
        match node.wait_for("/livez").await {
            Err(error) => Err(error.context(last_words(&name, &log))),
            Ok(()) => Ok(()),
        }
    }

    /// Stops all nodes in order; one that takes too long is killed.
    pub(super) async fn stop(&mut self) {
        let mut children: Vec<Child> = self
            .nodes
            .iter_mut()
            .filter_map(|node| node.child.take())
            .collect();
        for child in &mut children {
            // The end of its input is what a node stops at.
            drop(child.stdin.take());
        }
        for mut child in children {
            if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                // If even that fails, the process is gone already.
                child.kill().await.unwrap_or_default();
            }
        }
    }

    /// Where a client connects to.
    pub(super) fn url(&self) -> String {
        let address = |node: &DemoNode| node.prepared.config.listen.quic.to_string();
        let seeds: Vec<String> = self.nodes.iter().map(address).collect();
        format!(
            "starling://{}/?{}",
            seeds.join(","),
            self.place.url_parameters()
        )
    }

    /// Whether no earlier demo was here.
    pub(super) fn is_new(&self) -> bool {
        self.place.is_new()
    }

    /// Where the files are.
    pub(super) fn directory(&self) -> &Path {
        self.place.path()
    }

    /// The node's name.
    pub(super) fn name(&self, node: usize) -> &str {
        self.nodes
            .get(node)
            .map_or("", |node| node.prepared.name.as_str())
    }

    /// The node that a user means by its name or its number, from 1.
    pub(super) fn find(&self, text: &str) -> anyhow::Result<usize> {
        let is_meant = |at: &usize| {
            self.name(*at) == text || text.parse::<usize>() == Ok(at.saturating_add(1))
        };
        match (0..self.nodes.len()).find(is_meant) {
            Some(at) => Ok(at),
            None => bail!(
                "there is no node {text}: they are n1 to n{}",
                self.nodes.len()
            ),
        }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn node_mut(&mut self, node: usize) -> anyhow::Result<&mut DemoNode> {
        self.nodes.get_mut(node).context("there is no such node")
    }
}

impl DemoNode {
    fn title(&self) -> String {
        format!(
            "{} {}",
            self.prepared.name, self.prepared.config.listen.quic
        )
    }

    /// Waits until the node's HTTP says yes; fails at once if the process has ended.
    async fn wait_for(&mut self, path: &str) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let mut last = String::new();
        while watch.elapsed() < PATIENCE_AT_START {
            match http::get(self.prepared.config.listen.http, path).await {
                Ok(answer) if answer.is_success() => return Ok(()),
                Ok(answer) => last = answer.body,
                Err(error) => last = error.to_string(),
            }
            if self.has_ended() {
                bail!("{} ended instead of answering", self.prepared.name);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "{} does not say yes to {path}: {}",
            self.prepared.name,
            last.trim()
        )
    }

    fn has_ended(&mut self) -> bool {
        // Whoever cannot be asked is not there.
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

/// The end of a node's log, which says why it does not run.
fn last_words(name: &str, log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(5)..)
        .unwrap_or_default();
    format!("the log of {name} ends with:\n{}\n", last.join("\n"))
}

const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_AT_START: Duration = Duration::from_secs(30);
