//! Reads of large values: one owner sends them, the others say which versions they have.
//!
//! Versions under equal dots are equal, so their bodies need not travel twice. What an owner has
//! left out and the answer would show, and nobody has sent, is asked for once more: that owner has
//! a version which those that sent all bodies lack.

use std::collections::{BTreeMap, BTreeSet};

use super::joined::Joined;
use crate::mutants::{self, Mutant};
use crate::protocol::messages::RowsRead;
use crdt::Dot;
use crdt::dots::DotSet;
use ring::NodeId;

/// The versions that the join of the replies shows, and of which no reply has the body.
pub(super) fn lacking(replies: &BTreeMap<NodeId, RowsRead>) -> DotSet {
    let mut lacking = DotSet::default();
    if replies.values().all(|reply| reply.left_out.is_empty())
        || mutants::is_active(Mutant::LeftOutTakenForEmpty)
    {
        return lacking;
    }
    let is_sent = |(reply, dot): &(&RowsRead, Dot)| !reply.left_out.contains(*dot);
    let sent = replies.values().flat_map(shown).filter(is_sent);
    let sent: BTreeSet<Dot> = sent.map(|(_, dot)| dot).collect();
    let mut others = replies.values().flat_map(shown);
    if others.all(|(_, dot)| sent.contains(&dot)) {
        return lacking;
    }
    let mut joined = Joined::default();
    replies.values().for_each(|reply| joined.add(reply.clone()));
    let dots = joined.rows().values().flat_map(|row| row.versions().keys());
    let unsent = dots.filter(|dot| !sent.contains(dot));
    unsent.for_each(|&dot| lacking.insert(dot));
    lacking
}

/// Who has left out one of these bodies.
pub(super) fn left_out_by(replies: &BTreeMap<NodeId, RowsRead>, dots: &DotSet) -> Vec<NodeId> {
    let has_one = |reply: &RowsRead| dots.iter().any(|dot| reply.left_out.contains(dot));
    let holders = replies.iter().filter(|(_, reply)| has_one(reply));
    holders.map(|(&node, _)| node).collect()
}

/// What a reply shows.
fn shown(reply: &RowsRead) -> impl Iterator<Item = (&RowsRead, Dot)> {
    let versions = reply.rows.iter().flat_map(|keyed| keyed.row.versions());
    versions.map(move |(&dot, _)| (reply, dot))
}
