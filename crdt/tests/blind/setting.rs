//! What may happen in a run, and how often it did.

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) nodes: u64,
    /// The share of messages that are lost.
    pub(crate) loss: f64,
    pub(crate) prunes: bool,
    pub(crate) restarts: bool,
    pub(crate) replaces: bool,
}

impl Setting {
    /// Three replicas, three messages in ten lost, no disk ever fails.
    pub(crate) fn plain() -> Self {
        Self {
            nodes: 3,
            loss: 0.3,
            prunes: false,
            restarts: false,
            replaces: false,
        }
    }

    pub(crate) fn everything() -> Self {
        Self {
            replaces: true,
            ..Self::plain().pruning().restarting()
        }
    }

    pub(crate) fn pruning(self) -> Self {
        Self {
            prunes: true,
            ..self
        }
    }

    /// Replicas restart from old snapshots, and snapshots start a second time beside them.
    pub(crate) fn restarting(self) -> Self {
        Self {
            restarts: true,
            ..self
        }
    }

    pub(crate) fn nodes(self, nodes: u64) -> Self {
        Self { nodes, ..self }
    }

    pub(crate) fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// How often things happened: a path that is never walked proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) writes: usize,
    pub(crate) pulls: usize,
    pub(crate) repairs: usize,
    pub(crate) folds: usize,
    pub(crate) pruned: usize,
    pub(crate) full_syncs: usize,
    pub(crate) restarts: usize,
    pub(crate) clones: usize,
    pub(crate) replacements: usize,
    /// Rows that still have a context at the end.
    pub(crate) contexts_left: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.pulls += other.pulls;
        self.repairs += other.repairs;
        self.folds += other.folds;
        self.pruned += other.pruned;
        self.full_syncs += other.full_syncs;
        self.restarts += other.restarts;
        self.clones += other.clones;
        self.replacements += other.replacements;
        self.contexts_left += other.contexts_left;
    }
}
