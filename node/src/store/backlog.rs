//! How far an engine is behind with what it puts off, and what a node makes of that.
//!
//! RocksDB writes to memory and a log, and brings files into order later. When it falls behind it
//! first slows its writers down and at last makes them wait, for seconds: a node whose committer
//! waits acknowledges nothing. So the node takes fewer writes of clients before it comes to that.
//! The further the engine is behind, the fewer: where as many come in as it gets done, the backlog
//! stays where it is, below the mark. Copies of writes that other nodes took are stored always.
//!
//! ```text
//!   files of the first level   0 ....... 8 ......... 16 ......... 20 ............. 36
//!   the node                   | takes all | fewer    | no writes of its clients
//!   RocksDB                    |                                  | slows down      | waits
//! ```

/// What an engine has put off, of the one table with the most of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Files as they were written from memory, each of which a read may have to look into.
    pub files: u64,
    /// Bytes that are to be brought into order, by the engine's own estimate.
    pub bytes: u64,
    /// It slows its writers down now, or makes them wait.
    pub delays: bool,
}

impl Backlog {
    /// How much of what a node usually takes on it should not, in thousandths: 0 to 1,000.
    #[must_use]
    pub fn pressure(self) -> u16 {
        if self.delays {
            return MOST;
        }
        let of_files = between(self.files, FEWER_FROM_FILES, NONE_FROM_FILES);
        let of_bytes = between(self.bytes, FEWER_FROM_BYTES, NONE_FROM_BYTES);
        of_files.max(of_bytes)
    }
}

/// Where a value lies between two others, in thousandths.
fn between(value: u64, none: u64, all: u64) -> u16 {
    let most = u64::from(MOST);
    let above = value.saturating_sub(none).min(all - none);
    u16::try_from(above * most / (all - none)).unwrap_or(MOST)
}

/// All of it.
const MOST: u16 = 1_000;
/// From so many files on fewer writes are taken: RocksDB begins to sort them at four.
const FEWER_FROM_FILES: u64 = 8;
/// From so many on none.
pub(super) const NONE_FROM_FILES: u64 = 16;
/// From so many bytes on fewer writes are taken.
const FEWER_FROM_BYTES: u64 = 24 << 30;
/// From so many on none.
pub(super) const NONE_FROM_BYTES: u64 = 48 << 30;

#[cfg(test)]
mod tests {
    use super::{Backlog, FEWER_FROM_BYTES, NONE_FROM_BYTES, NONE_FROM_FILES};

    fn of_files(files: u64) -> u16 {
        let backlog = Backlog {
            files,
            ..Backlog::default()
        };
        backlog.pressure()
    }

    #[test]
    fn nothing_more_is_taken_before_the_engine_slows_anybody_down() {
        assert_eq!(
            [0, 4, 8].map(of_files),
            [0; 3],
            "as it goes up and down all the time"
        );
        assert_eq!([10, 12, 14].map(of_files), [250, 500, 750]);
        assert_eq!(
            [NONE_FROM_FILES, 20, 36, u64::MAX].map(of_files),
            [1_000; 4]
        );
    }

    #[test]
    fn whatever_the_engine_is_behind_with_counts() {
        let of_bytes = |bytes| Backlog {
            files: 10,
            bytes,
            delays: false,
        };
        assert_eq!(of_bytes(0).pressure(), 250);
        assert_eq!(
            of_bytes((FEWER_FROM_BYTES + NONE_FROM_BYTES) / 2).pressure(),
            500
        );
        assert_eq!(of_bytes(NONE_FROM_BYTES).pressure(), 1_000);
    }

    #[test]
    fn an_engine_that_delays_its_writers_takes_nothing_whatever_else_it_says() {
        let backlog = Backlog {
            delays: true,
            ..Backlog::default()
        };
        assert_eq!(backlog.pressure(), 1_000);
    }
}
