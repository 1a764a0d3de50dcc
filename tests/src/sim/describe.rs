//! Messages in a line each, for who reads a trace.

use std::fmt;

use starling_node::protocol::event::Event;
use starling_node::protocol::messages::{Bundle, Cursor, Kept, PeerReply, PeerRequest};

/// A request in brief.
pub(crate) struct Request<'a>(pub(crate) &'a PeerRequest);

/// A reply in brief.
pub(crate) struct Reply<'a>(pub(crate) &'a PeerReply);

/// An event in brief.
pub(crate) struct Brief<'a>(pub(crate) &'a Event);

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PeerRequest::Replicate(replicate) => {
                write!(f, "replicate at {:?}", replicate.durability)?;
                replicate
                    .changes
                    .iter()
                    .try_for_each(|c| write!(f, ", {}", Brief(&c.event)))
            }
            PeerRequest::Absorb(absorb) => {
                write!(f, "absorb at {:?}", absorb.durability)?;
                bundle(&absorb.bundle, f)
            }
            PeerRequest::Keep(Kept::Changes(replicate)) => {
                f.write_str("keep: ")?;
                Request(&PeerRequest::Replicate(replicate.clone())).fmt(f)
            }
            PeerRequest::Keep(Kept::Again(again)) => {
                f.write_str("keep: ")?;
                Request(&PeerRequest::Again(again.clone())).fmt(f)
            }
            PeerRequest::Again(again) => {
                let mut ranges = again.dots.ranges();
                f.write_str("again:")?;
                ranges.try_for_each(|(actor, a, b)| write!(f, " {actor}·{a}..={b}"))
            }
            PeerRequest::Read(read) => write!(f, "read of {:?}", read.vnode.partition),
            PeerRequest::Grant(grant) => {
                write!(f, "{} rights of {:?}", grant.lacking, grant.vnode.partition)
            }
            PeerRequest::Repair { vnode, .. } => write!(f, "repair of {:?}", vnode.partition),
            PeerRequest::Compare(prints) => write!(f, "compare {} clocks", prints.len()),
            PeerRequest::Pull(pull) => {
                write!(
                    f,
                    "pull of {:?} for {:016x}:",
                    pull.vnode.partition, pull.incarnation
                )?;
                let mut ranges = pull.want.ranges();
                ranges.try_for_each(|(actor, a, b)| write!(f, " {actor}·{a}..={b}"))
            }
            PeerRequest::PullKey(pull) => write!(f, "pull of a key of {:?}", pull.vnode.partition),
            PeerRequest::Sync(sync) => {
                write!(
                    f,
                    "sync of {:?} after {:?}",
                    sync.vnode.partition,
                    sync.from != Cursor::Rows
                )
            }
            PeerRequest::Examine(examine) => {
                let ranges = examine.bounds.len().saturating_sub(1);
                write!(
                    f,
                    "content of {ranges} ranges of {:?}",
                    examine.vnode.partition
                )
            }
        }
    }
}

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PeerReply::Acked => f.write_str("acked"),
            PeerReply::Rows(rows) => {
                let behind = if rows.catching_up {
                    ", catching up"
                } else {
                    ""
                };
                write!(f, "{} rows{behind}", rows.rows.len())
            }
            PeerReply::Differences(found) => {
                write!(
                    f,
                    "{} clocks differ, {} unknown",
                    found.differing.len(),
                    found.unknown.len()
                )
            }
            PeerReply::Pulled(pulled) => {
                let trimmed = pulled.trimmed.len();
                write!(f, "pulled, {trimmed} trimmed, more: {}", pulled.more)?;
                bundle(&pulled.bundle, f)
            }
            PeerReply::Page(page) => {
                let rows = page.bundle.rows.len();
                write!(f, "a page of {rows} rows, last: {}", page.next.is_none())
            }
            PeerReply::Examined(examined) => write!(f, "content: {:x?}", examined.digests),
            PeerReply::Refused(refusal) => write!(f, "refused: {refusal:?}"),
        }
    }
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            dot,
            row,
            operation,
            ..
        } = self.0;
        let key = row.as_bytes().get(17..).unwrap_or_default().escape_ascii();
        match operation {
            Some(operation) => {
                let id = operation.id;
                let (client, sequence) = (id.client, id.sequence);
                write!(f, "{dot} c{client}#{sequence} {:?} {key}", operation.effect)
            }
            None => write!(f, "{dot} void {key}"),
        }
    }
}

fn bundle(bundle: &Bundle, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, ", {} rows", bundle.rows.len())?;
    bundle
        .events
        .iter()
        .try_for_each(|event| write!(f, ", {}", Brief(event)))
}
