//! The configuration file of a node.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use starling_node::authority::CertificateFiles;

/// What keeps a node's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// RocksDB, which outlives the process.
    Rocks,
    /// Memory, which does not.
    Memory,
}

impl Default for Engine {
    fn default() -> Self {
        if cfg!(feature = "rocksdb") {
            Self::Rocks
        } else {
            Self::Memory
        }
    }
}

/// A configuration file in the making.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The node's name, and of its zone.
    pub name: String,
    /// Where its data is.
    pub data_directory: PathBuf,
    /// Its UDP address.
    pub quic: SocketAddr,
    /// Its TCP address.
    pub http: SocketAddr,
    /// The authority's certificate.
    pub authority: PathBuf,
    /// Its own certificate and key.
    pub certificate: CertificateFiles,
    /// Nodes to turn to while it reaches nobody: `name:port`.
    pub seeds: Vec<String>,
    /// What keeps its data.
    pub engine: Engine,
    /// Lines to add at the end.
    pub extra: String,
}

impl ConfigFile {
    /// Writes it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let Self {
            name,
            data_directory,
            quic,
            http,
            authority,
            certificate,
            seeds,
            engine,
            extra,
        } = self;
        let engine = match engine {
            Engine::Rocks => "rocksdb",
            Engine::Memory => "memory",
        };
        let (data, authority) = (data_directory.display(), authority.display());
        let (cert, key) = (
            certificate.certificate.display(),
            certificate.private_key.display(),
        );
        let text = format!(
            "[node]\nname = \"{name}\"\ndata_dir = \"{data}\"\nzone = \"zone-{name}\"\n\
             seeds = {seeds:?}\n\n\
             [listen]\nquic = \"{quic}\"\nhttp = \"{http}\"\n\n\
             [tls]\nca = \"{authority}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n\n\
             [storage]\nengine = \"{engine}\"\ncache = \"4MiB\"\nwrite_buffer = \"2MiB\"\n{extra}"
        );
        fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }
}
