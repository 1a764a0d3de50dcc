//! The picture as a screen, and as JSON.

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::health::Verdict;
use super::{Output, Picture};
use crate::cli::node::{phi, phi_text, span, state_name, suspecting_json};
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
            if member.view.state == MemberState::Down {
                advice.push(format!(
                    "→ {name} is down for {}: {}. Others are asked in its place, and what is \
                     written now, {name} pulls when it is back.\n  Next: start it if it has \
                     ended, or starling node info {name}",
                    span(member.view.for_ms),
                    unheard(member)
                ));
            } else if !member.reachable {
                // The rest of an error is for whoever sent the request that met it.
                let why = note.split(';').next().filter(|why| !why.is_empty());
                let why = why.unwrap_or("no answer");
                advice.push(format!(
                    "→ {name} is not reached from {asked}: {why}. What is written now, {name} \
                     pulls when it is back.\n  Next: start it if it is down, or look at its log; \
                     its address is {address}"
                ));
            } else if member.view.state == MemberState::Suspect {
                advice.push(format!(
                    "→ {name} is suspect: {}. It is asked last until it speaks up or is found to \
                     be down.\n  Next: starling node info {name}",
                    unheard(member)
                ));
            } else if member.view.is_quarantined {
                advice.push(format!(
                    "→ {name} has gone down several times within minutes; it is asked last until \
                     it has stayed up for a while.\n  Next: its log, and the network to it"
                ));
            } else if member.vnodes_quarantined > 0 {
                advice.push(of_damage(member));
            } else if member.catching_up > 0 {
                advice.push(of_catching_up(member));
            } else if member.missing_there > 0 || member.missing_here > 0 {
                advice.push(format!(
                    "→ {name} lacks {} dots that {asked} has, and has {} that {asked} lacks; they \
                     pull them by themselves.\n  Next: starling status, in a second",
                    grouped(member.missing_there),
                    grouped(member.missing_here)
                ));
            }
            advice.extend(of_clock(member));
            advice.extend(of_shelves(name, member.hints_damaged));
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

/// A wall clock that is wrong.
fn of_clock(member: &MemberStatus) -> Option<String> {
    let (name, ahead) = (&member.name, member.clock_ahead_ms);
    let by = span(ahead.unsigned_abs());
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    (ahead != 0).then(|| {
        format!(
            "→ the clock of {name} is {by} {side} those of most nodes; it goes by theirs.\n  Next: \
             set it right on that machine (timedatectl, chronyc tracking)"
        )
    })
}

fn of_catching_up(member: &MemberStatus) -> String {
    let name = &member.name;
    format!(
        "→ {name} is catching up on {} of its vnodes; they take writes and do not count for \
         reads.\n  Next: starling status, in a few seconds",
        member.catching_up
    )
}

fn of_damage(member: &MemberStatus) -> String {
    let name = &member.name;
    format!(
        "→ {name} has {} damaged vnodes; they are in no use, and filled anew from the other owners \
         where those have all that they held.\n  Next: the log of {name} says what is damaged; \
         check its disk",
        member.vnodes_quarantined
    )
}

/// What a member keeps for others, and cannot hand over.
fn of_shelves(name: &str, damaged: u32) -> Option<String> {
    (damaged > 0).then(|| {
        format!(
            "→ what {name} keeps for the owners of {damaged} partitions is damaged or cannot be \
             read: it is not handed over, and its bytes stay. The owners have these writes from \
             each other, but for those that stand-ins alone acknowledged.\n  Next: the log of \
             {name} says which partitions; check its disk, and repeat what was written while no \
             owner of them was reached"
        )
    })
}

/// Who does not hear a member, and how suspicious that is.
fn unheard(member: &MemberStatus) -> String {
    let observers = member.view.suspected_by.iter().map(|observer| {
        let phi = phi_text(observer.phi_hundredths);
        format!("{} (phi {phi})", observer.name)
    });
    let observers: Vec<String> = observers.collect();
    match &observers[..] {
        [] => "its observers do not hear it".to_owned(),
        [one] => format!("{one} does not hear it"),
        [first @ .., last] => format!("{} and {last} do not hear it", first.join(", ")),
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

#[cfg(test)]
mod tests {
    use super::of_shelves;

    #[test]
    fn what_is_kept_and_cannot_be_handed_over_is_shown_with_what_to_do() {
        assert_eq!(of_shelves("kv-2", 0), None);
        let shown = of_shelves("kv-2", 3).expect("some is damaged");
        for part in [
            "kv-2 keeps for the owners of 3 partitions is damaged",
            "not handed over",
            "but for those that stand-ins alone acknowledged",
            "Next: the log of kv-2",
            "check its disk",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown:?}");
        }
    }
}
