//! The picture as a screen, and as JSON.

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::health::Verdict;
use super::{Output, Picture};
use crate::cli::output::{Paint, Word};
use crate::cli::text::{grouped, hex};
use starling::wire::MemberStatus;

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
        for advice in self.advice() {
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

    /// What stands out, and the next command to type.
    fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let asked = self
            .status
            .members
            .iter()
            .find(|member| member.node == self.status.node);
        let asked = asked.map_or("the node that was asked", |member| member.name.as_str());
        for member in &self.status.members {
            let MemberStatus {
                name,
                address,
                note,
                ..
            } = member;
            if !member.reachable {
                // The rest of an error is for whoever sent the request that met it.
                let why = note.split(';').next().filter(|why| !why.is_empty());
                let why = why.unwrap_or("no answer");
                advice.push(format!(
                    "→ {name} is not reached from {asked}: {why}. What is written now, {name} \
                     pulls when it is back.\n  Next: start it if it is down, or \
                     starling -s {address} status"
                ));
            } else if member.catching_up > 0 {
                advice.push(format!(
                    "→ {name} is catching up on {} of its vnodes; they take writes and do not \
                     count for reads.\n  Next: starling status, in a few seconds",
                    member.catching_up
                ));
            } else if member.missing_there > 0 || member.missing_here > 0 {
                advice.push(format!(
                    "→ {name} lacks {} dots that {asked} has, and has {} that {asked} lacks; they \
                     pull them by themselves.\n  Next: starling status, in a second",
                    grouped(member.missing_there),
                    grouped(member.missing_here)
                ));
            }
        }
        advice
    }

    pub(super) fn to_json(&self) -> Value {
        let member = |member: &MemberStatus| {
            json!({
                "node": format!("{:016x}", member.node),
                "name": member.name,
                "zone": member.zone,
                "address": member.address,
                "reachable": member.reachable,
                "note": member.note,
                "rtt_us": member.rtt_us,
                "vnodes": member.vnodes,
                "catching_up": member.catching_up,
                "rows": member.rows,
                "disk_bytes": member.disk_bytes,
                "reads": member.reads,
                "writes": member.writes,
                "missing_here": member.missing_here,
                "missing_there": member.missing_there,
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
        ];
        row.extend(numbers.map(Word::from));
    } else {
        row.extend(std::iter::repeat_n(Word::from("-"), 6));
    }
    row
}

fn state(member: &MemberStatus) -> Word {
    match (member.reachable, member.catching_up) {
        (false, _) => Word::painted(Paint::Bad, "unreachable"),
        (true, 0) => Word::painted(Paint::Good, "up"),
        (true, count) => Word::painted(Paint::Doubtful, format!("catching up ({count})")),
    }
}

const HEADINGS: [&str; 12] = [
    "ID", "NAME", "ZONE", "ADDRESS", "STATE", "VNODES", "ROWS", "DISK", "READS", "WRITES", "RTT",
    "LACKS",
];
