//! The demo's directory: certificates, configurations, logs and data of its nodes.
//!
//! ```text
//!   DIR/certs/    ca.pem ca.key  n1.pem n1.key ..  demo.pem demo.key
//!   DIR/n1.toml   the configuration     DIR/n1.log   what the node logs
//!   DIR/n1/       its data
//! ```

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::authority::{Authority, CA_CERTIFICATE, CertificateFiles, Validity};
use crate::cli::clock;
use crate::cli::text::no_randomness;
use crate::config::{Config, EngineKind, ListenSection, NodeSection, StorageSection, TlsSection};
use crate::protocol::cluster::InitMember;
use ring::{Address, MemberName, NodeId, Zone};

/// The directory. A temporary one is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    is_temporary: bool,
    is_new: bool,
}

/// A node that can be started.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What people call it.
    pub(super) name: String,
    /// Its id.
    pub(super) node: NodeId,
    /// Its configuration, as in its file.
    pub(super) config: Config,
}

impl Place {
    /// Makes the directory, a temporary one if none is named.
    pub(super) fn open(directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let is_temporary = directory.is_none();
        let directory = match directory {
            Some(directory) => directory,
            None => {
                let random = getrandom::u64().map_err(no_randomness)?;
                std::env::temp_dir().join(format!("starling-demo-{random:016x}"))
            }
        };
        // Keys will lie in it.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory);
        made.with_context(|| directory.display().to_string())?;
        let directory = fs::canonicalize(&directory)?;
        let is_new = !directory.join("n1.toml").exists();
        Ok(Self {
            directory,
            is_temporary,
            is_new,
        })
    }

    /// The nodes of an earlier demo, or this many new ones.
    pub(super) fn nodes(&self, count: usize) -> anyhow::Result<Vec<Prepared>> {
        if self.is_new {
            self.prepare(count)
        } else {
            self.take_up()
        }
    }

    /// Whether no earlier demo was here.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// A node's configuration.
    pub(super) fn config_file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.toml"))
    }

    /// What a node logs.
    pub(super) fn log_file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    /// The parameters of a URL by which the demo's own client is admitted.
    pub(super) fn url_parameters(&self) -> String {
        let CertificateFiles {
            certificate,
            private_key,
        } = CertificateFiles::named(&self.certs(), CLIENT);
        format!(
            "ca={}&cert={}&key={}",
            escaped(&self.certs().join(CA_CERTIFICATE)),
            escaped(&certificate),
            escaped(&private_key)
        )
    }

    fn prepare(&self, count: usize) -> anyhow::Result<Vec<Prepared>> {
        let certs = self.certs();
        let validity = Validity::days(clock::wall(), DAYS);
        let authority = Authority::create(validity)?;
        authority.save(&certs)?;
        authority
            .issue_admin(CLIENT, validity)?
            .save(&certs, CLIENT)?;
        // All ports are held until all are known, so that none is drawn twice.
        let (mut held, mut nodes) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let name = format!("n{number}");
            let files = authority.issue_node(validity)?.save(&certs, &name)?;
            let (udp, tcp) = (UdpSocket::bind(LOOPBACK)?, TcpListener::bind(LOOPBACK)?);
            let config = self.config(&name, &files, udp.local_addr()?, tcp.local_addr()?)?;
            held.push((udp, tcp));
            fs::write(self.config_file(&name), toml::to_string(&config)?)?;
            nodes.push(Prepared::new(name, config)?);
        }
        Ok(nodes)
    }

    fn take_up(&self) -> anyhow::Result<Vec<Prepared>> {
        let names = (1..).map(|number| format!("n{number}"));
        let there = names.take_while(|name| self.config_file(name).exists());
        let node = |name: String| {
            let config = Config::load(&self.config_file(&name))?;
            Prepared::new(name, config)
        };
        there.map(node).collect()
    }

    fn config(
        &self,
        name: &str,
        files: &CertificateFiles,
        quic: SocketAddr,
        http: SocketAddr,
    ) -> anyhow::Result<Config> {
        Ok(Config {
            node: NodeSection {
                name: MemberName::new(name)?,
                data_dir: self.directory.join(name),
                zone: Zone::new(name)?,
                ..NodeSection::default()
            },
            listen: ListenSection {
                quic,
                http,
                ..ListenSection::default()
            },
            tls: TlsSection {
                ca: self.certs().join(CA_CERTIFICATE),
                cert: files.certificate.clone(),
                key: files.private_key.clone(),
                ..TlsSection::default()
            },
            storage: StorageSection {
                engine: ENGINE,
                ..StorageSection::default()
            },
            ..Config::default()
        })
    }

    fn certs(&self) -> PathBuf {
        self.directory.join("certs")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_temporary {
            // What cannot be removed is in the system's directory for temporary files.
            fs::remove_dir_all(&self.directory).unwrap_or_default();
        }
    }
}

impl Prepared {
    /// The node as the plan of a cluster names it.
    pub(super) fn member(&self) -> anyhow::Result<InitMember> {
        Ok(InitMember {
            node: self.node,
            name: self.config.node.name.clone(),
            addresses: vec![Address::new(self.config.listen.quic.to_string())?],
            zone: self.config.node.zone.clone(),
            weight: self.config.node.weight,
        })
    }

    fn new(name: String, config: Config) -> anyhow::Result<Self> {
        let certificate = config.tls.cert.clone();
        let files = CertificateFiles {
            certificate,
            private_key: config.tls.key.clone(),
        };
        let node = files
            .principal()?
            .node()
            .context("a node has a node's certificate")?;
        Ok(Self { name, node, config })
    }
}

/// As it must stand in a URL's parameter.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

const CLIENT: &str = "demo";
const DAYS: u32 = 30;
const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

#[cfg(feature = "rocksdb")]
const ENGINE: EngineKind = EngineKind::Rocksdb;
/// Without RocksDB a killed node comes back empty and pulls everything from the others.
#[cfg(not(feature = "rocksdb"))]
const ENGINE: EngineKind = EngineKind::Memory;

#[cfg(test)]
mod tests {
    use super::{Path, Place, escaped};

    #[test]
    fn any_path_fits_in_a_url() {
        assert_eq!(
            escaped(Path::new("/tmp/a b&c=é/ca.pem")),
            "/tmp/a%20b%26c%3d%c3%a9/ca.pem"
        );
    }

    #[test]
    fn a_demo_is_taken_up_as_it_was_left() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Place::open(Some(directory.path().to_owned())).unwrap();
        let first = open();
        let nodes = first.nodes(2).unwrap();
        assert!(first.is_new());
        let again = open();
        let same = again.nodes(3).unwrap();
        assert!(!again.is_new());
        assert_eq!(same.len(), 2);
        for (left, taken) in nodes.iter().zip(&same) {
            assert_eq!((left.node, &left.config), (taken.node, &taken.config));
        }
    }

    #[test]
    fn a_temporary_demo_leaves_nothing_behind() {
        let place = Place::open(None).unwrap();
        place.nodes(1).unwrap();
        let path = place.path().to_owned();
        drop(place);
        assert!(!path.exists());
    }
}
