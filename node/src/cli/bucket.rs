//! `starling bucket`: making and listing buckets.

use clap::Subcommand;
use serde_json::json;

use super::data::kind_parser;
use super::exit::Exit;
use super::output::{Output, Word};
use starling::{BucketProperties, Client, Durability, Kind, Siblings};

/// Making and listing buckets.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BucketCommand {
    /// Make a bucket, or confirm that it is there with the same properties.
    Create {
        /// 1 to 255 letters, digits, '.', '_' and '-'.
        name: String,
        /// What its keys hold; fixed for its life.
        #[arg(long, value_parser = kind_parser(), default_value = "value")]
        kind: Kind,
        /// Replicas of each key, 1 to 7; fixed for its life. The cluster's default if not given.
        #[arg(long, value_name = "COUNT")]
        n: Option<u8>,
        /// What becomes of values that were written at the same time: how many are kept, 1 to
        /// 255, or 'latest' for the last writer's alone. 64 if not given.
        #[arg(long, value_name = "COUNT|latest")]
        siblings: Option<Siblings>,
        /// Let stand-ins take the place of owners that are away, in writes that do not say.
        #[arg(long)]
        sloppy: bool,
    },
    /// All buckets.
    List,
}

impl BucketCommand {
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Create {
                name,
                kind,
                n,
                siblings,
                sloppy,
            } => {
                let mut bucket = client.create_bucket(name).kind(kind).sloppy(sloppy);
                if let Some(n) = n {
                    bucket = bucket.n(n);
                }
                if let Some(siblings) = siblings {
                    bucket = bucket.siblings(siblings);
                }
                print(&[bucket.await?], output)?;
            }
            Self::List => {
                client.refresh().await?;
                let buckets: Vec<_> = client.topology().buckets().cloned().collect();
                print(&buckets, output)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn print(buckets: &[BucketProperties], output: Output) -> anyhow::Result<()> {
    if output.is_json() {
        let bucket = |bucket: &BucketProperties| {
            json!({
                "name": bucket.name,
                "kind": bucket.kind.name(),
                "n": bucket.n,
                "siblings": bucket.siblings.to_string(),
                "r": bucket.r,
                "w": bucket.w,
                "durability": durability_name(bucket.durability),
                "sloppy": bucket.sloppy,
            })
        };
        let buckets: Vec<_> = buckets.iter().map(bucket).collect();
        output.json(&json!({ "v": 1, "buckets": buckets }))?;
        return Ok(());
    }
    if buckets.is_empty() {
        output.note("there is no bucket yet: starling bucket create NAME --kind KIND");
        return Ok(());
    }
    let row = |bucket: &BucketProperties| -> Vec<Word> {
        vec![
            bucket.name.clone().into(),
            bucket.kind.name().into(),
            bucket.n.to_string().into(),
            bucket.r.to_string().into(),
            bucket.w.to_string().into(),
            durability_name(bucket.durability).into(),
            bucket.siblings.to_string().into(),
            if bucket.sloppy { "yes" } else { "no" }.into(),
        ]
    };
    let headings = [
        "NAME",
        "KIND",
        "N",
        "R",
        "W",
        "DURABILITY",
        "SIBLINGS",
        "SLOPPY",
    ];
    output.table(&headings, buckets.iter().map(row).collect())?;
    Ok(())
}

fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "memory",
        Durability::Wal => "wal",
        Durability::Synced => "synced",
    }
}
