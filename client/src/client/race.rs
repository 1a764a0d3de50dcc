//! The first of several that succeeds, each begun a little after the one before.
//!
//! A node that is down answers nothing, so waiting for it takes all the time there is. Instead the
//! next one is asked after [`HEAD_START`] and whoever is first counts ("happy eyeballs", RFC 8305).

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;

use super::connections::NotConnected;
use crate::retry::{Cause, HEAD_START};

/// Begins `tries` in order until one of them succeeds, each [`HEAD_START`] after the one before; a
/// failure begins the next at once. The others are given up.
pub(super) async fn first<T, F>(tries: impl IntoIterator<Item = F>) -> Result<T, Vec<NotConnected>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, NotConnected>> + Send + 'static,
{
    first_after(HEAD_START, tries).await
}

async fn first_after<T, F>(
    head_start: Duration,
    tries: impl IntoIterator<Item = F>,
) -> Result<T, Vec<NotConnected>>
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
            tokio::time::timeout(head_start, running.join_next()).await
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
    use std::future::{Ready, pending};
    use std::time::Duration;

    use super::{Cause, NotConnected, first_after};

    /// What becomes of a try.
    #[derive(Clone, Copy)]
    enum Fate {
        Silent,
        Fails,
        Succeeds,
    }

    async fn attempt(fate: Fate) -> Result<(), NotConnected> {
        match fate {
            Fate::Silent => pending().await,
            Fate::Succeeds => Ok(()),
            Fate::Fails => Err(NotConnected {
                cause: Cause::Unreachable,
                message: "nobody is there".to_owned(),
            }),
        }
    }

    #[tokio::test]
    async fn one_that_is_silent_delays_the_next_by_its_head_start_alone() {
        let tries = [Fate::Silent, Fate::Succeeds].map(attempt);
        assert!(first_after(Duration::ZERO, tries).await.is_ok());
    }

    #[tokio::test]
    async fn a_failure_begins_the_next_before_the_head_start_is_over() {
        let tries = [Fate::Fails, Fate::Succeeds].map(attempt);
        assert!(first_after(Duration::MAX, tries).await.is_ok());
    }

    #[tokio::test]
    async fn all_failures_are_told_and_nobody_to_ask_is_none() {
        let failures = first_after(Duration::ZERO, [Fate::Fails, Fate::Fails].map(attempt)).await;
        assert_eq!(failures.map_err(|failures| failures.len()), Err(2));
        let nobody: [Ready<Result<(), NotConnected>>; 0] = [];
        let failures = first_after(Duration::ZERO, nobody).await;
        assert_eq!(failures.map_err(|failures| failures.len()), Err(0));
    }
}
