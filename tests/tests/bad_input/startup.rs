//! Nodes that must not start: they end with exit code 1 and one paragraph that says what to do, and
//! what was there before is untouched.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use anyhow::ensure;
use tempfile::TempDir;

use starling_tests::cluster::{Certificates, ConfigFile, Engine, Node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_with_unknown_keys_is_refused_with_a_hint() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let mut node = place.node("n1")?;
    let mut config = node.config().clone();
    config.extra = "cahce = \"1GiB\"\n".to_owned();
    let said = place.refusal(&mut node, &config).await?;
    contains(
        &said,
        &[
            "`cahce`",
            "did you mean `cache`?",
            "starling config example",
        ],
    )?;
    config.extra = "\n[lsiten]\nquic = \"127.0.0.1:1\"\n".to_owned();
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["`lsiten`", "did you mean `listen`?"])?;
    config.extra = "\n[limits]\nsiblings = 0\n".to_owned();
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["starling.toml:", "nothing was started"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let mut node = place.node("n1")?;
    let config = node.config().clone();
    let udp = UdpSocket::bind(node.quic())?;
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &[&node.quic().to_string(), "in use"])?;
    drop(udp);
    let _tcp = TcpListener::bind(node.http())?;
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &[&node.http().to_string(), "in use", "listen.http"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_of_another_node_is_refused() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let (mut owner, mut intruder) = (place.node("n1")?, place.node("n2")?);
    owner.start()?;
    owner.wait_alive().await?;
    // In use by the same node's other process, and then by nobody.
    let mut config = intruder.config().clone();
    config.data_directory = owner.data_directory().to_owned();
    config.certificate = owner.config().certificate.clone();
    let said = place.refusal(&mut intruder, &config).await?;
    contains(&said, &["is in use by process", "Nothing was changed"])?;
    owner.stop().await?;
    let before = fs::read(owner.data_directory().join("VERSION"))?;
    config.certificate = intruder.config().certificate.clone();
    let said = place.refusal(&mut intruder, &config).await?;
    let (theirs, ours) = (
        format!("{:016x}", owner.id().0),
        format!("{:016x}", intruder.id().0),
    );
    contains(
        &said,
        &["belongs to", &theirs, &ours, "Nothing was changed"],
    )?;
    ensure!(fs::read(owner.data_directory().join("VERSION"))? == before);
    owner.start()?;
    owner.wait_alive().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_of_a_newer_version_is_refused() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let mut node = place.node("n1")?;
    node.start()?;
    node.wait_alive().await?;
    node.stop().await?;
    let version = node.data_directory().join("VERSION");
    let text = fs::read_to_string(&version)?;
    let newer = text.replace("format = 1", "format = 99");
    ensure!(newer != text, "VERSION has changed its form: {text}");
    fs::write(&version, newer)?;
    let config = node.config().clone();
    let said = place.refusal(&mut node, &config).await?;
    contains(
        &said,
        &[
            "has format 99",
            "Start this node with the version that wrote it",
        ],
    )?;
    fs::write(&version, "what is this")?;
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["VERSION is damaged"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_are_no_nodes_are_refused() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let mut node = place.node("n1")?;
    let mut config = node.config().clone();
    config.certificate = place.certificates.user().clone();
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["admin/test", "is no node", "starling cert node"])?;
    config.certificate.private_key = place.directory.path().join("no-such.key");
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["no-such.key", "could not be read"])?;
    fs::write(&config.certificate.private_key, "no key")?;
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["private key is unusable"])?;
    ensure!(!node.data_directory().exists(), "a data directory was made");
    Ok(())
}

#[cfg(not(feature = "rocksdb"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_not_built_in_is_named() -> anyhow::Result<()> {
    let mut place = Place::new()?;
    let mut node = place.node("n1")?;
    let mut config = node.config().clone();
    config.engine = Engine::Rocks;
    let said = place.refusal(&mut node, &config).await?;
    contains(&said, &["no engine `rocksdb`", "cargo feature"])
}

/// A directory with certificates, for nodes that are no cluster.
struct Place {
    directory: TempDir,
    certificates: Certificates,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let certificates = Certificates::make(directory.path())?;
        Ok(Self {
            directory,
            certificates,
        })
    }

    fn node(&mut self, name: &str) -> anyhow::Result<Node> {
        let directory: &Path = self.directory.path();
        Node::new(directory, name, &self.certificates, Engine::default())
    }

    /// What the node says when it is started with this configuration, which it must refuse.
    async fn refusal(&self, node: &mut Node, config: &ConfigFile) -> anyhow::Result<String> {
        refusal(node, config).await
    }
}

/// What the node says when it is started with this configuration, which it must refuse.
pub async fn refusal(node: &mut Node, config: &ConfigFile) -> anyhow::Result<String> {
    config.write(&node.config_file())?;
    let before = node.log().unwrap_or_default().len();
    node.start()?;
    let status = node.wait_end().await?;
    let said = node.log()?.split_off(before);
    ensure!(status.code() == Some(1), "{status}: {said}");
    ensure!(!said.contains("panicked"), "{said}");
    Ok(said)
}

/// Checks that a message has all of these.
pub fn contains(said: &str, parts: &[&str]) -> anyhow::Result<()> {
    for part in parts {
        ensure!(said.contains(part), "{part:?} is not in: {said}");
    }
    Ok(())
}
