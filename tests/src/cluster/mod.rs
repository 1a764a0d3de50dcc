//! Real clusters: `starling server` as child processes on loopback, with certificates of a
//! development authority, real disks and real sockets (`docs/testing.md`, "Real faults").
//!
//! ```text
//!   Cluster ---- a temporary directory
//!      |- certificates   ca, one per node, one for the test (an admin's)
//!      |- n1 .. n3       Node: configuration, data directory, log, a child process or none
//!      `- init           `starling init`, once, when the nodes listen
//! ```
//!
//! Everything waits on conditions, with one generous [`PATIENCE`]. Children end with their
//! [`Node`], and by themselves if this process is killed, because they watch their stdin. Ports
//! are reserved across processes (`ports`), so several test runs may go on at once.

mod binary;
mod certificates;
mod config;
mod home;
mod http;
mod node;
mod ports;
mod quiet;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;

pub use binary::{example, starling};
pub use certificates::Certificates;
pub use config::{ConfigFile, Engine};
pub use home::Home;
pub use http::fetch;
pub use node::{Node, Signal};
pub use ports::Port;
pub use quiet::{read_local, read_while_filling};
use starling::{Client, ClientBuilder, Profile, Tls};

/// Processes that make one cluster. [`Cluster::finish`] ends it and looks for panics; a cluster
/// that is dropped without shows the ends of its nodes' logs.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    certificates: Certificates,
    directory: TempDir,
    is_finished: bool,
}

/// What kind of cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many nodes, each in a zone of its own.
    pub nodes: usize,
    /// What keeps their data.
    pub engine: Engine,
    /// Partitions on the ring, as a power of two; few of them start and catch up fast.
    pub partition_bits: u8,
}

impl Default for Options {
    /// Three nodes on RocksDB if it is built in, else in memory; 16 partitions.
    fn default() -> Self {
        Self {
            nodes: 3,
            engine: Engine::default(),
            partition_bits: 4,
        }
    }
}

impl Cluster {
    /// Starts nodes, makes them one cluster, and waits until all of them are ready.
    ///
    /// # Errors
    /// If the binary cannot be built, or a node does not come up in time.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let mut cluster = Self::start_apart(options.clone()).await?;
        cluster.init(options.partition_bits).await?;
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    /// Starts nodes that belong to no cluster yet, and waits until they listen.
    ///
    /// # Errors
    /// As for [`Cluster::start`].
    pub async fn start_apart(options: Options) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("starling-test-")
            .tempdir()?;
        let certificates = Certificates::make(directory.path())?;
        let mut nodes = Vec::new();
        for at in 1..=options.nodes {
            let name = format!("n{at}");
            nodes.push(Node::new(
                directory.path(),
                &name,
                &certificates,
                options.engine,
            )?);
        }
        Self::of(directory, certificates, nodes).await
    }

    /// Starts these nodes, which belong to no cluster yet, and waits until they listen.
    ///
    /// # Errors
    /// If one of them does not come up in time.
    pub async fn of(
        directory: TempDir,
        certificates: Certificates,
        nodes: Vec<Node>,
    ) -> anyhow::Result<Self> {
        let mut cluster = Self {
            nodes,
            certificates,
            directory,
            is_finished: false,
        };
        for node in &mut cluster.nodes {
            node.start()?;
        }
        for node in &mut cluster.nodes {
            node.wait_alive().await?;
        }
        Ok(cluster)
    }

    /// Makes one cluster of the nodes, as an operator does.
    ///
    /// # Errors
    /// If `starling init` fails; the error has what it said.
    pub async fn init(&self, partition_bits: u8) -> anyhow::Result<()> {
        let first = self.nodes.first().context("a cluster has nodes")?;
        let mut arguments = vec!["init".to_owned(), "-c".to_owned()];
        arguments.push(first.config_file().display().to_string());
        arguments.push("--partition-bits".to_owned());
        arguments.push(partition_bits.to_string());
        arguments.push("--n".to_owned());
        arguments.push(self.nodes.len().min(3).to_string());
        for node in &self.nodes {
            arguments.push("--member".to_owned());
            arguments.push(node.member());
        }
        let said = self.run(&arguments).await?;
        ensure!(
            said.status.success(),
            "starling init: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(())
    }

    /// Runs the `starling` command with these arguments, to its end.
    ///
    /// # Errors
    /// If it cannot be started or takes too long.
    pub async fn run<S: AsRef<str>>(&self, arguments: &[S]) -> anyhow::Result<Output> {
        let mut command = Command::new(starling()?);
        command.args(arguments.iter().map(AsRef::as_ref));
        command.current_dir(self.directory.path());
        command.kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        Ok(output.context("the command takes too long")??)
    }

    /// Waits until every running node says that it is ready.
    ///
    /// # Errors
    /// If one of them does not in time.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.is_started()) {
            node.wait_ready().await?;
        }
        Ok(())
    }

    /// The nodes, in the order of their names.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One of the nodes, from 0.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn node(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    /// The certificates of everybody.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A directory that goes with the cluster.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The URL with which `Client::connect_url` and the command reach the cluster.
    pub fn url(&self) -> String {
        let seeds: Vec<String> = self.nodes.iter().map(|n| n.quic().to_string()).collect();
        let user = self.certificates.user();
        let text = |path: &PathBuf| path.display().to_string();
        format!(
            "starling://{}/?ca={}&cert={}&key={}",
            seeds.join(","),
            text(&self.certificates.authority_file()),
            text(&user.certificate),
            text(&user.private_key)
        )
    }

    /// A client that trusts the cluster and has a certificate, not connected yet.
    pub fn client_builder(&self) -> ClientBuilder {
        let user = self.certificates.user();
        let tls = Tls::ca_file(self.certificates.authority_file())
            .identity_files(&user.certificate, &user.private_key);
        let seeds = self.nodes.iter().map(|node| node.quic().to_string());
        Client::builder().seeds(seeds).tls(tls)
    }

    /// A connected client that retries as clients do by default.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(self.client_builder().connect().await?)
    }

    /// A connected client that sends every operation once.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn client_without_retries(&self) -> anyhow::Result<Client> {
        let profile = Profile::new().max_retries(0);
        let builder = self.client_builder().default_profile(profile);
        Ok(builder.connect().await?)
    }

    /// Ends all nodes, and fails if one of them has panicked.
    ///
    /// # Errors
    /// If a log holds a panic, or cannot be read.
    pub fn finish(mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            node.kill()?;
        }
        for node in &self.nodes {
            let log = node.log()?;
            if let Some(at) = log.find(PANIC) {
                let end = log.len().min(at + 2_000);
                let start = log[..at].rfind('\n').unwrap_or(0);
                let account = String::from_utf8_lossy(&log.as_bytes()[start..end]).into_owned();
                bail!("{} panicked: {account}", node.name());
            }
        }
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        for node in &self.nodes {
            let log = node.log().unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
            eprintln!(
                "--- {} ended its log with\n{}",
                node.name(),
                tail.join("\n")
            );
        }
    }
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// If there is none within [`PATIENCE`]; the error names what was waited for.
pub async fn until<T, F>(what: &str, mut ask: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.with_context(|| format!("waited {PATIENCE:?} in vain: {what}"))
}

/// How long anything may take on a machine that is busy with other things. Nothing waits for this
/// long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often conditions are looked at.
pub const POLL: Duration = Duration::from_millis(20);

/// What Rust prints first when a thread panics.
const PANIC: &str = "panicked at";
/// How much of each log is shown when a test fails.
const LOG_LINES: usize = 25;
