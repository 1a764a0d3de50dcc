//! What this node can tell of one member: what it says of itself, what it is held for, how it is
//! heard.

use std::time::Duration;

use super::Shell;
use ring::detector::Edge;
use ring::{Member, NodeId};
use starling::wire::{
    EdgeInfo, Failure, FailureKind, MemberInfo, MemberView, Outcome, RecordInfo, Response,
    Suspecting,
};

impl Shell {
    /// All that is known of a member.
    pub(super) fn member_info(&self, id: NodeId) -> Response {
        let now = self.clock.time().since_start();
        let Some(member) = self.gossip.members().member(id) else {
            return Response::Failed(Failure {
                kind: FailureKind::BadRequest,
                outcome: Outcome::NotApplied,
                message: format!(
                    "this node knows no member {id}; nothing was done: `starling status` lists them"
                ),
                retry_after_ms: 0,
            });
        };
        let mut edges = self.gossip.edges();
        let edge = edges.find(|(subject, _)| *subject == id);
        Response::MemberInfo(MemberInfo {
            asked: self.here.node.0,
            asked_name: self.name_of(self.here.node),
            asked_health: self.gossip.health().score(),
            node: id.0,
            record: record_info(member),
            view: self.view_of(id),
            edge: edge.map(|(_, edge)| edge_info(now, edge)),
        })
    }

    /// What a member is held for.
    pub(super) fn view_of(&self, id: NodeId) -> MemberView {
        let now = self.clock.time().since_start();
        let Some(status) = self.gossip.status(now, id) else {
            return MemberView::default();
        };
        let suspicions = self.gossip.suspicions(now, id).into_iter();
        let suspected_by = suspicions.map(|suspicion| Suspecting {
            node: suspicion.observer.0,
            name: self.name_of(suspicion.observer),
            phi_hundredths: hundredths(suspicion.level.phi()),
            age_ms: milliseconds(suspicion.age),
        });
        MemberView {
            state: status.state,
            for_ms: milliseconds(now.saturating_sub(status.since)),
            phi_hundredths: status.phi.map(hundredths),
            suspected_by: suspected_by.collect(),
            is_quarantined: status.is_quarantined,
        }
    }
}

fn record_info(member: &Member) -> RecordInfo {
    RecordInfo {
        name: member.name.as_str().to_owned(),
        zone: member.zone.as_str().to_owned(),
        addresses: member.addresses.iter().map(ToString::to_string).collect(),
        http: member
            .http
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        weight: member.weight,
        boot: member.incarnation.boot,
        refutations: member.incarnation.refutations,
        version: member.version,
    }
}

fn edge_info(now: Duration, edge: &Edge) -> EdgeInfo {
    let micros = |seconds: f64| {
        // An interval is at most 71 minutes, and never negative.
        let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
    };
    let short = |interval: Duration| u32::try_from(interval.as_micros()).unwrap_or(u32::MAX);
    EdgeInfo {
        heard_ms_ago: milliseconds(now.saturating_sub(edge.heard())),
        mean_us: micros(edge.mean()),
        sigma_us: micros(edge.sigma()),
        intervals_us: edge.intervals().map(short).collect(),
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A phi, which is between 0 and 300, as a whole number.
fn hundredths(phi: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is between 0 and 30,000"
    )]
    let hundredths = (phi * 100.0).round().clamp(0.0, 30_000.0) as u32;
    hundredths
}
