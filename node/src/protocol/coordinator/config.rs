//! How long a coordinator waits, and how much it takes on.

use std::time::Duration;

/// How long and how often.
#[derive(Debug, Clone)]
pub struct CoordinatorConfig {
    /// How long a read waits for an owner before it asks the next one too. Default 50 ms.
    pub ask_next_after: Duration,
    /// How long a sloppy write waits for owners that count as reachable and do not answer, before
    /// stand-ins are asked in their place. Default 500 ms.
    pub stand_in_after: Duration,
    /// A version younger than this is on its way and not repaired by a read. Default 500 ms.
    pub repair_after: Duration,
    /// Bodies of versions that are longer than so many bytes are sent by one owner alone; the
    /// others say that they have them. Default 4 KiB.
    pub bodies_up_to: u32,
    /// Orders at one time; more are refused as overload, and mostly fewer: no more than 1,024, or
    /// than were lately finished in a quarter of a second. Default 16,384.
    pub orders: usize,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            ask_next_after: Duration::from_millis(50),
            stand_in_after: Duration::from_millis(500),
            repair_after: Duration::from_millis(500),
            bodies_up_to: 4 << 10,
            orders: 16_384,
        }
    }
}
