//! What may happen in a run, and how often it did.

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) nodes: u64,
    /// The share of messages that are lost.
    pub(crate) loss: f64,
    pub(crate) restarts: bool,
    pub(crate) replaces: bool,
}

/// How often things happened: a path that is never walked proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) writes: usize,
    pub(crate) pulls: usize,
    pub(crate) trimmed: usize,
    pub(crate) full_syncs: usize,
    pub(crate) pages: usize,
    pub(crate) restarts: usize,
    /// From copies older than two starts.
    pub(crate) old_restarts: usize,
    pub(crate) clones: usize,
    pub(crate) replacements: usize,
    /// Rows that still have a context at the end.
    pub(crate) contexts_left: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.pulls += other.pulls;
        self.trimmed += other.trimmed;
        self.full_syncs += other.full_syncs;
        self.pages += other.pages;
        self.restarts += other.restarts;
        self.old_restarts += other.old_restarts;
        self.clones += other.clones;
        self.replacements += other.replacements;
        self.contexts_left += other.contexts_left;
    }
}
