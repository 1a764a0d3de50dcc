//! Faults of the simulated disk: each makes the calls it concerns fail, a given number of times.

use std::path::PathBuf;

use crate::store::error::StoreError;
use crate::store::table::Table;

/// What can be wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Writes fail and change nothing.
    WriteError,
    /// Writes fail and change nothing; barriers fail, since a log is also buffered until then.
    DiskFull,
    /// [`Barrier::Synced`](crate::store::Barrier) fails; the process must abort.
    SyncError,
    /// Reads and scans fail before the first row.
    ReadError,
    /// Reads and scans find the rows damaged.
    Corruption,
}

impl Fault {
    /// What a call that meets this fault returns.
    pub(super) fn error(self, database: PathBuf) -> StoreError {
        let detail = "injected fault".to_owned();
        match self {
            Self::WriteError => StoreError::Io {
                action: "write to",
                path: database,
                detail,
            },
            Self::DiskFull => StoreError::DiskFull { database, detail },
            Self::SyncError => StoreError::SyncFailed { database, detail },
            Self::ReadError => StoreError::Io {
                action: "read from",
                path: database,
                detail,
            },
            Self::Corruption => StoreError::Corruption {
                file: database.clone(),
                database,
                detail,
            },
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::WriteError => 0,
            Self::DiskFull => 1,
            Self::SyncError => 2,
            Self::ReadError => 3,
            Self::Corruption => 4,
        }
    }
}

/// How often each fault is still to strike, `u32::MAX` never runs out; and what cannot be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    left: [u32; 5],
    bad: Vec<BadStretch>,
}

/// Rows of a table that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct BadStretch {
    table: Table,
    from: Vec<u8>,
    to: Vec<u8>,
}

impl BadStretch {
    /// Fails if one of these stretches holds the key.
    pub(super) fn check(bad: &[Self], key: &[u8], database: &str) -> Result<(), StoreError> {
        let holds = |stretch: &Self| stretch.from[..] <= *key && *key < stretch.to[..];
        if bad.iter().any(holds) {
            return Err(Fault::ReadError.error(PathBuf::from(database)));
        }
        Ok(())
    }
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault, times: u32) {
        self.left[fault.index()] = times;
    }

    pub(super) fn spoil(&mut self, table: Table, from: &[u8], to: &[u8]) {
        self.bad.push(BadStretch {
            table,
            from: from.to_vec(),
            to: to.to_vec(),
        });
    }

    /// What of a table cannot be read.
    pub(super) fn bad_in(&self, table: Table) -> Vec<BadStretch> {
        let bad = self.bad.iter().filter(|stretch| stretch.table == table);
        bad.cloned().collect()
    }

    /// Whether the fault strikes this call.
    pub(super) fn strike(&mut self, fault: Fault) -> bool {
        let left = &mut self.left[fault.index()];
        let strikes = *left > 0;
        if strikes && *left < u32::MAX {
            *left -= 1;
        }
        strikes
    }
}
