//! What happened, as a hash that two runs of one seed share, and as lines when somebody looks.

use std::fmt::{self, Write};

use super::queue::{Instant, MS};

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Fnv,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps lines if `verbose`; the newest [`LINES`] of them.
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            hash: Fnv(OFFSET),
            lines: verbose.then(Vec::new),
        }
    }

    /// Notes one event.
    pub(crate) fn note(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        // Writing into a hash does not fail.
        let _written = write!(self.hash, "{now} {what}");
        self.say(now, what);
    }

    /// Shows something that the hash need not hold.
    pub(crate) fn say(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            if lines.len() >= 2 * LINES {
                lines.drain(..LINES);
            }
            lines.push(format!("{:>6}.{:03} ms  {what}", now / MS, now % MS));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// Fowler, Noll and Vo's hash, 1a: it takes text as it is formatted, without a buffer.
#[derive(Debug)]
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        Ok(())
    }
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;
/// How many lines are kept at the least.
const LINES: usize = 200_000;
