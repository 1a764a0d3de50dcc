//! The committer, step by step: take what waits, decide, write, secure, let out. The steps are
//! events of their own, so that a crash can fall between any two.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{barrier_of, batch_of};
use super::ledger::Crash;
use super::node::InFlight;
use super::queue::{Instant, MS};
use super::world::{Broken, Happening, Step, World};
use crate::invariants::{Committed, Observation};
use ring::VnodeId;
use starling_node::protocol::event::Event;
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::messages::Refusal;
use starling_node::protocol::replica::{Commit, Input, Output};
use starling_node::protocol::stage::Stage;
use starling_node::protocol::vnode::Limits;
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Engine, StoreError};

impl World {
    /// Lets a process take a step some time later.
    pub(crate) fn later(&mut self, node: usize, delay: Instant, step: Step) {
        let life = self.nodes[node].life;
        self.queue
            .after(delay, Happening::Process { node, life, step });
    }

    /// Hands an input to the committer.
    pub(crate) fn feed(&mut self, node: usize, input: Input) {
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        process.inbox.push(input);
        if !process.is_busy {
            process.is_busy = true;
            let delay = self.up_to(MS / 2);
            self.later(node, delay, Step::Takes);
        }
    }

    /// Takes everything that waits, as one batch.
    pub(crate) fn take(&mut self, node: usize) -> Result<(), Broken> {
        let now = self.queue.now();
        let known = self.known_operations(node);
        let here = &mut self.nodes[node];
        let moment = here.moment(now);
        let Some(process) = &mut here.process else {
            return Ok(());
        };
        process.has_tick = false;
        let inputs = std::mem::take(&mut process.inbox);
        self.trace
            .note(now, format_args!("n{node} takes {} inputs", inputs.len()));
        let expired = process.replica.expired();
        let handled = process
            .replica
            .handle_batch(moment, inputs, &StoreSource::new(&here.engine));
        let commit = match handled {
            Ok(commit) => commit,
            Err(_unreadable) => {
                self.fail(node, Refusal::Storage);
                return Ok(());
            }
        };
        let expired = self.expired(node) - expired;
        self.tally.add("what was late was refused", expired);
        self.note_quarantine(node);
        let Commit {
            changes,
            barrier,
            outputs,
            ..
        } = commit;
        let (events, rows) = self.record_batch(node, &outputs, &changes)?;
        self.observe_writes(node, &outputs, &known)?;
        self.observe_deadlines(node, &outputs)?;
        let batch = batch_of(&changes);
        let in_flight = InFlight {
            batch,
            barrier,
            outputs,
            events,
            rows,
        };
        if let Some(process) = &mut self.nodes[node].process {
            process.batch = Some(in_flight);
        }
        self.after_disk(node, Step::Writes);
        Ok(())
    }

    /// The tickets of the waiting writes of which this node holds events already.
    fn known_operations(&self, node: usize) -> BTreeSet<u64> {
        let process = self.nodes[node].process.iter();
        let inbox = process.flat_map(|process| {
            let inbox = process.inbox.iter();
            inbox.map(move |input| (&process.replica, input))
        });
        let known = inbox.filter_map(|(replica, input)| {
            let Input::Write { ticket, vnode, .. } = input else {
                return None;
            };
            let operation = self.attempts.get(ticket)?.operation;
            let clock = replica.vnode(*vnode)?.clock();
            let mut dots = self.ledger.dots_of(operation);
            dots.any(|dot| clock.contains(dot)).then_some(*ticket)
        });
        known.collect()
    }

    fn observe_writes(
        &mut self,
        node: usize,
        outputs: &[Output],
        known: &BTreeSet<u64>,
    ) -> Result<(), Broken> {
        for output in outputs {
            let Output::Written {
                ticket,
                result: Ok(written),
            } = output
            else {
                continue;
            };
            if let Some(attempt) = self.attempts.get(ticket) {
                let entered = Observation::Entered {
                    node,
                    operation: attempt.operation,
                    is_known: known.contains(ticket),
                    is_repeated: written.repeated,
                };
                Self::check(&self.ledger, &entered)?;
            }
        }
        Ok(())
    }

    /// Writes the batch; nobody is told yet.
    pub(crate) fn write(&mut self, node: usize) {
        let here = &self.nodes[node];
        let batch = here
            .process
            .as_ref()
            .and_then(|process| process.batch.as_ref());
        match batch.map(|in_flight| here.engine.write(&in_flight.batch)) {
            Some(Ok(())) => self.after_disk(node, Step::Secures),
            Some(Err(error)) => self.fail(node, refusal_of(&error)),
            None => {}
        }
    }

    /// Makes the batch as durable as was asked.
    pub(crate) fn secure(&mut self, node: usize) {
        let here = &self.nodes[node];
        let batch = here
            .process
            .as_ref()
            .and_then(|process| process.batch.as_ref());
        let Some(barrier) = batch.map(|in_flight| in_flight.barrier) else {
            return;
        };
        match here.engine.barrier(barrier_of(barrier)) {
            Ok(()) => self.after_disk(node, Step::LetsOut),
            // The shell aborts the process: what the disk did not confirm may be anywhere.
            Err(error) if error.must_abort() => self.crash(node, Crash::Process),
            Err(error) => self.fail(node, refusal_of(&error)),
        }
    }

    /// The batch is safe: its effects may be seen.
    pub(crate) fn let_out(&mut self, node: usize) -> Result<(), Broken> {
        let now = self.queue.now();
        let here = &mut self.nodes[node];
        let moment = here.moment(now);
        let Some(process) = &mut here.process else {
            return Ok(());
        };
        let Some(batch) = process.batch.take() else {
            return Ok(());
        };
        process.replica.handle_committed(moment.time, batch.barrier);
        let (rows, events) = (batch.rows.len(), batch.events.len());
        self.trace.note(
            now,
            format_args!("n{node} wrote {rows} vnodes, {events} with events"),
        );
        self.observe_commit(node, &batch.events, &batch.rows)?;
        self.observe_start(node)?;
        self.go_on(node);
        for output in batch.outputs {
            self.release(node, output);
        }
        self.wake_later(node);
        Ok(())
    }

    /// The batch could not be made or written: the replica answers so and begins anew.
    fn fail(&mut self, node: usize, refusal: Refusal) {
        let now = self.queue.now();
        self.tally.count("a store failed");
        self.trace
            .note(now, format_args!("n{node}'s store failed: {refusal:?}"));
        let here = &mut self.nodes[node];
        let Some(process) = &mut here.process else {
            return;
        };
        process.batch = None;
        let outputs = process
            .replica
            .handle_failure(refusal, &StoreSource::new(&here.engine));
        let n = self.ring.layout().n();
        let owned = self.ring.vnodes_of(here.id, &[n]).count();
        let in_hand = process.replica.in_hand();
        self.note_quarantine(node);
        if in_hand < owned {
            // The topology came to nothing: the node has to start again.
            self.crash(node, Crash::Process);
            return;
        }
        self.go_on(node);
        for output in outputs {
            self.release(node, output);
        }
        self.wake_later(node);
    }

    /// The committer takes the next batch, if something waits.
    fn go_on(&mut self, node: usize) {
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        process.is_busy = !process.inbox.is_empty();
        if process.is_busy {
            let delay = self.up_to(MS / 2);
            self.later(node, delay, Step::Takes);
        }
    }

    fn release(&mut self, node: usize, output: Output) {
        match &output {
            Output::Written { ticket, result } => {
                if let Ok(written) = result {
                    self.promise_written(node, *ticket, &written.sending);
                }
                self.coordinate(node, output);
            }
            Output::RowsRead { .. } | Output::Held { .. } | Output::Behind { .. } => {
                self.note_told(node, &output);
                self.coordinate(node, output);
            }
            Output::Answer { .. } => self.send_answer(node, output),
            Output::Call { .. } => self.send_call(node, output),
        }
    }

    /// What this node's own replica did, for the coordinator.
    pub(crate) fn coordinate(&mut self, node: usize, output: Output) {
        let now = self.queue.now();
        let moment = self.nodes[node].moment(now);
        if let Some(process) = &mut self.nodes[node].process {
            process.coordinator.handle_output(moment, output);
        }
        self.drain(node);
    }

    /// Answers a read without the committer, if it rests: then rows and clocks belong together.
    pub(crate) fn read_inline(&mut self, node: usize, input: &Input) -> Option<Output> {
        let here = &self.nodes[node];
        let process = here.process.as_ref().filter(|process| !process.is_busy)?;
        let Input::Read { ticket, read, .. } = input else {
            return None;
        };
        let now = self.queue.now();
        if read.durable.is_some() || input.is_late(here.moment(now).time) {
            return None;
        }
        let disk = StoreSource::new(&here.engine);
        let vnode = process.replica.vnode(read.vnode)?;
        let limits = Limits::default();
        let rows = vnode.read(read, &limits, &Stage::new(&disk)).ok()?;
        Some(Output::RowsRead {
            ticket: *ticket,
            result: rows,
        })
    }

    fn observe_commit(
        &mut self,
        node: usize,
        events: &BTreeMap<VnodeId, Vec<Event>>,
        rows: &BTreeMap<VnodeId, Vec<RowKey>>,
    ) -> Result<(), Broken> {
        let here = &self.nodes[node];
        let Some(process) = &here.process else {
            return Ok(());
        };
        let source = StoreSource::new(&here.engine);
        for vnode in process.replica.vnodes() {
            let id = vnode.id();
            let events = events.get(&id).map_or(&[][..], Vec::as_slice);
            let rows = rows.get(&id).map_or(&[][..], Vec::as_slice);
            if events.is_empty() && rows.is_empty() {
                continue;
            }
            let committed = Committed {
                node,
                vnode,
                events,
                rows,
                source: &source,
            };
            Self::check(&self.ledger, &Observation::Committed(committed))?;
        }
        Ok(())
    }

    /// When all vnodes and shelves of a process can be read: what it recovered.
    fn observe_start(&mut self, node: usize) -> Result<(), Broken> {
        let Some(process) = &mut self.nodes[node].process else {
            return Ok(());
        };
        process.has_recovered = true;
        // What cannot be read yet shows later what it holds.
        let replica = &process.replica;
        let (hints, unread) = (replica.hints(), replica.unread().next());
        let is_hidden = hints.hidden().is_some() || hints.unreadable().next().is_some();
        if is_hidden || unread.is_some() || std::mem::replace(&mut process.is_checked, true) {
            return Ok(());
        }
        Self::check(&self.ledger, &Observation::Recovered { node, replica })
    }

    fn after_disk(&mut self, node: usize, step: Step) {
        let delay = if self.is_healed {
            MS
        } else {
            self.plan.slow_disk
        };
        let delay = self.up_to(delay);
        self.later(node, delay, step);
    }

    /// Sets the alarm for what the machines want to do next.
    pub(crate) fn wake_later(&mut self, node: usize) {
        let now = self.queue.now();
        let here = &mut self.nodes[node];
        let Some(process) = &here.process else { return };
        let tick = process.replica.poll_timeout().filter(|_| !process.has_tick);
        let timeouts = [tick, process.coordinator.poll_timeout()];
        let next = timeouts
            .into_iter()
            .flatten()
            .min()
            .map(|time| here.world_time(time));
        let Some(next) = next.map(|next| next.max(now + 1)) else {
            return;
        };
        let Some(process) = &mut here.process else {
            return;
        };
        if process.wake_at.is_none_or(|at| next < at || at <= now) {
            process.wake_at = Some(next);
            self.later(node, next - now, Step::Wakes);
        }
    }

    /// The alarm rings.
    pub(crate) fn wake(&mut self, node: usize) {
        let now = self.queue.now();
        let here = &mut self.nodes[node];
        let moment = here.moment(now);
        let Some(process) = &mut here.process else {
            return;
        };
        if process.wake_at.is_some_and(|at| at <= now) {
            process.wake_at = None;
        }
        let is_due = process
            .replica
            .poll_timeout()
            .is_some_and(|at| at <= moment.time);
        let ticks = is_due && !process.has_tick && process.has_recovered;
        process.coordinator.handle_timeout(moment);
        if ticks {
            process.has_tick = true;
            self.feed(node, Input::Tick);
        }
        self.drain(node);
    }
}

fn refusal_of(error: &StoreError) -> Refusal {
    if error.is_disk_full() {
        Refusal::DiskFull
    } else {
        Refusal::Storage
    }
}
