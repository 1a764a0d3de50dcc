//! Our calls that have no reply yet.
//!
//! A call is completed exactly once: by its reply, by the loss of the connection, or not at all if
//! it was cancelled first. Whoever takes the entry out of the table completes it, outside of the
//! lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::error::TransportError;

/// What to do with the outcome of a call.
pub(super) type Complete = Box<dyn FnOnce(Result<Bytes, TransportError>) + Send>;

/// The table of calls of one connection, at most `limit` of them.
pub(super) struct Pending {
    table: Mutex<Table>,
    limit: usize,
}

struct Table {
    next: u64,
    calls: BTreeMap<u64, Complete>,
    /// Set once, when no reply can come any more.
    closed: Option<String>,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Self {
        let table = Table {
            next: 1,
            calls: BTreeMap::new(),
            closed: None,
        };
        Self {
            table: Mutex::new(table),
            limit,
        }
    }

    /// Enters a call and gives its id, or gives the completion back with the reason why not.
    pub(super) fn begin(&self, complete: Complete) -> Result<u64, (Complete, TransportError)> {
        let mut table = self.lock();
        if let Some(reason) = &table.closed {
            let error = TransportError::Closed {
                reason: reason.clone(),
            };
            return Err((complete, error));
        }
        if table.calls.len() >= self.limit {
            let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
            let what = "the number of calls without a reply";
            return Err((complete, TransportError::Overloaded { what, limit }));
        }
        let id = table.next;
        table.next = id.wrapping_add(1);
        table.calls.insert(id, complete);
        Ok(id)
    }

    /// Takes a call out, to complete it or to forget it. `None` if that happened before.
    pub(super) fn take(&self, id: u64) -> Option<Complete> {
        self.lock().calls.remove(&id)
    }

    /// Refuses calls from now on and completes those that wait, oldest first.
    pub(super) fn close(&self, reason: &str) {
        let calls = {
            let mut table = self.lock();
            table.closed.get_or_insert_with(|| reason.to_owned());
            std::mem::take(&mut table.calls)
        };
        for complete in calls.into_values() {
            complete(Err(TransportError::ConnectionLost {
                reason: reason.to_owned(),
            }));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().calls.len()
    }

    /// Nothing panics while the lock is held, so a poisoned table is as good as any.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::{Bytes, Pending, TransportError};

    #[test]
    fn a_call_beyond_the_limit_is_given_back() {
        let pending = Pending::new(1);
        assert!(pending.begin(Box::new(|_| ())).is_ok());
        let Err((_, error)) = pending.begin(Box::new(|_| ())) else {
            panic!("limit ignored")
        };
        assert!(matches!(error, TransportError::Overloaded { limit: 1, .. }));
        assert!(!error.request_may_have_arrived());
    }

    #[test]
    fn a_loss_completes_every_call_once_and_refuses_the_next() {
        let pending = Arc::new(Pending::new(10));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..3 {
            let sender = sender.clone();
            let complete = move |outcome: Result<Bytes, TransportError>| {
                sender
                    .send(outcome)
                    .expect("the receiver outlives the test");
            };
            assert!(pending.begin(Box::new(complete)).is_ok());
        }
        drop(pending.take(2));
        pending.close("gone");
        pending.close("gone again");
        drop(sender);
        let lost = Err(TransportError::ConnectionLost {
            reason: "gone".to_owned(),
        });
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            vec![lost.clone(), lost]
        );
        let Err((_, error)) = pending.begin(Box::new(|_| ())) else {
            panic!("it is closed")
        };
        assert_eq!(
            error,
            TransportError::Closed {
                reason: "gone".to_owned()
            }
        );
    }
}
