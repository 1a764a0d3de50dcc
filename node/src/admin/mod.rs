//! What operators and machines see of a node over HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! Plain HTTP on a TCP port of its own, because neither kubelets nor most load balancers can probe
//! UDP. Nothing here reads or writes data. Every node has a registry of its own, since several may
//! live in one process.

mod bodies;
mod disk;
mod gossip;
mod health;
mod hints;
mod http;
mod metrics;
mod outcomes;
mod vnodes;

pub(crate) use gossip::MemberShown;
pub(crate) use health::{Health, Stage};
pub(crate) use http::serve;
pub(crate) use metrics::{Metrics, Operation};
