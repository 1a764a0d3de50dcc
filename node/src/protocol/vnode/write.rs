//! Coordinating a write: the vnode gives it a dot and enters it; the answer names what the other
//! owners must get.

use bytes::Bytes;

use super::command::{Action, Command, Rejected, Sending, Written};
use super::{Limits, Vnode, versions_of};
use crate::mutants::{self, Mutant};
use crate::protocol::event::{Effect, Event, Operation};
use crate::protocol::keys::{KeyPrefix, RowKey, Tag};
use crate::protocol::messages::{Change, KeyedRow};
use crate::protocol::stage::{Family, SourceError, Stage, decode_row};
use crdt::kinds::counter::{self, Share};
use crdt::{Clock, Context, Dot, Hlc, OpId, Row, Version};

/// One row that a write changes: the version it gets (none for a removal), over a context.
struct Plan {
    row: RowKey,
    body: Body,
    context: Context,
}

enum Body {
    None,
    Bytes(Bytes),
    /// A counter's share: made when the dot is known, because it names the dot.
    Added(Share, i64),
}

type Planned = Result<Vec<Plan>, Rejected>;

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
        let effect = command.action.effect();
        match self.earlier_dots(command, effect, stage)? {
            Ok(dots) if dots.is_empty() => {}
            Ok(dots) => return self.repeat(command, &dots, limits, stage).map(Ok),
            Err(rejected) => return Ok(Err(rejected)),
        }
        if effect != Effect::Carried && self.records >= limits.records {
            return Ok(Err(Rejected::TooManyRecords {
                limit: limits.records,
            }));
        }
        match self.plan(command, limits, stage)? {
            Ok(plans) => self.carry_out(hlc, command, effect, plans, stage).map(Ok),
            Err(rejected) => Ok(Err(rejected)),
        }
    }

    /// The dots under which this vnode already knows the operation.
    fn earlier_dots(
        &self,
        command: &Command,
        effect: Effect,
        stage: &Stage<'_>,
    ) -> Result<Result<Vec<Dot>, Rejected>, SourceError> {
        if effect != Effect::Carried {
            let record = self.record(command.operation, stage)?;
            return Ok(match record {
                Some(record) if record.is_of(&command.prefix, effect) => {
                    Ok(record.applications.dots().collect())
                }
                Some(_) => Err(Rejected::OperationReused),
                None => Ok(Vec::new()),
            });
        }
        let mut dots = Vec::new();
        for row in command.carrying_rows() {
            let row = stage.row(&row)?;
            dots.extend(row.version_of(command.operation).map(|(dot, _)| dot));
        }
        Ok(Ok(dots))
    }

    /// Answers a retry: what was entered under `dots` goes out again, and waits for its acks again.
    fn repeat(
        &self,
        command: &Command,
        dots: &[Dot],
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Written, SourceError> {
        let mut events = Vec::new();
        for &dot in dots {
            events.extend(self.logged(dot, stage)?);
        }
        let mut context = command.context.clone();
        dots.iter().for_each(|&dot| context.insert(dot));
        let sending = if events.is_empty() {
            Sending::Held(self.durable_holders(dots))
        } else {
            let others = self.all_logged(limits, stage)?;
            let (mut bundle, _) = self.bundle(events, others, limits, stage)?;
            bundle.trimmed = self.trimmed_beyond(&Clock::default());
            Sending::Again(bundle)
        };
        Ok(Written {
            sending,
            context,
            repeated: true,
        })
    }

    fn plan(
        &self,
        command: &Command,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Planned, SourceError> {
        match &command.action {
            Action::Put(value) => self.plan_put(command, value, limits, stage),
            Action::DeleteValue => {
                let row = command.prefix.row(Tag::Value, &[]);
                let seen = versions_of(&stage.row(&row)?);
                Ok(Ok(vec![Plan {
                    row,
                    body: Body::None,
                    context: command.covering(seen),
                }]))
            }
            Action::Increment(amount) => self.plan_increment(command, *amount, stage),
            Action::ResetCounter => self.plan_reset(command, limits, stage),
            Action::Add(elements) => plan_elements(command, elements, true, stage),
            Action::Remove(elements) => plan_elements(command, elements, false, stage),
            Action::ClearSet => self.plan_clear(command, limits, stage),
        }
    }

    fn plan_put(
        &self,
        command: &Command,
        value: &Bytes,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Planned, SourceError> {
        let row = command.prefix.row(Tag::Value, &[]);
        let current = stage.row(&row)?;
        let mut staying = current.versions().keys();
        if staying
            .by_ref()
            .filter(|&&dot| !command.context.contains(dot))
            .count()
            >= limits.siblings
        {
            return Ok(Err(Rejected::TooManySiblings {
                limit: limits.siblings,
            }));
        }
        let mut context = command.context.clone();
        if mutants::is_active(Mutant::OwnDotAsVector) {
            // The bug: claims everything of the actor below the new dot as seen.
            let last = self.clock.next(self.actor).counter - 1;
            let mut claimed = crdt::dots::DotSet::default();
            claimed.insert_range(self.actor, 1, last);
            context.join(&Context::of(claimed));
        }
        Ok(Ok(vec![Plan {
            row,
            body: Body::Bytes(value.clone()),
            context,
        }]))
    }

    fn plan_increment(
        &self,
        command: &Command,
        amount: i64,
        stage: &Stage<'_>,
    ) -> Result<Planned, SourceError> {
        let row = command.prefix.share(self.actor);
        let current = stage.row(&row)?;
        let share = share_of(&row, &current)?;
        let total = share.added().total.checked_add(i128::from(amount));
        if total.and_then(|total| i64::try_from(total).ok()).is_none() {
            return Ok(Err(Rejected::CounterOverflow));
        }
        let context = versions_of(&current);
        Ok(Ok(vec![Plan {
            row,
            body: Body::Added(share, amount),
            context,
        }]))
    }

    fn plan_reset(
        &self,
        command: &Command,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Planned, SourceError> {
        let Some(rows) = rows_of(&command.prefix, limits, stage)? else {
            return Ok(Err(Rejected::TooManyRows {
                limit: limits.rows_per_operation,
            }));
        };
        let mut plans = Vec::with_capacity(rows.len());
        // A bucket that gave way to this one may have left rows of another kind, which are no
        // shares.
        let shares = rows
            .into_iter()
            .filter(|keyed| keyed.key.tag() == Tag::Share);
        for KeyedRow { key, row: current } in shares {
            let mut share = share_of(&key, &current)?;
            share.reset();
            let context = versions_of(&current);
            plans.push(Plan {
                row: key,
                body: Body::Bytes(share.encode()),
                context,
            });
        }
        Ok(Ok(plans))
    }

    fn plan_clear(
        &self,
        command: &Command,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Planned, SourceError> {
        let Some(rows) = rows_of(&command.prefix, limits, stage)? else {
            return Ok(Err(Rejected::TooManyRows {
                limit: limits.rows_per_operation,
            }));
        };
        let plan = |keyed: KeyedRow| {
            let context = command.covering(versions_of(&keyed.row));
            Plan {
                row: keyed.key,
                body: Body::None,
                context,
            }
        };
        Ok(Ok(rows.into_iter().map(plan).collect()))
    }

    /// Gives the plans consecutive dots and enters them.
    fn carry_out(
        &mut self,
        hlc: Hlc,
        command: &Command,
        effect: Effect,
        plans: Vec<Plan>,
        stage: &mut Stage<'_>,
    ) -> Result<Written, SourceError> {
        let mut context = command.context.clone();
        let mut changes = Vec::with_capacity(plans.len());
        let first = self.clock.next(self.actor).counter;
        let last = first + (plans.len() as u64).saturating_sub(1);
        for plan in plans {
            let dot = self.clock.next(self.actor);
            let operation = Some(Operation {
                id: command.operation,
                effect,
            });
            let event = Event {
                dot,
                row: plan.row,
                first,
                last,
                hlc,
                operation,
            };
            let delta = plan.body.delta(dot, hlc, command.operation, plan.context);
            self.enter(&event, &delta, stage)?;
            self.note(&event, stage)?;
            context.insert(dot);
            changes.push(Change { event, delta });
        }
        let sending = if changes.is_empty() {
            Sending::Nothing
        } else {
            Sending::Changes(changes)
        };
        Ok(Written {
            sending,
            context,
            repeated: false,
        })
    }
}

impl Body {
    fn delta(self, dot: Dot, hlc: Hlc, op: OpId, context: Context) -> Row {
        let version = match self {
            Self::None => return Row::delete(context),
            Self::Bytes(body) => Version {
                hlc,
                op: Some(op),
                body,
            },
            Self::Added(mut share, amount) => {
                share.add(dot.counter, amount);
                counter::version(&share, hlc, Some(op))
            }
        };
        Row::write(dot, version, context)
    }
}

fn plan_elements(
    command: &Command,
    elements: &[Bytes],
    present: bool,
    stage: &Stage<'_>,
) -> Result<Planned, SourceError> {
    // The same element twice in one request is one row, and a dot names one change of it.
    let distinct: std::collections::BTreeSet<&Bytes> = elements.iter().collect();
    let mut plans = Vec::with_capacity(distinct.len());
    for element in distinct {
        let row = command.prefix.row(Tag::Element, element);
        let seen = versions_of(&stage.row(&row)?);
        let (body, context) = if present {
            (Body::Bytes(Bytes::new()), seen)
        } else {
            (Body::None, command.covering(seen))
        };
        plans.push(Plan { row, body, context });
    }
    Ok(Ok(plans))
}

/// All rows of a key; `None` if they are more than one operation may touch.
fn rows_of(
    prefix: &KeyPrefix,
    limits: &Limits,
    stage: &Stage<'_>,
) -> Result<Option<Vec<KeyedRow>>, SourceError> {
    let limit = limits.rows_per_operation;
    let found = stage.range(Family::Data, prefix.as_bytes(), &prefix.end(), limit + 1)?;
    if found.len() > limit {
        return Ok(None);
    }
    let decoded = found.into_iter().map(|(key, stored)| {
        let row = decode_row(&key, &stored)?;
        let key = RowKey::decode(&key).map_err(|error| SourceError::corrupt(&key, error))?;
        Ok(KeyedRow { key, row })
    });
    decoded.collect::<Result<Vec<_>, SourceError>>().map(Some)
}

pub(super) fn share_of(key: &RowKey, row: &Row) -> Result<Share, SourceError> {
    Share::of(row).map_err(|error| SourceError::corrupt(key.as_bytes(), error))
}
