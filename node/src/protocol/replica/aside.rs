//! Vnodes that are set aside: something of them could not be read.
//!
//! A disk, or the way to it, may fail for a moment, and mostly it fails for a few blocks. So what
//! cannot be read costs the request that needs it, and its vnode a little; the rest of the batch
//! and all other vnodes go on.
//!
//! ```text
//!   somebody reads          it is refused; nothing has changed, and the vnode goes on
//!   a vnode works           nothing of it is done, and the vnode is set aside: it remembers half
//!   then                    it is recovered from the store, under a new actor: at once
//!   it is set aside again,  that is tried later, each time after twice as long, up to a minute,
//!   or cannot be recovered  until it has been in use for ten minutes without trouble
//! ```
//!
//! Every life leaves the name of its actor in the clock for ever, so it must not have many.
//!
//! A vnode that is aside is in no use, and says that its store failed. It is never taken for
//! another's, and its bytes stay as they are. Whether what cannot be read is damage, the walk over
//! what is stored finds out (`walk`): it goes there next.

use std::time::Duration;

use super::{Batch, Replica};
use crate::protocol::messages::Refusal;
use crate::protocol::stage::{Source, SourceError, Stage};
use crate::protocol::time::Time;
use crate::protocol::unreadable::TRY_EVERY;
use crate::protocol::vnode::{Limits, Vnode};
use crdt::Clock;
use ring::VnodeId;
use starling::wire::Durability;

/// A vnode that is not in use until it can be recovered.
#[derive(Debug, Default)]
pub struct Aside {
    /// What could not be read.
    reason: String,
    /// What it remembered; `None` if it has not begun in this life.
    before: Option<Box<Vnode>>,
    /// How often in a row it was set aside again, or could not be recovered.
    tries: u32,
    /// When that is tried next.
    next: Time,
}

/// That a vnode was aside, and is in use again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recovered {
    at: Time,
    /// How often it was tried in a row.
    tries: u32,
}

impl Aside {
    /// What could not be read.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Has it been in use in this life of the node? If so, the walk over what is stored finds out
    /// whether what it met lasts; if not, it is only tried again.
    #[must_use]
    pub fn was_in_use(&self) -> bool {
        self.before.is_some()
    }

    /// For a vnode that is to be recovered in place of `before`.
    pub(super) fn of(before: Vnode) -> Self {
        Self {
            before: Some(Box::new(before)),
            ..Self::default()
        }
    }

    pub(super) fn before(&self) -> Option<&Vnode> {
        self.before.as_deref()
    }
}

impl Replica {
    /// The vnodes that are in no use because they could not be read.
    pub fn unread(&self) -> impl Iterator<Item = (VnodeId, &Aside)> {
        self.aside.iter().map(|(&id, aside)| (id, aside))
    }

    /// How many vnodes this node has, in use or not.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.vnodes.len() + self.quarantine.len() + self.aside.len()
    }

    /// What could not be read last, told once: somebody was refused for it.
    pub fn take_unread(&mut self) -> Option<String> {
        self.unread.take()
    }

    /// Lets a vnode in use work on what is stored. Where something cannot be read, nothing of it is
    /// staged and the vnode is set aside: the inner error says so to whoever asked.
    pub(super) fn work<T>(
        &mut self,
        id: VnodeId,
        batch: &mut Batch<'_>,
        work: impl FnOnce(&mut Vnode, &Limits, &mut Stage<'_>) -> Result<T, SourceError>,
    ) -> Result<Result<T, Refusal>, SourceError> {
        let unused = self.unused(id);
        let Some(vnode) = self.vnodes.get_mut(&id) else {
            return Ok(Err(unused));
        };
        let (done, changes) = {
            let mut own = Stage::new(&batch.stage);
            let done = work(vnode, &self.config.limits, &mut own);
            (done, own.into_changes())
        };
        match done {
            Ok(done) => {
                batch.stage.take(changes);
                Ok(Ok(done))
            }
            Err(error @ SourceError::Unreadable { .. }) => {
                self.set_aside(id, &error, batch);
                Ok(Err(Refusal::Storage))
            }
            Err(error @ (SourceError::Corrupt { .. } | SourceError::Senseless { .. })) => {
                Err(error.within(id))
            }
        }
    }

    /// Somebody has looked at what a vnode has stored. What could not be read is refused, and
    /// nothing has changed.
    pub(super) fn looked<T>(
        &mut self,
        id: VnodeId,
        looked: Result<T, SourceError>,
    ) -> Result<Result<T, Refusal>, SourceError> {
        match looked {
            Ok(looked) => Ok(Ok(looked)),
            Err(error @ SourceError::Unreadable { .. }) => {
                self.unread = Some(error.to_string());
                self.suspect(id);
                Ok(Err(Refusal::Storage))
            }
            Err(error @ (SourceError::Corrupt { .. } | SourceError::Senseless { .. })) => {
                Err(error.within(id))
            }
        }
    }

    /// What a vnode in use remembers is no longer what is stored.
    fn set_aside(&mut self, id: VnodeId, error: &SourceError, batch: &mut Batch<'_>) {
        if let Some(before) = self.vnodes.remove(&id) {
            let now = batch.now.time;
            let last = self.recovered.get(&id);
            let last = last.filter(|last| now.since(last.at) < WITHOUT_TROUBLE);
            let aside = Aside {
                tries: last.map_or(0, |last| last.tries.saturating_add(1)),
                next: last.map_or(now, |last| last.at.after(pause(last.tries))),
                ..Aside::of(before)
            };
            self.insert_aside(id, aside, error);
            self.recover_aside(batch);
        }
    }

    fn insert_aside(&mut self, id: VnodeId, mut aside: Aside, error: &SourceError) {
        aside.reason = error.to_string();
        self.unread = Some(aside.reason.clone());
        self.aside.insert(id, aside);
        self.suspect(id);
    }

    /// Recovers a vnode that is not in use. One that is damaged goes into quarantine, one that
    /// cannot be read is set aside.
    pub(super) fn recover(
        &mut self,
        id: VnodeId,
        mut aside: Aside,
        now: Time,
        source: &dyn Source,
    ) -> Option<Vnode> {
        let behind = self.behind;
        self.behind |= aside.before().is_some_and(Vnode::is_catching_up);
        let begun = self.begin_unless_damaged(id, source);
        self.behind = behind;
        match begun {
            Ok(begun) => begun.map(|mut vnode| {
                if let Some(before) = aside.before() {
                    vnode.handle_restart(before);
                }
                vnode
            }),
            Err(error) => {
                aside.next = now.after(pause(aside.tries));
                aside.tries = aside.tries.saturating_add(1);
                self.insert_aside(id, aside, &error);
                None
            }
        }
    }

    /// A vnode that was recovered is in use from this batch on.
    pub(super) fn put_to_use(&mut self, mut vnode: Vnode, batch: &mut Batch<'_>) {
        let id = vnode.id();
        if vnode.clock() == &Clock::default() {
            vnode.checkpoint(&mut batch.stage);
        }
        if vnode.mark_behind(&mut batch.stage) {
            // The mark must outlive this process as surely as what it is about.
            batch.barrier = batch.barrier.max(Durability::Wal);
        }
        self.vnodes.insert(id, vnode);
        batch.touched.push(id);
    }

    /// Recovers the vnodes that are aside, as far as they can be read by now.
    pub(super) fn recover_aside(&mut self, batch: &mut Batch<'_>) {
        let now = batch.now.time;
        if self.next_recovery().is_none_or(|next| now < next) {
            return;
        }
        let due = self.aside.iter().filter(|(_, aside)| aside.next <= now);
        for id in due.map(|(&id, _)| id).collect::<Vec<_>>() {
            let Some(aside) = self.aside.remove(&id) else {
                continue;
            };
            let tries = aside.tries;
            match self.recover(id, aside, now, &batch.stage) {
                Some(vnode) => {
                    self.put_to_use(vnode, batch);
                    self.recovered.insert(id, Recovered { at: now, tries });
                    // What it had not synced before becomes durable with the next sync.
                    self.unsynced = true;
                }
                // Of what is in quarantine now nothing is shown to readers either.
                None => batch.touched.push(id),
            }
        }
    }

    /// When a vnode that is aside is recovered next. Without room nothing is written, nor begun.
    pub(super) fn next_recovery(&self) -> Option<Time> {
        let next = self.aside.values().map(|aside| aside.next).min();
        next.filter(|_| self.config.limits.room.takes_writes())
    }
}

/// How long after the last try a vnode is recovered.
fn pause(tries: u32) -> Duration {
    TRY_EVERY * (1 << tries.min(MOST_DOUBLED))
}

/// How often the first pause is doubled at the most: to about a minute.
const MOST_DOUBLED: u32 = 7;
/// After so long in use without trouble a vnode begins again with the first pause.
const WITHOUT_TROUBLE: Duration = Duration::from_secs(600);
