//! Heartbeats, and handing on what is new.

use std::time::Duration;

use super::Gossip;
use super::outbox::{Topic, retransmits};
use super::wire::{Item, MAX_DATAGRAM, Message};
use crate::id::NodeId;

impl Gossip {
    /// Tells this node's observers that it lives.
    pub(super) fn send_heartbeats(&mut self) {
        let observers = self.observers.clone();
        for observer in observers {
            self.send(observer, Message::Heartbeat);
        }
    }

    /// One round: what is new to a few random live members that nothing is said of. A suspect hears
    /// what is said of it from its observers, and the rest by pulling.
    pub(super) fn push(&mut self, now: Duration) {
        if !self.outbox.is_empty() {
            let suspects: Vec<NodeId> = self.verdicts.subjects().collect();
            let is_sure = |id| !suspects.contains(&id);
            let members = self.choose(self.config.fanout, is_sure);
            for member in members {
                let items = self.news(now);
                if !items.is_empty() {
                    self.send(member, Message::Push(items));
                }
            }
        }
        self.call_on_the_down(now);
    }

    /// Now and then a member that is down is told so, and what this node is: if it lives, it
    /// refutes, and two sides of a network partition find together again. All live members together
    /// call on each of them about twice a second.
    fn call_on_the_down(&mut self, now: Duration) {
        let rounds = CALLS_A_SECOND * self.config.push_every.as_secs_f64();
        let share = self.down.len() as f64 / (self.live.len() + 1) as f64;
        if self.random.f64() >= rounds * share {
            return;
        }
        let index = self.random.usize(..self.down.len());
        let Some(member) = self.down.get(index).copied() else {
            return;
        };
        let mut items = vec![Item::Member(Box::new(self.own.clone()))];
        let evidence = self.verdicts.evidence(now, member);
        items.extend(evidence.into_iter().map(Item::Suspicion));
        self.send_items(member, items, true);
    }

    /// The news of one datagram. What it says is counted as sent.
    fn news(&mut self, now: Duration) -> Vec<Item> {
        let limit = retransmits(self.members.len());
        let (mut items, mut size) = (Vec::new(), 0);
        for topic in self.outbox.first(MAX_ITEMS) {
            let Some(item) = self.item(now, topic) else {
                self.outbox.remove(topic);
                continue;
            };
            let item_size = item.size();
            if size + item_size <= ROOM {
                size += item_size;
                items.push(item);
                self.outbox.handle_sent(topic, limit);
            }
        }
        items
    }

    /// What is known about a topic, if there still is anything to say.
    fn item(&self, now: Duration, topic: Topic) -> Option<Item> {
        match topic {
            Topic::Member(id) => {
                let member = self.members.member(id)?;
                Some(Item::Member(Box::new(member.clone())))
            }
            Topic::Suspicion { subject, observer } => {
                let suspicion = self.verdicts.suspicion(now, subject, observer)?;
                Some(Item::Suspicion(suspicion))
            }
        }
    }

    /// Sends items in as many datagrams as it takes, as news or to be kept by the receiver.
    pub(super) fn send_items(&mut self, to: NodeId, items: Vec<Item>, is_news: bool) {
        for items in packed(items, ROOM) {
            let is_last = false;
            self.send(
                to,
                if is_news {
                    Message::Push(items)
                } else {
                    Message::Page { is_last, items }
                },
            );
        }
    }

    /// Distinct random live members that are `wanted`, at most `count`.
    pub(super) fn choose(&mut self, count: usize, wanted: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut chosen = Vec::with_capacity(count);
        // Drawing with repetition is cheap while few of many are wanted. Few are shuffled.
        if self.live.len() <= 4 * count {
            let mut live = self.live.clone();
            self.random.shuffle(&mut live);
            chosen.extend(live.into_iter().filter(|id| wanted(*id)).take(count));
            return chosen;
        }
        for _ in 0..4 * count {
            let index = self.random.usize(..self.live.len());
            let id = self.live.get(index).copied();
            chosen.extend(
                id.filter(|id| chosen.len() < count && wanted(*id) && !chosen.contains(id)),
            );
        }
        chosen
    }
}

impl Item {
    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let mut bytes = Vec::with_capacity(128);
        self.encode(&mut bytes);
        bytes.len()
    }
}

/// Items in runs of at most `room` bytes.
pub(super) fn packed(items: Vec<Item>, room: usize) -> Vec<Vec<Item>> {
    let (mut runs, mut run, mut size) = (Vec::new(), Vec::new(), 0);
    for item in items {
        let item_size = item.size();
        if size + item_size > room && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
            size = 0;
        }
        size += item_size;
        run.push(item);
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// What a datagram has room for beside the longest header and the kind.
const ROOM: usize = MAX_DATAGRAM - 48;
/// Most items that are looked at for a datagram; the shortest has over 30 bytes.
const MAX_ITEMS: usize = 40;
/// How often each member that is down is called on, by all others together.
const CALLS_A_SECOND: f64 = 2.0;
