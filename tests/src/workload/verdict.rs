//! What became of it all: the replicas are equal, or will never be, and the history is kept, or
//! broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{RULES, Shared, Tally, kind_of};
use crate::cluster::{Cluster, POLL};
use crate::history::{History, Subject, Violation, check};
use starling::{Client, Kind};

/// What a history came to.
#[derive(Debug)]
pub struct Verdict {
    /// What is wrong.
    pub violations: Vec<Violation>,
    /// What clients did.
    pub history: History,
    /// What was done.
    pub tally: Tally,
    /// How long after the last fault all owners of all keys held the same.
    pub equal_after: Duration,
    /// How long after it each increment counted once.
    pub settled_after: Duration,
}

impl Verdict {
    /// Fails if anything is wrong; the error shows the first of it, and what was done first with
    /// those keys.
    ///
    /// # Errors
    /// If there are violations.
    pub fn ensure_sound(&self, seed: u64) -> anyhow::Result<()> {
        let mut shown = String::new();
        for violation in self.violations.iter().take(SHOWN) {
            write!(shown, "\n{violation}")?;
        }
        let first = self.violations.iter().take(SHOWN);
        let broken: BTreeSet<&Subject> = first.map(Violation::subject).collect();
        for subject in broken {
            let events = self.history.events.iter().enumerate();
            let story = events.filter(|(_, event)| event.subject == *subject);
            for (at, event) in story.take(SHOWN) {
                write!(shown, "\n{at}: {event:?}")?;
            }
        }
        let count = self.violations.len();
        ensure!(
            count == 0,
            "{count} violations (seed {seed}), first:{shown}"
        );
        Ok(())
    }
}

/// Waits until the replicas are equal, reads every key of the history at each of its owners, and
/// checks. Sessions and faults must be over.
///
/// # Errors
/// If the replicas do not become equal, or an owner does not answer, in time.
pub async fn judge(cluster: &Cluster, client: &Client, shared: &Shared) -> anyhow::Result<Verdict> {
    let history = shared.recorder.history();
    let subjects = subjects(&history);
    let keys: Vec<Subject> = subjects.keys().cloned().collect();
    let healed = Instant::now();
    cluster.wait_equal(client, &keys).await?;
    let equal_after = healed.elapsed();
    let mut violations = violations(cluster, client, &subjects, &history).await?;
    // An increment that two coordinators entered counts twice until every owner has it on its disk.
    while is_settling(&violations) && healed.elapsed() < SETTLED {
        tokio::time::sleep(POLL).await;
        let counters = subjects.iter().filter(|(_, kind)| **kind == Kind::Counter);
        let keys: Vec<Subject> = counters.map(|(subject, _)| subject.clone()).collect();
        cluster.wait_equal(client, &keys).await?;
        violations = self::violations(cluster, client, &subjects, &history).await?;
    }
    Ok(Verdict {
        violations,
        tally: Tally::of(&history),
        history,
        equal_after,
        settled_after: healed.elapsed(),
    })
}

/// What is wrong with the history and what every owner holds now.
async fn violations(
    cluster: &Cluster,
    client: &Client,
    subjects: &BTreeMap<Subject, Kind>,
    history: &History,
) -> anyhow::Result<Vec<Violation>> {
    let last = cluster.read_everywhere(client, subjects).await?;
    Ok(check(history, &last, RULES))
}

/// Whether nothing is wrong but counters, which may only need time.
fn is_settling(violations: &[Violation]) -> bool {
    let is_count = |violation: &Violation| matches!(violation, Violation::Miscounted { .. });
    !violations.is_empty() && violations.iter().all(is_count)
}

/// Every key of a history, with the kind of its bucket.
fn subjects(history: &History) -> BTreeMap<Subject, Kind> {
    let subjects = history.events.iter().map(|event| event.subject.clone());
    subjects
        .map(|subject| {
            let kind = kind_of(&subject.bucket);
            (subject, kind)
        })
        .collect()
}

/// By then every increment counts once: some rounds of comparing and syncing, each of a second.
const SETTLED: Duration = Duration::from_secs(30);
/// How many violations an error shows, and events of each of their keys.
const SHOWN: usize = 20;
