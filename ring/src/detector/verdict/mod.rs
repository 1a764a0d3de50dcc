//! From suspicions to verdicts: when is a node down?
//!
//! One observer may be wrong: its own link, its own processor, its own clock. So a node is
//! *suspect* as soon as one observer says so, and *down* when H of its K observers do, which is
//! more than half. Suspicions are gossiped, and every node draws the conclusion by itself:
//!
//! ```text
//!   alive --one observer--> suspect --H observers, and the time is up--> down
//!     ^                        |                                           |
//!     '--taken back, expired---'                                           |
//!     '------------------------a higher incarnation of the node------------'
//! ```
//!
//! The time that a suspicion must have stood before the verdict shrinks with every observer that
//! joins it, as in Lifeguard: `max - (max - min) * ln(c + 1) / ln(k + 1)` for c more observers of
//! k possible ones. It is the time in which a live node can refute: it hears that it is suspected,
//! raises its incarnation, and every suspicion of the former one is void.
//!
//! A node whose observers are themselves down or cut off is not convicted by those that remain,
//! unless they are enough. So the smaller side of a network partition convicts few, and routes by
//! its own timeouts. That is meant: `down` changes routing only and never moves data.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::DetectorConfig;
use super::suspicion::{Level, Suspicion};
use crate::id::NodeId;
use crate::membership::{Incarnation, MemberState};

/// How many of `observers` make a verdict: H = ceil((K + 1) / 2), 5 of 8, both of two.
pub fn quorum(observers: usize) -> usize {
    (observers + 1).div_ceil(2)
}

/// What is said of all members that anything is said of.
///
/// Of one member at most 32 observers are remembered; the words of more are not taken in.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    cases: BTreeMap<NodeId, Case>,
}

/// What is said of one member.
#[derive(Clone, Debug)]
struct Case {
    incarnation: Incarnation,
    words: BTreeMap<NodeId, Word>,
    /// When the first of the present suspicions was raised.
    opened: Duration,
    state: MemberState,
    since: Duration,
}

/// An observer's last word.
#[derive(Clone, Copy, Debug)]
struct Word {
    sequence: u64,
    level: Level,
    /// When it was said, on this node's clock.
    said: Duration,
}

impl Verdicts {
    /// Takes a suspicion in; says whether it is news, to be handed on and to be
    /// [judged](Self::judge).
    pub fn handle_suspicion(&mut self, now: Duration, suspicion: &Suspicion) -> bool {
        let said = now.saturating_sub(suspicion.age);
        let case = self.cases.entry(suspicion.subject).or_insert_with(|| Case {
            incarnation: suspicion.incarnation,
            words: BTreeMap::new(),
            opened: said,
            state: MemberState::Alive,
            since: now,
        });
        if suspicion.incarnation < case.incarnation {
            return false;
        }
        if suspicion.incarnation > case.incarnation {
            // The member has refuted what was said of it before: this is another matter.
            case.incarnation = suspicion.incarnation;
            case.words.clear();
            case.state = MemberState::Alive;
        }
        case.take_in(suspicion, said)
    }

    /// The member was heard to be in `incarnation`, which makes void what was said of lower ones.
    /// Gives what the member was held for, if it was suspect or down and is not any more.
    pub fn handle_alive(
        &mut self,
        subject: NodeId,
        incarnation: Incarnation,
    ) -> Option<MemberState> {
        let case = self.cases.get(&subject)?;
        if incarnation <= case.incarnation {
            return None;
        }
        let state = case.state;
        self.cases.remove(&subject);
        (state != MemberState::Alive).then_some(state)
    }

    /// Draws the conclusion about a member that has `observers` live observers; gives what it is
    /// held for from now on, if that has changed.
    pub fn judge(
        &mut self,
        now: Duration,
        subject: NodeId,
        observers: usize,
        config: &DetectorConfig,
    ) -> Option<MemberState> {
        let case = self.cases.get_mut(&subject)?;
        if case.state == MemberState::Down {
            // Only a higher incarnation ends it.
            return None;
        }
        let state = if case.is_convicted(now, observers, config) {
            MemberState::Down
        } else if case.is_suspected() {
            MemberState::Suspect
        } else {
            MemberState::Alive
        };
        if state == case.state {
            return None;
        }
        case.state = state;
        case.since = now;
        Some(state)
    }

    /// Drops what was said longer ago than suspicions live, except the evidence of verdicts, and
    /// cases of which nothing is left.
    pub fn expire(&mut self, now: Duration, config: &DetectorConfig) {
        self.cases.retain(|_, case| {
            if case.state != MemberState::Down {
                let life = config.suspicion_life;
                case.words
                    .retain(|_, word| now.saturating_sub(word.said) <= life);
            }
            // An empty case stays until it was judged, so that the change is noticed.
            !case.words.is_empty() || case.state != MemberState::Alive
        });
    }

    /// Forgets a member that was removed.
    pub fn remove(&mut self, subject: NodeId) {
        self.cases.remove(&subject);
    }

    /// What the member is held for.
    pub fn state(&self, subject: NodeId) -> MemberState {
        self.cases
            .get(&subject)
            .map_or(MemberState::Alive, |case| case.state)
    }

    /// The incarnation that something is said of, and since when the member has been held for what
    /// it is.
    pub fn case(&self, subject: NodeId) -> Option<(Incarnation, Duration)> {
        let case = self.cases.get(&subject)?;
        Some((case.incarnation, case.since))
    }

    /// All members that anything is said of.
    pub fn subjects(&self) -> impl Iterator<Item = NodeId> {
        self.cases.keys().copied()
    }

    /// One observer's last word about a member.
    pub fn suspicion(&self, now: Duration, subject: NodeId, observer: NodeId) -> Option<Suspicion> {
        let case = self.cases.get(&subject)?;
        let word = case.words.get(&observer)?;
        Some(Suspicion {
            subject,
            incarnation: case.incarnation,
            observer,
            sequence: word.sequence,
            level: word.level,
            age: now.saturating_sub(word.said),
        })
    }

    /// All suspicions of a member that stand, by ascending observer.
    pub fn evidence(&self, now: Duration, subject: NodeId) -> Vec<Suspicion> {
        let words = self.cases.get(&subject).map(|case| &case.words);
        let observers = words.into_iter().flatten();
        let standing = observers.filter(|(_, word)| word.level > Level::NONE);
        standing
            .filter_map(|(observer, _)| self.suspicion(now, subject, *observer))
            .collect()
    }
}

impl Case {
    fn take_in(&mut self, suspicion: &Suspicion, said: Duration) -> bool {
        let known = self.words.get(&suspicion.observer);
        let is_old = known.is_some_and(|word| word.sequence >= suspicion.sequence);
        let is_full = known.is_none() && self.words.len() >= MAX_OBSERVERS;
        if is_old || is_full {
            return false;
        }
        if suspicion.level > Level::NONE {
            let is_first = !self.is_suspected();
            self.opened = if is_first {
                said
            } else {
                self.opened.min(said)
            };
        }
        let word = Word {
            sequence: suspicion.sequence,
            level: suspicion.level,
            said,
        };
        self.words.insert(suspicion.observer, word);
        true
    }

    fn is_suspected(&self) -> bool {
        self.words.values().any(|word| word.level > Level::NONE)
    }

    /// Whether H observers have said so within one life of a suspicion, and the time is up.
    fn is_convicted(&self, now: Duration, observers: usize, config: &DetectorConfig) -> bool {
        let standing = self.words.values().filter(|word| word.level > Level::NONE);
        let mut said: Vec<Duration> = standing.map(|word| word.said).collect();
        said.sort_unstable();
        let quorum = quorum(observers);
        let agree = said.windows(quorum).any(|together| {
            let span = together.last().zip(together.first());
            span.is_some_and(|(last, first)| last.saturating_sub(*first) <= config.suspicion_life)
        });
        agree && now.saturating_sub(self.opened) >= patience(said.len(), observers, config)
    }
}

/// How long a suspicion by `suspecting` of `observers` must have stood.
fn patience(suspecting: usize, observers: usize, config: &DetectorConfig) -> Duration {
    if suspecting >= observers {
        return config.suspicion_min;
    }
    // Both are at most 32 and at least 1 here; one is less than the other.
    let share = (suspecting as f64).ln() / (observers as f64).ln();
    let shrunk = config.suspicion_max.saturating_sub(config.suspicion_min);
    config.suspicion_max.saturating_sub(shrunk.mul_f64(share))
}

const MAX_OBSERVERS: usize = 32;

#[cfg(test)]
mod tests;
