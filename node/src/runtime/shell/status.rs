//! The status of the cluster as this node sees it: what it knows, and what its peers report.
//!
//! Nothing is spread for this. Whoever asks makes this node ask its peers, and gets what they have
//! answered within half a second.

use std::collections::{BTreeMap, BTreeSet};

use super::{REPORTS_WITHIN, Shell};
use crate::admin::{Operation, Stage};
use crate::protocol::time::Time;
use crate::runtime::Statistics;
use crate::runtime::envelope::{Asked, Report};
use crate::runtime::event::Caller;
use crate::server::{HereStatus, PeerStatus, StatusInput};
use ring::{MemberState, NodeId};
use starling::transport::ReplyTo;
use starling::wire::{HintStatus, Response, ScrubStatus, Status};

/// A status that waits for reports.
#[derive(Debug)]
pub(super) struct Gathering {
    reply: ReplyTo,
    since: Time,
    pub(super) deadline: Time,
    missing: BTreeSet<NodeId>,
    reports: BTreeMap<NodeId, Report>,
}

impl Shell {
    /// A client wants the status: asks all peers that can be reached.
    pub(super) fn gather_status(&mut self, reply: ReplyTo) {
        let since = self.clock.time();
        let missing: BTreeSet<NodeId> = self
            .peers_known()
            .filter(|&peer| self.peers.connection(peer).is_some())
            .collect();
        let number = self.number();
        for &peer in &missing {
            self.peers
                .call(peer, &Asked::Report, Caller::Status(number));
        }
        let deadline = since.after(REPORTS_WITHIN);
        let reports = BTreeMap::new();
        let gathering = Gathering {
            reply,
            since,
            deadline,
            missing,
            reports,
        };
        self.turn.gatherings.insert(number, gathering);
        self.finish_statuses(since);
    }

    /// A peer has reported, or will not.
    pub(super) fn handle_report(&mut self, number: u64, from: NodeId, report: Option<Report>) {
        if let Some(gathering) = self.turn.gatherings.get_mut(&number) {
            gathering.missing.remove(&from);
            gathering
                .reports
                .extend(report.map(|report| (from, report)));
        }
    }

    /// Answers the statuses that are complete, or have waited long enough.
    pub(super) fn finish_statuses(&mut self, now: Time) {
        let done =
            |gathering: &Gathering| gathering.missing.is_empty() || gathering.deadline <= now;
        let finished: Vec<u64> = self
            .turn
            .gatherings
            .iter()
            .filter(|(_, gathering)| done(gathering))
            .map(|(&number, _)| number)
            .collect();
        for number in finished {
            let Some(gathering) = self.turn.gatherings.remove(&number) else {
                continue;
            };
            let response = self.status(&gathering.reports);
            self.answer_client(
                gathering.reply,
                Operation::Cluster,
                gathering.since,
                &response,
            );
        }
    }

    /// What this node reports to another.
    pub(super) fn report(&self) -> Report {
        let statistics = self.health.statistics();
        let now_ms = self.clock.now().wall_ms;
        let hints = statistics.hints.iter().map(|(owner, kept)| HintStatus {
            node: owner.0,
            events: kept.events,
            bytes: kept.bytes,
            age_ms: now_ms.saturating_sub(kept.since_ms),
        });
        Report {
            catching_up: u32::try_from(statistics.catching_up).unwrap_or(u32::MAX),
            rows: statistics.rows,
            disk_bytes: statistics.disk_bytes,
            reads: self.turn.reads,
            writes: self.turn.writes,
            hints: hints.collect(),
            vnodes_quarantined: u32::try_from(statistics.quarantined.len()).unwrap_or(u32::MAX),
            scrub: ScrubStatus {
                walked: statistics.scrub.walked,
                restored: statistics.scrub.restored,
                alarms: statistics.scrub.alarms,
                given_up: statistics.scrub.given_up,
                unagreed_ms: unagreed_ms(&statistics, self.clock.now().time),
            },
            clock_ahead_ms: statistics.clock_ahead_ms,
            hints_damaged: u32::try_from(statistics.hints_damaged.len()).unwrap_or(u32::MAX),
        }
    }

    fn status(&self, reports: &BTreeMap<NodeId, Report>) -> Response {
        let lags = &self.health.statistics().lags;
        let peers = self.peers_known().map(|peer| {
            let connection = self.peers.connection(peer);
            let rtt = connection.map_or(0, |connection| connection.rtt().as_micros());
            let lag = lags.get(&peer).copied().unwrap_or_default();
            let status = PeerStatus {
                reachable: self.coordinator.is_reachable(peer),
                note: self.note(peer, reports.get(&peer)),
                rtt_us: u64::try_from(rtt).unwrap_or(u64::MAX),
                missing_here: lag.missing_here,
                missing_there: lag.missing_there,
                view: self.view_of(peer),
            };
            (peer, status)
        });
        let input = StatusInput {
            here: self.here_status(),
            peers: peers.collect(),
        };
        let mut response = self.desk.status(&input);
        if let Response::Status(status) = &mut response {
            add_reports(status, reports);
        }
        response
    }

    fn here_status(&self) -> HereStatus {
        let Report {
            catching_up,
            rows,
            disk_bytes,
            reads,
            writes,
            hints,
            vnodes_quarantined,
            scrub,
            clock_ahead_ms,
            hints_damaged,
        } = self.report();
        let stage = self.health.stage();
        let note = match &stage {
            Stage::Serving { room, .. } if stage.is_ready() && room.takes_growth() => String::new(),
            Stage::WaitingForInit | Stage::Serving { .. } | Stage::Duplicate | Stage::Draining => {
                stage.to_string()
            }
        };
        HereStatus {
            note,
            catching_up,
            rows,
            disk_bytes,
            reads,
            writes,
            hints,
            vnodes_quarantined,
            scrub,
            clock_ahead_ms,
            hints_damaged,
        }
    }

    fn note(&self, peer: NodeId, report: Option<&Report>) -> String {
        let note = self.peers.note(peer);
        if note.is_empty() && report.is_none() {
            return "connected, and did not report in time".to_owned();
        }
        note.to_owned()
    }

    /// The members that there ought to be connections to.
    pub(super) fn peers_known(&self) -> impl Iterator<Item = NodeId> {
        let here = self.here.node;
        let members = self.gossip.members().iter();
        let present = members.filter(|member| member.state != MemberState::Removed);
        present
            .map(|member| member.id)
            .filter(move |&id| id != here)
    }
}

/// Adds what peers say of themselves.
fn add_reports(status: &mut Status, reports: &BTreeMap<NodeId, Report>) {
    for member in &mut status.members {
        if let Some(report) = reports.get(&NodeId(member.node)) {
            member.catching_up = report.catching_up;
            member.rows = report.rows;
            member.disk_bytes = report.disk_bytes;
            member.reads = report.reads;
            member.writes = report.writes;
            member.hints.clone_from(&report.hints);
            member.vnodes_quarantined = report.vnodes_quarantined;
            member.scrub = report.scrub;
            member.clock_ahead_ms = report.clock_ahead_ms;
            member.hints_damaged = report.hints_damaged;
        }
    }
}

/// For how long some vnode was not found equal to all its other owners. What is shown was so up to
/// a second ago, and before a node's vnodes are shown it has agreed with nobody.
fn unagreed_ms(statistics: &Statistics, now: Time) -> u64 {
    let since = match (statistics.vnodes, statistics.unagreed_ms) {
        (0, _) => Time::default(),
        (_, 0) => return 0,
        (..) => statistics.shown_at,
    };
    let passed = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
    statistics.unagreed_ms.saturating_add(passed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Statistics, Time, unagreed_ms};

    #[test]
    fn who_has_shown_no_vnodes_yet_has_agreed_with_nobody_and_what_is_shown_ages() {
        let at = |seconds| Time::at(Duration::from_secs(seconds));
        let mut shown = Statistics::default();
        assert_eq!(unagreed_ms(&shown, at(3)), 3_000);
        (shown.vnodes, shown.shown_at) = (16, at(3));
        assert_eq!(unagreed_ms(&shown, at(4)), 0, "nobody has to agree");
        shown.unagreed_ms = 500;
        assert_eq!(unagreed_ms(&shown, at(4)), 1_500);
    }
}
