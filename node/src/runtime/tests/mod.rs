//! Whole nodes in one process, over real sockets: few and slow by design. The machines are tested
//! beside themselves and in the simulator.

mod bad_input;
mod cluster;
mod committer;
mod disk;
mod harness;
mod start;
mod views;
