//! The commands on data: one file for each group of them.
//!
//! A command works on a key, or with `--field` on a field of the map that a key is, in the same
//! words. The demo's shell reads the same commands with the same options.
//!
//! Files: `options` what is common to reads, writes and pages · `place` keys and fields · `path`
//! how fields are named · `read`, `write`, `show` running and printing · the rest the groups.

mod change;
mod count;
mod counter;
mod flag;
mod hll;
mod list;
mod map;
mod number;
mod options;
mod path;
mod place;
mod read;
mod register;
mod scan;
mod session;
mod set;
mod show;
mod value;
mod write;

use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::connect::Asking;
use super::exit::Exit;
use super::output::Output;
use counter::CounterCommand;
use flag::FlagCommand;
use hll::SketchCommand;
use list::ListCommand;
use map::MapCommand;
use number::NumberCommand;
pub(crate) use options::DurabilityName;
pub(crate) use path::path_text;
pub(crate) use place::Target;
use register::RegisterCommand;
use scan::ScanCommand;
use session::SessionFile;
use set::SetCommand;
use starling::{Bucket, Client, Kind, Session};
use value::ValueCommand;

/// Operations on keys and fields.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DataCommand {
    #[command(flatten)]
    Value(ValueCommand),
    #[command(flatten)]
    Counter(CounterCommand),
    #[command(flatten)]
    Set(SetCommand),
    /// Bytes of which the latest assignment counts.
    #[command(subcommand)]
    Register(RegisterCommand),
    /// Numbers that only grow.
    #[command(subcommand)]
    Max(NumberCommand),
    /// Numbers that only shrink.
    #[command(subcommand)]
    Min(NumberCommand),
    /// On or off.
    #[command(subcommand)]
    Flag(FlagCommand),
    /// About how many different things there were.
    #[command(subcommand)]
    Hll(SketchCommand),
    /// Items in an order.
    #[command(subcommand)]
    List(ListCommand),
    /// Named fields of any kind.
    #[command(subcommand)]
    Map(MapCommand),
    #[command(flatten)]
    Scan(ScanCommand),
}

/// What a data command works with.
#[derive(Debug, Clone)]
struct Setting {
    /// The cluster.
    client: Client,
    /// What all operations are of, if anything.
    session: Option<Session>,
    /// How long each operation may take; as long as the client says if not given.
    timeout: Option<Duration>,
    /// The way to print.
    output: Output,
}

impl Setting {
    /// A bucket, in the session if there is one.
    fn bucket(&self, name: &str) -> Bucket {
        match &self.session {
            Some(session) => session.bucket(name),
            None => self.client.bucket(name),
        }
    }
}

impl DataCommand {
    /// Runs the operation and prints its answer.
    pub(crate) async fn run(
        self,
        client: &Client,
        asking: &Asking,
        output: Output,
    ) -> anyhow::Result<Exit> {
        let path = asking.session.as_ref();
        let file = path.map(|path| SessionFile::open(client, path));
        let file = file.transpose()?;
        let setting = Setting {
            client: client.clone(),
            session: file.as_ref().map(|file| file.session.clone()),
            timeout: asking.timeout,
            output,
        };
        let done = self.carry_out(&setting).await;
        match file {
            Some(file) => file.close(done),
            None => done,
        }
    }

    async fn carry_out(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Value(command) => command.run(setting).await,
            Self::Counter(command) => command.run(setting).await,
            Self::Set(command) => command.run(setting).await,
            Self::Register(command) => command.run(setting).await,
            Self::Max(command) => command.run(setting, Kind::Max).await,
            Self::Min(command) => command.run(setting, Kind::Min).await,
            Self::Flag(command) => command.run(setting).await,
            Self::Hll(command) => command.run(setting).await,
            Self::List(command) => command.run(setting).await,
            Self::Map(command) => command.run(setting).await,
            Self::Scan(command) => command.run(setting).await,
        }
    }
}

/// What a bucket holds; for one that nobody knows, values, so that the node can say so itself.
pub(crate) async fn kind_of(client: &Client, bucket: &str) -> Kind {
    let known = || client.topology().bucket(bucket).map(|bucket| bucket.kind);
    if let Some(kind) = known() {
        return kind;
    }
    // It may have been made a moment ago. If nobody answers, the read itself will tell.
    client.refresh().await.unwrap_or_default();
    known().unwrap_or(Kind::Value)
}

/// Reads a kind by its name; `--help` lists them all.
pub(crate) fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    kind_parser_of(&kinds())
}

/// Reads one of these kinds by its name.
fn kind_parser_of(kinds: &[Kind]) -> impl TypedValueParser<Value = Kind> + use<> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Kind>())
}

/// All kinds, values first.
fn kinds() -> Vec<Kind> {
    Kind::ALL.into_iter().map(|(kind, _)| kind).collect()
}
