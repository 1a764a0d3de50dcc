//! The first of several that succeeds, each begun a little after the one before.
//!
//! A node that is down answers nothing, so waiting for it takes all the time there is. Instead the
//! next one is asked after [`HEAD_START`] and whoever is first counts ("happy eyeballs", RFC 8305).

use std::future::Future;

use tokio::task::JoinSet;

use super::connections::NotConnected;
use crate::retry::{Cause, HEAD_START};

/// Begins `tries` in order until one of them succeeds; a failure begins the next at once. The
/// others are given up.
pub(super) async fn first<T, F>(tries: impl IntoIterator<Item = F>) -> Result<T, Vec<NotConnected>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, NotConnected>> + Send + 'static,
{
    let mut tries = tries.into_iter();
    let mut running = JoinSet::new();
    let mut failures = Vec::new();
    let mut are_left = true;
    loop {
        match tries.next() {
            Some(next) => drop(running.spawn(next)),
            None => are_left = false,
        }
        let ended = if are_left {
            tokio::time::timeout(HEAD_START, running.join_next()).await
        } else {
            Ok(running.join_next().await)
        };
        match ended {
            // The head start is over.
            Err(_) => {}
            Ok(Some(Ok(Ok(found)))) => return Ok(found),
            Ok(Some(Ok(Err(failure)))) => failures.push(failure),
            Ok(Some(Err(error))) => failures.push(NotConnected {
                cause: Cause::Unreachable,
                message: format!("asking was interrupted ({error}); nothing was sent: retry"),
            }),
            Ok(None) if are_left => {}
            Ok(None) => return Err(failures),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cause, HEAD_START, NotConnected, first};
    use crate::clock::Clock;

    async fn after(pause: Duration, succeeds: bool) -> Result<Duration, NotConnected> {
        tokio::time::sleep(pause).await;
        if succeeds {
            return Ok(pause);
        }
        Err(NotConnected {
            cause: Cause::Unreachable,
            message: format!("{pause:?}"),
        })
    }

    const LONG: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test(start_paused = true)]
    async fn one_that_is_silent_delays_the_next_by_its_head_start_alone() {
        let clock = Clock::new();
        let found = first([after(LONG, true), after(SHORT, true)]).await;
        assert_eq!(found.ok(), Some(SHORT));
        assert!((HEAD_START..LONG / 2).contains(&clock.now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_begins_the_next_at_once() {
        let clock = Clock::new();
        let found = first([after(SHORT, false), after(SHORT, true)]).await;
        assert_eq!(found.ok(), Some(SHORT));
        assert!(clock.now() < HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn all_failures_are_told_and_nobody_to_ask_is_none() {
        let failures = first([after(SHORT, false), after(SHORT, false)]).await;
        assert_eq!(failures.map_err(|failures| failures.len()), Err(2));
        let nobody: [std::future::Ready<Result<(), NotConnected>>; 0] = [];
        assert_eq!(
            first(nobody).await.map_err(|failures| failures.len()),
            Err(0)
        );
    }
}
