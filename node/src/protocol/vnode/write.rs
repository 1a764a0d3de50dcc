//! Coordinating a write: the vnode gives it dots and enters it; the answer names what the other
//! owners must get.

use super::command::{Command, Rejected, Sending, Written};
use super::plan::{Body, Plan, Planner};
use super::{Limits, Vnode};
use crate::protocol::event::{Event, Operation};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::Change;
use crate::protocol::stage::{SourceError, Stage};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use crdt::{Context, Dot, Hlc, Row, Version};

impl Vnode {
    /// Enters a client's write.
    ///
    /// # Errors
    /// The outer error is the store's: the batch is given up. The inner one refuses the write.
    pub fn write(
        &mut self,
        hlc: Hlc,
        command: &Command,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<Result<Written, Rejected>, SourceError> {
        if command.age_ms > limits.retry_window_ms {
            return Ok(Err(Rejected::TooLate {
                window_ms: limits.retry_window_ms,
            }));
        }
        if !limits.room.takes_writes() {
            return Ok(Err(Rejected::DiskFull));
        }
        let is_recorded = match self.earlier(command, stage)? {
            Ok(earlier) if !earlier.dots.is_empty() => {
                return self.repeat(command, &earlier.dots, stage).map(Ok);
            }
            Ok(_) if !limits.room.takes(command.grows()) => return Ok(Err(Rejected::DiskFull)),
            Ok(earlier) => earlier.is_recorded,
            Err(rejected) => return Ok(Err(rejected)),
        };
        if self.records >= limits.records {
            return Ok(Err(Rejected::TooManyRecords {
                limit: limits.records,
            }));
        }
        match Planner::new(self, limits, stage).plan(hlc.milliseconds(), command)? {
            Ok(plans) => {
                let written = self.carry_out(hlc, command, (plans, is_recorded), stage);
                written.map(Ok)
            }
            Err(rejected) => Ok(Err(rejected)),
        }
    }

    /// What this vnode already knows of the operation.
    fn earlier(
        &self,
        command: &Command,
        stage: &Stage<'_>,
    ) -> Result<Result<Earlier, Rejected>, SourceError> {
        let record = self.record(command.operation, stage)?;
        let mut earlier = Earlier {
            dots: Vec::new(),
            is_recorded: record.is_some(),
        };
        if let Some(record) = record {
            if record.digest != command.digest {
                return Ok(Err(Rejected::OperationReused));
            }
            // A record may come before the events that it is about.
            let here = record
                .applied
                .dots()
                .filter(|&dot| self.clock.contains(dot));
            earlier.dots.extend(here);
            if !earlier.dots.is_empty() {
                return Ok(Ok(earlier));
            }
        }
        // Whoever lost its records with its disk still sees whose versions it holds.
        if command.age_ms > 0 {
            for row in command.carrying_rows() {
                let row = stage.row(&row)?;
                let dot = row.version_of(command.operation).map(|(dot, _)| dot);
                earlier.dots.extend(dot);
            }
        }
        Ok(Ok(earlier))
    }

    /// Answers a retry: what was entered under `dots` waits for its acks again.
    fn repeat(
        &self,
        command: &Command,
        dots: &[Dot],
        stage: &Stage<'_>,
    ) -> Result<Written, SourceError> {
        let mut is_logged = false;
        for &dot in dots {
            is_logged |= self.logged(dot, stage)?.is_some();
        }
        // Which dot is of which key is no longer known when its entry is trimmed. A dot covers only
        // what it names, so one too many does no harm.
        let context_of = |given: &Context| {
            let mut context = given.clone();
            dots.iter().for_each(|&dot| context.insert(dot));
            context
        };
        let targets = command.targets.iter();
        let contexts = targets.map(|target| context_of(&target.context)).collect();
        let sending = if is_logged {
            let mut held = DotSet::default();
            dots.iter().for_each(|&dot| held.insert(dot));
            Sending::Again(held)
        } else {
            Sending::Held(self.durable_holders(dots))
        };
        Ok(Written {
            sending,
            contexts,
            repeated: true,
        })
    }

    /// Gives the plans consecutive dots and enters them, knowing whether there is a record of the
    /// operation.
    fn carry_out(
        &mut self,
        hlc: Hlc,
        command: &Command,
        (plans, is_recorded): (Vec<Plan>, bool),
        stage: &mut Stage<'_>,
    ) -> Result<Written, SourceError> {
        let targets = command.targets.iter();
        let mut contexts: Vec<Context> = targets.map(|target| target.context.clone()).collect();
        let mut changes = Vec::with_capacity(plans.len());
        let mut answers = Vec::new();
        let first = self.next_dot().counter;
        let last = first + (plans.len() as u64).saturating_sub(1);
        for plan in plans {
            let dot = Dot::new(self.actor, first + changes.len() as u64);
            let operation = Some(Operation {
                id: command.operation,
                digest: command.digest,
                effect: plan.body.effect(),
            });
            let event = Event {
                dot,
                covers: plan.covers(command),
                row: plan.row,
                first,
                last,
                hlc,
                operation,
            };
            if let Some(context) = contexts.get_mut(plan.target) {
                context.insert(dot);
                context.join(&Context::of(plan.beside));
            }
            let delta = delta(plan.body, &event, plan.context, command.lasting_ms());
            // The plan does not show what is cleared; it may have aliases here all the same.
            let stored = if self.clears.is_empty() {
                None
            } else {
                Some(stage.row(&event.row)?)
            };
            self.apply(&event, plan.before.clone(), &delta, stage);
            answers.push((event.row.clone(), stored.unwrap_or(plan.before)));
            changes.push(Change { event, delta });
        }
        let events: Vec<&Event> = changes.iter().map(|change| &change.event).collect();
        if is_recorded {
            self.note(&events, stage)?;
        } else {
            self.note_first(command.operation, &events, stage);
        }
        // Only now: what is made in answer takes further dots of this vnode.
        for (row, before) in answers {
            changes.extend(self.remove_aliases(hlc, &row, &before, &[], stage)?);
        }
        let sending = if changes.is_empty() {
            Sending::Nothing
        } else {
            Sending::Changes(changes)
        };
        Ok(Written {
            sending,
            contexts,
            repeated: false,
        })
    }
}

/// What a vnode knows of an operation before it enters it.
struct Earlier {
    /// Under which dots it was entered and is here.
    dots: Vec<Dot>,
    /// There is a record of it.
    is_recorded: bool,
}

/// The delta of an event, which ends `lasting_ms` after its stamp.
fn delta(body: Body, event: &Event, context: Context, lasting_ms: Option<u64>) -> Row {
    let hlc = event.hlc;
    let body = match body {
        Body::None => return Row::delete(context),
        Body::Bytes(body) | Body::Reset(body) | Body::Rights(body, _) => body,
        Body::Added(mut share, amount) => {
            share.add(event.dot.counter, amount);
            share.encode()
        }
    };
    let version = Version {
        hlc,
        op: event.operation.map(|operation| operation.id),
        // What is cleared stays so.
        expires_ms: lasting_ms
            .filter(|_| event.row.leaf() != Leaf::Cleared)
            .map(|lasting| hlc.milliseconds().saturating_add(lasting)),
        body,
    };
    Row::write(event.dot, version, context)
}

pub(super) fn share_of(key: &RowKey, row: &Row) -> Result<Share, SourceError> {
    Share::of(row).map_err(|error| SourceError::senseless(key.as_bytes(), error))
}
