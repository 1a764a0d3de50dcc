//! How RocksDB is set up: little memory, bounded files, nothing silent.
//!
//! The families differ as their use does: `data` is large and read at random, `dotlog` is appended,
//! read soon after and dropped from the front, `records` grows for half an hour and is swept, the
//! others are small. What a log may lack at its end depends on how the last process ended
//! ([`LogRecovery`]).

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel,
    LruCacheOptions, Options,
};

use crate::store::backlog::{NONE_FROM_BYTES, NONE_FROM_FILES};
use crate::store::table::Table;

/// How much memory a database may use. Values below [`RocksConfig::LEAST_BYTES`] count as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksConfig {
    /// Bytes of blocks, indexes and filters, of all tables together; 128 MiB by default. More
    /// makes reads faster once the rows outgrow it. It is filled by use, not at the start.
    pub cache_bytes: usize,
    /// Bytes of newest rows of one large table before they are written to a file; 8 MiB by
    /// default. All tables together hold at most four times as much. More means fewer, larger
    /// files, and a longer start after a crash.
    pub write_buffer_bytes: usize,
    /// What is forgiven of the log that is found; by default all that a crash of the machine can
    /// have done to it.
    pub recovery: LogRecovery,
}

/// How whole the log of a database must be to be opened. What is forgiven is left out, together
/// with everything after it; what is not is [`StoreError::Corruption`](crate::store::StoreError).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogRecovery {
    /// To the last byte: the last process ended in order.
    Whole,
    /// The last record may be cut short, for the last process was ended while it wrote it. What was
    /// acknowledged lies before it.
    Interrupted,
    /// Everything before the first damage is kept: the machine went down, and the disk has what it
    /// has.
    #[default]
    Beginning,
}

impl LogRecovery {
    fn mode(self) -> DBRecoveryMode {
        match self {
            Self::Whole => DBRecoveryMode::AbsoluteConsistency,
            Self::Interrupted => DBRecoveryMode::TolerateCorruptedTailRecords,
            Self::Beginning => DBRecoveryMode::PointInTime,
        }
    }
}

impl Default for RocksConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
            write_buffer_bytes: 8 << 20,
            recovery: LogRecovery::default(),
        }
    }
}

impl RocksConfig {
    /// The smallest cache and write buffer.
    pub const LEAST_BYTES: usize = 1 << 20;

    /// The cache that all tables share.
    pub(super) fn cache(self) -> Cache {
        let mut options = LruCacheOptions::default();
        options.set_capacity(self.cache_bytes.max(Self::LEAST_BYTES));
        // Left to itself it cuts the cache into so many that a larger block never stays in one.
        options.set_num_shard_bits(CACHE_SHARD_BITS);
        Cache::new_lru_cache_opts(&options)
    }

    /// What holds for the whole database.
    pub(super) fn database(self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        self.set_durability(&mut options);
        self.set_limits(&mut options);
        options
    }

    /// What holds for one table.
    pub(super) fn family(self, table: Table, cache: &Cache) -> Options {
        let mut options = Options::default();
        let write_buffer = match table {
            // Every file of new records is merged with most of the old ones: few, large files cost
            // a tenth of all writes less than small ones.
            Table::Data | Table::Dotlog | Table::Records => self.write_buffer(),
            Table::Hints | Table::Meta => self.write_buffer() / 4,
        };
        options.set_write_buffer_size(write_buffer);
        // The first row of a table allocates one such block; five of the default size would be
        // a good part of what an idle node may use.
        options.set_arena_block_size(128 << 10);
        options.set_target_file_size_base(32 << 20);
        // The node takes less before it comes to that, and so must know where it lies.
        options.set_level_zero_slowdown_writes_trigger(SLOWED_DOWN_FILES);
        options.set_level_zero_stop_writes_trigger(STOPPED_FILES);
        options.set_soft_pending_compaction_bytes_limit(SLOWED_DOWN_BYTES);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(match table {
            Table::Data | Table::Dotlog | Table::Records | Table::Hints => DBCompressionType::Lz4,
            Table::Meta => DBCompressionType::None,
        });
        options.set_block_based_table_factory(&blocks(table, cache));
        if is_read_by_key(table) {
            // What is not among the newest rows costs a filter's bits, no walk down a skip list.
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(0.02);
        }
        options
    }

    fn write_buffer(self) -> usize {
        self.write_buffer_bytes.max(Self::LEAST_BYTES)
    }

    fn set_durability(self, options: &mut Options) {
        options.set_manual_wal_flush(true);
        options.set_wal_recovery_mode(self.recovery.mode());
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        // Bounds the log, and with it the time a start takes after a crash.
        options.set_max_total_wal_size(8 * size(self.write_buffer()));
        // Spreads the writing of large files, so that a sync of the log does not wait for them.
        options.set_bytes_per_sync(1 << 20);
    }

    fn set_limits(self, options: &mut Options) {
        options.set_db_write_buffer_size(self.write_buffer().saturating_mul(4));
        options.set_max_open_files(OPEN_FILES);
        options.set_max_file_opening_threads(2);
        options.set_max_background_jobs(2);
        options.set_max_manifest_file_size(4 << 20);
        options.set_log_level(LogLevel::Warn);
        options.set_max_log_file_size(1 << 20);
        options.set_keep_log_file_num(2);
        // Nobody reads these, and they would wake an idle node.
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
    }
}

/// How the files of one table are cut and cached.
fn blocks(table: Table, cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(8 << 10);
    // Indexes and filters count as cache, so that memory does not grow with the rows.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Whole, the filter of a file of small rows is a block of a megabyte, and reading one row costs
    // reading it, whenever it has left the cache.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(8 << 10);
    blocks.set_pin_top_level_index_and_filter(true);
    if is_read_by_key(table) {
        blocks.set_bloom_filter(10.0, false);
        blocks.set_whole_key_filtering(true);
    }
    blocks
}

/// Filters pay where rows are read by exact key, often by one that is not there: a first write, a
/// new op-id. The other tables are scanned, or so small that a filter saves nothing.
fn is_read_by_key(table: Table) -> bool {
    match table {
        Table::Data | Table::Records => true,
        Table::Dotlog | Table::Hints | Table::Meta => false,
    }
}

/// Sizes in memory always fit the 64 bits that sizes on disk have.
fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Together with the sockets of a node well below the usual limit of 1024 per process.
const OPEN_FILES: i32 = 512;
/// With so many files in the first level RocksDB slows writers down.
const SLOWED_DOWN_FILES: i32 = 20;
/// With so many it makes them wait.
const STOPPED_FILES: i32 = 36;
/// With so many bytes to bring into order it slows writers down.
const SLOWED_DOWN_BYTES: usize = 64 << 30;
const _: () = assert!(
    NONE_FROM_FILES < SLOWED_DOWN_FILES as u64 && NONE_FROM_BYTES < SLOWED_DOWN_BYTES as u64,
    "a node takes no more writes before RocksDB slows it down"
);
const CACHE_SHARD_BITS: i32 = 2;
