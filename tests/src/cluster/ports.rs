//! Ports that nobody else takes.
//!
//! A node keeps its port over restarts, and while it is down nothing holds it. So ports come from
//! below the range from which the kernel gives out ports by itself, and a locked file says to
//! other test processes that one is taken. The kernel releases the lock when its owner ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::{Context, bail};

/// A port that is free for UDP and TCP, reserved for as long as this lives.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _lock: Option<File>,
}

impl Port {
    /// Reserves one of 127.0.0.1.
    ///
    /// # Errors
    /// If none is found, or the files that say which are taken cannot be made.
    pub fn reserve() -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join("starling-test-ports");
        fs::create_dir_all(&directory).context("the directory of reserved ports")?;
        let end = first_ephemeral().max(FIRST + 1);
        for _ in 0..ATTEMPTS {
            let number = fastrand::u16(FIRST..end);
            let lock = File::create(directory.join(number.to_string()))?;
            if lock.try_lock().is_ok() && is_free(number) {
                return Ok(Self {
                    address: SocketAddr::from((Ipv4Addr::LOCALHOST, number)),
                    _lock: Some(lock),
                });
            }
        }
        bail!("no free port from {FIRST} to {end}")
    }

    /// One at an address that nobody else can take, so there is nothing to reserve.
    pub fn unshared(address: SocketAddr) -> Self {
        Self {
            address,
            _lock: None,
        }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

/// Where the kernel's own range begins; what is usual if it does not tell.
fn first_ephemeral() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(32_768)
}

const FIRST: u16 = 12_000;
const ATTEMPTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::Port;

    #[test]
    fn reserved_ports_differ() {
        let ports: Vec<Port> = (0..20).map(|_| Port::reserve().expect("a port")).collect();
        let mut numbers: Vec<u16> = ports.iter().map(|port| port.address.port()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
    }
}
