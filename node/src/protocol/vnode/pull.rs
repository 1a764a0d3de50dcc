//! Answering a dot pull: the rows behind dots that another owner lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_bytes::ByteBuf;

use super::{Limits, Vnode, decode_entry};
use crate::protocol::event::Event;
use crate::protocol::keys::{RowKey, event_key, record_key, successor, vnode_end, vnode_prefix};
use crate::protocol::messages::{Bundle, KeyedRecord, KeyedRow, Pull, PullKey, Pulled};
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Clock, Dot, OpId};

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
        let Logged {
            events: wanted,
            trimmed,
            cut,
        } = self.logged_of(&pull.want, limits, stage)?;
        let others = self.clock.missing_from(&pull.have).difference(&pull.want);
        let mut others = self.lacked_of(others, limits, stage)?;
        if cut {
            others.beyond.join(&pull.want);
        }
        let (mut bundle, left_out) = self.bundle(wanted, others, limits, stage)?;
        bundle.trimmed = self.trimmed_beyond(&pull.have);
        bundle.lent.join(&self.lent_to(&pull.have));
        let more = cut || left_out;
        let (vnode, incarnation) = (self.id, pull.incarnation);
        Ok(Pulled {
            vnode,
            incarnation,
            bundle,
            trimmed,
            more,
        })
    }

    /// What the asker lacks of one key. The search is bounded, and the answer says if it ended
    /// early: what it did not reach, the next dot pull brings.
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
        let Lacked { events, beyond } = self.lacked_of(missing, limits, stage)?;
        let (wanted, events) = events
            .into_iter()
            .partition(|event| event.row.is_of(&pull.prefix));
        let cut = !beyond.is_empty();
        let others = Lacked { events, beyond };
        let (mut bundle, left_out) = self.bundle(wanted, others, limits, stage)?;
        bundle.trimmed = self.trimmed_beyond(&pull.have);
        bundle.lent.join(&self.lent_to(&pull.have));
        let (vnode, incarnation) = (self.id, pull.incarnation);
        Ok(Pulled {
            vnode,
            incarnation,
            bundle,
            trimmed: DotSet::default(),
            more: cut || left_out,
        })
    }

    /// The dots at or below this vnode's bases that it has trimmed and that `have` lacks.
    pub(super) fn trimmed_beyond(&self, have: &Clock) -> DotSet {
        let unlogged = self.unlogged.missing_from(have);
        let (bases, beyond) = (self.clock.dots().bases(), unlogged.clone());
        unlogged.difference(&beyond.difference(&bases))
    }

    /// What the dotlog holds of dots that a receiver lacks, as far as one search goes.
    pub(super) fn lacked_of(
        &self,
        lacked: DotSet,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Lacked, SourceError> {
        let Logged { events, cut, .. } = self.logged_of(&lacked, limits, stage)?;
        let beyond = if cut { lacked } else { DotSet::default() };
        Ok(Lacked { events, beyond })
    }

    /// The events of bounded counters that the dotlog holds of these dots, as many as fit beside
    /// the rows of a message.
    fn logged_rights(&self, dots: &DotSet, stage: &Stage<'_>) -> Result<Vec<Event>, SourceError> {
        let mut events = Vec::new();
        let (from, to) = (vnode_prefix(self.id), vnode_end(self.id));
        let mut failed = None;
        stage.scan(Family::Dotlog, &from, &to, &mut |key, entry| {
            match decode_entry(key, entry) {
                Ok((event, _)) => {
                    let is_right = event.row.leaf() == Leaf::Rights && dots.contains(event.dot);
                    events.extend(Some(event).filter(|_| is_right));
                }
                Err(error) => failed = Some(error),
            }
            if failed.is_some() || events.len() >= MAX_RIGHTS {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        failed.map_or(Ok(events), Err)
    }

    /// What the dotlog holds of wanted dots.
    pub(super) fn logged_of(
        &self,
        want: &DotSet,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Logged, SourceError> {
        let mut events = Vec::new();
        let mut trimmed = DotSet::default();
        for (actor, first, last) in want.ranges() {
            let from = event_key(self.id, Dot::new(actor, first));
            let to = successor(&event_key(self.id, Dot::new(actor, last)));
            let room = limits.events_per_pull.saturating_sub(events.len());
            if room == 0 {
                return Ok(Logged {
                    events,
                    trimmed,
                    cut: true,
                });
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
                return Ok(Logged {
                    events,
                    trimmed,
                    cut: true,
                });
            }
        }
        Ok(Logged {
            events,
            trimmed,
            cut: false,
        })
    }

    /// The rows of the `wanted` events, as far as the limit allows. True if something was left out.
    ///
    /// A row kills by all that this vnode has seen of it. So with a row goes every event of it
    /// among `others`, which are what the receiver lacks: a kill that arrived without its event
    /// would outlive it, should the event be lost with a disk. With an event goes its whole span,
    /// with a version that a row shows its own event, and with a row that is cleared the clear.
    /// With a row of a bounded counter goes what the search for the others did not reach: the total
    /// must not arrive without its past.
    pub(super) fn bundle(
        &self,
        wanted: Vec<Event>,
        others: Lacked,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<(Bundle, bool), SourceError> {
        let mut closing = Closing::new(self, wanted, others);
        while closing.bytes < limits.message_bytes {
            let Some(key) = closing.wanted.keys().next().cloned() else {
                break;
            };
            closing.take(key, stage)?;
        }
        Ok((closing.bundle, !closing.wanted.is_empty()))
    }

    /// These rows, closed as in [`Vnode::bundle`].
    pub(super) fn bundle_rows(
        &self,
        rows: impl IntoIterator<Item = RowKey>,
        others: Lacked,
        stage: &Stage<'_>,
    ) -> Result<Bundle, SourceError> {
        let mut closing = Closing::new(self, Vec::new(), others);
        for key in rows {
            closing.take(key, stage)?;
        }
        Ok(closing.bundle)
    }
}

/// What the dotlog holds of wanted dots.
pub(super) struct Logged {
    /// The events.
    pub(super) events: Vec<Event>,
    /// The wanted dots that are seen here and no longer logged.
    pub(super) trimmed: DotSet,
    /// The limit cut the search short.
    pub(super) cut: bool,
}

/// What the dotlog holds of dots that a receiver lacks.
pub(super) struct Lacked {
    /// The events that a search found.
    pub(super) events: Vec<Event>,
    /// All the dots, if the search did not reach the end of them.
    beyond: DotSet,
}

/// Rows that go into a bundle, and the events that must go with them.
struct Closing<'a> {
    vnode: &'a Vnode,
    wanted: BTreeMap<RowKey, Vec<Event>>,
    others: BTreeMap<RowKey, Vec<Event>>,
    beyond: DotSet,
    taken: BTreeSet<RowKey>,
    dots: BTreeSet<Dot>,
    /// The operations whose records are taken: one record may be of very many rows.
    operations: BTreeSet<OpId>,
    /// The first dots of the spans taken: a span is looked up once, not once for each event of it.
    spans: BTreeSet<Dot>,
    bytes: usize,
    bundle: Bundle,
}

impl<'a> Closing<'a> {
    fn new(vnode: &'a Vnode, wanted: Vec<Event>, others: Lacked) -> Self {
        let bases = Clock::of(vnode.clock.dots().bases());
        let bundle = Bundle {
            bases,
            sender: vnode.actor.nonce,
            lent: others.beyond.clone(),
            ..Bundle::default()
        };
        Self {
            vnode,
            wanted: by_row(wanted),
            others: by_row(others.events),
            beyond: others.beyond,
            taken: BTreeSet::new(),
            dots: BTreeSet::new(),
            operations: BTreeSet::new(),
            spans: BTreeSet::new(),
            bytes: 0,
            bundle,
        }
    }

    /// Takes a row, its events, and whatever shares a span with them.
    fn take(&mut self, key: RowKey, stage: &Stage<'_>) -> Result<(), SourceError> {
        let mut rows = BTreeSet::from([key]);
        while let Some(key) = rows.pop_first() {
            if key.leaf() == Leaf::Rights && !self.beyond.is_empty() {
                let beyond = std::mem::take(&mut self.beyond);
                let rights = by_row(self.vnode.logged_rights(&beyond, stage)?);
                for (row, events) in rights {
                    self.others.entry(row).or_default().extend(events);
                }
            }
            let mut events = self.wanted.remove(&key).unwrap_or_default();
            events.extend(self.others.remove(&key).unwrap_or_default());
            if self.taken.insert(key.clone()) {
                rows.extend(self.vnode.clears.around(&key).cloned());
                let row = self.vnode.row(&key, stage)?;
                // A version that the row shows brings its own event, wanted or not: its dot must
                // not be left behind by the container that carries it.
                for (&dot, version) in row.versions() {
                    match self.vnode.logged(dot, stage)? {
                        Some(event) => events.push(event),
                        None => self.take_record(version.op, stage)?,
                    }
                }
                let versions = row.versions().values();
                self.bytes += key.as_bytes().len();
                self.bytes += versions
                    .map(|version| version.body.len() + 96)
                    .sum::<usize>();
                self.bundle.rows.push(KeyedRow { key, row });
            }
            for event in events {
                if self.dots.insert(event.dot) {
                    rows.extend(self.span_of(&event, stage)?);
                    self.take_doubled(&event, stage)?;
                    self.bundle.events.push(event);
                }
            }
        }
        Ok(())
    }

    /// Takes the record of an increment of a bounded counter that was entered twice: the receiver
    /// may have to take back a copy of which no entry tells any more.
    fn take_doubled(&mut self, event: &Event, stage: &Stage<'_>) -> Result<(), SourceError> {
        let id = event.operation.map(|operation| operation.id);
        let is_doubled = |id: &OpId| self.vnode.doubled.contains(*id);
        self.take_record(
            id.filter(|id| event.row.leaf() == Leaf::Rights && is_doubled(id)),
            stage,
        )
    }

    /// Takes the record of an operation, if there is one, of which the events may not tell.
    fn take_record(&mut self, op: Option<OpId>, stage: &Stage<'_>) -> Result<(), SourceError> {
        let Some(op) = op.filter(|&op| self.operations.insert(op)) else {
            return Ok(());
        };
        let key = record_key(self.vnode.id, op);
        if let Some(value) = stage.get(Family::Records, &key)? {
            self.bytes += key.len() + value.len();
            self.bundle.records.push(KeyedRecord {
                key: ByteBuf::from(key),
                value: ByteBuf::from(value),
            });
        }
        Ok(())
    }

    /// Queues the other events of an event's span; returns their rows.
    fn span_of(&mut self, event: &Event, stage: &Stage<'_>) -> Result<Vec<RowKey>, SourceError> {
        let mut rows = Vec::new();
        if !self.spans.insert(Dot::new(event.dot.actor, event.first)) {
            return Ok(rows);
        }
        for counter in event.first..=event.last {
            let dot = Dot::new(event.dot.actor, counter);
            if dot == event.dot || self.dots.contains(&dot) {
                continue;
            }
            if let Some(mate) = self.vnode.logged(dot, stage)? {
                rows.push(mate.row.clone());
                self.wanted.entry(mate.row.clone()).or_default().push(mate);
            }
        }
        Ok(rows)
    }
}

fn by_row(events: Vec<Event>) -> BTreeMap<RowKey, Vec<Event>> {
    let mut by_row: BTreeMap<RowKey, Vec<Event>> = BTreeMap::new();
    for event in events {
        by_row.entry(event.row.clone()).or_default().push(event);
    }
    by_row
}

/// Events of bounded counters that go with rows beyond what one search finds. A peer that lacks
/// more gets the rest later.
const MAX_RIGHTS: usize = 16_384;
