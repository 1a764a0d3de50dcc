//! One replica of the model: a row is the list of its operands, and a write appends one.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::Mutant;
use super::oracle::{Event, Events};
use crdt::dots::DotSet;
use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};

/// The key of a row.
pub(crate) type Key = u8;

/// Every row of a replica as operands, oldest first.
pub(crate) type Rows = BTreeMap<Key, Vec<Row>>;

/// One write, as it is stored, logged and sent.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) key: Key,
    pub(crate) row: Row,
    /// Missing only for the mutant whose deletes have none.
    pub(crate) dot: Option<Dot>,
    pub(crate) event: Event,
}

/// What a client asks to be written.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) event: Event,
    pub(crate) is_put: bool,
    pub(crate) context: Context,
}

/// One replica.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) node: u64,
    pub(crate) actor: Actor,
    pub(crate) clock: Clock,
    pub(crate) rows: Rows,
    pub(crate) log: BTreeMap<Dot, Key>,
    /// The newest clock that each peer is known to have, for pruning.
    pub(crate) peers: BTreeMap<u64, Clock>,
    /// The events that each row reflects: the oracle's view, which no rule reads.
    pub(crate) ghosts: BTreeMap<Key, Events>,
    mutant: Option<Mutant>,
}

impl Replica {
    pub(crate) fn new(actor: Actor, mutant: Option<Mutant>) -> Self {
        Self {
            node: actor.node,
            actor,
            clock: Clock::default(),
            rows: Rows::new(),
            log: BTreeMap::new(),
            peers: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            mutant,
        }
    }

    /// Coordinates a write: nothing is read but the clock.
    pub(crate) fn write(&mut self, write: Write) -> Delta {
        let Write {
            key,
            event,
            is_put,
            mut context,
        } = write;
        let dot = self.clock.next(self.actor);
        if self.is(Mutant::OwnDotAsVector) {
            let mut below = DotSet::default();
            let last = if is_put { dot.counter } else { dot.counter - 1 };
            below.insert_range(dot.actor, 1, last);
            context.join(&Context::of(below));
        }
        let row = if is_put {
            Row::write(dot, version(event), context)
        } else {
            Row::delete(context)
        };
        let dot = (is_put || !self.is(Mutant::DeleteWithoutDot)).then_some(dot);
        let delta = Delta {
            key,
            row,
            dot,
            event,
        };
        self.append(delta.clone());
        delta
    }

    /// Takes a delta from the network, unless its dot has been seen.
    pub(crate) fn handle_delta(&mut self, delta: Delta) {
        let seen = delta.dot.is_some_and(|dot| self.clock.contains(dot));
        if !seen || self.is(Mutant::DuplicateApplied) {
            self.append(delta);
        }
    }

    /// The row, from all of its operands.
    pub(crate) fn row(&self, key: Key) -> Row {
        self.rows
            .get(&key)
            .map_or_else(Row::default, |operands| fold(operands))
    }

    /// The row filled with the clock, both read at one moment.
    pub(crate) fn filled(&self, key: Key) -> Row {
        let mut row = self.row(key);
        row.fill(&self.clock);
        row
    }

    /// Stores a joined row in place of its operands, stripped by the clock's bases.
    pub(crate) fn store(&mut self, key: Key, mut row: Row) {
        if self.is(Mutant::StripByExactClock) {
            row = with_context(&row, &row.context().dots().difference(self.clock.dots()));
        } else {
            row.strip(&self.clock);
        }
        if row.is_empty() {
            self.rows.remove(&key);
        } else {
            self.rows.insert(key, vec![row]);
        }
    }

    /// Folds and stores every row.
    pub(crate) fn settle(&mut self) {
        let keys: Vec<Key> = self.rows.keys().copied().collect();
        for key in keys {
            self.store(key, self.row(key));
        }
    }

    /// Folds any stretch of a row's operands, as a storage engine does: the join alone, no strip.
    pub(crate) fn fold_some(&mut self, key: Key, rng: &mut Rng) {
        let strips = self.is(Mutant::StripInPartialFold);
        let Some(operands) = self
            .rows
            .get_mut(&key)
            .filter(|operands| operands.len() > 1)
        else {
            return;
        };
        let from = rng.usize(..operands.len());
        let to = rng.usize(from + 1..=operands.len());
        let mut folded = fold(&operands[from..to]);
        if strips && from > 0 {
            folded.strip(&self.clock);
        }
        operands.splice(from..to, [folded]);
    }

    /// Forgets the log entries that every member is known to have; returns how many.
    pub(crate) fn prune(&mut self, members: &[u64]) -> usize {
        let before = self.log.len();
        let (node, peers) = (self.node, &self.peers);
        self.log.retain(|&dot, _| {
            let has = |member| peers.get(member).is_some_and(|clock| clock.contains(dot));
            !members.iter().all(|member| *member == node || has(member))
        });
        before - self.log.len()
    }

    pub(crate) fn ghost(&self, key: Key) -> Events {
        self.ghosts.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn append(&mut self, delta: Delta) {
        let Delta {
            key,
            mut row,
            dot,
            event,
        } = delta;
        let claimed = row.context().dots().clone();
        if self.is(Mutant::ContextDropped) {
            row = with_context(&row, &DotSet::default());
        }
        if self.is(Mutant::StripAtReceipt) {
            row.strip(&self.clock);
        }
        self.rows.entry(key).or_default().push(row);
        if let Some(dot) = dot {
            self.clock.insert(dot);
            self.log.insert(dot, key);
        }
        if self.is(Mutant::ContextIntoClock) {
            self.clock.join(&claimed);
        }
        self.ghosts.entry(key).or_default().insert(event);
    }
}

/// The join of a list of operands.
pub(crate) fn fold(operands: &[Row]) -> Row {
    let mut row = Row::default();
    operands.iter().for_each(|operand| row.join(operand));
    row
}

/// The events whose versions are alive in a row.
pub(crate) fn shown(row: &Row) -> Events {
    let mut events = Events::default();
    for version in row.versions().values() {
        let bytes = version.body[..]
            .try_into()
            .expect("the model writes two bytes");
        events.insert(Event::from_be_bytes(bytes));
    }
    events
}

fn version(event: Event) -> Version {
    Version {
        hlc: Hlc::at(u64::from(event)),
        op: None,
        expires_ms: None,
        body: event.to_be_bytes().to_vec().into(),
    }
}

/// The same versions over another context; what no rule allows, for the mutants.
fn with_context(row: &Row, dots: &DotSet) -> Row {
    let mut other = Row::default();
    for (&dot, version) in row.versions() {
        other.join(&Row::write(dot, version.clone(), Context::default()));
    }
    other.join(&Row::delete(Context::of(
        dots.difference(row_dots(row).dots()),
    )));
    other
}

fn row_dots(row: &Row) -> Context {
    let mut context = Context::default();
    row.versions().keys().for_each(|&dot| context.insert(dot));
    context
}
