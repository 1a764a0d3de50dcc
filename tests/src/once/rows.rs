//! What an owner must show of the rows that hold versions.
//!
//! *Exactly once*: a version is shown if it has not ended and nothing covers it or an alias of it.
//! *Nothing is lost*: where something covers another alias, but this one alone was written over
//! what others wrote, it may be shown all the same. And a row to which somebody wrote what no
//! removal has seen, neither itself nor under another version, is not empty.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Asked;
use super::oracle::{Fact, Facts};
use super::owner::Owner;
use crdt::dots::DotSet;
use crdt::kinds::{Leaf, register};
use crdt::{Dot, OpId};
use starling_node::protocol::event::Effect;
use starling_node::protocol::keys::RowKey;

/// The events of one row that an owner has.
struct Here<'a> {
    row: &'a RowKey,
    facts: BTreeMap<Dot, &'a Fact>,
    now_ms: u64,
}

impl Facts {
    pub(super) fn check_rows(
        &self,
        owner: &Owner,
        asked: &[Asked],
        now_ms: u64,
    ) -> Result<(), String> {
        let clock = owner.vnode.clock();
        let rows: BTreeSet<&RowKey> = self.0.values().map(|fact| &fact.row).collect();
        for row in rows.into_iter().filter(|row| row.leaf() != Leaf::Share) {
            let here = self.0.iter();
            let here = here.filter(|(dot, fact)| fact.row == *row && clock.contains(**dot));
            let facts = here.map(|(&dot, fact)| (dot, fact)).collect();
            let here = Here { row, facts, now_ms };
            let node = owner.node;
            let checked = here.check(owner, asked);
            checked.map_err(|what| {
                let facts = here.facts.iter();
                let facts: Vec<String> = facts.map(|(dot, fact)| format!("{dot} {fact}")).collect();
                format!("owner {node} shows of {row} {what}:\n{}", facts.join("\n"))
            })?;
        }
        Ok(())
    }
}

impl Here<'_> {
    fn check(&self, owner: &Owner, asked: &[Asked]) -> Result<(), String> {
        let shown = owner.row(self.row);
        let dots: BTreeSet<Dot> = shown.versions().keys().copied().collect();
        for &dot in self.facts.keys() {
            let fate = self.fate(dot);
            let is_wrong = match fate {
                Fate::Shown => !dots.contains(&dot),
                Fate::Gone => dots.contains(&dot),
                Fate::Either => false,
            };
            if is_wrong {
                return Err(format!("{dots:?}, but {dot} is to be {fate:?}"));
            }
        }
        if let Some(dot) = dots.iter().find(|dot| !self.facts.contains_key(dot)) {
            return Err(format!("{dot}, of which nothing is known"));
        }
        if let Some(lost) = self.unremoved().filter(|_| dots.is_empty()) {
            return Err(format!("nothing, but nobody has removed {lost}"));
        }
        if self.row.leaf() == Leaf::Register
            && let Some(latest) = register::latest(&shown)
        {
            return self.check_assigned(latest.dot, asked);
        }
        Ok(())
    }

    /// What is to become of a version.
    fn fate(&self, dot: Dot) -> Fate {
        let Some(fact) = self.facts.get(&dot) else {
            return Fate::Gone;
        };
        if self.is_covered(dot) || !self.lasts(fact) {
            return Fate::Gone;
        }
        let covered: Vec<&&Fact> = self
            .aliases(fact)
            .filter(|(alias, _)| self.is_covered(**alias))
            .map(|(_, alias)| alias)
            .collect();
        let mut alone = fact.unseen.clone();
        for alias in &covered {
            alone = alone.difference(&alias.unseen);
        }
        match (covered.is_empty(), alone.is_empty()) {
            (true, _) => Fate::Shown,
            (false, true) => Fate::Gone,
            (false, false) => Fate::Either,
        }
    }

    /// Has it a version that has not ended?
    fn lasts(&self, fact: &Fact) -> bool {
        let lasts = |end: Option<u64>| end.is_none_or(|end| end > self.now_ms);
        fact.version.is_some_and(lasts)
    }

    fn is_covered(&self, dot: Dot) -> bool {
        self.facts.values().any(|fact| fact.covers.contains(dot))
    }

    /// The events of an operation in this row, if its versions are aliases: a number that somebody
    /// raises again is as good as the first.
    fn aliases(&self, of: &Fact) -> impl Iterator<Item = (&Dot, &&Fact)> {
        let has_aliases = !matches!(self.row.leaf(), Leaf::Max | Leaf::Min);
        self.tries(of).filter(move |_| has_aliases)
    }

    /// The events of an operation in this row.
    fn tries(&self, of: &Fact) -> impl Iterator<Item = (&Dot, &&Fact)> {
        let operation = of.operation;
        let facts = self.facts.iter();
        facts.filter(move |(_, fact)| operation.is_some() && fact.operation == operation)
    }

    /// An operation that wrote to the row and was seen by no removal. `None` where versions end.
    fn unremoved(&self) -> Option<OpId> {
        if self
            .facts
            .values()
            .any(|fact| matches!(fact.version, Some(Some(_))))
        {
            return None;
        }
        let removals = self.facts.values();
        let removals = removals.filter(|fact| fact.effect == Some(Effect::Removal));
        let mut seen = DotSet::default();
        let mut over: Vec<DotSet> = removals.map(|fact| fact.covers.dots().clone()).collect();
        while let Some(over_these) = over.pop() {
            for (&dot, fact) in &self.facts {
                if over_these.contains(dot) && !seen.contains(dot) {
                    seen.insert(dot);
                    over.push(fact.covers.dots().clone());
                    // What its client had seen, every copy of it has.
                    let copies = self.tries(fact);
                    over.extend(
                        copies.map(|(_, copy)| copy.covers.dots().difference(&copy.unseen)),
                    );
                }
            }
        }
        let mut written = self.facts.values();
        let written = written.find(|fact| {
            let is_written = fact.effect == Some(Effect::Carried);
            is_written && self.tries(fact).all(|(dot, _)| !seen.contains(*dot))
        });
        written.and_then(|fact| fact.operation)
    }

    /// Nobody shows what was assigned over by somebody who had seen it, and whose version has not
    /// ended and was not removed or assigned over by others, unless a retry did not say how old it
    /// was. What has an end is written over more.
    fn check_assigned(&self, latest: Dot, asked: &[Asked]) -> Result<(), String> {
        let lasting = |fact: &&&Fact| fact.version == Some(None);
        let Some(fact) = self.facts.get(&latest).filter(lasting) else {
            return Ok(());
        };
        let mut own = asked
            .iter()
            .filter(|asked| fact.operation == Some(asked.id()));
        if !own.any(|asked| asked.is_honest) {
            return Ok(());
        }
        let is_over = |other: &Fact| {
            let is_other = self.lasts(other) && other.operation != fact.operation;
            is_other
                && self
                    .aliases(fact)
                    .any(|(dot, _)| other.covers.contains(*dot))
        };
        let is_gone_by_others = |other: &Fact| {
            let mut others = self
                .facts
                .values()
                .filter(|by| by.operation != fact.operation);
            others.any(|by| self.tries(other).any(|(dot, _)| by.covers.contains(*dot)))
        };
        let mut others = self.facts.values();
        match others.find(|other| is_over(other) && !is_gone_by_others(other)) {
            Some(over) => Err(format!("{latest} again, but {over} was written over it")),
            None => Ok(()),
        }
    }
}

/// What is to become of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Shown,
    Gone,
    /// Another alias is covered, and this one alone was written over what others wrote.
    Either,
}
