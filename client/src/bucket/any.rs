//! Keys of any kind: for tools that know the kind only when they run.

use super::Bucket;
use super::answers::{Answer, Found};
use super::many::MultiGet;
use super::read::Query;
use super::scan::{Entry, Scan};
use super::write::{Plain, Write};
use crate::wire::{Key, Kind, Mutation, State};

impl Bucket {
    /// Reads a key of a bucket of any kind.
    pub fn state(&self, key: impl Into<Key>, kind: Kind) -> Query<Found<State>> {
        self.target(key).read(kind, Answer::any)
    }

    /// Reads several keys of a bucket of any kind, as [`multi_get`](Bucket::multi_get).
    pub fn multi_get_states<K: Into<Key> + 'static, I: IntoIterator<Item = K>>(
        &self,
        keys: I,
        kind: Kind,
    ) -> MultiGet<Found<State>>
    where
        I::IntoIter: Send + 'static,
    {
        let bucket = self.clone();
        MultiGet::new(keys, move |key| bucket.state(key, kind))
    }

    /// Reads the keys of a partition key in a bucket of any kind, in the order of their sort keys.
    pub fn scan_states(
        &self,
        partition_key: impl AsRef<[u8]>,
        kind: Kind,
    ) -> Scan<Entry<Found<State>>> {
        let target = self.target(Key::new(partition_key, ""));
        Scan::of_keys(target, kind, Answer::any)
    }

    /// Changes a key of a bucket of any kind. The node refuses what the kind does not have.
    pub fn change(&self, key: impl Into<Key>, kind: Kind, mutation: Mutation) -> Write<Plain> {
        self.target(key).write(kind, mutation)
    }
}
