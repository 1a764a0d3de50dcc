//! What most programs use: `use starling::prelude::*;`.

pub use crate::{
    Bucket, Client, Conflict, Context, Durability, Error, ErrorKind, Key, Kind, OperationId,
    Outcome, Profile, Siblings, Tls, Typed,
};
