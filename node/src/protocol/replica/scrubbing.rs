//! Drives the comparison of contents ([`scrub`](crate::protocol::scrub)): stretch by stretch of the
//! vnode whose turn it is.

use serde_bytes::ByteBuf;

use super::calls::Purpose;
use super::{Batch, Replica};
use crate::mutants::{self, Mutant};
use crate::protocol::keys::successor;
use crate::protocol::messages::{
    Examine, MAX_BOUNDS, PeerReply, PeerRequest, Range, ReadRows, Refusal, RowsRead, Selection,
};
use crate::protocol::scrub::{Asked, Finding, Shown, Task, Turn, differing};
use crate::protocol::stage::SourceError;
use crate::protocol::vnode::{Vnode, comparable};
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

impl Replica {
    /// Begins to compare the next stretch, if it is time.
    pub(super) fn scrub(&mut self, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        if self.next_scrub().is_none_or(|next| batch.now.time < next) {
            return Ok(());
        }
        let turn = self.scrubbing.turn.take();
        let turn = turn.or_else(|| self.next_turn(batch.now.time));
        self.scrubbing.next = batch.now.time.after(self.scrub_pace(turn.as_ref()));
        let Some((id, mut turn)) = turn else {
            return Ok(());
        };
        let vnode = self
            .vnodes
            .get(&id)
            .filter(|vnode| vnode.actor().nonce == turn.nonce && vnode.may_be_compared());
        let Some(vnode) = vnode else {
            return Ok(());
        };
        if turn.work.is_empty() {
            let rows = self.config.scrub_rows;
            let stretch = vnode.stretch(turn.at.take(), rows, &batch.stage);
            let stretch = SourceError::unless_unreadable(stretch);
            let stretch = stretch.map_err(|error| error.within(id))?;
            let Some(((from, to), is_last)) = stretch else {
                self.give_up_turn(id);
                return Ok(());
            };
            turn.at = Some(to.clone());
            turn.is_last = is_last;
            turn.work = vec![Task::Digests(vec![from.into(), to.into()])];
        }
        self.ask_others(id, turn, batch);
        Ok(())
    }

    /// Asks all other owners about the next task.
    fn ask_others(&mut self, id: VnodeId, mut turn: Turn, batch: &mut Batch<'_>) {
        if let Some(task) = turn.work.pop() {
            let others = self.other_owners(id);
            let request = request(id, &task);
            turn.asked = Some(Asked {
                task,
                waiting: others.iter().copied().collect(),
                digests: Vec::new(),
                rows: Vec::new(),
                has_failed: false,
            });
            for peer in others {
                let purpose = Purpose::Scrub(id, turn.nonce);
                self.call(peer, purpose, request.clone(), batch);
            }
        }
        self.scrubbing.turn = Some((id, turn));
    }

    /// What the rows of ranges come to here.
    pub(super) fn examine(
        &mut self,
        examine: &Examine,
        batch: &Batch<'_>,
    ) -> Result<PeerReply, SourceError> {
        let Some(vnode) = self.vnodes.get(&examine.vnode) else {
            return Ok(PeerReply::Refused(self.unused(examine.vnode)));
        };
        if examine.bounds.len() > MAX_BOUNDS {
            return Ok(PeerReply::Refused(Refusal::Malformed));
        }
        if !vnode.may_be_compared() {
            return Ok(PeerReply::Refused(Refusal::Behind));
        }
        let examined = vnode.examine(&examine.bounds, &batch.stage);
        let examined = self.looked(examine.vnode, examined)?;
        Ok(examined.map_or_else(PeerReply::Refused, PeerReply::Examined))
    }

    /// An owner did not answer.
    pub(super) fn handle_not_compared(&mut self, (id, nonce): (VnodeId, u64), from: NodeId) {
        let turn = self.scrubbing.turn.as_mut();
        let turn = turn.filter(|(of, turn)| *of == id && turn.nonce == nonce);
        let Some((_, turn)) = turn else {
            return;
        };
        if let Some(asked) = &mut turn.asked {
            asked.has_failed = true;
            asked.waiting.remove(&from);
            if asked.waiting.is_empty()
                && let Some(asked) = turn.asked.take()
            {
                self.scrubbing.counts.given_up += u64::from(turn.fail(asked.task));
            }
        }
    }

    /// An owner has answered.
    pub(super) fn handle_compared(
        &mut self,
        (id, nonce): (VnodeId, u64),
        from: NodeId,
        reply: Option<PeerReply>,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        let turn = self.scrubbing.turn.as_mut();
        let turn = turn.filter(|(of, turn)| *of == id && turn.nonce == nonce);
        let Some(asked) = turn.and_then(|(_, turn)| turn.asked.as_mut()) else {
            return Ok(());
        };
        match (&asked.task, reply) {
            (Task::Digests(_), Some(PeerReply::Examined(examined))) => {
                asked.digests.push(examined);
            }
            (Task::Rows(..), Some(PeerReply::Rows(rows))) => asked.rows.extend(shown(rows)),
            (
                Task::Digests(_) | Task::Rows(..),
                Some(
                    PeerReply::Acked
                    | PeerReply::Rows(_)
                    | PeerReply::Differences(_)
                    | PeerReply::Pulled(_)
                    | PeerReply::Page(_)
                    | PeerReply::Examined(_)
                    | PeerReply::Refused(_),
                )
                | None,
            ) => {
                self.handle_not_compared((id, nonce), from);
                return Ok(());
            }
        }
        asked.waiting.remove(&from);
        if asked.waiting.is_empty() {
            self.conclude(batch)?;
        }
        Ok(())
    }

    /// All owners have answered the task at hand.
    fn conclude(&mut self, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        let Some((id, mut turn)) = self.scrubbing.turn.take() else {
            return Ok(());
        };
        let (Some(asked), Some(vnode)) = (turn.asked.take(), self.vnodes.get(&id)) else {
            return Ok(());
        };
        if vnode.actor().nonce != turn.nonce {
            return Ok(());
        }
        let others = self.other_owners(id).len();
        if asked.has_failed || asked.digests.len() + asked.rows.len() < others {
            self.scrubbing.counts.given_up += u64::from(turn.fail(asked.task));
            self.scrubbing.turn = Some((id, turn));
            return Ok(());
        }
        let concluded = match &asked.task {
            Task::Digests(bounds) => narrow(vnode, bounds, &asked, batch),
            Task::Rows(from, to) => self.heal(id, (from, to), &asked, batch),
        };
        match concluded.map_err(|error| error.within(id))? {
            Concluded::Nothing => {
                self.scrubbing.counts.given_up += u64::from(turn.fail(asked.task));
            }
            Concluded::Agreed => turn.tries = 0,
            Concluded::Differs(tasks) => {
                turn.tries = 0;
                turn.agrees = false;
                turn.work.extend(tasks);
                // What differs is looked at at once: clocks are equal now.
                self.ask_others(id, turn, batch);
                return Ok(());
            }
        }
        if !turn.work.is_empty() || !turn.is_last {
            self.scrubbing.turn = Some((id, turn));
            return Ok(());
        }
        self.end_turn(id, &turn, batch.now.time);
        Ok(())
    }

    /// Compares rows one by one, and takes back what this node alone lacks.
    fn heal(
        &mut self,
        id: VnodeId,
        (from, to): (&[u8], &[u8]),
        asked: &Asked,
        batch: &mut Batch<'_>,
    ) -> Result<Concluded, SourceError> {
        let Some(vnode) = self.vnodes.get(&id) else {
            return Ok(Concluded::Nothing);
        };
        let mut others = asked.rows.iter();
        if others.any(|shown| &shown.clock != vnode.clock())
            && !mutants::is_active(Mutant::RestoredUnchecked)
        {
            return Ok(Concluded::Nothing);
        }
        // What an owner could not send at once comes next.
        let told = asked.rows.iter().filter_map(|shown| shown.until.as_ref());
        let rest = told.min().map(|until| successor(until));
        let end = rest.as_deref().unwrap_or(to);
        let mine = vnode.compared((from, end), ROWS_READ, &batch.stage);
        let Some(mine) = SourceError::unless_unreadable(mine)? else {
            return Ok(Concluded::Nothing);
        };
        let knows = |dot| vnode.clock().contains(dot);
        let theirs = asked.rows.iter().map(|shown| {
            let rows = shown.rows.iter();
            let rows = rows.filter(|keyed| keyed.key.as_bytes() < end);
            rows.filter_map(|keyed| comparable(keyed, knows)).collect()
        });
        let finding = Finding::of(&mine, &theirs.collect::<Vec<_>>());
        let counts = &mut self.scrubbing.counts;
        counts.alarms += finding.alarms;
        counts.lacking_there += finding.lacking_there;
        if !self.config.limits.room.takes_growth() {
            return Ok(Concluded::Agreed);
        }
        let restored = self.work(id, batch, |vnode, _, stage| {
            let mut restored = finding.restored.iter();
            restored.try_for_each(|(key, version)| vnode.restore(key, version, stage))
        })?;
        if restored.is_err() {
            return Ok(Concluded::Nothing);
        }
        if !finding.restored.is_empty() {
            let count = u64::try_from(finding.restored.len()).unwrap_or(u64::MAX);
            self.scrubbing.counts.restored += count;
            batch.barrier = batch.barrier.max(Durability::Wal);
            batch.touched.push(id);
        }
        Ok(match rest {
            Some(rest) => Concluded::Differs(vec![Task::Rows(rest, to.to_vec())]),
            None => Concluded::Agreed,
        })
    }
}

/// What came of a task.
enum Concluded {
    /// Clocks differed, or the rows could not be read: it says nothing.
    Nothing,
    /// There is nothing more to compare of it.
    Agreed,
    /// These are to be compared next.
    Differs(Vec<Task>),
}

/// Cuts what differs into smaller ranges.
fn narrow(
    vnode: &Vnode,
    bounds: &[ByteBuf],
    asked: &Asked,
    batch: &Batch<'_>,
) -> Result<Concluded, SourceError> {
    let mine = SourceError::unless_unreadable(vnode.examine(bounds, &batch.stage))?;
    let differing = mine.and_then(|mine| differing(&mine, &asked.digests));
    let Some(differing) = differing else {
        return Ok(Concluded::Nothing);
    };
    if differing.is_empty() {
        return Ok(Concluded::Agreed);
    }
    let mut tasks = Vec::new();
    for at in differing {
        let (Some(from), Some(to)) = (bounds.get(at), bounds.get(at + 1)) else {
            continue;
        };
        let parts = (MAX_BOUNDS - 1, ROWS_AT_LAST);
        let cut = SourceError::unless_unreadable(vnode.cut((from, to), parts, &batch.stage))?;
        let Some(cut) = cut else {
            return Ok(Concluded::Nothing);
        };
        tasks.push(match cut {
            Some(bounds) => Task::Digests(bounds),
            None => Task::Rows(from.to_vec(), to.to_vec()),
        });
    }
    Ok(Concluded::Differs(tasks))
}

fn request(vnode: VnodeId, task: &Task) -> PeerRequest {
    match task {
        Task::Digests(bounds) => {
            let bounds = bounds.clone();
            PeerRequest::Examine(Examine { vnode, bounds })
        }
        Task::Rows(from, to) => PeerRequest::Read(ReadRows {
            vnode,
            selection: Selection::Range(Range {
                from: ByteBuf::from(from.clone()),
                to: ByteBuf::from(to.clone()),
                reverse: false,
                limit: u32::try_from(ROWS_READ).ok(),
            }),
            whole_clock: true,
            durable: None,
            bodies_up_to: None,
        }),
    }
}

/// What an owner shows of a range, if it is not catching up.
fn shown(read: RowsRead) -> Option<Shown> {
    let RowsRead {
        rows,
        clock,
        catching_up,
        until,
        sampled: _,
        left_out: _,
    } = read;
    (!catching_up).then_some(Shown { clock, rows, until })
}

/// A range of no more rows than this is compared row by row.
const ROWS_AT_LAST: usize = 4;
/// Rows of a range that are compared at one time.
const ROWS_READ: usize = 64;
