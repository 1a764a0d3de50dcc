//! Faults: what the nemesis does to links, processes, machines, disks and clocks.

use super::N;
use super::disk::{Image, batch_of};
use super::ledger::Crash;
use super::node::Backup;
use super::plan::Strike;
use super::queue::{Instant, MS, SECOND};
use super::world::{Happening, Step, World};
use starling_node::protocol::replica::Past;
use starling_node::protocol::vnode::mark_all_behind;
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Barrier, Engine, Fault, MemoryEngine};

impl World {
    /// Strikes once, and comes back some time later.
    pub(crate) fn strike(&mut self, strike: Strike, mean: Instant) {
        if self.is_healed {
            return;
        }
        let pause = mean / 4 + self.up_to(mean + mean / 2);
        self.queue.after(pause, Happening::Strikes { strike, mean });
        let node = self.random.usize(..self.nodes.len());
        let now = self.queue.now();
        self.trace.note(now, format_args!("{strike:?} at n{node}"));
        match strike {
            Strike::Cut => self.cut_one_way(node),
            Strike::Isolate => self.isolate(node),
            Strike::ProcessCrash => self.crash(node, Crash::Process),
            Strike::MachineCrash => self.crash(node, Crash::Machine),
            // What is damaged elsewhere may have no whole copy but on this disk.
            Strike::Wipe | Strike::Restore if self.is_something_damaged() => {}
            Strike::Wipe => self.replace_disk(node, None),
            Strike::Restore => {
                let backups = self.nodes[node].backups.len();
                if backups > 0 {
                    let backup = self.nodes[node].backups[self.random.usize(..backups)].clone();
                    self.replace_disk(node, Some(&backup));
                }
            }
            Strike::Pause => {
                let pause = if self.chance(0.7) { SECOND } else { 8 * SECOND };
                let pause = self.up_to(pause);
                self.nodes[node].paused_until = now + pause;
                if let Some(wire) = &mut self.wire {
                    wire.stall(node, now + pause);
                }
                self.tally.count("a node was paused");
            }
            Strike::WallStep => {
                // Of most nodes the clocks are right, as far as retries and ends can tell.
                let mut others = (0..self.nodes.len()).filter(|&other| other != node);
                let are_right = others.all(|o| self.nodes[o].wall_ahead.abs() <= MINUTES_MS);
                let is_far = are_right && self.chance(0.5);
                let farthest = if is_far { DAY_MS } else { MINUTES_MS };
                // Far behind it is no further than a node's last stamp, but on a new disk.
                let step = self.random.i64(-MINUTES_MS..=farthest);
                self.nodes[node].wall_ahead = step;
                self.tally.count("a wall clock jumped");
            }
            Strike::StoreFault => self.hurt_store(node),
            Strike::FlipBit => self.flip_a_bit(node),
        }
    }

    fn cut_one_way(&mut self, from: usize) {
        let to = (from + self.random.usize(1..self.nodes.len())) % self.nodes.len();
        let lasting = self.up_to(6 * SECOND);
        self.cut(from, to, lasting);
    }

    fn isolate(&mut self, node: usize) {
        let lasting = SECOND / 2 + self.up_to(8 * SECOND);
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            self.cut(node, other, lasting);
            self.cut(other, node, lasting);
            if self.plan.leans && self.nodes.len() > N {
                // Who is alone knows it: only then does it stand in for owners.
                let (peer, end) = (other, lasting + 2 * MS);
                self.notice_later(node, MS, peer, false);
                self.notice_later(node, end, peer, true);
            }
        }
    }

    fn cut(&mut self, from: usize, to: usize, lasting: Instant) {
        self.tally.count("a link was cut");
        *self.cuts.entry((from, to)).or_default() += 1;
        self.show_cut(from, to);
        self.queue.after(lasting, Happening::Mended { from, to });
        // The shell may notice that its calls fail, or may not in time.
        if self.chance(0.5) {
            let delay = self.up_to(SECOND);
            self.notice_later(from, delay, to, false);
            self.notice_later(from, lasting.max(delay) + MS, to, true);
        }
    }

    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        if let Some(cuts) = self.cuts.get_mut(&(from, to)) {
            *cuts = cuts.saturating_sub(1);
        }
        self.show_cut(from, to);
    }

    /// Ends a node's process, with what such a crash does to its disk, and starts it again later.
    pub(crate) fn crash(&mut self, node: usize, crash: Crash) {
        if self.nodes[node].process.is_none() {
            return;
        }
        let before = self.nodes[node].engine.counters().batches_lost;
        self.stop(node);
        match crash {
            Crash::Process => {
                self.nodes[node].engine.crash_process();
                self.tally.count("a process crashed");
            }
            Crash::Machine | Crash::Disk => {
                let random = &mut self.random;
                self.nodes[node]
                    .engine
                    .crash_machine(|batches| random.usize(0..=batches));
                self.tally.count("a machine crashed");
            }
        }
        let lost = self.nodes[node].engine.counters().batches_lost - before;
        self.trace.note(
            self.queue.now(),
            format_args!("n{node}: {crash:?}, {lost} batches lost"),
        );
        if lost > 0 {
            self.tally.count("a batch was lost in a crash");
            self.ledger.has_loss = true;
        }
        self.lose_promises(node, crash);
        self.nodes[node].engine.heal();
        self.start_later(node, crash != Crash::Process);
    }

    fn lose_promises(&mut self, node: usize, crash: Crash) {
        let before: u64 = self.ledger.forsaken();
        self.ledger.crash(node, crash);
        let lost = self.ledger.forsaken() - before;
        self.tally
            .add("an acknowledged write was lost as its level allows", lost);
    }

    /// The machine crashes and comes back with another disk: an empty one, or an older copy.
    fn replace_disk(&mut self, node: usize, backup: Option<&Backup>) {
        if self.nodes[node].process.is_none() {
            return;
        }
        let behind = backup.is_none() || self.plan.restores_known;
        let engine = match backup.map(|backup| backup.image.restore()) {
            None => {
                self.tally.count("a disk was wiped");
                MemoryEngine::new()
            }
            Some(Ok(engine)) => {
                self.tally.count("a disk was restored from a backup");
                engine
            }
            Some(Err(_)) => return,
        };
        self.ledger.has_loss = true;
        self.ledger.new_disks.insert(node);
        self.ledger.has_unknown_loss |= !behind;
        self.lose_promises(node, Crash::Disk);
        self.stop(node);
        self.nodes[node].engine = engine;
        self.nodes[node].past = backup.map_or_else(Past::default, |backup| backup.past);
        self.nodes[node].disk_since = self.queue.now();
        self.start_later(node, behind);
    }

    fn start_later(&mut self, node: usize, behind: bool) {
        let down = 50 * MS
            + if self.chance(0.7) {
                self.up_to(SECOND)
            } else {
                self.up_to(6 * SECOND)
            };
        let life = self.nodes[node].life;
        self.queue
            .after(down, Happening::Starts { node, life, behind });
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            let delay = self.up_to(down.min(SECOND));
            self.notice_later(other, delay, node, false);
        }
    }

    /// Begins a process. What the disk's system holds is made durable first, as the shell does.
    pub(crate) fn start(&mut self, node: usize, behind: bool) {
        let now = self.queue.now();
        let configs = (self.config(), self.coordinator_config());
        let seed = self.random.u64(..);
        let engine = &self.nodes[node].engine;
        let is_marked = !behind || mark_behind(engine).is_some();
        if !is_marked || engine.barrier(Barrier::Synced).is_err() {
            return self.start_later(node, behind);
        }
        self.nodes[node].start(now, configs, behind, seed);
        if let Some(wire) = &mut self.wire {
            wire.start(node);
        }
        self.trace
            .note(now, format_args!("n{node} starts, behind: {behind}"));
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            let delay = MS + self.up_to(200 * MS);
            self.notice_later(other, delay, node, true);
            let is_up = self.nodes[other].process.is_some() || now == 0;
            self.notice_later(node, delay, other, is_up);
        }
        if let Some(process) = &mut self.nodes[node].process {
            process.set_ring(&self.ring);
            process.is_busy = true;
        }
        let delay = self.up_to(5 * MS);
        self.later(node, delay, Step::Takes);
    }

    fn hurt_store(&mut self, node: usize) {
        let fault = match self.random.u32(..5) {
            0 => Fault::WriteError,
            1 => Fault::DiskFull,
            2 => Fault::SyncError,
            _ => Fault::ReadError,
        };
        self.nodes[node]
            .engine
            .inject(fault, self.random.u32(1..=4));
    }

    /// Keeps a copy of a node's disk; the newest three are kept.
    pub(crate) fn back_up(&mut self, node: usize) {
        if self.is_healed {
            return;
        }
        if !self.is_something_damaged()
            && let Ok(image) = Image::of(&self.nodes[node].engine)
        {
            let past = self.nodes[node].known_past();
            let backups = &mut self.nodes[node].backups;
            backups.push(Backup { image, past });
            let surplus = backups.len().saturating_sub(3);
            backups.drain(..surplus);
        }
        let next = SECOND + self.up_to(6 * SECOND);
        self.queue.after(next, Happening::Backup { node });
    }
}

/// What a node's shell does first when it may have lost something: the store says so from then on.
fn mark_behind(engine: &MemoryEngine) -> Option<()> {
    let marks = mark_all_behind(&StoreSource::new(engine)).ok()?;
    engine.write(&batch_of(&marks)).ok()?;
    engine.barrier(Barrier::Synced).ok()
}

/// A day, in milliseconds: beyond the window in which retries are known, and most ends.
const DAY_MS: i64 = 86_400_000;
/// Less than that window.
const MINUTES_MS: i64 = 300_000;
