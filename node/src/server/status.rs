//! What a node tells of its cluster.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::desk::{Desk, Known};
use ring::{Member, NodeId};
use starling::wire::{HintStatus, MemberStatus, MemberView, Response, ScrubStatus, Status};

/// What the node's shell has measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusInput {
    /// Of this node.
    pub here: HereStatus,
    /// Of the peers that were ever called; one that is missing counts as not reachable.
    pub peers: BTreeMap<NodeId, PeerStatus>,
}

/// What a node knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HereStatus {
    /// What it is doing besides serving; empty for nothing.
    pub note: String,
    /// Vnodes that are catching up.
    pub catching_up: u32,
    /// Rows it holds, roughly.
    pub rows: u64,
    /// Bytes on its disk.
    pub disk_bytes: u64,
    /// Client reads it has coordinated since it started.
    pub reads: u64,
    /// Client writes it has coordinated since it started.
    pub writes: u64,
    /// What it keeps for owners that were away.
    pub hints: Vec<HintStatus>,
    /// Vnodes that are damaged and in no use.
    pub vnodes_quarantined: u32,
    /// What came of comparing contents.
    pub scrub: ScrubStatus,
    /// How far its wall clock is ahead of those of most nodes, in milliseconds; 0 if it agrees.
    pub clock_ahead_ms: i64,
    /// Partitions for whose owners it keeps what is damaged or cannot be read.
    pub hints_damaged: u32,
}

/// What a node knows of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerStatus {
    /// Does it count as reachable: do calls to it succeed, and is it not held for down?
    pub reachable: bool,
    /// Why not, or what it is doing.
    pub note: String,
    /// Round trip in microseconds; 0 when unknown.
    pub rtt_us: u64,
    /// Dots that the peer has and this node lacks.
    pub missing_here: u64,
    /// Dots that this node has and the peer lacks.
    pub missing_there: u64,
    /// What this node holds it for.
    pub view: MemberView,
}

impl Desk {
    /// The answer to a status request.
    #[must_use]
    pub fn status(&self, input: &StatusInput) -> Response {
        let known = match self.known() {
            Ok(known) => known,
            Err(failure) => return Response::Failed(failure),
        };
        let (here, others): (Vec<_>, Vec<_>) = known
            .members
            .iter()
            .partition(|member| member.id == self.node);
        let here = here
            .into_iter()
            .map(|member| known.here(member, &input.here));
        let peers = others.into_iter().map(|member| {
            let unheard = PeerStatus {
                note: "not reached yet".to_owned(),
                ..PeerStatus::default()
            };
            known.peer(member, input.peers.get(&member.id).unwrap_or(&unheard))
        });
        let layout = known.ring.layout();
        Response::Status(Status {
            cluster: ByteBuf::from(known.ring.cluster().0.to_be_bytes().to_vec()),
            node: self.node.0,
            layout: layout.id().to_string(),
            partitions: layout.q_bits().partition_count(),
            members: here.chain(peers).collect(),
        })
    }
}

impl Known {
    fn here(&self, member: &Member, here: &HereStatus) -> MemberStatus {
        MemberStatus {
            reachable: true,
            note: here.note.clone(),
            catching_up: here.catching_up,
            rows: here.rows,
            disk_bytes: here.disk_bytes,
            reads: here.reads,
            writes: here.writes,
            hints: here.hints.clone(),
            vnodes_quarantined: here.vnodes_quarantined,
            scrub: here.scrub,
            clock_ahead_ms: here.clock_ahead_ms,
            hints_damaged: here.hints_damaged,
            ..self.listed(member)
        }
    }

    fn peer(&self, member: &Member, peer: &PeerStatus) -> MemberStatus {
        MemberStatus {
            reachable: peer.reachable,
            note: peer.note.clone(),
            rtt_us: peer.rtt_us,
            missing_here: peer.missing_here,
            missing_there: peer.missing_there,
            view: peer.view.clone(),
            ..self.listed(member)
        }
    }

    /// What a member says of itself, and what the layout gives it.
    fn listed(&self, member: &Member) -> MemberStatus {
        let layout = self.ring.layout();
        let vnodes = layout.vnodes_of(member.id, &[layout.n()]).count();
        MemberStatus {
            node: member.id.0,
            name: member.name.as_str().to_owned(),
            zone: member.zone.as_str().to_owned(),
            address: member
                .addresses
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            reachable: false,
            note: String::new(),
            rtt_us: 0,
            vnodes: u32::try_from(vnodes).unwrap_or(u32::MAX),
            catching_up: 0,
            rows: member.load.rows,
            disk_bytes: 0,
            reads: 0,
            writes: 0,
            missing_here: 0,
            missing_there: 0,
            view: MemberView::default(),
            hints: Vec::new(),
            vnodes_quarantined: 0,
            scrub: ScrubStatus::default(),
            clock_ahead_ms: 0,
            hints_damaged: 0,
        }
    }
}
