//! The configuration of a node: a TOML file, read once and valid by construction.
//!
//! Every key has a default, which `deploy/starling.toml` shows with its meaning; tests keep the two
//! equal. Unknown keys are refused, with the key that was probably meant.

mod error;
mod units;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use ring::{Address, MemberName, Zone};

pub use error::ConfigError;
pub use units::{RowCount, Size, Span};

/// The configuration of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who the node is.
    pub node: NodeSection,
    /// Where it can be reached.
    pub listen: ListenSection,
    /// Its certificates.
    pub tls: TlsSection,
    /// How it keeps data.
    pub storage: StorageSection,
    /// How much of everything.
    pub limits: LimitsSection,
    /// What it logs.
    pub log: LogSection,
}

/// Who the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSection {
    /// What people call it.
    pub name: MemberName,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Its failure domain.
    pub zone: Zone,
    /// Its share of the data, relative to the other nodes' weights.
    pub weight: u32,
    /// Nodes to turn to while it reaches nobody.
    pub seeds: Vec<Address>,
}

/// Where the node can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSection {
    /// Clients and nodes, over QUIC; port 0 takes any free one.
    pub quic: SocketAddr,
    /// Health and metrics, over HTTP; port 0 takes any free one.
    pub http: SocketAddr,
    /// Under which addresses others reach the QUIC port, best first. Empty for the address of
    /// `quic`, or what `starling init` was given if that is no particular address.
    pub advertise: Vec<Address>,
}

/// The node's certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSection {
    /// The authority of the cluster.
    pub ca: PathBuf,
    /// The node's certificate.
    pub cert: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
}

/// Whether clients must show a certificate. Nodes always must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Only bearers of a certificate of the cluster.
    #[default]
    Required,
    /// Anybody.
    Optional,
}

/// How the node keeps data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSection {
    /// With which engine.
    pub engine: EngineKind,
    /// Blocks of files kept in memory.
    pub cache: Size,
    /// Newest rows kept in memory before they go to a file.
    pub write_buffer: Size,
    /// Space of the disk that shall stay free.
    pub reserve: Size,
}

/// An engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// RocksDB, on disk.
    #[default]
    Rocksdb,
    /// Maps in memory, for tests: nothing is kept.
    Memory,
}

/// How much of everything, and what happens beyond it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// Connections at one time; newcomers are refused.
    pub connections: NonZeroU32,
    /// Client requests under way at one time; more are refused as overload.
    pub requests: NonZeroU32,
    /// Concurrent values of one key; a write that would make more is refused.
    pub siblings: NonZeroU32,
    /// Rows that one operation may touch; a larger one is refused.
    pub rows_per_operation: RowCount,
    /// How long after its first try an operation may be retried; later it is refused.
    pub retry_window: Span,
    /// Writes kept as a stand-in for owners that are away; more are refused. With 0 none is kept.
    pub hints: u32,
    /// How long a stopping node waits for requests that are under way.
    pub drain: Span,
}

/// What the node logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// From which level on.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// How grave something must be to be logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Somebody must act.
    Error,
    /// Somebody should look.
    Warn,
    /// What changed.
    #[default]
    Info,
    /// What happens.
    Debug,
    /// Everything.
    Trace,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one object a line.
    Json,
}

impl Config {
    /// Reads a file. Relative paths in it become relative to its directory.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, has unknown keys or values that are none.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            file: path.to_owned(),
            reason: error.to_string(),
        })?;
        let mut config = Self::from_toml(&text).map_err(|error| error.in_file(path.to_owned()))?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        let tls = &mut config.tls;
        for path in [
            &mut config.node.data_dir,
            &mut tls.ca,
            &mut tls.cert,
            &mut tls.key,
        ] {
            *path = base.join(&*path);
        }
        Ok(config)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is no TOML, has unknown keys or values that are none.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::of_toml(text, &error))
    }

    /// A commented file that says all defaults.
    #[must_use]
    pub const fn example() -> &'static str {
        EXAMPLE
    }
}

impl Default for NodeSection {
    fn default() -> Self {
        Self {
            name: MemberName::default(),
            data_dir: PathBuf::from("/var/lib/starling"),
            zone: Zone::default(),
            weight: 100,
            seeds: Vec::new(),
        }
    }
}

impl Default for ListenSection {
    fn default() -> Self {
        Self {
            quic: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7401)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 7480)),
            advertise: Vec::new(),
        }
    }
}

impl Default for TlsSection {
    fn default() -> Self {
        Self {
            ca: PathBuf::from("/etc/starling/ca.pem"),
            cert: PathBuf::from("/etc/starling/node.pem"),
            key: PathBuf::from("/etc/starling/node.key"),
            client_auth: ClientAuth::default(),
        }
    }
}

impl Default for StorageSection {
    fn default() -> Self {
        Self {
            engine: EngineKind::default(),
            cache: Size::mebibytes(128),
            write_buffer: Size::mebibytes(8),
            reserve: Size::mebibytes(256),
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        let count = |count: u32| NonZeroU32::MIN.saturating_add(count - 1);
        Self {
            connections: count(4_096),
            requests: count(16_384),
            siblings: count(64),
            rows_per_operation: RowCount::DEFAULT,
            retry_window: Span::seconds(15 * 60),
            hints: 100_000,
            drain: Span::seconds(20),
        }
    }
}

const EXAMPLE: &str = include_str!("../../../deploy/starling.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::{Config, ConfigError, EngineKind, Size};

    #[test]
    fn the_example_says_all_defaults_and_nothing_else() {
        assert_eq!(Config::from_toml(Config::example()), Ok(Config::default()));
        let keys = |text: &str| -> BTreeSet<String> {
            let file: toml::Table = text.parse().expect("TOML");
            let keys = |(section, keys): (&String, &toml::Value)| -> Vec<String> {
                let keys = keys.as_table().expect("a section");
                keys.keys().map(|key| format!("{section}.{key}")).collect()
            };
            file.iter().flat_map(keys).collect()
        };
        let defaults = toml::to_string(&Config::default()).expect("every value has a form");
        assert_eq!(keys(Config::example()), keys(&defaults));
    }

    #[test]
    fn every_key_may_be_left_out() {
        assert_eq!(Config::from_toml(""), Ok(Config::default()));
        let config = Config::from_toml("[storage]\nengine = \"memory\"\ncache = \"1GiB\"\n");
        let storage = config.expect("a configuration").storage;
        assert_eq!(storage.engine, EngineKind::Memory);
        assert_eq!(storage.cache, Size::mebibytes(1024));
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_hint_and_its_line() {
        let error = Config::from_toml("[node]\nname = \"a\"\ndatadir = \"/x\"\n");
        let error = error.expect_err("the key is unknown");
        let text = error.to_string();
        assert!(text.contains("line 3"), "{text}");
        assert!(
            text.contains("`datadir`") && text.contains("did you mean `data_dir`?"),
            "{text}"
        );
        let error = Config::from_toml("[listne]\n").expect_err("the section is unknown");
        assert!(
            error.to_string().contains("did you mean `listen`?"),
            "{error}"
        );
    }

    #[test]
    fn values_that_are_none_are_refused_with_their_line() {
        for text in [
            "[limits]\nconnections = 0\n",
            "[limits]\nrows_per_operation = 100001\n",
            "[storage]\ncache = \"much\"\n",
            "[listen]\nquic = \"here\"\n",
            "[listen]\nadvertise = [\"no-port\"]\n",
            "[node]\nzone = \"Zone A\"\n",
            "[tls]\nclient_auth = \"maybe\"\n",
            "[log]\nlevel = \n",
        ] {
            let error = Config::from_toml(text).expect_err(text);
            assert!(
                matches!(error, ConfigError::Invalid { line: 2, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn relative_paths_begin_at_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("starling.toml");
        fs::write(&path, "[node]\ndata_dir = \"data\"\n").expect("a file");
        let config = Config::load(&path).expect("a configuration");
        assert_eq!(config.node.data_dir, directory.path().join("data"));
        assert_eq!(config.tls.ca, Path::new("/etc/starling/ca.pem"));
        let missing = Config::load(&directory.path().join("no.toml"));
        assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
    }
}
