//! What a value is, and how two of them become one.
//!
//! A partition replica (a *vnode*) is one delta-CRDT whose causal context is one [`Clock`]. Its
//! state is a map of [`Row`]s; every change is one event with a [`Dot`], and a dot is seen exactly
//! when it is in the clock. "Seen and absent" means overwritten or deleted, so a delete leaves
//! nothing behind.
//!
//! ```text
//!   clock   {A: 1..=7, B: 1..=4 and 6}          which events this replica reflects
//!   row k   {A·7 -> "x", B·6 -> "y"}            the events of k that nothing has overwritten
//!           context {B: 5}                      kills that the clock does not yet explain
//! ```
//!
//! Sources: Gonçalves et al., *Concise Server-Wide Causality Management for Eventually Consistent
//! Data Stores* (DAIS'15) and *DottedDB* (SRDS'17); Almeida, Shoker, Baquero, *Delta State
//! Replicated Data Types* (JPDC'18).
//!
//! This crate is pure: no I/O, no clock, no randomness. Every encoding is canonical: equal values
//! have equal bytes.

#![deny(clippy::expect_used)]

pub mod actor;
pub mod applications;
pub mod clock;
pub mod codec;
pub mod context;
pub mod dot;
pub mod dots;
pub mod hlc;
pub mod kinds;
pub mod operation;
pub mod row;

pub use actor::Actor;
pub use applications::Applications;
pub use clock::Clock;
pub use context::Context;
pub use dot::Dot;
pub use hlc::Hlc;
pub use operation::OpId;
pub use row::{Row, Version, Versions};
