//! What a command comes to, row by row, before any of it is entered.
//!
//! Several changes of one row in one command become one event, since a dot names one change: the
//! later change is made on what the earlier one would leave, and increments add up.
//!
//! Rows that follow from what was asked come first, in that order, and those that depend on what
//! is here come last, so that two applications of one operation correspond by their places
//! ([`crdt::Applications`]).

mod clear;
mod spared;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::command::{Action, Command, FieldEdit, Rejected, Target};
use super::write::share_of;
use super::{Limits, Vnode, versions_of};
use crate::mutants::{self, Mutant};
use crate::protocol::event::Effect;
use crate::protocol::keys::RowKey;
use crate::protocol::messages::KeyedRow;
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_keyed};
use crdt::dots::DotSet;
use crdt::kinds::counter::Share;
use crdt::kinds::map::Path;
use crdt::kinds::rules::{Twice, Unmade, Update};
use crdt::kinds::{Edit, Leaf};
use crdt::{Actor, Context, Dot, Hlc, OpId, Row, Version};
use spared::{APART_MS, Spared};
use starling::wire::Siblings;

/// One row that a write changes, and over what.
pub(super) struct Plan {
    pub(super) target: usize,
    pub(super) row: RowKey,
    /// The row as it is here before the write.
    pub(super) before: Row,
    pub(super) body: Body,
    pub(super) context: Context,
    /// What a retry leaves standing although it is older: its client writes over that, too.
    pub(super) beside: DotSet,
}

impl Plan {
    /// The versions of other operations that this one is to be written over although its client
    /// has not seen them.
    pub(super) fn covers(&self, command: &Command) -> DotSet {
        let mut covers = DotSet::default();
        let is_aliased = self.row.leaf().rules().twice == Twice::Aliases;
        let target = command.targets.get(self.target);
        let Some(target) = target.filter(|_| is_aliased && self.body.is_carried()) else {
            return covers;
        };
        let others = self.before.versions().iter();
        let others = others.filter(|(_, version)| version.op != Some(command.operation));
        others
            .map(|(&dot, _)| dot)
            .filter(|&dot| self.context.contains(dot) && !target.context.contains(dot))
            .for_each(|dot| covers.insert(dot));
        covers
    }
}

pub(super) enum Body {
    /// No version: a removal.
    None,
    Bytes(Bytes),
    /// A counter's share with its total reset.
    Reset(Bytes),
    /// A counter's share: made when the dot is known, because it names the dot.
    Added(Share, i64),
    /// This node's rights in a bounded counter, and by how much the counter changes.
    Rights(Bytes, i64),
}

impl Body {
    fn is_carried(&self) -> bool {
        matches!(self, Self::Bytes(_))
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            Self::None | Self::Reset(_) => Effect::Removal,
            Self::Bytes(_) => Effect::Carried,
            Self::Added(_, amount) | Self::Rights(_, amount) => Effect::Increment(*amount),
        }
    }
}

/// The outer error is the store's, the inner one refuses the write.
pub(super) type Checked<T> = Result<Result<T, Rejected>, SourceError>;

/// Plans in the making.
pub(super) struct Planner<'a> {
    pub(super) vnode: &'a Vnode,
    limits: &'a Limits,
    pub(super) stage: &'a Stage<'a>,
    operation: Option<OpId>,
    /// What is stamped later may have been written when the operation had been tried before. `None`
    /// for a first try.
    began_ms: Option<u64>,
    has_end: bool,
    target: usize,
    pub(super) plans: Vec<Plan>,
    pub(super) places: BTreeMap<RowKey, usize>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(vnode: &'a Vnode, limits: &'a Limits, stage: &'a Stage<'a>) -> Self {
        Self {
            vnode,
            limits,
            stage,
            operation: None,
            began_ms: None,
            has_end: false,
            target: 0,
            plans: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// The plans of a command at a time of the wall clock, those that follow from what was asked
    /// first.
    pub(super) fn plan(mut self, now_ms: u64, command: &Command) -> Checked<Vec<Plan>> {
        self.operation = Some(command.operation);
        let began_ms = now_ms.saturating_sub(command.age_ms.saturating_add(APART_MS));
        self.began_ms = Some(began_ms).filter(|_| command.age_ms > 0);
        self.has_end = command.ttl_ms.is_some();
        for (index, target) in command.targets.iter().enumerate() {
            self.target = index;
            if target.only_if_current && !self.is_current(now_ms, target)? {
                return Ok(Err(Rejected::NotCurrent));
            }
            for edit in &target.edits {
                if let Err(rejected) = self.edit(target, edit)? {
                    return Ok(Err(rejected));
                }
                if self.plans.len() > self.limits.rows_per_operation {
                    return Ok(Err(self.too_many_rows()));
                }
            }
        }
        let depends_on_what_is_here = |plan: &Plan| match &plan.body {
            Body::None | Body::Reset(_) => true,
            Body::Bytes(_) => plan.row.leaf().rules().twice == Twice::Folds,
            Body::Added(..) | Body::Rights(..) => false,
        };
        self.plans.sort_by_key(depends_on_what_is_here);
        Ok(Ok(self.plans))
    }

    fn edit(&mut self, target: &Target, edit: &FieldEdit) -> Checked<()> {
        let path = &edit.path;
        let row = |leaf, part: &[u8]| target.prefix.row_at(path, leaf, part);
        match &edit.action {
            Action::Put(value) => self.put(target, &row(Leaf::Value, &[]), value),
            Action::Increment(amount) => self.increment(target, path, *amount),
            Action::Bounded(amount) => self.bounded(target, *amount),
            Action::Update(leaf, updates) => {
                for (part, update) in updates {
                    if let Err(rejected) = self.update(target, &row(*leaf, part), update)? {
                        return Ok(Err(rejected));
                    }
                }
                Ok(Ok(()))
            }
            Action::Clear(leaf) => self.clear(target, path, *leaf),
        }
    }

    fn put(&mut self, target: &Target, key: &RowKey, value: &Bytes) -> Checked<()> {
        let current = self.row(key)?;
        let mut context = target.context.clone();
        let mut spared = Spared::default();
        match target.siblings {
            Siblings::Keep(at_most) => {
                let limit = self.limits.siblings.min(usize::from(at_most.get()));
                let staying = current.versions().keys();
                let staying = staying.filter(|&&dot| dot != PENDING && !context.contains(dot));
                if staying.count() >= limit {
                    return Ok(Err(Rejected::TooManySiblings { limit }));
                }
            }
            Siblings::Latest => {
                let all = versions_of(&current);
                spared = self.spared(key, &current);
                context.join(&Context::of(all.dots().difference(&spared.all)));
            }
        }
        if mutants::is_active(Mutant::OwnDotAsVector) {
            // The bug: claims everything of the actor below the new dot as seen.
            let last = self.vnode.next_dot().counter - 1;
            let mut claimed = DotSet::default();
            claimed.insert_range(self.vnode.actor, 1, last);
            context.join(&Context::of(claimed));
        }
        self.push((key.clone(), current), Body::Bytes(value.clone()), context);
        self.leave(key, &spared);
        Ok(Ok(()))
    }

    fn increment(&mut self, target: &Target, path: &Path, amount: i64) -> Checked<()> {
        let key = target.prefix.share(path, self.vnode.actor);
        let planned = self.places.get(&key).map(|&place| &self.plans[place].body);
        let before = match planned {
            Some(Body::Added(_, before)) => *before,
            Some(Body::None | Body::Bytes(_) | Body::Reset(_) | Body::Rights(..)) | None => 0,
        };
        let current = self.stage.row(&key)?;
        let share = share_of(&key, &current)?;
        let Some(amount) = before.checked_add(amount) else {
            return Ok(Err(Rejected::CounterOverflow));
        };
        let total = share.added().total.checked_add(i128::from(amount));
        if total.and_then(|total| i64::try_from(total).ok()).is_none() {
            return Ok(Err(Rejected::CounterOverflow));
        }
        let context = versions_of(&current);
        self.push((key, current), Body::Added(share, amount), context);
        Ok(Ok(()))
    }

    /// Plans what its kind makes of an update of a row. What is there already is not written if
    /// every owner holds it durably; otherwise it is once more, so that it can be acknowledged.
    fn update(&mut self, target: &Target, key: &RowKey, update: &Update) -> Checked<()> {
        let row = self.row(key)?;
        let make = key.leaf().rules().make;
        let made = match make(&row, update) {
            Ok(None) if !self.vnode.holds_durably(&row) => make(&planned(&row), update),
            made => made,
        };
        let Edit { body, context } = match made {
            Ok(Some(edit)) => edit,
            Ok(None) => return Ok(Ok(())),
            Err(Unmade::NotOfKind) => return Ok(Err(Rejected::NotOfKind)),
            Err(Unmade::Damaged(error)) => {
                return Err(SourceError::senseless(key.as_bytes(), error));
            }
        };
        // What goes by its name goes as far as the client has seen it.
        let mut spared = Spared::default();
        let context = if body.is_none() && *update == Update::Remove {
            target.covering(context)
        } else if body.is_some() {
            spared = self.spared(key, &row);
            Context::of(context.dots().difference(&spared.all))
        } else {
            context
        };
        let body = body.map_or(Body::None, Body::Bytes);
        self.push((key.clone(), row), body, context);
        self.leave(key, &spared);
        Ok(Ok(()))
    }

    /// A row as it is here, with what is planned for it already.
    fn row(&self, key: &RowKey) -> Result<Row, SourceError> {
        let mut row = self.vnode.row(key, self.stage)?;
        if let Some(&place) = self.places.get(key) {
            let plan = &self.plans[place];
            let delta = match &plan.body {
                Body::Bytes(body) => {
                    let version = Version::new(Hlc::at(0), None, body.clone());
                    Row::write(PENDING, version, plan.context.clone())
                }
                Body::None | Body::Reset(_) | Body::Added(..) | Body::Rights(..) => {
                    Row::delete(plan.context.clone())
                }
            };
            row.join(&delta);
        }
        Ok(row)
    }

    /// Plans a row, given as it is; over an earlier plan of the same row it covers what that one
    /// covers too.
    pub(super) fn push(&mut self, (row, before): (RowKey, Row), body: Body, context: Context) {
        let target = self.target;
        if let Some(&place) = self.places.get(&row) {
            let plan = &mut self.plans[place];
            let mut pending = DotSet::default();
            pending.insert(PENDING);
            let context = Context::of(context.dots().difference(&pending));
            plan.context.join(&context);
            plan.body = body;
            return;
        }
        self.places.insert(row.clone(), self.plans.len());
        self.plans.push(Plan {
            target,
            row,
            before,
            body,
            context,
            beside: DotSet::default(),
        });
    }

    /// Does the context cover all that the key shows here?
    fn is_current(&self, now_ms: u64, target: &Target) -> Result<bool, SourceError> {
        let (from, to) = target.prefix.field_range(&Path::root());
        let mut found = Ok(true);
        let mut visit = |key: &[u8], stored: &[u8]| {
            found = self.visible(key, stored).map(|mut row| {
                row.hide_expired(now_ms);
                row.versions()
                    .keys()
                    .all(|&dot| target.context.contains(dot))
            });
            if found == Ok(true) {
                return ControlFlow::Continue(());
            }
            ControlFlow::Break(())
        };
        self.stage.scan(Family::Data, &from, &to, &mut visit)?;
        found
    }

    /// What readers see of a stored row: nothing of what is cleared, nor of the clears.
    fn visible(&self, key: &[u8], stored: &[u8]) -> Result<Row, SourceError> {
        let KeyedRow { key, mut row } = decode_keyed(key, stored)?;
        if key.leaf() == Leaf::Cleared {
            return Ok(Row::default());
        }
        self.vnode.clears.hide(&key, &mut row);
        Ok(row)
    }

    fn too_many_rows(&self) -> Rejected {
        Rejected::TooManyRows {
            limit: self.limits.rows_per_operation,
        }
    }
}

/// Of a row what is planned alone.
fn planned(row: &Row) -> Row {
    let version = row.versions().get(&PENDING).cloned();
    version.map_or_else(Row::default, |version| {
        Row::write(PENDING, version, Context::default())
    })
}

/// Stands for the dot that a plan does not have yet. No actor draws it: a node's number is random,
/// and so is the nonce.
const PENDING: Dot = Dot {
    actor: Actor {
        node: u64::MAX,
        nonce: u64::MAX,
    },
    counter: u64::MAX,
};
