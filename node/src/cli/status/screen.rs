//! The picture as a screen, and as JSON.

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::advice::advice;
use super::health::Verdict;
use super::{Output, Picture};
use crate::cli::node::{phi, state_name, suspecting_json};
use crate::cli::output::{Paint, Word};
use crate::cli::text::{grouped, hex};
use ring::MemberState;
use starling::wire::{MemberStatus, MemberView};

impl Picture {
    pub(super) fn print(&self, output: Output) -> anyhow::Result<()> {
        let members = &self.status.members;
        let here = members.iter().filter(|member| member.reachable).count();
        let cluster = hex(&self.status.cluster);
        let word = self.word();
        output.line(format_args!(
            "cluster {}   {}   layout {}   {} partitions   {} nodes, {here} reachable",
            cluster.get(..8).unwrap_or(&cluster),
            output.paint(word.0, word.1),
            self.status.layout,
            self.status.partitions,
            members.len()
        ))?;
        let rows = members
            .iter()
            .map(|member| row(member, self.status.node))
            .collect();
        output.table(&HEADINGS, rows)?;
        self.print_partitions(output)?;
        for advice in advice(&self.status) {
            output.line(output.paint(Paint::Doubtful, advice))?;
        }
        Ok(())
    }

    fn print_partitions(&self, output: Output) -> anyhow::Result<()> {
        let share = |part: u32| {
            format!(
                "{:.1} %",
                100.0 * f64::from(part) / f64::from(self.health.partitions.max(1))
            )
        };
        output.line(format_args!(
            "partitions   complete {}   below n {}   below quorum {}   unavailable {}",
            share(self.health.complete),
            share(self.health.below_n),
            share(self.health.below_quorum),
            share(self.health.unavailable)
        ))?;
        Ok(())
    }

    fn word(&self) -> (Paint, &'static str) {
        match self.health.verdict {
            Verdict::Well => (Paint::Good, "OK"),
            Verdict::Degraded => (Paint::Doubtful, "DEGRADED"),
            Verdict::Unavailable => (Paint::Bad, "UNAVAILABLE"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let member = |member: &MemberStatus| {
            json!({
                "node": format!("{:016x}", member.node),
                "name": member.name,
                "zone": member.zone,
                "address": member.address,
                "state": state_name(member.view.state),
                "state_for_ms": member.view.for_ms,
                "phi": member.view.phi_hundredths.map(|phi| f64::from(phi) / 100.0),
                "suspected_by": suspecting_json(&member.view),
                "quarantined": member.view.is_quarantined,
                "reachable": member.reachable,
                "note": member.note,
                "rtt_us": member.rtt_us,
                "vnodes": member.vnodes,
                "catching_up": member.catching_up,
                "vnodes_quarantined": member.vnodes_quarantined,
                "clock_ahead_ms": member.clock_ahead_ms,
                "rows": member.rows,
                "disk_bytes": member.disk_bytes,
                "reads": member.reads,
                "writes": member.writes,
                "missing_here": member.missing_here,
                "missing_there": member.missing_there,
                "hints": kept(member),
                "hints_damaged": member.hints_damaged,
            })
        };
        json!({
            "v": 1,
            "cluster": hex(&self.status.cluster),
            "node": format!("{:016x}", self.status.node),
            "layout": self.status.layout,
            "verdict": self.word().1.to_lowercase(),
            "partitions": {
                "all": self.health.partitions,
                "complete": self.health.complete,
                "below_n": self.health.below_n,
                "below_quorum": self.health.below_quorum,
                "unavailable": self.health.unavailable,
            },
            "members": self.status.members.iter().map(member).collect::<Vec<_>>(),
        })
    }
}

fn row(member: &MemberStatus, asked: u64) -> Vec<Word> {
    let id = format!("{:016x}", member.node);
    let mut row = vec![
        format!("{}…", id.get(..6).unwrap_or(&id)).into(),
        member.name.clone().into(),
        member.zone.clone().into(),
        member.address.clone().into(),
        state(member),
        phi(&member.view, member.node == asked).into(),
        member.vnodes.to_string().into(),
    ];
    if member.reachable {
        let rtt = match (member.node == asked, member.rtt_us) {
            (true, _) | (false, 0) => "-".to_owned(),
            (false, rtt) => format!("{rtt} µs"),
        };
        let numbers = [
            grouped(member.rows),
            ByteSize(member.disk_bytes).to_string(),
            grouped(member.reads),
            grouped(member.writes),
            rtt,
            grouped(member.missing_there),
            grouped(kept(member)),
        ];
        row.extend(numbers.map(Word::from));
    } else {
        row.extend(std::iter::repeat_n(Word::from("-"), 7));
    }
    row
}

fn state(member: &MemberStatus) -> Word {
    let MemberView {
        state,
        is_quarantined,
        ..
    } = member.view;
    match (state, member.reachable) {
        (MemberState::Removed, _) => Word::painted(Paint::Faint, "removed"),
        (MemberState::Down, _) => Word::painted(Paint::Bad, "down"),
        (MemberState::Alive | MemberState::Suspect, false) => {
            Word::painted(Paint::Bad, "unreachable")
        }
        (MemberState::Suspect, true) => Word::painted(Paint::Doubtful, "suspect"),
        (MemberState::Alive, true) if member.vnodes_quarantined > 0 => {
            let count = member.vnodes_quarantined;
            Word::painted(Paint::Bad, format!("damaged ({count})"))
        }
        (MemberState::Alive, true) if member.catching_up > 0 => {
            let count = member.catching_up;
            Word::painted(Paint::Doubtful, format!("catching up ({count})"))
        }
        (MemberState::Alive, true) if is_quarantined => Word::painted(Paint::Doubtful, "flapping"),
        (MemberState::Alive, true) => Word::painted(Paint::Good, "up"),
    }
}

/// How many writes a member keeps for others; one that several lack counts for each of them.
fn kept(member: &MemberStatus) -> u64 {
    member.hints.iter().map(|kept| kept.events).sum()
}

const HEADINGS: [&str; 14] = [
    "ID", "NAME", "ZONE", "ADDRESS", "STATE", "PHI", "VNODES", "ROWS", "DISK", "READS", "WRITES",
    "RTT", "LACKS", "HINTS",
];
