//! `starling status`: the cluster at a glance, and the next command to type.
//!
//! One node is asked who is there and whom it reaches; each of those is then asked about itself,
//! because only a node knows its own rows and disk. Who is suspect or down is what the members have
//! told each other; what is unreachable is what the calls of the node that was asked fail to reach.

mod advice;
mod health;
mod screen;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;

use super::exit::Exit;
use super::output::Output;
use health::{Health, Verdict};
use ring::NodeId;
use starling::wire::MemberStatus;
use starling::{Client, Status};

/// What was learnt of the cluster.
pub(crate) struct Picture {
    /// What the first node said, its members' own numbers filled in where they answered.
    status: Status,
    /// How far the partitions are covered.
    health: Health,
}

/// Asks, prints, and says by the exit code how the cluster is.
pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<Exit> {
    let picture = Picture::take(client).await?;
    if output.is_json() {
        output.json(&picture.to_json())?;
    } else {
        picture.print(output)?;
    }
    Ok(match picture.health.verdict {
        Verdict::Well => Exit::Done,
        Verdict::Degraded => Exit::Degraded,
        Verdict::Unavailable => Exit::Unavailable,
    })
}

impl Picture {
    /// Asks one node for the members, and the members for themselves.
    pub(crate) async fn take(client: &Client) -> anyhow::Result<Self> {
        let mut status = client.status().await?;
        let mut asked = JoinSet::new();
        let mut silent = BTreeSet::new();
        for member in status.members.iter().filter(|member| member.reachable) {
            if member.node != status.node {
                let node = member.node;
                let answer = client
                    .status()
                    .on_node(NodeId(node))
                    .timeout(PATIENCE)
                    .into_future();
                asked.spawn(async move { (node, answer.await) });
            }
        }
        while let Some(answered) = asked.join_next().await {
            let (node, answer) = answered.context("a question was interrupted")?;
            let members = answer.map(|answer| answer.members).unwrap_or_default();
            match members.into_iter().find(|member| member.node == node) {
                Some(own) => fill(&mut status.members, own),
                None => drop(silent.insert(node)),
            }
        }
        for member in status
            .members
            .iter_mut()
            .filter(|member| silent.contains(&member.node))
        {
            // The node that was asked may not have noticed yet.
            member.reachable = false;
            SILENT.clone_into(&mut member.note);
        }
        let health = Health::of(client.topology().ring().layout(), &status.members);
        Ok(Self { status, health })
    }

    /// The members, the one that was asked first.
    pub(crate) fn members(&self) -> &[MemberStatus] {
        &self.status.members
    }

    /// Whether every node is there and no replica lacks anything that another has.
    pub(crate) fn is_well(&self) -> bool {
        self.health.verdict == Verdict::Well
    }
}

/// A member's own numbers stand over what another knows of it; the distance between the two is
/// what that other measured.
fn fill(members: &mut [MemberStatus], own: MemberStatus) {
    let Some(member) = members.iter_mut().find(|member| member.node == own.node) else {
        return;
    };
    let MemberStatus {
        reachable,
        rtt_us,
        missing_here,
        missing_there,
        ..
    } = *member;
    let address = std::mem::take(&mut member.address);
    let view = std::mem::take(&mut member.view);
    *member = MemberStatus {
        reachable,
        rtt_us,
        missing_here,
        missing_there,
        address,
        view,
        ..own
    };
}

/// A node that answers others may still not answer us.
const PATIENCE: Duration = Duration::from_secs(1);
const SILENT: &str = "it does not answer this command";
