//! Asking a second node before the first has answered: a hedge.
//!
//! A read is hedged when its node is slow, within a budget, since any owner can answer it; beyond
//! the budget when its node is silent. A write
//! is entered by whoever takes it, so a second coordinator makes two copies of it, which are found
//! to be one later: not for a node that is slow, and only for one that has fallen silent. Silent
//! is who answers nothing at all, reads or writes, for several times as long as a write usually
//! takes. Its process stands still, or nobody can reach it; a disk that takes its time lets reads
//! be answered. The write keeps its operation id, so it counts once, and it is paid for as the
//! retry that it is.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::ask::paced;
use super::call::{Account, Failed, Plan, Route};
use crate::retry::{Retry, Times, Work};
use crate::wire::{Request, Response};
use ring::NodeId;

/// What came of an attempt, and at which node.
pub(super) type Asked = (NodeId, Answer);

type Answer = Result<Response, Failed>;

/// An attempt under way.
type Attempting = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// How the wait for the first node ends: with its answer, or with another one to ask too.
type Waited = ControlFlow<Answer, NodeId>;

impl Shared {
    /// Asks a node. If it is slow to answer a read, or silent over a write, the next one is asked
    /// too, and whoever is first counts; what becomes of the other is noted when it is known.
    pub(super) async fn ask(
        self: &Arc<Self>,
        node: NodeId,
        nodes: &[NodeId],
        (plan, request): (&Plan, &mut Request),
        retry: &mut Retry,
        account: &mut Account,
    ) -> Asked {
        let begun = self.clock.now();
        let times = retry.times(begun, nodes.len());
        let work = paced(request).filter(|_| matches!(plan.route, Route::Owners));
        let Some(work) = work.filter(|_| retry.has_other(nodes)) else {
            return (node, self.attempt(node, request, times).await);
        };
        let mut first = self.attempt_of_own(node, request, times);
        let asked = (node, begun);
        let waited = match work {
            Work::Read => self.wait_while_quick(asked, nodes, retry, &mut first).await,
            Work::Write => self.wait_while_heard(asked, nodes, retry, &mut first).await,
        };
        let other = match waited {
            ControlFlow::Break(answer) => return (node, answer),
            ControlFlow::Continue(other) => other,
        };
        tracing::debug!(%node, %other, ?work, "hedged");
        let times = Times {
            may_be_applied: true,
            ..retry.times(self.clock.now(), nodes.len())
        };
        let mut second = self.attempt_of_own(other, request, times);
        let (winner, answer, loser, rest) = tokio::select! {
            answer = &mut first => (node, answer, other, second),
            answer = &mut second => (other, answer, node, first),
        };
        match answer {
            Ok(_) => {
                tokio::spawn(rest);
                (winner, answer)
            }
            Err(failed) => {
                account.add(&failed);
                retry.handle_outcome(&failed.attempt);
                (loser, rest.await)
            }
        }
    }

    /// Waits for the answer to a read for as long as is usual, where no more hedges may be made
    /// until the node dawdles, and where the next one dawdles too for as long as anything is heard.
    async fn wait_while_quick(
        &self,
        (node, begun): (NodeId, Duration),
        nodes: &[NodeId],
        retry: &mut Retry,
        first: &mut Attempting,
    ) -> Waited {
        self.paces().of(Work::Read).handle_begun();
        let waits = {
            let mut paces = self.paces();
            let pace = paces.of(Work::Read);
            [pace.patience(), pace.great_patience()]
        };
        for wait in waits {
            let left = wait.saturating_sub(self.clock.now().saturating_sub(begun));
            if let Ok(answer) = tokio::time::timeout(left, &mut *first).await {
                return ControlFlow::Break(answer);
            }
            let now = self.clock.now();
            let may_hedge = |next| {
                let asked = std::iter::once(node);
                self.paces().of(Work::Read).may_hedge(now, asked, next)
            };
            if let Some(other) = retry.choose_other(nodes, may_hedge) {
                return ControlFlow::Continue(other);
            }
        }
        self.wait_while_heard((node, begun), nodes, retry, first)
            .await
    }

    /// Waits for the answer for as long as anything is heard of the node.
    async fn wait_while_heard(
        &self,
        (node, begun): (NodeId, Duration),
        nodes: &[NodeId],
        retry: &mut Retry,
        first: &mut Attempting,
    ) -> Waited {
        let mut since = begun;
        loop {
            let silent_at = self.paces().silent_at(node, since);
            let left = silent_at.saturating_sub(self.clock.now());
            if let Ok(answer) = tokio::time::timeout(left, &mut *first).await {
                return ControlFlow::Break(answer);
            }
            let now = self.clock.now();
            if now > silent_at.saturating_add(LATE) {
                // We were away ourselves, and what has come meanwhile was not looked at yet.
                since = now;
            }
            if self.paces().silent_at(node, since) <= now {
                break;
            }
        }
        // Nothing is heard of it: asking elsewhere is the retry that its timeout would lead to.
        let may_repeat = |_| self.budget().take(self.clock.now());
        match retry.choose_other(nodes, may_repeat) {
            Some(other) => ControlFlow::Continue(other),
            None => ControlFlow::Break(first.await),
        }
    }

    /// An attempt that outlives the call that began it.
    fn attempt_of_own(
        self: &Arc<Self>,
        node: NodeId,
        request: &Request,
        times: Times,
    ) -> Attempting {
        let (shared, mut request) = (Arc::clone(self), request.clone());
        Box::pin(async move { shared.attempt(node, &mut request, times).await })
    }
}

/// A timer that rings this late says that our own process stood still.
const LATE: Duration = Duration::from_millis(20);
