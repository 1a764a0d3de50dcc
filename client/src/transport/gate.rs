//! Requests that the peer sent and that are not answered yet: how many, how many bytes.
//!
//! When a bound is reached, reading from the peer's streams pauses; QUIC's flow control then makes
//! the peer's writes wait, and the peer's own queue limit tells its callers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Counts requests in and out. One task enters; anybody leaves.
#[derive(Debug)]
pub(super) struct Gate {
    load: Mutex<Load>,
    /// Something left, or a queue of replies became shorter. Stores one wake-up, so that none is
    /// lost between looking and waiting.
    pub(super) eased: Notify,
    max_requests: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Load {
    requests: usize,
    bytes: usize,
}

impl Gate {
    pub(super) fn new(max_requests: usize, max_bytes: usize) -> Self {
        let load = Mutex::default();
        Self {
            load,
            eased: Notify::new(),
            max_requests,
            max_bytes,
        }
    }

    /// Counts a request in if it fits. An empty gate takes any one request.
    pub(super) fn try_enter(&self, bytes: usize) -> bool {
        let mut load = self.lock();
        let fits =
            load.requests < self.max_requests && load.bytes.saturating_add(bytes) <= self.max_bytes;
        let enter = fits || load.requests == 0;
        if enter {
            load.requests = load.requests.saturating_add(1);
            load.bytes = load.bytes.saturating_add(bytes);
        }
        enter
    }

    /// Counts a request out.
    pub(super) fn leave(&self, bytes: usize) {
        let mut load = self.lock();
        load.requests = load.requests.saturating_sub(1);
        load.bytes = load.bytes.saturating_sub(bytes);
        drop(load);
        self.eased.notify_one();
    }

    pub(super) fn requests(&self) -> usize {
        self.lock().requests
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;

    #[test]
    fn a_full_gate_opens_when_a_request_leaves() {
        let gate = Gate::new(2, 100);
        assert!(gate.try_enter(10) && gate.try_enter(10));
        assert!(!gate.try_enter(10), "the count is bounded");
        gate.leave(10);
        assert!(!gate.try_enter(91), "the bytes are bounded");
        assert!(gate.try_enter(90));
    }

    #[test]
    fn an_empty_gate_takes_one_request_of_any_size() {
        let gate = Gate::new(0, 0);
        assert!(gate.try_enter(1000));
        assert!(!gate.try_enter(0));
        gate.leave(1000);
        assert_eq!(gate.requests(), 0);
    }
}
