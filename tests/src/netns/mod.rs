//! Networks, disks and clocks that belong to one test, so that it can do to real nodes what real
//! machines do to them (`docs/testing.md`, "Real faults").
//!
//! ```text
//!   test process
//!     `- unshare: network, mounts, process ids      Sandbox; ends with the last process in it
//!          the same test again, as process 1        10.77.0.100 on a bridge: the clients
//!            |- bridge --- veth --- namespace n1    10.77.0.1: `starling server`
//!            |        `--- veth --- namespace n2    10.77.0.2: ..
//!            `- /run, a tmpfs                       a tmpfs a node as its disk, files for clocks
//! ```
//!
//! Nothing has to be cleaned up: names are known inside of the sandbox only, and the kernel takes
//! namespaces, mounts and processes back when process 1 ends, in whichever way, frozen processes
//! included. So runs beside each other do not meet, and a test that was killed leaves nothing.
//!
//! Losses and cuts are rules of `nftables` at the receiving end, by sender, so every direction of
//! every link has its own ([`Links`]). They concern UDP, that is QUIC: health checks by HTTP go on.

mod clock;
mod command;
mod disk;
mod links;
mod network;
mod sandbox;

pub use clock::Clocks;
pub use disk::Disk;
pub use links::{End, Links};
pub use network::Network;
pub use sandbox::{Sandbox, enter};
