//! `starling hints`: what nodes keep for owners that were away.

use bytesize::ByteSize;
use clap::Subcommand;
use serde_json::json;

use super::exit::Exit;
use super::node::span;
use super::output::{Output, Word};
use super::status::Picture;
use super::text::grouped;
use starling::Client;
use starling::wire::{HintStatus, MemberStatus};

/// What nodes keep, as stand-ins, for owners that were away.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum HintsCommand {
    /// What each node keeps for whom, and for how long already.
    List,
}

impl HintsCommand {
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Exit> {
        let Self::List = self;
        let picture = Picture::take(client).await?;
        print(picture.members(), output)?;
        Ok(Exit::Done)
    }
}

fn print(members: &[MemberStatus], output: Output) -> anyhow::Result<()> {
    let of_member = |holder: &'_ MemberStatus| {
        let holder = holder.clone();
        let hints = holder.hints.clone().into_iter();
        hints.map(move |kept| (holder.clone(), kept))
    };
    let kept: Vec<(MemberStatus, HintStatus)> = members.iter().flat_map(of_member).collect();
    let name_of = |node: u64| {
        let mut members = members.iter();
        let member = members.find(|member| member.node == node);
        member.map_or_else(|| format!("{node:016x}"), |member| member.name.clone())
    };
    if output.is_json() {
        let hint = |(holder, kept): &(MemberStatus, HintStatus)| {
            json!({
                "stand_in": holder.name,
                "owner": name_of(kept.node),
                "writes": kept.events,
                "bytes": kept.bytes,
                "age_ms": kept.age_ms,
            })
        };
        let hints: Vec<_> = kept.iter().map(hint).collect();
        output.json(&json!({ "v": 1, "hints": hints }))?;
        return Ok(());
    }
    if kept.is_empty() {
        output.note("nobody keeps anything: every owner has what was written for it");
        return Ok(());
    }
    let row = |(holder, kept): &(MemberStatus, HintStatus)| -> Vec<Word> {
        vec![
            holder.name.clone().into(),
            name_of(kept.node).into(),
            grouped(kept.events).into(),
            ByteSize(kept.bytes).to_string().into(),
            span(kept.age_ms).into(),
        ]
    };
    let headings = ["STAND-IN", "FOR", "WRITES", "BYTES", "OLDEST"];
    output.table(&headings, kept.iter().map(row).collect())?;
    Ok(())
}
