//! Pull repair: what the pushes missed is found by fingerprints.
//!
//! ```text
//!   A                                   B
//!   |-- pull(root) -------------------->|   equal: silence, and that was all
//!   |<-- buckets(salt, fingerprints) ---|   256 of 4 bytes, whatever the size of the cluster
//!   |-- summary(buckets that differ) -->|   as many as a datagram holds, beginning anywhere
//!   |<-- page(what B has newer) --------|
//!   |<-- want(what A has newer) --------|
//!   |-- page -------------------------->|
//! ```
//!
//! Nothing waits for an answer: what is lost is found again a second later. What is learnt in this
//! way is not handed on as news, since most others know it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Gossip;
use super::digest::bucket;
use super::wire::{Bucket, Entry, Item, MAX_DATAGRAM, Message};
use crate::id::NodeId;
use crate::membership::Incarnation;

impl Gossip {
    /// Begins a comparison with a random member.
    pub(super) fn pull(&mut self) {
        let root = self.digest.root();
        for member in self.choose(1, |_| true) {
            self.send(member, Message::Pull { root });
        }
    }

    pub(super) fn handle_pull(&mut self, from: NodeId, root: u64) {
        if root == self.digest.root() {
            return;
        }
        let salt = self.random.u32(..);
        let fingerprints = self.digest.fingerprints(salt);
        self.send(from, Message::Buckets { salt, fingerprints });
    }

    pub(super) fn handle_buckets(&mut self, from: NodeId, salt: u32, theirs: &[u32]) {
        let ours = self.digest.fingerprints(salt);
        let numbers = 0..=u8::MAX;
        let pairs = numbers.zip(ours.iter().zip(theirs));
        let differing = pairs.filter(|(_, (ours, theirs))| ours != theirs);
        let mut buckets: Vec<u8> = differing.map(|(number, _)| number).collect();
        // Beginning anywhere, so that no bucket waits for ever behind others.
        self.random.shuffle(&mut buckets);
        let entries = self.entries_of(&buckets);
        let (mut summary, mut size) = (Vec::new(), 0);
        for (number, entries) in entries {
            size += 3 + entries.len() * LONGEST_ENTRY;
            if size > MAX_DATAGRAM && !summary.is_empty() {
                break;
            }
            summary.push(Bucket { number, entries });
        }
        summary.sort_by_key(|bucket| bucket.number);
        if !summary.is_empty() {
            self.send(from, Message::Summary(summary));
        }
    }

    pub(super) fn handle_summary(&mut self, now: Duration, from: NodeId, theirs: &[Bucket]) {
        let numbers: Vec<u8> = theirs.iter().map(|bucket| bucket.number).collect();
        let ours = self.entries_of(&numbers);
        let ours: BTreeMap<NodeId, Entry> =
            by_id(ours.into_iter().flat_map(|(_, entries)| entries));
        let theirs = by_id(theirs.iter().flat_map(|bucket| bucket.entries.clone()));
        let is_newer = |entry: &Entry, other: Option<&Entry>| {
            other.is_none_or(|other| entry.rank() > other.rank())
        };
        let newer_here = ours
            .values()
            .filter(|our| is_newer(our, theirs.get(&our.id)));
        let newer_here: Vec<NodeId> = newer_here.map(|our| our.id).take(MOST).collect();
        let newer_there = theirs
            .values()
            .filter(|their| is_newer(their, ours.get(&their.id)));
        let newer_there: Vec<NodeId> = newer_there.map(|their| their.id).take(MOST).collect();
        self.send_records(now, from, &newer_here);
        if !newer_there.is_empty() {
            self.send(from, Message::Want(newer_there));
        }
    }

    pub(super) fn handle_want(&mut self, now: Duration, from: NodeId, ids: &[NodeId]) {
        let ids: Vec<NodeId> = ids.iter().take(MOST).copied().collect();
        self.send_records(now, from, &ids);
    }

    fn send_records(&mut self, now: Duration, to: NodeId, ids: &[NodeId]) {
        let items = ids.iter().flat_map(|id| self.record_and_evidence(now, *id));
        let items = items.collect();
        self.send_items(to, items, false);
    }

    /// All that is known of a member: its record, and why it is down if it is.
    pub(super) fn record_and_evidence(&self, now: Duration, id: NodeId) -> Vec<Item> {
        let member = self.members.member(id);
        let record = member.map(|member| Item::Member(Box::new(member.clone())));
        let is_down = self.entry(id).is_some_and(|entry| entry.is_down);
        let evidence = is_down.then(|| self.verdicts.evidence(now, id));
        let evidence = evidence.into_iter().flatten().map(Item::Suspicion);
        record.into_iter().chain(evidence).collect()
    }

    /// The entries of some buckets, in the order of `numbers`, ids ascending.
    fn entries_of(&self, numbers: &[u8]) -> Vec<(u8, Vec<Entry>)> {
        let mut entries: BTreeMap<u8, Vec<Entry>> =
            numbers.iter().map(|number| (*number, Vec::new())).collect();
        for member in self.members.iter() {
            if let Some(bucket) = entries.get_mut(&bucket(member.id)) {
                bucket.extend(self.entry(member.id));
            }
        }
        let ordered = numbers.iter();
        ordered
            .filter_map(|number| entries.remove_entry(number))
            .collect()
    }
}

impl Entry {
    /// Of two entries about one member the one with the higher rank has something to tell. That a
    /// member is down comes last: it is about an incarnation.
    fn rank(&self) -> (bool, Incarnation, u64, bool) {
        (
            self.is_removed,
            self.incarnation,
            self.version,
            self.is_down,
        )
    }
}

fn by_id(entries: impl Iterator<Item = Entry>) -> BTreeMap<NodeId, Entry> {
    entries.map(|entry| (entry.id, entry)).collect()
}

/// Most records that one answer has, each some 150 bytes.
const MOST: usize = 64;
/// Two ids' worth of fixed bytes, two varints that are seldom long, flags.
const LONGEST_ENTRY: usize = 24;
