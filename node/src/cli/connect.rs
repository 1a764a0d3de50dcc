//! From options and environment to a connected client.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::exit::UsageError;
use super::output::{Color, Output};
use ring::NodeId;
use starling::{Client, ClientBuilder, Tls};

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// Nodes to begin with: `host:port` (repeat it), or one starling:// URL.
    #[arg(
        short,
        long = "seed",
        global = true,
        env = "STARLING_URL",
        value_name = "NODE|URL"
    )]
    pub(crate) seeds: Vec<String>,
    /// The cluster's authority, PEM.
    #[arg(long, global = true, env = "STARLING_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate, PEM.
    #[arg(long, global = true, env = "STARLING_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    // Its id is not `key`, because that is the key of a row in other commands.
    #[arg(
        id = "private_key",
        long = "key",
        global = true,
        env = "STARLING_KEY",
        value_name = "FILE"
    )]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) asking: Asking,
    /// Colour on the terminal (the variable `NO_COLOR` counts too).
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub(crate) color: Color,
}

/// How to ask and answer, which a line of the shell understands too.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Asking {
    /// How long one operation may take, all attempts together; 5s if nothing says otherwise.
    #[arg(
        long,
        global = true,
        env = "STARLING_TIMEOUT",
        value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) timeout: Option<Duration>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Operations on keys: each finds what those before it with the same file have read and
    /// written, whichever node answers.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) session: Option<PathBuf>,
}

impl Global {
    /// The way to print.
    pub(crate) fn output(&self) -> Output {
        Output::new(self.asking.json, self.color)
    }

    /// A connected client.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let seeds: Vec<String> = self
            .seeds
            .iter()
            .filter(|seed| !seed.is_empty())
            .cloned()
            .collect();
        let [first, others @ ..] = seeds.as_slice() else {
            bail!(UsageError(NO_SEED.to_owned()));
        };
        let Some(url) = first.strip_prefix(SCHEME) else {
            return self.connect_to(seeds).await;
        };
        if !others.is_empty() {
            bail!(UsageError(
                "a URL names all seeds: give it once and no other --seed".to_owned()
            ));
        }
        match url.split_once('?') {
            Some((_, query)) if !query.is_empty() => {
                self.connect_by(Client::builder_of_url(first)?).await
            }
            _ => {
                let seeds = url.trim_end_matches(['/', '?']).split(',');
                self.connect_to(seeds.map(str::to_owned).collect()).await
            }
        }
    }

    async fn connect_to(&self, seeds: Vec<String>) -> anyhow::Result<Client> {
        let Some(ca) = &self.ca else {
            bail!(UsageError(NO_CA.to_owned()))
        };
        let tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Tls::ca_file(ca).identity_files(cert, key),
            (None, None) => Tls::ca_file(ca),
            _ => bail!(UsageError("--cert and --key belong together".to_owned())),
        };
        let builder = Client::builder()
            .seeds(seeds)
            .tls(tls)
            .app_name("starling command");
        self.connect_by(builder).await
    }

    async fn connect_by(&self, builder: ClientBuilder) -> anyhow::Result<Client> {
        let builder = match self.asking.timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        };
        Ok(builder.connect().await?)
    }
}

impl Asking {
    /// For commands that are no operations on keys.
    pub(crate) fn refuse_session(&self) -> anyhow::Result<()> {
        match self.session {
            Some(_) => bail!(UsageError(NO_SESSION.to_owned())),
            None => Ok(()),
        }
    }
}

/// The node that a user means by its name, or by the first digits of its id.
pub(crate) fn find_node(client: &Client, text: &str) -> anyhow::Result<NodeId> {
    let map = client.topology();
    if let Some(node) = map.nodes().find(|node| node.name == text) {
        return Ok(node.node);
    }
    let begins = |node: &NodeId| !text.is_empty() && node.to_string().starts_with(text);
    let mut found = map.nodes().map(|node| node.node).filter(begins);
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (Some(_), Some(_)) => {
            bail!(UsageError(format!(
                "several nodes' ids begin with {text}: give more digits"
            )))
        }
        (None, _) => {
            let names: Vec<&str> = map.nodes().map(|node| node.name.as_str()).collect();
            let known = names.join(", ");
            bail!(UsageError(format!(
                "there is no node {text}; the cluster has {known}"
            )))
        }
    }
}

const SCHEME: &str = "starling://";
const NO_SEED: &str = "no node to ask; nothing was sent: give --seed host:port or set STARLING_URL \
                       (`starling demo` prints one to copy)";
const NO_SESSION: &str = "--session is for operations on keys; nothing was done: leave it out";
const NO_CA: &str = "no authority to believe; nothing was sent: give --ca FILE or set STARLING_CA \
                     (TLS is never off)";
