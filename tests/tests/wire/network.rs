//! A network in memory: UDP sockets whose packets are lost, doubled, late and cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::{Instant, Sleep, sleep_until};

use starling_tests::sim::Links;

/// All sockets, and what is on its way between them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: Rng,
    links: Links,
    /// The largest packet that the paths carry.
    most_bytes: usize,
    cuts: BTreeSet<(usize, usize)>,
    ports: Vec<Port>,
    /// Numbers packets, so that equal times keep their order.
    next: u64,
    counts: BTreeMap<&'static str, u64>,
}

/// Where a node's packets arrive.
#[derive(Debug, Default)]
struct Port {
    /// Which of the node's sockets is open; none if it is even.
    life: u32,
    arriving: BTreeMap<(Instant, u64), Packet>,
    stalled_until: Option<Instant>,
    reader: Option<Waker>,
}

#[derive(Clone)]
struct Packet {
    from: usize,
    bytes: Vec<u8>,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from {}", self.bytes.len(), self.from)
    }
}

impl Network {
    pub(crate) fn new(seed: u64, links: Links) -> Self {
        let mut random = Rng::with_seed(seed);
        let most_bytes = if random.bool() { ETHERNET } else { LOOPBACK };
        let state = State {
            random,
            links,
            most_bytes,
            cuts: BTreeSet::new(),
            ports: (0..links.nodes).map(|_| Port::default()).collect(),
            next: 0,
            counts: BTreeMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Opens a node's socket.
    pub(crate) fn open(&self, node: usize) -> Socket {
        let mut state = self.lock();
        state.ports[node].life += 1;
        let life = state.ports[node].life;
        drop(state);
        Socket {
            network: self.clone(),
            node,
            life,
            alarm: Mutex::default(),
        }
    }

    /// Closes a node's socket: what it still sends goes nowhere, and what comes is dropped.
    pub(crate) fn close(&self, node: usize) {
        let port = &mut self.lock().ports[node];
        let life = port.life + 1;
        *port = Port {
            life,
            ..Port::default()
        };
    }

    /// Until then a node neither sends nor reads; what arrives waits.
    pub(crate) fn stall(&self, node: usize, until: Instant) {
        self.lock().ports[node].stalled_until = Some(until);
    }

    pub(crate) fn cut(&self, from: usize, to: usize, is_cut: bool) {
        let cuts = &mut self.lock().cuts;
        if is_cut {
            cuts.insert((from, to));
        } else {
            cuts.remove(&(from, to));
        }
    }

    /// From now on everything arrives, soon and once.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        state.cuts.clear();
        state.links = Links {
            loss: 0,
            duplicates: 0,
            delay: QUICK,
            ..state.links
        };
    }

    /// The largest packet that the paths carry.
    pub(crate) fn most_bytes(&self) -> usize {
        self.lock().most_bytes
    }

    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = &self.lock().counts;
        counts.iter().map(|(&what, &times)| (what, times)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn send(&mut self, to: usize, packet: Packet) {
        self.count("a packet was sent");
        if packet.bytes.len() > self.most_bytes {
            return self.count("a packet was too large for the path");
        }
        if self.cuts.contains(&(packet.from, to)) {
            return self.count("a packet met a cut");
        }
        if self.random.u64(0..1_000) < self.links.loss {
            return self.count("a packet was lost");
        }
        if self.random.u64(0..1_000) < self.links.duplicates {
            self.count("a packet arrived twice");
            self.deliver(to, packet.clone());
        }
        self.deliver(to, packet);
    }

    /// Mostly soon, sometimes as late as can be.
    fn deliver(&mut self, to: usize, packet: Packet) {
        let most = self.links.delay;
        let most = if self.random.f64() < 0.7 {
            most / 8
        } else {
            most
        };
        let delay = SHORTEST + self.random.u64(0..=most);
        let at = Instant::now() + Duration::from_micros(delay);
        let key = (at, self.next);
        self.next += 1;
        let port = &mut self.ports[to];
        if port.life.is_multiple_of(2) || port.arriving.len() >= MOST_ARRIVING {
            return;
        }
        let overtakes = port
            .arriving
            .range(key..)
            .any(|(_, other)| other.from == packet.from);
        port.arriving.insert(key, packet);
        if let Some(reader) = port.reader.take() {
            reader.wake();
        }
        if overtakes {
            self.count("a packet overtook another");
        }
    }
}

/// A node's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    network: Network,
    node: usize,
    life: u32,
    /// Rings when the next packet arrives.
    alarm: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Socket {
    /// The port of a socket that is still open.
    fn port<'a>(&self, state: &'a mut State) -> Option<&'a mut Port> {
        let port = &mut state.ports[self.node];
        (port.life == self.life).then_some(port)
    }

    /// Waits for `at`; ready if it has come.
    fn wait(&self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        alarm.as_mut().reset(at);
        alarm.as_mut().poll(context)
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut state = self.network.lock();
        let Some(port) = self.port(&mut state) else {
            return Ok(());
        };
        let is_still = port
            .stalled_until
            .is_some_and(|until| until > Instant::now());
        if let (false, Some(to)) = (is_still, node_at(transmit.destination)) {
            let packet = Packet {
                from: self.node,
                bytes: transmit.contents.to_vec(),
            };
            state.send(to, packet);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut state = self.network.lock();
            let Some(port) = self.port(&mut state) else {
                return Poll::Pending;
            };
            let next = port.arriving.first_key_value();
            let at = next.map(|(&(at, _), _)| at.max(port.stalled_until.unwrap_or(at)));
            let Some(at) = at else {
                port.reader = Some(context.waker().clone());
                return Poll::Pending;
            };
            if at <= Instant::now() {
                return Poll::Ready(Ok(take(port, buffers, meta)));
            }
            port.reader = Some(context.waker().clone());
            drop(state);
            if self.wait(at, context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address_of(self.node))
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Takes the packets that are due, as many as there are buffers.
fn take(port: &mut Port, buffers: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
    let now = Instant::now();
    let mut taken = 0;
    for (buffer, meta) in buffers.iter_mut().zip(meta) {
        let Some(entry) = port.arriving.first_entry() else {
            break;
        };
        if entry.key().0 > now {
            break;
        }
        let packet = entry.remove();
        let len = packet.bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&packet.bytes[..len]);
        *meta = RecvMeta {
            addr: address_of(packet.from),
            len,
            stride: len,
            ..RecvMeta::default()
        };
        taken += 1;
    }
    taken
}

/// There is room for everything that is sent.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Where a node is.
pub(crate) fn address_of(node: usize) -> SocketAddr {
    let last = u8::try_from(node + 1).expect("there are few nodes");
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 7401))
}

fn node_at(address: SocketAddr) -> Option<usize> {
    match address.ip() {
        IpAddr::V4(ip) => usize::from(ip.octets()[3]).checked_sub(1),
        IpAddr::V6(_) => None,
    }
}

/// The shortest time on the way, in microseconds.
const SHORTEST: u64 = 200;
/// The longest once all is healed.
const QUICK: u64 = 2_000;
/// What the buffer of a socket holds, in packets.
const MOST_ARRIVING: usize = 2_000;
/// Payloads of packets that paths carry: Ethernet's frames, and those of a loopback device.
const ETHERNET: usize = 1_472;
const LOOPBACK: usize = 65_507;
