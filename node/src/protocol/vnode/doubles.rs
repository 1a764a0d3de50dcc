//! Operations that were entered twice: a retry went to another coordinator while the first one, or
//! its network, was away. Whoever has both spans sees to it that they count once.
//!
//! *Increments.* All but the smallest dot are made void in their shares, by an event of whoever
//! noticed. A void is a fact, so two who notice do no harm ([`crdt::kinds::counter`]). It is made
//! only when *every owner holds the winner durably*: before that the disk that alone has the
//! winner may be lost, and the loser is the copy that was acknowledged. Until then both count, and
//! the counter reads too high for a while.
//!
//! *Every owner must hold the loser durably, too*, and must have said so together: what one said of
//! the winner before the loser reached it may be about a disk that it has lost since. Most likely
//! it has: the retry was entered under the loser because nothing was known of the winner there.
//! So every disk that the void counts on has both, and who loses one copy with it loses both.
//!
//! Those of bounded counters are taken back by the nodes that entered them (`rights`).
//!
//! *Versions.* The dots at one place of the spans are aliases: one version under several names. A
//! reader sees one of them, and a context that covers one alias covers all. So where one alias is
//! gone from a row and another stands there, the one that stands is removed, by an event of whoever
//! noticed: the delete had not seen it only because it was on its way.
//!
//! *Unless it alone was written over something.* An add, an assignment covers what its coordinator
//! has, so a copy may stand for what others wrote, too, and its coordinator may have had what those
//! who removed another copy had not. Such a copy stays, unless what it covers is gone without it:
//! another copy that is gone was written over the same, or it was gone here before this copy came.
//! So nothing is lost that nobody removed; at worst the operation counts again. It is rare, since a
//! retry leaves standing what others wrote (`plan`).
//!
//! They are aliases *in one row*. A retry that has read a list anew may put its items between other
//! neighbours, which is into other rows: there no copy is gone, there never was one. The record
//! says which row each item was put into ([`Record::aliases_of`]).

use std::collections::BTreeSet;

use super::records::Record;
use super::write::share_of;
use super::{Limits, Vnode};
use crate::mutants::{self, Mutant};
use crate::protocol::event::Event;
use crate::protocol::keys::RowKey;
use crate::protocol::messages::Change;
use crate::protocol::stage::{SourceError, Stage};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::counter::{self, Share};
use crdt::kinds::rules::Twice;
use crdt::{Context, Dot, Hlc, OpId, Row};

impl Vnode {
    /// Makes void what counts twice, as far as every owner holds both copies. Looks at a bounded
    /// number of operations; the others wait for their turn. Returns the voids.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn void_doubles(
        &mut self,
        hlc: Hlc,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        #[cfg(feature = "mutants")]
        self.write_late_records(stage);
        if mutants::is_active(Mutant::NotVoided) {
            return Ok(Vec::new());
        }
        let open = self.doubled.open();
        let mut voids = Vec::new();
        // The next pass begins after where this one ended, so that none starves.
        let from = open.partition_point(|id| Some(*id) <= self.voided_to);
        let turn = open[from..].iter().chain(&open[..from]).take(PER_PASS);
        for &id in turn {
            self.voided_to = Some(id);
            let Some(record) = self.record(id, stage)? else {
                self.doubled.drop_unrecorded(id);
                continue;
            };
            let taken_back = self.take_back((id, &record), hlc, limits, stage, &mut voids)?;
            if self.void_losers(hlc, &record, stage, &mut voids)? && taken_back {
                self.doubled.settle(id);
            }
        }
        Ok(voids)
    }

    /// Makes the losers of one operation void. True if none of them counts any more.
    fn void_losers(
        &mut self,
        hlc: Hlc,
        record: &Record,
        stage: &mut Stage<'_>,
        voids: &mut Vec<Change>,
    ) -> Result<bool, SourceError> {
        let mut is_done = true;
        let shares = record.increments.iter();
        for increment in shares.filter(|increment| increment.share.leaf() == Leaf::Share) {
            let mut dots = record.applied.at(increment.place);
            let winner = dots.next();
            for loser in dots {
                let is_safe = winner.is_some_and(|winner| self.may_go(loser, winner));
                let row = increment.share.share_of(loser.actor);
                let current = stage.row(&row)?;
                let share = share_of(&row, &current)?;
                let is_settled =
                    share.is_settled(loser.counter) || self.is_collected(loser, &share);
                if is_settled && !mutants::is_active(Mutant::VoidedTwice) {
                    continue;
                }
                // A record may come before the increments that it is about.
                if !is_safe || share.added().upto < loser.counter {
                    is_done = false;
                    continue;
                }
                // What is settled comes here with the bug alone, which takes it out once more.
                let times = if is_settled { 2 } else { 1 };
                let (mut voided, earlier) = voids_in(&row, &current)?;
                voided.void(loser.counter, increment.amount.saturating_mul(times));
                let version = counter::version(&voided, hlc, None);
                let delta = Row::write(self.next_dot(), version, earlier);
                voids.push(self.own_change(hlc, &row, delta, stage)?);
            }
        }
        Ok(is_done)
    }

    /// May a copy go for the sake of the winner? Not before every owner has told that it holds both
    /// durably. Of a copy that a total counts and no clock has any more, nobody will ever tell.
    pub(super) fn may_go(&self, loser: Dot, winner: Dot) -> bool {
        let is_held = |dot| self.is_durable_everywhere(dot);
        let mut clocks = self.peers().map(|(_, view)| view.clock());
        let is_seen = self.clock.contains(loser) || clocks.any(|clock| clock.contains(loser));
        is_held(winner) && (is_held(loser) || !is_seen)
    }

    /// Removes what stands in a row although an alias of it is gone. `before` is the row before
    /// `events` changed it. Returns the removal, if there is one to make.
    pub(super) fn remove_aliases(
        &mut self,
        hlc: Hlc,
        row: &RowKey,
        before: &Row,
        events: &[&Event],
        stage: &mut Stage<'_>,
    ) -> Result<Option<Change>, SourceError> {
        if self.doubled.is_empty() || row.leaf().rules().twice != Twice::Aliases {
            return Ok(None);
        }
        if mutants::is_active(Mutant::AliasForgotten) {
            return Ok(None);
        }
        let now = stage.row(row)?;
        let turn = Turn {
            row,
            before,
            events,
            now: &now,
        };
        let mut covered = Context::default();
        let touched = turn.touched().into_iter();
        for id in touched.filter(|id| self.doubled.contains(*id)) {
            let Some(record) = self.record(id, stage)? else {
                continue;
            };
            let standing = now.versions().iter();
            let standing = standing.filter(|(_, version)| version.op == Some(id));
            let going = standing.filter(|&(&dot, _)| self.goes_along(dot, &record, &turn));
            going.for_each(|(&dot, _)| covered.insert(dot));
        }
        if covered.is_empty() {
            return Ok(None);
        }
        self.own_change(hlc, row, Row::delete(covered), stage)
            .map(Some)
    }

    /// Does a version go, since an alias of it is gone, and does nothing go with it that others
    /// wrote?
    fn goes_along(&self, dot: Dot, record: &Record, turn: &Turn<'_>) -> bool {
        let aliases = record.aliases_of(dot, turn.row);
        let aliases = aliases.filter(|&alias| alias != dot && self.clock.contains(alias));
        let (standing, gone): (Vec<Dot>, Vec<Dot>) =
            aliases.partition(|alias| turn.now.versions().contains_key(alias));
        if gone.is_empty() || mutants::is_active(Mutant::AliasTakesAll) {
            return !gone.is_empty();
        }
        let mut covered = record.covered_by(dot).into_iter().flat_map(DotSet::iter);
        covered.all(|covered| {
            let covers = |alias: &Dot| {
                let covers = record.covered_by(*alias);
                covers.is_some_and(|covers| covers.contains(covered))
            };
            // What has aliases may have gone with them, and they because of what this one covers.
            let was_gone = self.clock.contains(covered)
                && turn.lacked(dot, covered)
                && !self.doubled.names(covered)
                && !standing.iter().any(covers);
            was_gone || gone.iter().any(covers)
        })
    }
}

/// What events made of a row.
struct Turn<'a> {
    row: &'a RowKey,
    before: &'a Row,
    events: &'a [&'a Event],
    now: &'a Row,
}

impl Turn<'_> {
    /// The operations of what is gone from the row and of what came.
    fn touched(&self) -> BTreeSet<OpId> {
        let before = self.before.versions().iter();
        let gone = before.filter(|(dot, _)| !self.now.versions().contains_key(dot));
        let gone = gone.filter_map(|(_, version)| version.op);
        let entered = self.events.iter().filter_map(|event| event.operation);
        gone.chain(entered.map(|operation| operation.id)).collect()
    }

    /// Did `dot` come, and was `other` neither here before nor came with it?
    fn lacked(&self, dot: Dot, other: Dot) -> bool {
        let was_here = |dot| self.before.versions().contains_key(&dot);
        let came = self.events.iter().any(|event| event.dot == other);
        !was_here(dot) && !was_here(other) && !came
    }
}

/// What versions without totals say in a row to be void, and which they are: the void that is made
/// next goes over them. It holds no total either ([`counter`]).
fn voids_in(key: &RowKey, row: &Row) -> Result<(Share, Context), SourceError> {
    let (mut voids, mut over) = (Share::default(), Context::default());
    for (&dot, version) in row.versions() {
        let share = Share::decode(&version.body)
            .map_err(|error| SourceError::senseless(key.as_bytes(), error))?;
        if share.has_no_total() {
            voids.join(&share);
            over.insert(dot);
        }
    }
    Ok((voids, over))
}

/// Operations that one pass looks at.
const PER_PASS: usize = 256;
