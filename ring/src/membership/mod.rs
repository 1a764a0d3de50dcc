//! What the nodes tell each other about themselves.
//!
//! Each node writes one [`Member`] record about itself and hands on the newest it has of every
//! other. Records are joined one by one, so it does not matter who hears what from whom, how
//! often and in which order: all [`MemberMap`]s that have heard the same are equal.
//!
//! A member record is a belief, not a permission: who owns data is a matter of the layout alone.

mod address;
mod map;
mod member;
#[cfg(test)]
mod tests;

pub use crate::membership::address::{Address, InvalidAddress, InvalidMemberName, MemberName};
pub use crate::membership::map::{MemberMap, MemberMapError};
pub use crate::membership::member::{Incarnation, InvalidMember, Load, Member, MemberState};
