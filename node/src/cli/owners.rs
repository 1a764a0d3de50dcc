//! `starling ring`: who owns what.

use clap::Subcommand;
use serde_json::json;

use super::data::Target;
use super::exit::Exit;
use super::output::{Output, Word};
use ring::BucketId;
use starling::Client;

/// Who owns what.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RingCommand {
    /// The owners of a key, in the order in which they are asked.
    Owners {
        #[command(flatten)]
        target: Target,
    },
}

impl RingCommand {
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Exit> {
        let Self::Owners { target } = self;
        if client.topology().bucket(&target.bucket).is_none() {
            client.refresh().await?;
        }
        let map = client.topology();
        if map.bucket(&target.bucket).is_none() {
            output.note(format_args!(
                "there is no bucket {}; these are the owners with the cluster's default n",
                target.bucket
            ));
        }
        let key = target.key();
        let token = map
            .ring()
            .token(BucketId::of_name(&target.bucket), &key.partition);
        let partition = map.ring().layout().q_bits().partition(token);
        let owners = client.owners(&target.bucket, key);
        if output.is_json() {
            let owner = |owner: &starling::NodeInfo| {
                json!({
                    "node": owner.node.to_string(),
                    "name": owner.name,
                    "addresses": owner.addresses,
                })
            };
            output.json(&json!({
                "v": 1,
                "token": format!("{:016x}", token.0),
                "partition": partition.0,
                "layout": map.layout().to_string(),
                "owners": owners.iter().map(owner).collect::<Vec<_>>(),
            }))?;
            return Ok(Exit::Done);
        }
        output.line(format_args!(
            "token {:016x}   partition {} of {}   layout {}",
            token.0,
            partition.0,
            map.ring().layout().q_bits().partition_count(),
            map.layout()
        ))?;
        let row = |(place, owner): (usize, &starling::NodeInfo)| -> Vec<Word> {
            let address = owner.addresses.first().cloned().unwrap_or_default();
            vec![
                (place + 1).to_string().into(),
                owner.node.to_string().into(),
                owner.name.clone().into(),
                address.into(),
            ]
        };
        let rows = owners.iter().enumerate().map(row).collect();
        output.table(&["", "ID", "NAME", "ADDRESS"], rows)?;
        Ok(Exit::Done)
    }
}
