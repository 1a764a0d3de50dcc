//! Namespaces for nodes, and the wires between them.

use std::ffi::OsString;
use std::net::IpAddr;

use super::command::{feed, run};
use super::links::{End, Links};

/// One bridge, to which the clients and every node are connected. It goes with the sandbox.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    links: Links,
}

impl Network {
    /// A network without faults for so many nodes. Only inside of a sandbox: it takes names that
    /// would be in the way elsewhere.
    ///
    /// # Errors
    /// If the kernel does not let us.
    pub fn make(nodes: usize) -> anyhow::Result<Self> {
        run(&["ip", "link", "set", "lo", "up"])?;
        run(&["ip", "link", "add", BRIDGE, "type", "bridge"])?;
        let address = format!("{}/24", End::Clients.address());
        run(&["ip", "address", "add", &address, "dev", BRIDGE])?;
        run(&["ip", "link", "set", BRIDGE, "up"])?;
        for at in 0..nodes {
            connect(End::Node(at))?;
        }
        let links = Links::default();
        Ok(Self { nodes, links })
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> IpAddr {
        End::Node(node).address().into()
    }

    /// What starts a command in a node's namespace.
    pub fn launcher(&self, node: usize) -> Vec<OsString> {
        let name = End::Node(node).to_string();
        ["ip", "netns", "exec", &name].map(OsString::from).to_vec()
    }

    /// Makes the links what these are, where they are not yet.
    ///
    /// # Errors
    /// If the rules are not taken.
    pub fn set(&mut self, links: &Links) -> anyhow::Result<()> {
        let nodes = (0..self.nodes).map(End::Node);
        for to in nodes.chain([End::Clients]) {
            let rules = links.rules(to);
            if rules == self.links.rules(to) {
                continue;
            }
            match to {
                End::Clients => feed(&["nft", "-f", "-"], &rules)?,
                End::Node(_) => {
                    let name = to.to_string();
                    feed(&["ip", "netns", "exec", &name, "nft", "-f", "-"], &rules)?
                }
            };
        }
        self.links = links.clone();
        Ok(())
    }
}

/// Makes a node's namespace, and a wire from it to the bridge.
fn connect(node: End) -> anyhow::Result<()> {
    let name = node.to_string();
    let here = format!("to-{name}");
    let address = format!("{}/24", node.address());
    run(&["ip", "netns", "add", &name])?;
    run(&[
        "ip", "link", "add", &here, "type", "veth", "peer", "name", WIRE, "netns", &name,
    ])?;
    run(&["ip", "link", "set", &here, "master", BRIDGE, "up"])?;
    let inside = |words: &[&str]| run(&[&["ip", "-n", &name][..], words].concat());
    inside(&["address", "add", &address, "dev", WIRE])?;
    inside(&["link", "set", WIRE, "up"])?;
    inside(&["link", "set", "lo", "up"])?;
    // Without this a batch of packets crosses as one, and is lost as one.
    inside(&["link", "set", WIRE, "gso_max_segs", "1"])?;
    Ok(())
}

const BRIDGE: &str = "flock";
const WIRE: &str = "wire";
