//! The causal oracle: each event knows what its client had seen, and that alone decides.

use std::collections::BTreeSet;

/// One put or delete of the run.
pub(crate) type Event = usize;

/// Every event of the run, with its past.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    events: Vec<(bool, BTreeSet<Event>)>,
}

impl Oracle {
    /// A new event of a client that had seen `past`.
    pub(crate) fn event(&mut self, is_put: bool, past: BTreeSet<Event>) -> Event {
        self.events.push((is_put, past));
        self.events.len() - 1
    }

    /// What a client has seen after reading a replica that reflects `ghost`.
    pub(crate) fn seen(&self, ghost: &BTreeSet<Event>) -> BTreeSet<Event> {
        let pasts = ghost.iter().flat_map(|&event| &self.events[event].1);
        ghost.iter().chain(pasts).copied().collect()
    }

    /// What a replica that reflects `ghost` must show.
    pub(crate) fn alive(&self, ghost: &BTreeSet<Event>) -> BTreeSet<Event> {
        let covered: BTreeSet<&Event> = ghost
            .iter()
            .flat_map(|&event| &self.events[event].1)
            .collect();
        let puts = ghost.iter().filter(|&&event| self.events[event].0);
        puts.filter(|event| !covered.contains(event))
            .copied()
            .collect()
    }
}
