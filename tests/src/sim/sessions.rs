//! Clients as sessions, in the runs whose plan says so: what they have seen goes with every order,
//! and an answer must not fall behind it.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Ledger;
use super::world::World;
use crdt::Dot;
use crdt::dots::DotSet;
use ring::VnodeId;
use starling_node::protocol::coordinator::{OrderFailed, ReadDone};

/// What one client has seen.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// As its coordinators say.
    seen: BTreeMap<VnodeId, DotSet>,
    /// By key, as it knows itself.
    known: BTreeMap<usize, Known>,
}

/// What a client knows of a key.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Events of its own writes, and of versions that it was shown.
    pub(crate) events: BTreeSet<Dot>,
    /// Of those the versions that were not shown any more.
    pub(crate) gone: BTreeSet<Dot>,
}

impl Session {
    pub(crate) fn known(&self, subject: usize) -> Option<&Known> {
        self.known.get(&subject)
    }
}

impl World {
    /// What a client's order must be answered with, if it is in a session.
    pub(crate) fn session_of(&self, client: usize, vnode: VnodeId) -> Option<DotSet> {
        let seen = &self.clients[client].session.seen;
        let seen = || seen.get(&vnode).cloned().unwrap_or_default();
        self.plan.sessions.then(seen)
    }

    /// A client is shown a key.
    pub(crate) fn learn_shown(&mut self, client: usize, subject: usize, done: &ReadDone) {
        if !self.plan.sessions {
            return;
        }
        let vnode = self.ledger.subjects[subject].vnode;
        let session = &mut self.clients[client].session;
        session.seen.insert(vnode, done.seen.clone());
        let Known { events, gone } = session.known.entry(subject).or_default();
        let shown = done.rows.values().flat_map(|row| row.versions().keys());
        let shown: BTreeSet<Dot> = shown.copied().collect();
        gone.extend(events.difference(&shown));
        events.extend(shown);
    }

    /// A client hears that its write has reached enough owners.
    pub(crate) fn learn_written(&mut self, client: usize, operation: usize, seen: DotSet) {
        if !self.plan.sessions {
            return;
        }
        let subject = self.ledger.operations[operation].subject;
        let vnode = self.ledger.subjects[subject].vnode;
        let own = own_dots(&self.ledger, operation, &seen);
        let session = &mut self.clients[client].session;
        session.seen.insert(vnode, seen);
        for (subject, dot) in own {
            let known = session.known.entry(subject).or_default();
            known.events.insert(dot);
        }
    }

    /// A client in a session is refused. Sometimes it begins a new one, and always if it is lost.
    pub(crate) fn learn_refused(&mut self, client: usize, subject: usize, failed: OrderFailed) {
        let is_lost = failed == OrderFailed::SessionLost;
        if is_lost {
            self.tally.count("a session was lost");
        } else if failed == OrderFailed::SessionBehind {
            self.tally.count("a session waited in vain");
        } else {
            return;
        }
        if is_lost || self.chance(0.1) {
            let vnode = self.ledger.subjects[subject].vnode;
            let subjects = &self.ledger.subjects;
            let session = &mut self.clients[client].session;
            session.seen.remove(&vnode);
            session.known.retain(|&key, _| subjects[key].vnode != vnode);
        }
    }
}

/// The events of an operation that its session has been told of, with their keys.
fn own_dots(ledger: &Ledger, operation: usize, seen: &DotSet) -> Vec<(usize, Dot)> {
    let changes = ledger.operations[operation].changes.iter();
    let own = changes.flat_map(|wanted| {
        let prefix = &ledger.subjects[wanted.subject].prefix;
        let entries = ledger.entries_of(prefix);
        let own = entries.filter(|entry| entry.operation == Some(operation));
        own.map(|entry| (wanted.subject, entry.event.dot))
    });
    own.filter(|(_, dot)| seen.contains(*dot)).collect()
}
