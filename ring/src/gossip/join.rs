//! Joining: asking one node for everything, page by page.
//!
//! A node that begins knows nobody, or the members of its last life. It asks a seed, or one of
//! those members, for all that it knows, and says with it what it is itself, which the asked node
//! spreads as news. Everything later comes by push and pull.

use std::time::Duration;

use super::spread::packed;
use super::wire::{Item, MAX_PAGE, Message};
use super::{Carriage, Gossip, Timers, Transmit};
use crate::id::NodeId;

/// A request for everything that has not been answered yet.
#[derive(Debug)]
pub(super) struct Joining {
    /// Whom to ask; nobody in particular once that was in vain.
    via: Option<NodeId>,
    next: Duration,
}

impl Joining {
    pub(super) fn new(now: Duration, via: Option<NodeId>) -> Self {
        Self { via, next: now }
    }

    /// Asks again with the next timeout: there is somebody now who may answer.
    pub(super) fn hurry(&mut self, now: Duration) {
        self.next = self.next.min(now);
    }
}

impl Gossip {
    /// Joins the cluster through `via`, a seed that a connection stands to. It need not be known.
    ///
    /// It does no harm to call this again: every now and then through a seed, it heals a cluster
    /// whose halves have forgotten each other.
    pub fn join(&mut self, now: Duration, via: NodeId) {
        if via == self.own.id || self.is_removed() {
            return;
        }
        if self.poll_timeout().is_none() {
            self.timers = Timers::new(now, &self.config, &mut self.random);
        }
        self.joining = Some(Joining::new(now, Some(via)));
        self.ask_for_everything(now);
    }

    /// Asks again, if it is time to.
    pub(super) fn ask_for_everything(&mut self, now: Duration) {
        let random = self.choose(1, |_| true).first().copied();
        let Some(joining) = &mut self.joining else {
            return;
        };
        if now < joining.next {
            return;
        }
        joining.next = now.saturating_add(self.config.join_every);
        // A seed that is known is asked in turn with others, one that nobody else replaces again.
        let to = match (joining.via, random) {
            (Some(via), None) => Some(via),
            (Some(via), Some(_)) => {
                joining.via = None;
                Some(via)
            }
            (None, random) => random,
        };
        if let Some(to) = to {
            let own = Item::Member(Box::new(self.own.clone()));
            self.send_stream(to, Message::Join(vec![own]));
        }
    }

    /// Answers a node that joins.
    pub(super) fn send_everything(&mut self, now: Duration, to: NodeId) {
        let ids: Vec<NodeId> = self.members.iter().map(|member| member.id).collect();
        let items = ids.iter().flat_map(|id| self.record_and_evidence(now, *id));
        let mut pages = packed(items.collect(), MAX_PAGE - 64);
        let last = pages.pop().unwrap_or_default();
        let is_last = false;
        for items in pages {
            self.send_stream(to, Message::Page { is_last, items });
        }
        let (is_last, items) = (true, last);
        self.send_stream(to, Message::Page { is_last, items });
    }

    /// Puts a message on its way by stream.
    pub(super) fn send_stream(&mut self, to: NodeId, message: Message) {
        let bytes = self.encode(message);
        let carriage = Carriage::Stream;
        self.transmits.push_back(Transmit {
            to,
            bytes,
            carriage,
        });
    }
}
