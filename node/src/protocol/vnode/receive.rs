//! Receiving what other owners coordinated: deltas, and containers with their dots.

use std::collections::BTreeMap;

use super::Vnode;
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{Bundle, Change};
use crate::protocol::stage::{SourceError, Stage};
use crdt::{Hlc, Row};

impl Vnode {
    /// Enters deltas that are new here; those seen before are left alone. Returns the events that
    /// this vnode made of its own in answer: voids of increments that count twice.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn receive(
        &mut self,
        hlc: Hlc,
        changes: &[Change],
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        let mut answers = Vec::new();
        for Change { event, delta } in changes {
            if self.clock.contains(event.dot) || !self.is_here(&event.row) {
                continue;
            }
            self.enter(event, delta, stage)?;
            self.note(event, stage)?;
            answers.extend(self.void_losers(hlc, event, stage)?);
        }
        Ok(answers)
    }

    /// Joins containers and then enters their events: the end of a pull, of a repair, of a repeated
    /// operation. Both sides are filled for the join, each with the clock that belongs to its rows.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn absorb(
        &mut self,
        hlc: Hlc,
        bundle: &Bundle,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        let mut rows = BTreeMap::new();
        for keyed in bundle.rows.iter().filter(|keyed| self.is_here(&keyed.key)) {
            let mut theirs = keyed.row.clone();
            theirs.fill(&bundle.bases);
            rows.insert(&keyed.key, self.joined(&keyed.key, &theirs, stage)?);
        }
        // An event whose row did not come along is not reflected here, and stays missing.
        let entered: Vec<_> = bundle
            .events
            .iter()
            .filter(|event| rows.contains_key(&event.row) && !self.clock.contains(event.dot))
            .collect();
        entered
            .iter()
            .for_each(|event| self.clock.insert(event.dot));
        for (key, row) in &mut rows {
            row.strip(&self.clock);
            stage.put_row(key, row);
        }
        let mut answers = Vec::new();
        for event in entered {
            let unsettled = rows
                .get(&event.row)
                .is_some_and(|row| !row.context().is_empty());
            self.log(event, unsettled, stage);
            self.note(event, stage)?;
            answers.extend(self.void_losers(hlc, event, stage)?);
        }
        Ok(answers)
    }

    /// This vnode's filled row joined with another owner's filled one.
    pub(super) fn joined(
        &self,
        key: &RowKey,
        theirs: &Row,
        stage: &Stage<'_>,
    ) -> Result<Row, SourceError> {
        let mut mine = stage.row(key)?;
        mine.fill(&self.clock);
        mine.join(theirs);
        Ok(mine)
    }

    fn is_here(&self, row: &RowKey) -> bool {
        row.vnode(self.bits) == Some((u8::from(self.id.n), self.id.partition))
    }
}
