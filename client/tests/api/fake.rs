//! Nodes that speak the wire over the real transport and answer what a test tells them to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_bytes::ByteBuf;

use ring::{
    ClusterId, Layout, NodeId, NodeRole, NodeState, QBits, ReplicaCount, RoleStamp, Roles, Zone,
};
use starling::transport::{
    AcceptConfig, Connection, Endpoint, EndpointConfig, Identity, Incoming, Limits, SERVER_NAME,
    TrustRoots,
};
use starling::wire::{
    Bucket, Durability, Failure, FailureKind, Kind, MemberAddress, Mutation, Outcome, ReadResponse,
    Request, Response, Siblings, State, Topology, WriteRequest, WriteResponse, decode, encode,
};
use starling::{Client, ClientBuilder, Tls};

pub(crate) const CLUSTER: ClusterId = ClusterId(0xf1ec);

/// What a fake node does with a request.
#[expect(clippy::large_enum_variant, reason = "a test makes few of them")]
pub(crate) enum Action {
    Reply(Response),
    /// Never answers.
    Silence,
    /// Closes the connection instead of answering.
    Hangup,
}

type Script = Box<dyn FnMut(&Request) -> Action + Send>;

/// A cluster of fake nodes with ids 1, 2, ...
pub(crate) struct Fake {
    authority: Authority,
    pub(crate) nodes: Vec<FakeNode>,
}

pub(crate) struct FakeNode {
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<Inner>>,
    endpoint: Arc<Endpoint>,
}

struct Inner {
    requests: Vec<Request>,
    script: Script,
    topology: Topology,
    topologies_asked: usize,
}

impl Fake {
    /// Starts nodes that answer topology requests, and everything else by `respond`.
    pub(crate) fn start(
        count: u64,
        respond: impl Fn(NodeId, &Request) -> Action + Clone + Send + 'static,
    ) -> Self {
        let authority = Authority::new();
        let mut nodes: Vec<FakeNode> = Vec::new();
        for id in (1..=count).map(NodeId) {
            let respond = respond.clone();
            let script: Script = Box::new(move |request| respond(id, request));
            nodes.push(FakeNode::start(&authority, id, script));
        }
        let fake = Self { authority, nodes };
        fake.publish(&layout(count));
        fake
    }

    /// From now on all nodes tell this layout.
    pub(crate) fn publish(&self, layout: &Layout) {
        for node in &self.nodes {
            node.lock().topology = self.topology(layout);
        }
    }

    /// From now on all nodes tell of one more bucket.
    pub(crate) fn add_bucket(&self, name: &str, kind: Kind) {
        for node in &self.nodes {
            node.lock().topology.buckets.push(bucket(name, kind));
        }
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let (certificate, key) = self.credentials();
        Client::builder()
            .seeds(self.nodes.iter().map(|node| node.address.to_string()))
            .tls(Tls::ca_pem(self.authority.pem()).identity_pem(certificate, key))
            .app_name("tests")
    }

    /// A client's certificate and key.
    pub(crate) fn credentials(&self) -> (String, String) {
        self.authority.issue("client/tester")
    }

    pub(crate) fn authority(&self) -> String {
        self.authority.pem()
    }

    pub(crate) async fn client(&self) -> Client {
        self.builder()
            .connect()
            .await
            .expect("the fake nodes admit the client")
    }

    pub(crate) fn node(&self, id: NodeId) -> &FakeNode {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .expect("tests name nodes that exist")
    }

    /// All writes that arrived anywhere, by node.
    pub(crate) fn writes(&self) -> Vec<(NodeId, WriteRequest)> {
        let writes = |node: &FakeNode| {
            let of = |request: Request| match request {
                Request::Write(write) => Some((node.id, write)),
                _ => None,
            };
            node.requests()
                .into_iter()
                .filter_map(of)
                .collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(writes).collect()
    }

    fn topology(&self, layout: &Layout) -> Topology {
        let member = |node: &FakeNode| MemberAddress {
            node: node.id.0,
            name: format!("kv-{}", node.id.0),
            addresses: vec![node.address.to_string()],
        };
        Topology {
            cluster: ByteBuf::from(CLUSTER.0.to_be_bytes()),
            layout: ByteBuf::from(rmp_serde::to_vec(layout).expect("layouts encode")),
            members: self.nodes.iter().map(member).collect(),
            buckets: vec![
                bucket("values", Kind::Value),
                bucket("counters", Kind::Counter),
                bucket("sets", Kind::Set),
                bucket("lists", Kind::List),
                bucket("maps", Kind::Map),
            ],
        }
    }
}

fn bucket(name: &str, kind: Kind) -> Bucket {
    let (name, durability) = (name.to_owned(), Durability::Wal);
    Bucket {
        name,
        kind,
        n: 3,
        siblings: Siblings::default(),
        r: 2,
        w: 2,
        durability,
        sloppy: false,
    }
}

impl FakeNode {
    fn start(authority: &Authority, id: NodeId, script: Script) -> Self {
        let (certificate, key) = authority.issue(&format!("node/{id}"));
        let config = EndpointConfig {
            identity: Some(
                Identity::from_pem(certificate.as_bytes(), key.as_bytes()).expect("it is ours"),
            ),
            roots: TrustRoots::from_pem(authority.pem().as_bytes()).expect("it is ours"),
            accept: Some(AcceptConfig::default()),
            limits: Limits::default(),
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = Arc::new(Endpoint::bind(any, config).expect("port 0 is free"));
        let address = endpoint.local_addr().expect("it is bound");
        let topology = Topology {
            cluster: ByteBuf::new(),
            layout: ByteBuf::new(),
            members: Vec::new(),
            buckets: Vec::new(),
        };
        let requests = Vec::new();
        let state = Inner {
            requests,
            script,
            topology,
            topologies_asked: 0,
        };
        let state = Arc::new(Mutex::new(state));
        tokio::spawn(accept(Arc::clone(&endpoint), Arc::clone(&state)));
        Self {
            id,
            address,
            state,
            endpoint,
        }
    }

    /// Replaces what the node does.
    pub(crate) fn respond(&self, script: impl FnMut(&Request) -> Action + Send + 'static) {
        self.lock().script = Box::new(script);
    }

    /// The requests that arrived, without those for the topology.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    pub(crate) fn topologies_asked(&self) -> usize {
        self.lock().topologies_asked
    }

    pub(crate) async fn stop(&self) {
        self.endpoint
            .close(starling::transport::CloseCode::SHUTDOWN, "the test says so")
            .await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(endpoint: Arc<Endpoint>, state: Arc<Mutex<Inner>>) {
    while let Some(connection) = endpoint.accept().await {
        let state = Arc::clone(&state);
        let handle = connection.clone();
        connection.serve(move |incoming| answer(&handle, &state, incoming));
    }
}

fn answer(connection: &Connection, state: &Mutex<Inner>, incoming: Incoming) {
    let request: Request = decode(&incoming.body).expect("the client sends good requests");
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let action = if request == Request::Topology {
        state.topologies_asked += 1;
        Action::Reply(Response::Topology(state.topology.clone()))
    } else {
        let action = (state.script)(&request);
        state.requests.push(request);
        action
    };
    match action {
        Action::Reply(response) => incoming.reply.send(body(&response)),
        Action::Silence => std::mem::forget(incoming.reply),
        Action::Hangup => {
            connection.close(starling::transport::CloseCode::SHUTDOWN, "the test says so");
        }
    }
}

fn body(response: &Response) -> Bytes {
    let mut buffer = BytesMut::new();
    encode(response, &mut buffer).expect("test responses are small");
    buffer.freeze()
}

/// A layout in which all of 1, 2, ..., `count` take part.
pub(crate) fn layout(count: u64) -> Layout {
    Layout::first(roles(count, 1), QBits::DEMO, ReplicaCount::DEFAULT).expect("there are nodes")
}

pub(crate) fn roles(count: u64, counter: u64) -> Roles {
    let role = |id| {
        let stamp = RoleStamp {
            counter,
            author: NodeId(1),
        };
        let zone = Zone::new(format!("z{id}")).expect("the name is plain");
        (
            NodeId(id),
            NodeRole {
                stamp,
                state: NodeState::Normal,
                weight: 100,
                zone,
            },
        )
    };
    (1..=count).map(role).collect()
}

pub(crate) fn written(context: &[u8]) -> Action {
    written_all(&[context])
}

/// A write of several keys.
pub(crate) fn written_all(contexts: &[&[u8]]) -> Action {
    Action::Reply(Response::Written(WriteResponse {
        contexts: contexts
            .iter()
            .map(|context| ByteBuf::from(*context))
            .collect(),
        acks: 2,
        state: None,
        repeated: false,
        stand_ins: 0,
        owners: 3,
    }))
}

pub(crate) fn read(state: State, context: &[u8]) -> Action {
    page(state, context, None)
}

/// A page of something, and where to go on.
pub(crate) fn page(state: State, context: &[u8], next: Option<&[u8]>) -> Action {
    let context = ByteBuf::from(context);
    Action::Reply(Response::Read(ReadResponse {
        state,
        context,
        answered: 2,
        next: next.map(ByteBuf::from),
    }))
}

/// The mutation of a write that has one change of one key.
pub(crate) fn mutation(write: &WriteRequest) -> &Mutation {
    assert_eq!(write.items.len(), 1, "one key is written");
    assert_eq!(write.items[0].edits.len(), 1, "one thing is changed");
    &write.items[0].edits[0].mutation
}

pub(crate) fn failed(kind: FailureKind, outcome: Outcome) -> Action {
    let message = format!("the fake node says {kind:?}");
    Action::Reply(Response::Failed(Failure {
        kind,
        outcome,
        message,
        retry_after_ms: 0,
    }))
}

pub(crate) struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.self_signed(&key).expect("we hold the key");
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn issue(&self, role: &str) -> (String, String) {
        let mut params =
            CertificateParams::new(vec![SERVER_NAME.to_owned()]).expect("it is a DNS name");
        let uri = format!("starling://{CLUSTER}/{role}");
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().expect("it is ASCII")));
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("we hold the key");
        (certificate.pem(), key.serialize_pem())
    }
}
