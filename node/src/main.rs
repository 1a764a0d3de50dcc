//! The `starling` command. Everything it does is in [`starling_node::cli`].

#![deny(clippy::expect_used)]

use std::process::ExitCode;

use starling_node::cli;

/// Small short-lived buffers dominate; mimalloc was measured to be the cheapest for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
