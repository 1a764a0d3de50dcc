//! What an import has done, in a small file that lets the next run go on.
//!
//! Writes finish out of order, so the note is a line up to which all are done, the few beyond it,
//! and the lines whose records could not be imported, which the next run tries again. Both lists
//! are bounded: the first by the writes under way, the second by `--max-errors`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::store::{FileAccess, replace_file};

/// What was done of one file by one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// The version of this format, 1.
    v: u8,
    /// Which plan on which file: the upper part of its writes' names.
    id: (u64, u64),
    /// All lines up to this one are done, but for `failed`.
    through: u64,
    /// Lines done beyond it.
    beyond: BTreeSet<u64>,
    /// Lines that could not be imported.
    failed: BTreeSet<u64>,
    /// Nothing was under way when this was written.
    is_settled: bool,
    /// When it was written, in milliseconds since the Unix epoch.
    saved_ms: u64,
    /// Lines read and not done.
    #[serde(skip)]
    under_way: BTreeSet<u64>,
    /// The last line that was read.
    #[serde(skip)]
    read: u64,
}

impl Progress {
    /// Nothing is done.
    pub(super) fn new(id: (u64, u64)) -> Self {
        Self {
            v: 1,
            id,
            through: 0,
            beyond: BTreeSet::new(),
            failed: BTreeSet::new(),
            is_settled: true,
            saved_ms: 0,
            under_way: BTreeSet::new(),
            read: 0,
        }
    }

    /// Reads what an earlier run noted; nothing if there is no note.
    pub(super) fn load(path: &Path, id: (u64, u64)) -> anyhow::Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let name = path.display();
        let progress: Self = serde_json::from_str(&text).with_context(|| {
            format!("{name} is no progress file; nothing was imported: remove it, or --restart")
        })?;
        if progress.v != 1 || progress.id != id {
            bail!(
                "{name} is about another file, bucket or key; nothing was imported. A file that \
                 was changed is another file, whose lines would all be written anew: put corrected \
                 lines into a file of their own, use another --progress-file, or --restart if the \
                 earlier import does not matter any more"
            );
        }
        Ok(Some(progress))
    }

    /// Whether lines may have been written of which this does not know, `now` being so late that
    /// the cluster does not recognise them any more.
    pub(super) fn is_stale(&self, now: Duration) -> bool {
        let saved = Duration::from_millis(self.saved_ms);
        !self.is_settled && now.saturating_sub(saved) > REMEMBERED
    }

    /// Whether the line is to be written; if so it is under way from now on.
    pub(super) fn begin(&mut self, line: u64) -> bool {
        self.read = line;
        let is_done = line <= self.through || self.beyond.contains(&line);
        let begins = !is_done || self.failed.remove(&line);
        if begins {
            self.under_way.insert(line);
        }
        begins
    }

    /// The line is done, or its record could not be imported.
    pub(super) fn end(&mut self, line: u64, is_written: bool) {
        self.under_way.remove(&line);
        if !is_written {
            self.failed.insert(line);
        }
        if line > self.through {
            self.beyond.insert(line);
        }
        let open = self.under_way.first().copied().unwrap_or(u64::MAX);
        let through = self.read.min(open.saturating_sub(1));
        if through > self.through {
            self.through = through;
            self.beyond = self.beyond.split_off(&through.saturating_add(1));
        }
    }

    /// Writes the note. What is under way counts as not done.
    pub(super) fn save(&mut self, path: &Path, now: Duration) -> anyhow::Result<()> {
        self.is_settled = self.under_way.is_empty();
        self.saved_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // A failed line that is tried again was taken out, and must not count as done.
        let mut noted = self.clone();
        noted
            .failed
            .extend(self.under_way.iter().filter(|line| **line <= self.through));
        let bytes = serde_json::to_vec(&noted)?;
        replace_file(path, &bytes, FileAccess::Everyone)
            .context("the progress could not be noted; what is written stays")
    }
}

/// The cluster recognises names for 15 minutes; a minute of that is for clocks.
const REMEMBERED: Duration = Duration::from_secs(14 * 60);

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Duration, Progress};

    #[test]
    fn lines_that_end_out_of_order_are_remembered() {
        let mut progress = Progress::new((1, 2));
        for line in 1..=4 {
            assert!(progress.begin(line));
        }
        progress.end(2, true);
        progress.end(4, true);
        assert_eq!(
            (progress.through, &progress.beyond),
            (0, &BTreeSet::from([2, 4]))
        );
        progress.end(1, true);
        assert_eq!(
            (progress.through, &progress.beyond),
            (2, &BTreeSet::from([4]))
        );
        progress.end(3, true);
        assert_eq!((progress.through, &progress.beyond), (4, &BTreeSet::new()));
        assert!(!progress.begin(3) && progress.begin(5));
    }

    #[test]
    fn the_next_run_does_what_was_not_done() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("progress");
        let mut progress = Progress::new((1, 2));
        for line in 1..=5 {
            progress.begin(line);
        }
        for (line, is_written) in [(1, true), (2, false), (4, true)] {
            progress.end(line, is_written);
        }
        progress.save(&path, Duration::from_secs(100)).unwrap();
        let mut next = Progress::load(&path, (1, 2)).unwrap().unwrap();
        let begun: Vec<u64> = (1..=6).filter(|line| next.begin(*line)).collect();
        assert_eq!(begun, [2, 3, 5, 6]);
        assert!(Progress::load(&path, (1, 3)).is_err());
        assert!(next.is_stale(Duration::from_secs(1000)));
        assert!(!next.is_stale(Duration::from_secs(200)));
    }

    #[test]
    fn a_failed_line_that_is_tried_again_is_not_done_before_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("progress");
        let mut progress = Progress::new((1, 2));
        progress.begin(1);
        progress.begin(2);
        progress.end(1, false);
        progress.end(2, true);
        assert!(progress.begin(1));
        progress.save(&path, Duration::ZERO).unwrap();
        let mut next = Progress::load(&path, (1, 2)).unwrap().unwrap();
        assert!(next.begin(1) && !next.begin(2));
    }
}
