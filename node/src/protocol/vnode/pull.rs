//! Answering a dot pull: the rows behind dots that another owner lacks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Limits, Vnode, decode_entry};
use crate::protocol::event::Event;
use crate::protocol::keys::{KeyPrefix, RowKey, event_key};
use crate::protocol::messages::{Bundle, KeyedRow, Pull, PullKey, Pulled};
use crate::protocol::stage::{Family, SourceError, Stage};
use crdt::dots::DotSet;
use crdt::{Clock, Dot};

impl Vnode {
    /// The rows behind the wanted dots, as many as fit into a message.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answer_pull(
        &self,
        pull: &Pull,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Pulled, SourceError> {
        let (events, trimmed, cut) = self.logged_of(&pull.want, limits, stage)?;
        self.pulled(pull.incarnation, events, trimmed, cut, limits, stage)
    }

    /// What the asker lacks of one key. The search is bounded: what it does not reach, the next dot
    /// pull brings.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answer_pull_key(
        &self,
        pull: &PullKey,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Pulled, SourceError> {
        let missing = self.clock.missing_from(&pull.have);
        let (events, _, _) = self.logged_of(&missing, limits, stage)?;
        let events = events
            .into_iter()
            .filter(|event| event.row.is_of(&pull.prefix))
            .collect();
        self.pulled(
            pull.incarnation,
            events,
            DotSet::default(),
            false,
            limits,
            stage,
        )
    }

    fn pulled(
        &self,
        incarnation: u64,
        events: Vec<Event>,
        trimmed: DotSet,
        cut: bool,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Pulled, SourceError> {
        let (bundle, left_out) = self.bundle(events, limits, stage)?;
        let more = cut || left_out;
        Ok(Pulled {
            vnode: self.id,
            incarnation,
            bundle,
            trimmed,
            more,
        })
    }

    /// The logged events of wanted dots, the wanted dots that are seen here but trimmed, and
    /// whether the limit cut the search short.
    fn logged_of(
        &self,
        want: &DotSet,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<(Vec<Event>, DotSet, bool), SourceError> {
        let mut events = Vec::new();
        let mut trimmed = DotSet::default();
        for (actor, first, last) in want.ranges() {
            let from = event_key(self.id, Dot::new(actor, first));
            let to = [&event_key(self.id, Dot::new(actor, last))[..], &[0]].concat();
            let room = limits.events_per_pull.saturating_sub(events.len());
            if room == 0 {
                return Ok((events, trimmed, true));
            }
            let found = stage.range(Family::Dotlog, &from, &to, room)?;
            let reached = if found.len() < room { last } else { 0 };
            let mut logged = DotSet::default();
            for (key, entry) in &found {
                let (event, _) = decode_entry(key, entry)?;
                logged.insert(event.dot);
                events.push(event);
            }
            let searched = reached.max(logged.last(actor));
            let mut asked = DotSet::default();
            asked.insert_range(actor, first, searched);
            let held = Clock::of(asked.difference(&asked.difference(self.clock.dots())));
            trimmed.join(&held.missing_from(&Clock::of(logged)));
            if searched < last {
                return Ok((events, trimmed, true));
            }
        }
        Ok((events, trimmed, false))
    }

    /// The rows of `events` with all of those events, closed under spans and under the versions
    /// that the rows show, as far as the limit allows. True if something was left out.
    pub(super) fn bundle(
        &self,
        events: Vec<Event>,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<(Bundle, bool), SourceError> {
        let mut by_row: BTreeMap<RowKey, Vec<Event>> = BTreeMap::new();
        for event in events {
            by_row.entry(event.row.clone()).or_default().push(event);
        }
        let mut closing = Closing {
            vnode: self,
            by_row,
            dots: BTreeSet::new(),
            bytes: 0,
        };
        let mut bundle = Bundle {
            bases: Clock::of(self.clock.dots().bases()),
            ..Bundle::default()
        };
        while closing.bytes < limits.message_bytes {
            let Some(key) = closing.by_row.keys().next().cloned() else {
                break;
            };
            closing.take(key, stage, &mut bundle)?;
        }
        Ok((bundle, !closing.by_row.is_empty()))
    }

    /// The events of one key that this vnode has and `have` lacks, for showing them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn missing_of_key(
        &self,
        have: &Clock,
        prefix: &KeyPrefix,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Vec<Dot>, SourceError> {
        let (events, _, _) = self.logged_of(&self.clock.missing_from(have), limits, stage)?;
        Ok(events
            .into_iter()
            .filter(|e| e.row.is_of(prefix))
            .map(|e| e.dot)
            .collect())
    }
}

/// Rows that go into a bundle, and the events that must go with them.
struct Closing<'a> {
    vnode: &'a Vnode,
    by_row: BTreeMap<RowKey, Vec<Event>>,
    dots: BTreeSet<Dot>,
    bytes: usize,
}

impl Closing<'_> {
    /// Takes a row, its events, and whatever shares a span with them.
    fn take(
        &mut self,
        key: RowKey,
        stage: &Stage<'_>,
        bundle: &mut Bundle,
    ) -> Result<(), SourceError> {
        let mut rows = BTreeSet::from([key]);
        let mut taken = BTreeSet::new();
        while let Some(key) = rows.pop_first() {
            if !taken.insert(key.clone()) {
                continue;
            }
            let row = stage.row(&key)?;
            let mut events = self.by_row.remove(&key).unwrap_or_default();
            // A version that the row shows brings its own event, wanted or not: its dot must not
            // be left behind by the container that carries it.
            for &dot in row.versions().keys() {
                events.extend(self.vnode.logged(dot, stage)?);
            }
            for event in events {
                if self.dots.insert(event.dot) {
                    rows.extend(self.span_of(&event, stage)?);
                    bundle.events.push(event);
                }
            }
            let size: usize = row
                .versions()
                .values()
                .map(|version| version.body.len() + 96)
                .sum();
            self.bytes += size + key.as_bytes().len();
            bundle.rows.push(KeyedRow { key, row });
        }
        Ok(())
    }

    /// Queues the other events of an event's span; returns their rows.
    fn span_of(&mut self, event: &Event, stage: &Stage<'_>) -> Result<Vec<RowKey>, SourceError> {
        let mut rows = Vec::new();
        for counter in event.first..=event.last {
            let dot = Dot::new(event.dot.actor, counter);
            if dot == event.dot || self.dots.contains(&dot) {
                continue;
            }
            if let Some(mate) = self.vnode.logged(dot, stage)? {
                rows.push(mate.row.clone());
                self.by_row.entry(mate.row.clone()).or_default().push(mate);
            }
        }
        Ok(rows)
    }
}
