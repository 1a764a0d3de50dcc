//! The only place with a clock and with randomness. Everything that decides gets both as
//! arguments: an instant is a [`Duration`] since the client began.

use std::time::Duration;

use tokio::time::Instant;

/// A steady clock that begins at zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) async fn sleep_until(&self, at: Duration) {
        match self.start.checked_add(at) {
            Some(instant) => tokio::time::sleep_until(instant).await,
            // Beyond the end of time nobody is waiting any more.
            None => std::future::pending().await,
        }
    }
}

/// A number in `0.0..1.0` for jitter.
pub(crate) fn random_fraction() -> f64 {
    fastrand::f64()
}

/// A number below `bound`, or 0 if that is 0.
pub(crate) fn random_below(bound: usize) -> usize {
    fastrand::usize(..bound.max(1))
}

/// 128 random bits that no other client has, for operation ids.
pub(crate) fn random_client_id() -> Result<(u64, u64), getrandom::Error> {
    Ok((getrandom::u64()?, getrandom::u64()?))
}
