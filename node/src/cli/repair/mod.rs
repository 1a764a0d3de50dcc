//! `starling repair`: whether the owners of every key hold the same, and what damage was found.
//!
//! Nodes compare the content of their rows by themselves, all the time. `repair scrub` has them do
//! it at once, and faster.

mod vnodes;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::clock::Stopwatch;
use super::each::{ask_each, check_any};
use super::exit::Exit;
use super::node::span;
use super::output::{Output, Paint, Word};
use super::status::Picture;
use super::text::grouped;
use starling::Client;
use starling::wire::{MemberStatus, ScrubStatus};

/// Whether the owners of every key hold the same, and what damage was found.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum RepairCommand {
    /// What each node has found of damage, and how long ago it last agreed with the other owners.
    Status {
        /// Each vnode of each node instead, the one first that has agreed least recently.
        #[arg(long)]
        vnodes: bool,
    },
    /// Have every node compare all its rows with the other owners now, at twenty times the usual
    /// pace and without pauses, and wait for that; exit codes as of `verify`.
    Scrub {
        /// How long to wait; the nodes go on in any case.
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
              default_value = "1h")]
        wait: Duration,
    },
    /// Wait until every node has compared all its rows with the other owners once more; exit code 1
    /// if anything differs or is damaged, 3 if it takes too long.
    Verify {
        /// How long to wait.
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
              default_value = "1h")]
        wait: Duration,
    },
}

impl RepairCommand {
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Status { vnodes: false } => {
                print(Picture::take(client).await?.members(), output)?;
                Ok(Exit::Done)
            }
            Self::Status { vnodes: true } => vnodes::show(client, output).await,
            Self::Scrub { wait } => scrub(client, wait, output).await,
            Self::Verify { wait } => verify(client, wait, output).await,
        }
    }
}

async fn scrub(client: &Client, wait: Duration, output: Output) -> anyhow::Result<Exit> {
    for (name, answer) in check_any(ask_each(client, Client::scrub).await)? {
        if let Err(error) = answer {
            output.note(format_args!(
                "{name} was not told to compare its rows: {error}"
            ));
        }
    }
    verify(client, wait, output).await
}

async fn verify(client: &Client, wait: Duration, output: Output) -> anyhow::Result<Exit> {
    let began = Stopwatch::start();
    let first = Picture::take(client).await?;
    let before: BTreeMap<u64, ScrubStatus> = first
        .members()
        .iter()
        .map(|member| (member.node, member.scrub))
        .collect();
    loop {
        let picture = Picture::take(client).await?;
        let members = picture.members();
        let verdict = judge(&before, members, began.elapsed());
        if verdict != Verdict::NotYet || began.elapsed() >= wait {
            print(members, output)?;
            output.note(match verdict {
                Verdict::Equal => "every node agrees with the other owners of all its rows",
                Verdict::Differs => {
                    "something differs or is damaged; the logs of these nodes say what"
                }
                Verdict::NotYet => {
                    "not every node has compared all its rows in this time; try again with a \
                     longer --wait"
                }
            });
            return Ok(match verdict {
                Verdict::Equal => Exit::Done,
                Verdict::Differs => Exit::Failed,
                Verdict::NotYet => Exit::Unavailable,
            });
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Equal,
    Differs,
    NotYet,
}

/// Whether all nodes have agreed on all they hold since the beginning, so long ago.
fn judge(
    before: &BTreeMap<u64, ScrubStatus>,
    members: &[MemberStatus],
    elapsed: Duration,
) -> Verdict {
    let differs = |member: &MemberStatus| {
        let earlier = before.get(&member.node).copied().unwrap_or_default();
        member.vnodes_quarantined > 0
            || member.scrub.alarms > earlier.alarms
            || member.scrub.restored > earlier.restored
    };
    let has_agreed = |member: &MemberStatus| {
        let unagreed = Duration::from_millis(member.scrub.unagreed_ms);
        member.reachable && unagreed < elapsed
    };
    if members.iter().any(differs) {
        Verdict::Differs
    } else if members.iter().all(has_agreed) {
        Verdict::Equal
    } else {
        Verdict::NotYet
    }
}

fn print(members: &[MemberStatus], output: Output) -> anyhow::Result<()> {
    if output.is_json() {
        let node = |member: &MemberStatus| {
            json!({
                "node": member.name,
                "reachable": member.reachable,
                "vnodes": member.vnodes,
                "vnodes_quarantined": member.vnodes_quarantined,
                "walked": member.scrub.walked,
                "restored": member.scrub.restored,
                "alarms": member.scrub.alarms,
                "given_up": member.scrub.given_up,
                "unagreed_ms": member.scrub.unagreed_ms,
            })
        };
        let nodes: Vec<_> = members.iter().map(node).collect();
        output.json(&json!({ "v": 1, "nodes": nodes }))?;
        return Ok(());
    }
    let headings = [
        "NODE", "VNODES", "DAMAGED", "WALKED", "RESTORED", "ALARMS", "GIVEN UP", "UNAGREED",
    ];
    output.table(&headings, members.iter().map(row).collect())?;
    Ok(())
}

fn row(member: &MemberStatus) -> Vec<Word> {
    let MemberStatus { name, scrub, .. } = member;
    if !member.reachable {
        return vec![
            name.clone().into(),
            Word::painted(Paint::Bad, "unreachable"),
        ];
    }
    let bad = |count: u64| {
        if count > 0 {
            Word::painted(Paint::Bad, grouped(count))
        } else {
            grouped(count).into()
        }
    };
    vec![
        name.clone().into(),
        grouped(u64::from(member.vnodes)).into(),
        bad(u64::from(member.vnodes_quarantined)),
        grouped(scrub.walked).into(),
        bad(scrub.restored),
        bad(scrub.alarms),
        grouped(scrub.given_up).into(),
        span(scrub.unagreed_ms).into(),
    ]
}

const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Duration, MemberStatus, ScrubStatus, Verdict, judge};

    #[test]
    fn all_is_equal_when_every_node_has_agreed_since_the_beginning() {
        let elapsed = Duration::from_secs(10);
        let before = BTreeMap::new();
        let verdict = |members: &[MemberStatus]| judge(&before, members, elapsed);
        let agreed = member(9_000, 0);
        assert_eq!(verdict(&[agreed.clone(), member(0, 0)]), Verdict::Equal);
        assert_eq!(
            verdict(&[agreed.clone(), member(11_000, 0)]),
            Verdict::NotYet
        );
        let away = MemberStatus {
            reachable: false,
            ..agreed.clone()
        };
        assert_eq!(verdict(&[agreed.clone(), away]), Verdict::NotYet);
        assert_eq!(verdict(&[agreed.clone(), member(0, 1)]), Verdict::Differs);
        let damaged = MemberStatus {
            vnodes_quarantined: 1,
            ..agreed
        };
        assert_eq!(verdict(&[damaged]), Verdict::Differs);
    }

    #[test]
    fn what_was_found_earlier_is_no_difference_now() {
        let old = member(0, 3);
        let before = BTreeMap::from([(old.node, old.scrub)]);
        assert_eq!(
            judge(&before, &[old], Duration::from_secs(1)),
            Verdict::Equal
        );
    }

    fn member(unagreed_ms: u64, alarms: u64) -> MemberStatus {
        MemberStatus {
            reachable: true,
            scrub: ScrubStatus {
                alarms,
                unagreed_ms,
                ..ScrubStatus::default()
            },
            ..MemberStatus::default()
        }
    }
}
