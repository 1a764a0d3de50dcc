//! How fast peers answer: when to ask another one too, and whom last.
//!
//! A question that is not answered as soon as nineteen of twenty are is put to the next peer too: a
//! **hedge**. It waits for the quicker of them, so one slow or hung peer costs little more than a
//! usual answer. Whoever leaves questions unanswered for several times as long **dawdles**: it is
//! asked last from then on, until it answers. Nobody has to find out what is wrong with it.
//!
//! Hedges are a remedy for one slow peer. When all are slow they would make it worse, so no more
//! than one question in twenty may be hedged; only from one that dawdles to one that does not they
//! are free.
//!
//! Among peers that answer, the quicker ones are asked first. What a peer is expected to take is
//! its last latency, or a mean of the last ones if that is more, times its questions under way. It
//! fades while the peer is not asked, so that one which was slow is tried again.
//!
//! What should stay with one peer, and be moved only if that pays, goes by the mean alone: a peer
//! that usually takes several times as long as another one is **slow**, and one late answer makes
//! nobody slow.
//!
//! Sources: hedged requests within a budget of *The Tail at Scale* (Dean and Barroso, CACM 2013);
//! a peak-sensitive moving average times what is under way is the balancer "peak EWMA" of Finagle.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::NodeId;

/// What is known of how fast peers answer. Times are those of any one steady clock.
#[derive(Debug)]
pub struct Pace {
    /// The longest that a question waits before it may be hedged.
    longest: Duration,
    peers: BTreeMap<NodeId, Peer>,
    answers: Answers,
    /// Hedges that may be sent, in twentieths.
    budget: u32,
}

/// One question: when it was put, and a number that no other has.
pub type Question = (Duration, u64);

#[derive(Debug, Default)]
struct Peer {
    /// Questions that are not answered yet.
    waiting: BTreeSet<Question>,
    /// In microseconds, as it was at `at`.
    latency: u64,
    /// The mean of the last answers, likewise.
    usual: u64,
    at: Duration,
}

impl Pace {
    /// Nothing yet. While little is known, and at the most, a question waits for `longest`.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            peers: BTreeMap::new(),
            answers: Answers::default(),
            budget: MOST_BUDGET,
        }
    }

    /// A peer is asked.
    pub fn handle_asked(&mut self, peer: NodeId, question: Question) {
        self.peers.entry(peer).or_default().waiting.insert(question);
    }

    /// It answered.
    pub fn handle_answer(&mut self, now: Duration, peer: NodeId, question: Question) {
        if let Some(known) = self.peers.get_mut(&peer)
            && known.waiting.remove(&question)
        {
            let took = now.saturating_sub(question.0);
            known.add(now, took);
            self.answers.add(took);
        }
    }

    /// There will be no answer, which says nothing of how long one takes. With its last question a
    /// peer is forgotten.
    pub fn handle_failure(&mut self, peer: NodeId, question: Question) {
        if let Some(known) = self.peers.get_mut(&peer)
            && known.waiting.remove(&question)
            && known.waiting.is_empty()
        {
            self.peers.remove(&peer);
        }
    }

    /// Something begins that may be hedged: a twentieth of a hedge is earned.
    pub fn handle_begun(&mut self) {
        self.budget = (self.budget + 1).min(MOST_BUDGET);
    }

    /// How long to wait before a hedge: what nineteen of twenty answers take, and no more than
    /// `longest`.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let usual = self.answers.nineteen_of_twenty();
        usual.map_or(self.longest, |usual| usual.max(SHORTEST).min(self.longest))
    }

    /// How long a question is open before its peer dawdles.
    #[must_use]
    pub fn great_patience(&self) -> Duration {
        SEVERAL * self.patience()
    }

    /// May a question that these were asked be put to `next` too? If that costs, it is paid.
    pub fn may_hedge(
        &mut self,
        now: Duration,
        mut asked: impl Iterator<Item = NodeId>,
        next: NodeId,
    ) -> bool {
        if asked.any(|peer| self.is_dawdling(now, peer)) && !self.is_dawdling(now, next) {
            return true;
        }
        let paid = self.budget.checked_sub(HEDGE);
        self.budget = paid.unwrap_or(self.budget);
        paid.is_some()
    }

    /// Does a peer leave questions unanswered for much longer than is usual?
    #[must_use]
    pub fn is_dawdling(&self, now: Duration, peer: NodeId) -> bool {
        let oldest = self.peers.get(&peer).and_then(|peer| peer.waiting.first());
        oldest.is_some_and(|(asked, _)| now.saturating_sub(*asked) >= self.great_patience())
    }

    /// Does a peer usually take several times as long as one of these? Who was never asked is taken
    /// for quick, so that it is tried.
    #[must_use]
    pub fn is_slow(
        &self,
        now: Duration,
        peer: NodeId,
        mut others: impl Iterator<Item = NodeId>,
    ) -> bool {
        let usual = |peer| self.peers.get(&peer).map_or(0, |known: &Peer| known.usual);
        // Of the others the mean does not fade: who was slow too is no better for not being asked.
        let faded = self
            .peers
            .get(&peer)
            .map_or(0, |peer| peer.faded_usual(now));
        others.any(|other| faded >= SLOW * usual(other).max(NOTHING))
    }

    /// Where a peer comes among others; who is to be asked first has the least. Peers that differ
    /// by less than about a factor of two have the same rank.
    #[must_use]
    pub fn rank(&self, now: Duration, peer: NodeId) -> Rank {
        let expected = self.peers.get(&peer).map_or(0, |peer| peer.expected(now));
        Rank {
            is_dawdling: self.is_dawdling(now, peer),
            doublings: expected.max(NOTHING).ilog2(),
        }
    }
}

/// Where a peer comes among others; the better one is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    is_dawdling: bool,
    doublings: u32,
}

impl Rank {
    /// Does it leave questions unanswered for much longer than is usual?
    #[must_use]
    pub fn is_dawdling(self) -> bool {
        self.is_dawdling
    }
}

impl Peer {
    /// Takes over an answer: what takes longer than expected counts in full, the rest by an eighth.
    fn add(&mut self, now: Duration, took: Duration) {
        let (took, before) = (micros(took), self.faded(now));
        self.latency = if took >= before {
            took
        } else {
            before - (before - took) / 8
        };
        let usual = self.faded_usual(now);
        self.usual = usual - usual / 8 + took / 8;
        self.at = now;
    }

    /// The mean, halved for every few seconds that have passed without an answer.
    fn faded_usual(&self, now: Duration) -> u64 {
        let seconds = now.saturating_sub(self.at).as_secs();
        self.usual >> (seconds / USUAL_HALVES_IN).min(63)
    }

    /// The latency, halved for every second that has passed without an answer.
    fn faded(&self, now: Duration) -> u64 {
        let seconds = now.saturating_sub(self.at).as_secs().min(63);
        self.latency >> seconds
    }

    fn expected(&self, now: Duration) -> u64 {
        let under_way = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        let latency = self.faded(now).max(NOTHING);
        latency.saturating_mul(under_way.saturating_add(1))
    }
}

/// How long answers took lately: counts by powers of the square root of two of microseconds, of
/// which the older ones fade.
#[derive(Debug, Default)]
struct Answers {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Answers {
    fn add(&mut self, took: Duration) {
        let bucket = bounds().position(|bound| took <= bound);
        self.counts[bucket.unwrap_or(BUCKETS - 1)] += 1;
        self.total += 1;
        if self.total >= FADES_AT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The bound under which nineteen of twenty answers lie; `None` when there are too few to say.
    fn nineteen_of_twenty(&self) -> Option<Duration> {
        if self.total < LEAST {
            return None;
        }
        let mut under = 0;
        let reached = bounds().zip(self.counts).find(|(_, count)| {
            under += count;
            20 * under >= 19 * self.total
        });
        reached.map(|(bound, _)| bound)
    }
}

/// The upper bounds of the buckets: 64 µs, 90 µs, 128 µs and so on.
fn bounds() -> impl Iterator<Item = Duration> {
    (0..BUCKETS).map(|at| {
        let power = 64_u64 << (at / 2);
        let between = if at % 2 == 1 { power * 2 / 5 } else { 0 };
        Duration::from_micros(power + between)
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// From 64 µs to about 3 s.
const BUCKETS: usize = 32;
/// Answers before anything is concluded from them.
const LEAST: u32 = 20;
/// Counts are halved when there are so many.
const FADES_AT: u32 = 2_000;
/// No hedge comes sooner: below it the network and the clock have more to say than the peer.
const SHORTEST: Duration = Duration::from_millis(2);
/// A latency in microseconds below which peers are the same to us.
const NOTHING: u64 = 1_024;
/// As many times as long as another one is slow.
const SLOW: u64 = 4;
/// A mean that nothing is added to halves in so many seconds.
const USUAL_HALVES_IN: u64 = 4;
/// As many times as long as usual is dawdling.
const SEVERAL: u32 = 3;
/// What one hedge costs, in twentieths.
const HEDGE: u32 = 20;
/// A burst of ten hedges at the most.
const MOST_BUDGET: u32 = 10 * HEDGE;
