//! Dot pull between owners: replicas become equal with no traffic and nothing to remember.
//!
//! ```text
//!   every second, per peer:   Compare(fingerprints)  ->  Differences(clocks that differ)
//!   what stays missing:       Pull(dots)             ->  Pulled(rows, their dots)
//!   what is trimmed there:    Sync(page)             ->  Page(rows), ..., the first page's clock
//! ```
//!
//! What all owners are found to hold durably is trimmed by housekeeping (`tending`).
//!
//! One pull per vnode and a few per node are under way at a time. A call that fails is forgotten:
//! the next comparison starts over.

use std::time::Duration;

use super::calls::{Call, Purpose, Unanswered};
use super::{Batch, Replica, ReplicaConfig};
use crate::protocol::messages::{
    Differences, Fingerprint, Page, PeerReply, PeerRequest, Pulled, Refusal,
};
use crate::protocol::stage::SourceError;
use crate::protocol::time::Time;
use crate::protocol::vnode::Vnode;
use crdt::Clock;
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

impl Replica {
    pub(super) fn next_timeout(&self) -> Option<Time> {
        let compares = self.peers.values().map(|peer| peer.next_compare);
        let calls = self.calls.values().map(|call| call.deadline);
        let sync = self
            .unsynced
            .then(|| self.last_sync.after(self.config.sync_every));
        let pulls = self.takes_growth() && self.vnodes.values().any(Vnode::is_missing_dots);
        let pulls = pulls.then(|| self.last_tick.after(PULL_TICK));
        let scrub = self.next_scrub();
        let tending = self.tending.poll_timeout();
        let hints = self.hints.poll_timeout();
        let timeouts = compares.chain(calls).chain(sync).chain(pulls);
        let recovery = self.next_recovery();
        let rest = tending.into_iter().chain(hints).chain(recovery);
        timeouts.chain(rest).chain(scrub).min()
    }

    pub(super) fn handle_tick(&mut self, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        let now = batch.now.time;
        self.last_tick = now;
        self.recover_aside(batch);
        let late: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.deadline <= now)
            .map(|(&t, _)| t)
            .collect();
        for tag in late {
            if let Some(call) = self.calls.remove(&tag) {
                self.has_asked(tag);
                self.handle_failed_call(&call, Unanswered::Late, now);
            }
        }
        self.compare(batch);
        self.pull(batch);
        self.deliver_hints(batch);
        self.tend(batch)?;
        self.scrub(batch)?;
        if self.unsynced && now >= self.last_sync.after(self.config.sync_every) {
            batch.barrier = Durability::Synced;
            // Asked for, whatever comes of it: a store that cannot is not asked in a loop.
            self.last_sync = now;
        }
        Ok(())
    }

    pub(super) fn takes_growth(&self) -> bool {
        self.config.limits.room.takes_growth()
    }

    /// Asks the peers whose turn has come.
    fn compare(&mut self, batch: &mut Batch<'_>) {
        let now = batch.now.time;
        let due: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.next_compare <= now)
            .map(|(&node, _)| node)
            .collect();
        for peer in due {
            let jitter = self.random.f64() / 2.0 + 0.75;
            let next = now.after(self.config.compare_every.mul_f64(jitter));
            let questions = self.questions_to(peer);
            let Some(state) = self.peers.get_mut(&peer) else {
                continue;
            };
            state.next_compare = next;
            if state.compares_since.is_some() {
                continue;
            }
            state.compares_since = Some(now);
            let vnodes = self.vnodes.values_mut();
            let told = vnodes.filter_map(|vnode| vnode.fingerprint(peer));
            let fingerprints: Vec<Fingerprint> = told.chain(questions).collect();
            state.compared = fingerprints
                .iter()
                .map(|fingerprint| (fingerprint.vnode, fingerprint.incarnation))
                .collect();
            let request = PeerRequest::Compare(fingerprints);
            self.call(peer, Purpose::Compare, request, batch);
        }
    }

    /// Starts the pulls that are due, as many as may be under way.
    fn pull(&mut self, batch: &mut Batch<'_>) {
        if !self.takes_growth() {
            return;
        }
        let mut busy: Vec<VnodeId> = self.calls.values().filter_map(Call::occupied).collect();
        let ids: Vec<VnodeId> = self.vnodes.keys().copied().collect();
        for id in ids {
            if busy.len() >= self.config.pulls {
                return;
            }
            if busy.contains(&id) {
                continue;
            }
            let Some(vnode) = self.vnodes.get_mut(&id) else {
                continue;
            };
            if let Some((source, sync)) = vnode.next_page() {
                self.call(source, Purpose::Page(id), PeerRequest::Sync(sync), batch);
                busy.push(id);
                continue;
            }
            let peers: Vec<NodeId> = vnode.peers().map(|(peer, _)| peer).collect();
            let pull = peers.into_iter().find_map(|peer| {
                let pull = vnode.wanted(batch.now.time, peer, self.config.pull_delay)?;
                Some((peer, pull))
            });
            if let Some((peer, pull)) = pull {
                self.call(peer, Purpose::Pull(id), PeerRequest::Pull(pull), batch);
                busy.push(id);
            }
        }
    }

    pub(super) fn handle_reply(
        &mut self,
        from: NodeId,
        tag: u64,
        reply: Option<PeerReply>,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        let Some(call) = self.calls.remove(&tag) else {
            return Ok(());
        };
        if let Purpose::Hint(hinting) = call.purpose {
            self.handle_hint_reply(from, hinting, reply, batch);
            return Ok(());
        } else if let Purpose::Again(asked) = call.purpose {
            return self.handle_missing(&asked, reply, batch);
        } else if let Purpose::Scrub(id, nonce) = call.purpose {
            return self.handle_compared((id, nonce), from, reply, batch);
        }
        let unanswered = Unanswered::of(reply.as_ref());
        if !self.takes_growth() && call.purpose.brings_rows() {
            self.handle_failed_call(&call, unanswered, batch.now.time);
            return Ok(());
        }
        match (&call.purpose, reply) {
            (Purpose::Compare, Some(PeerReply::Differences(differences))) => {
                self.handle_differences(from, differences, batch);
            }
            (Purpose::Pull(_) | Purpose::PullKey(..), Some(PeerReply::Pulled(pulled))) => {
                self.handle_pulled(from, &call.purpose, &pulled, batch)?;
            }
            (Purpose::Page(_), Some(PeerReply::Page(page))) => {
                self.handle_page(from, &page, batch)?;
            }
            (Purpose::Spread, Some(_)) => {}
            (Purpose::Grant, _) => self.has_asked(tag),
            (
                Purpose::Compare | Purpose::Pull(_) | Purpose::PullKey(..) | Purpose::Page(_),
                Some(
                    PeerReply::Acked
                    | PeerReply::Rows(_)
                    | PeerReply::Differences(_)
                    | PeerReply::Pulled(_)
                    | PeerReply::Page(_)
                    | PeerReply::Examined(_)
                    | PeerReply::Refused(
                        Refusal::NotOwner
                        | Refusal::Starting
                        | Refusal::DiskFull
                        | Refusal::Storage
                        | Refusal::Malformed
                        | Refusal::Overloaded
                        | Refusal::TooLarge
                        | Refusal::Behind
                        | Refusal::Quarantined
                        | Refusal::HintsFull,
                    ),
                )
                | None,
            )
            | (Purpose::Spread, None)
            | (Purpose::Again(_) | Purpose::Hint(_) | Purpose::Scrub(..), _) => {
                self.handle_failed_call(&call, unanswered, batch.now.time);
            }
        }
        self.pull(batch);
        Ok(())
    }

    fn handle_differences(
        &mut self,
        from: NodeId,
        differences: Differences,
        batch: &mut Batch<'_>,
    ) {
        let now = batch.now.time;
        let behind = self.far_behind(&differences.differing);
        self.tell_behind(from, behind, batch);
        self.hear_wall(from, differences.wall_ms);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.compares_since = None;
        peer.silent_since = None;
        peer.cut_since = None;
        let mut equal = std::mem::take(&mut peer.compared);
        // A vnode that has begun anew meanwhile has not asked.
        let vnodes = &self.vnodes;
        let is_asker = |id: &VnodeId, nonce: u64| {
            vnodes
                .get(id)
                .is_some_and(|vnode| vnode.actor().nonce == nonce)
        };
        equal.retain(|id, nonce| is_asker(id, *nonce) || self.asks_as(*id, *nonce));
        for id in differences.unknown {
            let has_asked = equal.remove(&id).is_some();
            match self.vnodes.get_mut(&id) {
                Some(vnode) => vnode.handle_unknown(from),
                None if has_asked => self.hear_of_no_use(id, from),
                None => {}
            }
        }
        for difference in differences.differing {
            if equal.remove(&difference.vnode).is_none() {
                continue;
            }
            match self.vnodes.get_mut(&difference.vnode) {
                Some(vnode) => vnode.handle_difference(now, from, difference),
                None => self.hear_for_quarantine(difference.vnode, from, difference.durable),
            }
        }
        for id in equal.into_keys() {
            match self.vnodes.get_mut(&id) {
                Some(vnode) => vnode.handle_equal(from),
                None => self.hear_for_quarantine(id, from, Clock::default()),
            }
        }
    }

    fn handle_pulled(
        &mut self,
        from: NodeId,
        purpose: &Purpose,
        pulled: &Pulled,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        let Some(vnode) = self.vnodes.get(&pulled.vnode) else {
            return Ok(());
        };
        if vnode.actor().nonce != pulled.incarnation {
            return Ok(());
        }
        if vnode.is_bundle_outlived(from, &pulled.bundle) {
            if let Purpose::Pull(id) = purpose {
                self.fail_pull(from, *id);
            }
            return Ok(());
        }
        let id = pulled.vnode;
        let absorbed = self.absorb_bundle(id, &pulled.bundle, Durability::Memory, batch)?;
        let vnode = self.vnodes.get_mut(&id).filter(|_| absorbed.is_ok());
        if let (Purpose::Pull(_), Some(vnode)) = (purpose, vnode) {
            vnode.handle_pulled(from, pulled.more);
            if vnode.needs_sync(from, &pulled.trimmed) {
                vnode.begin_sync(from);
            }
        }
        Ok(())
    }

    fn handle_page(
        &mut self,
        from: NodeId,
        page: &Page,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        if let Some(vnode) = self.vnodes.get_mut(&page.vnode)
            && vnode.is_bundle_outlived(from, &page.bundle)
        {
            vnode.abandon_sync();
            return Ok(());
        }
        let hlc = self.take_stamps(page.bundle.events.iter().map(|event| event.hlc), batch);
        let answers = self.work(page.vnode, batch, |vnode, _, stage| {
            vnode.absorb_page(hlc, page, stage)
        })?;
        if let Ok(answers) = answers {
            self.entered(page.vnode, Durability::Memory, &answers, batch);
        }
        Ok(())
    }

    fn handle_failed_call(&mut self, call: &Call, unanswered: Unanswered, now: Time) {
        match &call.purpose {
            Purpose::Compare => self.handle_no_comparison(call.peer, unanswered, now),
            Purpose::Pull(id) => self.fail_pull(call.peer, *id),
            Purpose::Page(id) => {
                if let Some(vnode) = self.vnodes.get_mut(id) {
                    vnode.abandon_sync();
                }
            }
            Purpose::Hint(hinting) => self.handle_failed_hint(call.peer, hinting),
            Purpose::Scrub(id, nonce) => self.handle_not_compared((*id, *nonce), call.peer),
            // Who asked waits no longer either.
            Purpose::PullKey(..) | Purpose::Spread | Purpose::Again(_) | Purpose::Grant => {}
        }
    }

    fn fail_pull(&mut self, peer: NodeId, id: VnodeId) {
        if let Some(vnode) = self.vnodes.get_mut(&id) {
            vnode.handle_pulled(peer, false);
        }
    }

    /// Do the calls to a peer succeed, as far as the last comparison told?
    pub(super) fn is_reachable(&self, peer: NodeId) -> bool {
        let state = self.peers.get(&peer);
        state.is_some_and(|state| state.silent_since.is_none())
    }

    /// A peer did not answer a comparison. When it has been away for long, vnodes that are catching
    /// up go on without what it may hold (`rules.md` 3). That it is slow is no reason: it may be
    /// the only one that holds something, and most so while it has much to do.
    fn handle_no_comparison(&mut self, peer: NodeId, unanswered: Unanswered, now: Time) {
        let ReplicaConfig {
            patience,
            long_patience,
            ..
        } = self.config;
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.compares_since = None;
        let silent_since = *state.silent_since.get_or_insert(now);
        let is_away = match unanswered {
            Unanswered::Refused => {
                state.silent_since = Some(now);
                state.cut_since = None;
                false
            }
            Unanswered::Cut => now.since(*state.cut_since.get_or_insert(now)) >= patience,
            Unanswered::Late => {
                state.cut_since = None;
                now.since(silent_since) >= long_patience
            }
        };
        if is_away {
            self.vnodes
                .values_mut()
                .for_each(|vnode| vnode.handle_unreachable(peer));
        }
    }
}

/// How often pulls are looked at while something is missing.
const PULL_TICK: Duration = Duration::from_millis(50);
