//! `starling config`.

use std::path::PathBuf;

use clap::Subcommand;

use super::exit::Exit;
use super::output::Output;
use crate::config::Config;

/// Configuration files.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a file as `starling server` would, and say whether it is sound.
    Check {
        /// The file.
        #[arg(
            short,
            long,
            default_value = "/etc/starling/starling.toml",
            value_name = "FILE"
        )]
        config: PathBuf,
    },
    /// Print a commented file that says all defaults.
    Example,
}

impl ConfigCommand {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Check { config: path } => {
                let config = Config::load(&path)?;
                output.line(format_args!(
                    "{} is sound: node {} in {}, QUIC {}, HTTP {}, data in {}",
                    path.display(),
                    config.node.name,
                    config.node.zone,
                    config.listen.quic,
                    config.listen.http,
                    config.node.data_dir.display()
                ))?;
            }
            Self::Example => output.line(Config::example().trim_end())?,
        }
        Ok(Exit::Done)
    }
}
