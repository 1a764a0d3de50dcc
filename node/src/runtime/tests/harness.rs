//! Certificates, nodes and a raw client.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use serde_bytes::ByteBuf;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::config::{Config, EngineKind};
use crate::protocol::cluster::{InitMember, InitPlan, Secret};
use crate::runtime::clock::Clock;
use crate::runtime::{Node, send_init};
use ring::{Address, ClusterId, MemberName, NodeId, QBits, ReplicaCount, Zone};
use starling::transport::{
    Alpn, Connection, Endpoint, EndpointConfig, Identity, Limits, Principal, Role, SERVER_NAME,
    TrustRoots,
};
use starling::wire::{
    self, CreateBucket, Edit, Key, Kind, Mutation, OperationId, Part, ReadRequest, Request,
    Response, Siblings, WriteItem, WriteRequest,
};

pub(super) const CLUSTER: ClusterId = ClusterId(0xc1);

/// An authority, a directory for everybody's files, and a runtime for clients.
pub(super) struct World {
    pub(super) directory: TempDir,
    pub(super) runtime: Runtime,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A client's connection to one node.
pub(super) struct Caller<'a> {
    world: &'a World,
    pub(super) connection: Connection,
    _endpoint: Endpoint,
}

impl World {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to be wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let issuer = issuer.expect("a sound certificate");
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a file");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            directory,
            runtime,
            issuer,
        }
    }

    /// Writes a certificate and its key as `NAME.pem` and `NAME.key`.
    pub(super) fn certify(&self, name: &str, role: Role) {
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).expect("a name");
        let uri = Principal {
            cluster: CLUSTER,
            role,
        }
        .to_string();
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().expect("an ASCII URI")));
        let key = KeyPair::generate().expect("a key");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a sound certificate");
        fs::write(self.path(name, "pem"), certificate.pem()).expect("a file");
        fs::write(self.path(name, "key"), key.serialize_pem()).expect("a file");
    }

    /// The configuration of node `number`, with a certificate of its own.
    pub(super) fn config(&self, number: u64) -> Config {
        let name = format!("node-{number}");
        self.certify(&name, Role::Node(NodeId(number)));
        let mut config = Config::default();
        config.node.name = MemberName::new(name.clone()).expect("a name");
        config.node.zone = Zone::new(format!("zone-{number}")).expect("a zone");
        config.node.data_dir = self.directory.path().join(&name);
        config.listen.quic = loopback();
        config.listen.http = loopback();
        config.tls.ca = self.directory.path().join("ca.pem");
        config.tls.cert = self.path(&name, "pem");
        config.tls.key = self.path(&name, "key");
        config.storage.engine = EngineKind::Memory;
        config
    }

    /// Starts `count` nodes and makes them a cluster; ready when all are.
    pub(super) fn cluster(&self, count: u64) -> Vec<(Config, Node)> {
        self.cluster_of(count, |config| config)
    }

    /// The same, of nodes whose configuration is changed by `change`.
    pub(super) fn cluster_of(
        &self,
        count: u64,
        change: impl Fn(Config) -> Config,
    ) -> Vec<(Config, Node)> {
        let start = |number| {
            let mut config = change(self.config(number));
            let node = Node::start(config.clone()).expect("a node");
            // A restarted node is found where it was.
            config.listen.quic = node.quic_address();
            (config, node)
        };
        let nodes: Vec<(Config, Node)> = (1..=count).map(start).collect();
        self.init(&nodes);
        for (_, node) in &nodes {
            eventually("the node is ready", || is_ready(node));
        }
        nodes
    }

    fn init(&self, nodes: &[(Config, Node)]) {
        let member = |(config, node): &(Config, Node)| InitMember {
            node: node.node_id(),
            name: config.node.name.clone(),
            addresses: vec![Address::new(node.quic_address().to_string()).expect("an address")],
            zone: config.node.zone.clone(),
            weight: 100,
        };
        let plan = InitPlan {
            cluster: CLUSTER,
            secret: Secret::new([7; 16]),
            members: nodes.iter().map(member).collect(),
            q_bits: QBits::new(4).expect("sixteen partitions"),
            n: ReplicaCount::DEFAULT,
        };
        let (config, _) = nodes.first().expect("a node");
        let report = self
            .runtime
            .block_on(send_init(config, plan))
            .expect("a cluster");
        assert_eq!(report.nodes.len(), nodes.len());
    }

    /// Connects to a node under the certificate called `name`.
    pub(super) fn connect(&self, name: &str, alpn: Alpn, to: SocketAddr) -> Caller<'_> {
        let identity = Identity::from_files(&self.path(name, "pem"), &self.path(name, "key"));
        let ca = self.directory.path().join("ca.pem");
        let config = EndpointConfig {
            identity: Some(identity.expect("our own files")),
            roots: TrustRoots::from_file(&ca).expect("our own file"),
            accept: None,
            limits: Limits::default(),
        };
        self.runtime.block_on(async {
            let endpoint = Endpoint::bind(loopback(), config).expect("a free port");
            let connection = endpoint
                .connect(to, alpn, None)
                .await
                .expect("a connection");
            Caller {
                world: self,
                connection,
                _endpoint: endpoint,
            }
        })
    }

    /// Connects as a client.
    pub(super) fn client(&self, node: &Node) -> Caller<'_> {
        self.certify("client", Role::Client("tester".to_owned()));
        self.connect("client", Alpn::Client, node.quic_address())
    }

    fn path(&self, name: &str, extension: &str) -> std::path::PathBuf {
        self.directory.path().join(format!("{name}.{extension}"))
    }
}

impl Caller<'_> {
    /// Sends bytes and gives the bytes of the answer.
    pub(super) fn raw(&self, bytes: Bytes) -> Bytes {
        let call = self.connection.call(bytes, Duration::from_secs(10));
        self.world.runtime.block_on(call).expect("an answer")
    }

    pub(super) fn ask(&self, request: &Request) -> Response {
        let mut bytes = BytesMut::new();
        wire::encode(request, &mut bytes).expect("a request");
        wire::decode(&self.raw(bytes.freeze())).expect("a response")
    }

    pub(super) fn create_bucket(&self, name: &str, kind: Kind) -> Response {
        self.ask(&Request::CreateBucket(CreateBucket {
            name: name.to_owned(),
            kind,
            n: 3,
            siblings: Siblings::default(),
            sloppy: false,
        }))
    }

    pub(super) fn put(&self, name: &str, value: &[u8], w: u8) -> Response {
        let put = Mutation::Put(ByteBuf::from(value));
        let item = WriteItem {
            sort: ByteBuf::new(),
            edits: vec![Edit::of_key(Kind::Value, put)],
            context: ByteBuf::new(),
            only_if_current: false,
        };
        let write = WriteRequest {
            bucket: "b".to_owned(),
            partition: ByteBuf::from(name),
            items: vec![item],
            operation: OperationId {
                client: (1, fastrand::u64(..)),
                sequence: 1,
            },
            age_ms: 0,
            ttl_ms: None,
            w: Some(w),
            durability: None,
            return_value: false,
            timeout_ms: 5_000,
            sloppy: None,
            pw: None,
        };
        self.ask(&Request::Write(write))
    }

    pub(super) fn get(&self, name: &str, r: u8, local: bool) -> Response {
        self.ask(&Request::Read(ReadRequest {
            r: Some(r),
            local,
            ..read(name)
        }))
    }

    pub(super) fn get_monotonic(&self, name: &str) -> Response {
        self.ask(&Request::Read(ReadRequest {
            monotonic: true,
            ..read(name)
        }))
    }
}

fn read(name: &str) -> ReadRequest {
    ReadRequest {
        bucket: "b".to_owned(),
        key: key(name),
        path: Vec::new(),
        kind: Kind::Value,
        part: Part::Whole,
        r: None,
        local: false,
        timeout_ms: 5_000,
        pr: None,
        monotonic: false,
    }
}

pub(super) fn key(name: &str) -> Key {
    Key {
        partition: ByteBuf::from(name),
        sort: ByteBuf::new(),
    }
}

pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Waits until something holds, for at most twenty seconds.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !holds() {
        let waited = clock.time().since_start();
        assert!(
            waited < Duration::from_secs(20),
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The status line and the body of an HTTP answer.
pub(super) fn http(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("an open port");
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (
        head.lines().next().unwrap_or_default().to_owned(),
        body.to_owned(),
    )
}

pub(super) fn is_ready(node: &Node) -> bool {
    http(node.http_address(), "/readyz").0.contains("200")
}

/// Whether a file is there and readable by its owner only.
pub(super) fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let metadata = fs::metadata(path).expect("a file");
    metadata.permissions().mode() & 0o077 == 0
}
