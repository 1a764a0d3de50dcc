//! What a schedule may do, and what it did.

/// What fails beside the network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) restarts: bool,
    pub(crate) losses: bool,
    /// Now and then so much time passes that operations come too late and records expire.
    pub(crate) absences: bool,
}

/// What happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) added: u64,
    pub(crate) spent: u64,
    pub(crate) refused: u64,
    pub(crate) not_whole: u64,
    pub(crate) copies: u64,
    pub(crate) granted: u64,
    pub(crate) taken_back: u64,
    pub(crate) cuts: u64,
    pub(crate) restarts: u64,
    pub(crate) lost: u64,
    pub(crate) restored: u64,
    pub(crate) crashed: u64,
    pub(crate) late: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.spent += other.spent;
        self.refused += other.refused;
        self.not_whole += other.not_whole;
        self.copies += other.copies;
        self.granted += other.granted;
        self.taken_back += other.taken_back;
        self.cuts += other.cuts;
        self.restarts += other.restarts;
        self.lost += other.lost;
        self.restored += other.restored;
        self.crashed += other.crashed;
        self.late += other.late;
    }
}
