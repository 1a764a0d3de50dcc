//! Under construction.

pub mod cluster;
pub mod history;
