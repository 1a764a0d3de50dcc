//! Where a node lives: its addresses, its disk, and what its process is started by.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::Port;

/// A place for one node, which it keeps over its restarts.
#[derive(Debug)]
pub struct Home {
    pub(super) quic: Port,
    pub(super) http: Port,
    pub(super) data_directory: PathBuf,
    /// A command that runs the command behind it, without a process of its own in between; the
    /// process that is killed and frozen must be the node.
    pub(super) launcher: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl Home {
    /// On loopback, with two reserved ports, and its data below `directory`.
    ///
    /// # Errors
    /// If no port is free.
    pub fn on_loopback(directory: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            quic: Port::reserve()?,
            http: Port::reserve()?,
            data_directory: directory.join("data"),
            launcher: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// At an address of its own, where every port is free.
    pub fn at(address: IpAddr, data_directory: PathBuf) -> Self {
        let port = |number| Port::unshared(SocketAddr::new(address, number));
        Self {
            quic: port(QUIC),
            http: port(HTTP),
            data_directory,
            launcher: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Starts the process by a command that runs the one behind it, as `ip netns exec NAME` does.
    #[must_use]
    pub fn launcher(mut self, words: impl IntoIterator<Item: Into<OsString>>) -> Self {
        self.launcher = words.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the process with these variables besides those of this process.
    #[must_use]
    pub fn environment(mut self, variables: Vec<(OsString, OsString)>) -> Self {
        self.environment = variables;
        self
    }
}

/// The ports of `deploy/starling.toml`.
const QUIC: u16 = 7401;
const HTTP: u16 = 7480;
