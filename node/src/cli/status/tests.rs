//! Members as tests of this screen want them.

use starling::wire::{MemberStatus, MemberView, ScrubStatus};

/// A member that is well, or away.
pub(super) fn member(node: u64, reachable: bool) -> MemberStatus {
    MemberStatus {
        node,
        name: format!("n{node}"),
        zone: "z".to_owned(),
        address: format!("h{node}:7401"),
        reachable,
        note: String::new(),
        rtt_us: 0,
        vnodes: 16,
        catching_up: 0,
        rows: 0,
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
