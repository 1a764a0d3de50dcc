//! The laws that every kind obeys: one line for each kind in the table below, one function for each
//! law in [`law`].
//!
//! | law | says |
//! |---|---|
//! | join | rows join in any order, in any grouping, any number of times |
//! | delta | receiving deltas gives what joining whole rows gives |
//! | convergence | replicas that got the same show the same, in whatever order and how often |
//! | bytes | a row is read as it was written, and equal rows have equal bytes |
//! | sequence | one replica alone behaves like the plain type |
//!
//! And [`strip`]: when a row may forget what the clock explains.
//!
//! `STARLING_MODEL_SEEDS` sets how many seeds each law runs (default 40).

#[path = "../common/mod.rs"]
mod common;
mod law;
mod lists;
mod maps;
mod numbers;
mod sets;
mod strip;
mod subject;
mod values;
mod world;

/// Runs every law on every kind of the table.
macro_rules! laws {
    ($($kind:ident: $subject:ty,)*) => {
        $(mod $kind {
            use crate::law;

            #[test]
            fn rows_are_joined_in_any_order_and_any_number_of_times() {
                law::join::<$subject>();
            }

            #[test]
            fn deltas_give_what_whole_rows_give() {
                law::delta::<$subject>();
            }

            #[test]
            fn replicas_converge_whatever_the_order_and_the_duplicates() {
                law::convergence::<$subject>();
            }

            #[test]
            fn rows_are_read_as_they_were_written() {
                law::bytes::<$subject>();
            }

            #[test]
            fn one_replica_alone_behaves_like_the_plain_type() {
                law::sequence::<$subject>();
            }
        })*
    };
}

laws! {
    value: crate::values::Value,
    register: crate::values::Register,
    enable_wins_flag: crate::values::EnableWins,
    disable_wins_flag: crate::values::DisableWins,
    add_wins_set: crate::sets::AddWins,
    remove_wins_set: crate::sets::RemoveWins,
    grow_only_set: crate::sets::GrowOnly,
    sketch: crate::sets::Sketch,
    counter: crate::numbers::Counter,
    bounded_counter: crate::numbers::Bounded,
    maximum: crate::numbers::Maximum,
    minimum: crate::numbers::Minimum,
    list: crate::lists::List,
    map: crate::maps::Map,
}
