//! The kinds of a bucket: what the versions of its rows mean.
//!
//! Storage, replication and repair know rows, dots and contexts alone. A kind says which rows an
//! operation touches, what goes into a version's body, and what a reader makes of joined rows.
//!
//! | kind | rows of a key | body of a version |
//! |---|---|---|
//! | [`value`] | one, part empty | the value's bytes |
//! | [`set`] | one for each element, part = element | empty |
//! | [`counter`] | one for each actor, part = actor | that actor's [`counter::Share`] |

pub mod counter;
pub mod set;
pub mod value;
