//! One node: its files, and its process while it runs.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, bail, ensure};

use super::{Certificates, ConfigFile, Engine, Home, Port, fetch, starling, until};
use ring::NodeId;

/// A node of a test. Its process, if there is one, ends with it.
#[derive(Debug)]
pub struct Node {
    name: String,
    id: NodeId,
    home: Home,
    config: ConfigFile,
    directory: PathBuf,
    child: Option<Child>,
}

/// What can be sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stop in order.
    Terminate,
    /// Freeze.
    Stop,
    /// Go on.
    Continue,
}

impl Node {
    /// A node with a new certificate and free ports, and its files below `directory`; it does not
    /// run yet.
    ///
    /// # Errors
    /// If its files cannot be written, or no port is free.
    pub fn new(
        directory: &Path,
        name: &str,
        certificates: &Certificates,
        engine: Engine,
    ) -> anyhow::Result<Self> {
        let home = Home::on_loopback(&directory.join(name))?;
        Self::at(home, directory, name, certificates, engine)
    }

    /// A node with a new certificate in a place of its own; its configuration and its log are
    /// below `directory`. It does not run yet.
    ///
    /// # Errors
    /// If its files cannot be written.
    pub fn at(
        home: Home,
        directory: &Path,
        name: &str,
        certificates: &Certificates,
        engine: Engine,
    ) -> anyhow::Result<Self> {
        let (issued, files) = certificates.node(name)?;
        let id = issued.principal.node().context("a node's certificate")?;
        let directory = directory.join(name);
        fs::create_dir_all(&directory)?;
        let config = ConfigFile {
            name: name.to_owned(),
            data_directory: home.data_directory.clone(),
            quic: home.quic.address(),
            http: home.http.address(),
            authority: certificates.authority_file(),
            certificate: files,
            seeds: Vec::new(),
            engine,
            extra: String::new(),
        };
        let node = Self {
            name: name.to_owned(),
            id,
            home,
            config,
            directory,
            child: None,
        };
        node.config.write(&node.config_file())?;
        Ok(node)
    }

    /// Starts the process. It is not ready yet then.
    ///
    /// # Errors
    /// If it runs already, or cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut words = self.home.launcher.clone();
        words.push(starling()?.into_os_string());
        let (program, arguments) = words.split_first().context("a command has a word")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(self.home.environment.iter().cloned())
            .args(["server", "--exit-with-parent", "-c"])
            .arg(self.config_file())
            .env("RUST_BACKTRACE", "1")
            // Held open by this process, so that it closes with it.
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn();
        self.child = Some(child.with_context(|| format!("{} cannot be started", self.name))?);
        Ok(())
    }

    /// Waits until the process answers at all.
    ///
    /// # Errors
    /// If it does not in time, or ends.
    pub async fn wait_alive(&mut self) -> anyhow::Result<()> {
        self.wait_for("/livez").await
    }

    /// Waits until the node says that it can serve.
    ///
    /// # Errors
    /// If it does not in time, or ends.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        self.wait_for("/readyz").await
    }

    /// Ends the process as `kill -9` does, if it runs.
    ///
    /// # Errors
    /// If the operating system does not let us.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks the process to stop in order, and waits until it has.
    ///
    /// # Errors
    /// If it does not stop in time.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Terminate)?;
        self.wait_end().await
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// If it does not in time, or none runs.
    pub async fn wait_end(&mut self) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("no process runs")?;
        let what = format!("{} ends", self.name);
        let ended = until(&what, || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        });
        let ended = ended.await;
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        ended
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// If none runs, or the signal cannot be sent.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("no process runs")?;
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let pid = child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status()?;
        ensure!(status.success(), "kill {name} {pid} fails");
        Ok(())
    }

    /// Gives the node another port for clients and nodes, as if it had moved.
    ///
    /// # Errors
    /// If it runs, no port is free, or its configuration cannot be written.
    pub fn relocate(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs", self.name);
        self.home.quic = Port::reserve()?;
        self.config.quic = self.home.quic.address();
        self.config.write(&self.config_file())
    }

    /// Says to which nodes it turns while it reaches nobody, from its next start on.
    ///
    /// # Errors
    /// If its configuration cannot be written.
    pub fn set_seeds(&mut self, seeds: Vec<String>) -> anyhow::Result<()> {
        self.config.seeds = seeds;
        self.config.write(&self.config_file())
    }

    /// Throws the node's disk away and puts an empty one in.
    ///
    /// # Errors
    /// If it runs, or the directory cannot be removed.
    pub fn wipe(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs", self.name);
        fs::remove_dir_all(self.data_directory()).context("the data directory")
    }

    /// Whether the process that was started has ended by itself.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(false),
        }
    }

    /// Whether a process was started and not ended by us.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where clients and nodes reach it.
    pub fn quic(&self) -> SocketAddr {
        self.home.quic.address()
    }

    /// Where it tells how it is.
    pub fn http(&self) -> SocketAddr {
        self.home.http.address()
    }

    /// How `starling init` is told of it.
    pub fn member(&self) -> String {
        let Self { name, id, .. } = self;
        let (id, address) = (id.0, self.quic());
        format!("name={name},id={id:016x},addr={address},zone=zone-{name}")
    }

    /// What its configuration says.
    pub fn config(&self) -> &ConfigFile {
        &self.config
    }

    /// Its configuration.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("starling.toml")
    }

    /// Its data.
    pub fn data_directory(&self) -> &Path {
        &self.config.data_directory
    }

    /// All that it has printed, over all of its starts.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        let bytes = fs::read(self.log_file()).context("a log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log.txt")
    }

    async fn wait_for(&mut self, path: &str) -> anyhow::Result<()> {
        let (http, what) = (self.http(), format!("{} answers {path}", self.name));
        let mut child = self.child.take().context("no process runs")?;
        let mut ended = None;
        let waiting = until(&what, || {
            ended = child.try_wait().ok().flatten();
            let has_ended = ended.is_some();
            async move {
                let is_ready = || async { matches!(fetch(http, path).await, Ok((200, _))) };
                (has_ended || is_ready().await).then_some(())
            }
        });
        let outcome = waiting.await;
        self.child = Some(child);
        if let Some(status) = ended {
            bail!("{} ended ({status}): {}", self.name, self.log()?);
        }
        outcome
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // If it has ended already, all is well.
        self.kill().ok();
    }
}
