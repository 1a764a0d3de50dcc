//! `incr reset`: counters and bounded counters.

use clap::Subcommand;

use super::options::WriteOptions;
use super::place::Place;
use super::{Setting, write};
use crate::cli::exit::Exit;
use starling::Kind;
use starling::wire::Mutation;

/// Counters.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CounterCommand {
    /// Add to a counter; a negative amount subtracts, or spends from a bounded counter.
    Incr {
        #[command(flatten)]
        place: Place,
        /// How much.
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        amount: i64,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Take a counter back to zero, as far as the coordinator sees it.
    Reset {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: WriteOptions,
    },
}

impl CounterCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        let (place, options) = match &self {
            Self::Incr { place, options, .. } | Self::Reset { place, options } => (place, options),
        };
        // An amount below 0 subtracts, or spends from a bounded counter.
        let (kinds, mutation) = match &self {
            Self::Incr { amount, .. } => {
                let kinds = &[Kind::Counter, Kind::BoundedCounter][..];
                (kinds, Mutation::Increment(*amount))
            }
            Self::Reset { .. } => (&[Kind::Counter][..], Mutation::Delete),
        };
        let kind = place.kind(setting, kinds).await?;
        let change = place.home(setting).change(kind, mutation);
        write::run(setting, place, options, change).await
    }
}
