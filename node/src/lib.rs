//! A Starling node: the pure protocol, the store, and the shell that drives them.

#![deny(clippy::expect_used)]

pub mod admin;
pub mod authority;
pub mod cli;
pub mod config;
pub mod mutants;
pub mod protocol;
pub mod runtime;
pub mod server;
pub mod store;
