//! Where an operation goes: a key, or a field of the map that a key is.

use clap::Args;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use super::path::{FieldPath, path_text};
use super::{Setting, kind_of, kind_parser};
use crate::cli::exit::UsageError;
use crate::cli::text::bytes_json;
use starling::wire::{Mutation, State};
use starling::{Bucket, Found, GrowSet, Key, Kind, List, Map, Plain, Query, Set, Write};

/// Which key.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key, which places it on the ring.
    key: String,
    /// The sort key, which orders the keys of one KEY.
    #[arg(long, default_value = "", value_name = "TEXT")]
    sort: String,
}

/// Which key, or which field of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(super) target: Target,
    /// Of a map, the field: NAME.NAME.., in which \. is a dot and \xNN any byte.
    #[arg(short, long, value_name = "PATH")]
    pub(super) field: Option<FieldPath>,
    /// What the field is, where the command does not say it or its name stands for several.
    #[arg(long, value_parser = kind_parser(), requires = "field")]
    pub(super) kind: Option<Kind>,
}

/// A place with a cluster behind it: makes the handles that operations begin at.
#[derive(Debug, Clone)]
pub(super) enum Home {
    /// The key itself.
    Key(Bucket, Key),
    /// A field of this map.
    Field(Map, Vec<u8>),
}

impl Target {
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.key, &self.sort)
    }
}

impl Place {
    pub(super) fn home(&self, setting: &Setting) -> Home {
        let (bucket, key) = (setting.bucket(&self.target.bucket), self.target.key());
        let Some((maps, name)) = self.field.as_ref().map(FieldPath::split) else {
            return Home::Key(bucket, key);
        };
        let around = maps.iter().fold(bucket.map(key), |map, name| map.map(name));
        Home::Field(around, name.to_vec())
    }

    /// Which of the kinds that a command is for is meant: what --kind says, or what the bucket
    /// holds; otherwise the first, so that the node can say what is wrong.
    pub(super) async fn kind(&self, setting: &Setting, of: &[Kind]) -> anyhow::Result<Kind> {
        let first = of.first().copied().unwrap_or(Kind::Value);
        if let Some(kind) = self.kind {
            if of.contains(&kind) {
                return Ok(kind);
            }
            let names: Vec<&str> = of.iter().map(|kind| kind.name()).collect();
            let why = format!(
                "--kind {kind}: this command is for {}; nothing was sent",
                names.join(", ")
            );
            return Err(UsageError(why).into());
        }
        if self.field.is_some() || of.len() == 1 {
            return Ok(first);
        }
        let kind = kind_of(&setting.client, &self.target.bucket).await;
        Ok(if of.contains(&kind) { kind } else { first })
    }

    /// What an answer in JSON begins with.
    pub(super) fn json(&self) -> Value {
        let key = self.target.key();
        let mut all = json!({
            "v": 1,
            "bucket": self.target.bucket,
            "key": bytes_json(&key.partition),
            "sort": bytes_json(&key.sort),
        });
        if let Some(field) = &self.field {
            all["field"] = json!(path_text(field.names()));
        }
        all
    }
}

impl Home {
    /// A read of what is here, taken for this kind.
    pub(super) fn state(&self, kind: Kind) -> Query<Found<State>> {
        match self {
            Self::Key(bucket, key) => bucket.state(key, kind),
            Self::Field(map, name) => map.state(name, kind),
        }
    }

    /// A change of what is here, taken for this kind.
    pub(super) fn change(&self, kind: Kind, mutation: Mutation) -> Write<Plain> {
        match self {
            Self::Key(bucket, key) => bucket.change(key, kind, mutation),
            Self::Field(map, name) => map.change(name, kind, mutation),
        }
    }

    pub(super) fn put(&self, value: Vec<u8>) -> Write<Plain> {
        self.change(Kind::Value, Mutation::Put(ByteBuf::from(value)))
    }

    /// Removes what is here, of whatever kind.
    pub(super) fn delete(&self) -> Write<Plain> {
        match self {
            Self::Key(bucket, key) => bucket.delete(key),
            Self::Field(map, name) => map.remove(name),
        }
    }

    /// A set that is read and emptied like any other.
    pub(super) fn set(&self, kind: Kind) -> Set {
        match (self, kind) {
            (Self::Key(bucket, key), Kind::RemoveSet) => bucket.remove_set(key),
            (Self::Field(map, name), Kind::RemoveSet) => map.remove_set(name),
            (Self::Key(bucket, key), _) => bucket.set(key),
            (Self::Field(map, name), _) => map.set(name),
        }
    }

    pub(super) fn grow_set(&self) -> GrowSet {
        match self {
            Self::Key(bucket, key) => bucket.grow_set(key),
            Self::Field(map, name) => map.grow_set(name),
        }
    }

    pub(super) fn list(&self) -> List {
        match self {
            Self::Key(bucket, key) => bucket.list(key),
            Self::Field(map, name) => map.list(name),
        }
    }

    pub(super) fn map(&self) -> Map {
        match self {
            Self::Key(bucket, key) => bucket.map(key),
            Self::Field(map, name) => map.map(name),
        }
    }
}
