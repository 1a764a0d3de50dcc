//! What stands against a start is said in words, and nothing is left behind.

use std::fs;
use std::net::{TcpListener, UdpSocket};

use super::harness::{CLUSTER, World, loopback};
use crate::config::{Config, EngineKind};
use crate::runtime::{Node, StartError};

fn refused(config: Config) -> StartError {
    let error = Node::start(config).expect_err("the node must not start");
    let text = error.to_string();
    assert!(
        text.contains("othing was") || text.contains("no data is lost"),
        "{text}"
    );
    error
}

#[test]
fn a_port_in_use_is_named() {
    let world = World::new();
    let mut config = world.config(1);
    let socket = UdpSocket::bind(loopback()).expect("a port");
    config.listen.quic = socket.local_addr().expect("its address");
    let error = refused(config.clone());
    assert!(
        error.to_string().contains(&config.listen.quic.to_string()),
        "{error}"
    );
    config.listen.quic = loopback();
    let listener = TcpListener::bind(loopback()).expect("a port");
    config.listen.http = listener.local_addr().expect("its address");
    let error = refused(config.clone());
    assert!(matches!(error, StartError::Http { address, .. } if address == config.listen.http));
    drop(listener);
    Node::start(config)
        .expect("the port is free again")
        .shutdown()
        .expect("an orderly end");
}

#[test]
fn a_data_directory_belongs_to_one_node() {
    let world = World::new();
    let config = world.config(1);
    let node = Node::start(config.clone()).expect("a node");
    let error = refused(config.clone());
    assert!(error.to_string().contains("in use by"), "{error}");
    node.shutdown().expect("an orderly end");
    let mut other = world.config(2);
    other.node.data_dir = config.node.data_dir;
    let error = refused(other);
    let text = error.to_string();
    assert!(text.contains("node 0000000000000001") && text.contains("node 0000000000000002"));
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let world = World::new();
    let mut config = world.config(1);
    let path = config.node.data_dir.join("cluster.state");
    fs::create_dir_all(&config.node.data_dir).expect("a directory");
    fs::write(&path, b"not a state").expect("a file");
    assert!(
        matches!(refused(config.clone()), StartError::ClusterState { file, .. } if file == path)
    );
    config.tls.cert = "/no/such/file".into();
    let error = refused(config);
    assert!(error.to_string().contains("/no/such/file"), "{error}");
}

#[test]
fn a_newer_data_directory_is_refused() {
    let world = World::new();
    let config = world.config(1);
    fs::create_dir_all(&config.node.data_dir).expect("a directory");
    let version = format!("format = 99\ncluster = \"{CLUSTER}\"\nnode = \"0000000000000001\"\n");
    fs::write(config.node.data_dir.join("VERSION"), version).expect("a file");
    let error = refused(config);
    assert!(error.to_string().contains("format 99"), "{error}");
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn an_engine_that_is_not_built_in_is_named() {
    let world = World::new();
    let mut config = world.config(1);
    config.storage.engine = EngineKind::Rocksdb;
    assert!(matches!(
        refused(config),
        StartError::NoSuchEngine { engine: "rocksdb" }
    ));
}

#[cfg(feature = "rocksdb")]
#[test]
fn a_damaged_store_says_what_to_do() {
    let world = World::new();
    let mut config = world.config(1);
    config.storage.engine = EngineKind::Rocksdb;
    let node = Node::start(config.clone()).expect("a node");
    node.shutdown().expect("an orderly end");
    let current = config.node.data_dir.join("db/CURRENT");
    fs::write(current, b"nonsense\n").expect("a file");
    let error = Node::start(config).expect_err("the store is damaged");
    assert!(matches!(error, StartError::Store(_)), "{error}");
    assert!(error.to_string().contains("mv "), "{error}");
}
