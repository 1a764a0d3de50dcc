//! `max offer|get`, `min offer|get`: numbers that only grow, or only shrink.

use clap::Subcommand;

use super::options::{ReadOptions, WriteOptions};
use super::place::Place;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use starling::Kind;
use starling::wire::Mutation;

/// Maxima and minima.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum NumberCommand {
    /// Offer a number: the largest, or smallest, that was offered is kept.
    Offer {
        #[command(flatten)]
        place: Place,
        /// The number.
        #[arg(allow_negative_numbers = true)]
        number: i64,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read the largest, or smallest, number that was offered.
    Get {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
}

impl NumberCommand {
    /// Runs it on a maximum or a minimum.
    pub(super) async fn run(self, setting: &Setting, kind: Kind) -> anyhow::Result<Exit> {
        match self {
            Self::Offer {
                place,
                number,
                options,
            } => {
                place.kind(setting, &[kind]).await?;
                let offer = place.home(setting).change(kind, Mutation::Offer(number));
                write::run(setting, &place, &options, offer).await
            }
            Self::Get { place, options } => read::run(setting, &place, &[kind], &options).await,
        }
    }
}
