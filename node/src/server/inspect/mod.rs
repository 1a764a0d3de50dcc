//! What every owner holds of a key, for people: rows, dots, clocks, and who lacks what.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;

use super::desk::{Desk, Known, bucket};
use super::failure::{self, Work};
use super::shown::Inspected;
use crate::protocol::coordinator::OrderFailed;
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{KeyedRow, RowsRead};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Actor, Dot, Row, Version};
use ring::NodeId;
use starling::wire::{Failure, Inspection, ReplicaState, Response, RowState, VersionState};

/// What one owner answered.
pub(super) type Answer = (NodeId, Result<RowsRead, OrderFailed>);

impl Desk {
    /// Compares the owners' rows.
    pub(super) fn inspected(
        &self,
        key: &Inspected,
        answers: &[Answer],
    ) -> Result<Response, Failure> {
        let known = self.known()?;
        if let [(node, Err(failed @ (OrderFailed::NotOwner | OrderFailed::Overloaded)))] = answers
            && *node == self.node
        {
            return Err(failure::of_order(*failed, Work::Read));
        }
        let findings = Findings::of(answers);
        let mut cut = false;
        let replicas = answers.iter().map(|(node, answer)| {
            let name = known.name_of(*node);
            match answer {
                Ok(rows) => show(*node, name, rows, &findings, &mut cut),
                Err(failed) => absent(*node, name, *failed),
            }
        });
        let replicas = replicas.collect();
        let mut verdict = findings.verdict(known);
        if cut {
            verdict.push_str("; rows and bodies beyond what one answer holds are left out");
        }
        Ok(Response::Inspection(Inspection {
            bucket: bucket(&key.bucket, known.ring.layout()),
            token: key.token.0,
            partition: key.partition.0,
            replicas,
            equal: findings.are_equal(),
            verdict,
        }))
    }
}

/// What a comparison of the owners' rows finds, by owner.
struct Findings {
    owners: usize,
    /// Those that did not answer.
    absent: Vec<NodeId>,
    /// Versions that some owner shows and this one has not seen.
    lacks: BTreeMap<NodeId, BTreeSet<Dot>>,
    /// Versions that it shows and another owner has seen go.
    outdated: BTreeMap<NodeId, BTreeSet<Dot>>,
    /// Owners show different things under one dot, which never happens.
    contradict: bool,
}

impl Findings {
    fn of(answers: &[Answer]) -> Self {
        let replies: Vec<(NodeId, &RowsRead)> = answers
            .iter()
            .filter_map(|(node, answer)| Some((*node, answer.as_ref().ok()?)))
            .collect();
        let mut shown: BTreeMap<(&RowKey, Dot), &Version> = BTreeMap::new();
        let mut contradict = false;
        for (key, dot, version) in replies.iter().flat_map(|(_, rows)| versions(rows)) {
            contradict |= shown
                .insert((key, dot), version)
                .is_some_and(|other| other != version);
        }
        let (mut lacks, mut outdated) = (BTreeMap::new(), BTreeMap::new());
        for (node, rows) in &replies {
            let held: BTreeSet<(&RowKey, Dot)> =
                versions(rows).map(|(key, dot, _)| (key, dot)).collect();
            for &(key, dot) in shown.keys().filter(|version| !held.contains(version)) {
                if rows.clock.contains(dot) {
                    let showing = replies.iter().filter(|(_, other)| shows(other, key, dot));
                    for (other, _) in showing {
                        outdated
                            .entry(*other)
                            .or_insert_with(BTreeSet::new)
                            .insert(dot);
                    }
                } else {
                    lacks.entry(*node).or_insert_with(BTreeSet::new).insert(dot);
                }
            }
        }
        let absent = answers.iter().filter(|(_, answer)| answer.is_err());
        Self {
            owners: answers.len(),
            absent: absent.map(|(node, _)| *node).collect(),
            lacks,
            outdated,
            contradict,
        }
    }

    fn agree(&self) -> bool {
        self.lacks.is_empty() && self.outdated.is_empty() && !self.contradict
    }

    fn are_equal(&self) -> bool {
        self.agree() && self.absent.is_empty()
    }

    fn verdict(&self, known: &Known) -> String {
        let mut words = Vec::new();
        if self.are_equal() {
            words.push(format!("all {} replicas are equal", self.owners));
        } else if self.agree() {
            words.push("the replicas that answered are equal".to_owned());
        }
        let name = |node: &NodeId| known.name_of(*node);
        words.extend(
            self.absent
                .iter()
                .map(|node| format!("{} did not answer", name(node))),
        );
        words.extend(self.lacks.iter().map(|(node, dots)| {
            format!("{} lacks {} that others hold", name(node), counted(dots))
        }));
        words.extend(self.outdated.iter().map(|(node, dots)| {
            let (name, dots) = (name(node), counted(dots));
            format!("{name} shows {dots} that others have seen overwritten or deleted")
        }));
        if self.contradict {
            words.push("one dot stands for different versions: report this as a bug".to_owned());
        }
        words.join("; ")
    }
}

fn versions(rows: &RowsRead) -> impl Iterator<Item = (&RowKey, Dot, &Version)> {
    rows.rows.iter().flat_map(|keyed| {
        keyed
            .row
            .versions()
            .iter()
            .map(|(&dot, version)| (&keyed.key, dot, version))
    })
}

fn shows(rows: &RowsRead, key: &RowKey, dot: Dot) -> bool {
    let row = rows.rows.iter().find(|keyed| keyed.key == *key);
    row.is_some_and(|keyed| keyed.row.versions().contains_key(&dot))
}

fn counted(dots: &BTreeSet<Dot>) -> String {
    if dots.len() == 1 {
        "1 version".to_owned()
    } else {
        format!("{} versions", dots.len())
    }
}

fn show(
    node: NodeId,
    name: String,
    read: &RowsRead,
    findings: &Findings,
    cut: &mut bool,
) -> ReplicaState {
    *cut |= read.rows.len() > MAX_ROWS;
    let mut room = MAX_BODIES;
    let rows = read.rows.iter().take(MAX_ROWS);
    let rows = rows.map(|keyed| show_row(keyed, &mut room, cut)).collect();
    let lacks = findings.lacks.get(&node).into_iter().flatten();
    ReplicaState {
        node: node.0,
        name,
        error: String::new(),
        catching_up: read.catching_up,
        rows,
        clock: dots_as_text(read.clock.dots()),
        lacks: lacks.map(ToString::to_string).collect(),
    }
}

fn absent(node: NodeId, name: String, failed: OrderFailed) -> ReplicaState {
    let error = match failed {
        OrderFailed::Unavailable { .. } | OrderFailed::TooFewStandIns { .. } => {
            "it cannot be reached".to_owned()
        }
        OrderFailed::TooFewAnswers { .. } => "it did not answer in time".to_owned(),
        OrderFailed::NotOwner
        | OrderFailed::Overloaded
        | OrderFailed::Rejected(_)
        | OrderFailed::Refused(_)
        | OrderFailed::Unconfirmed { .. }
        | OrderFailed::SessionBehind
        | OrderFailed::SessionLost
        | OrderFailed::Unknown
        | OrderFailed::BelowQuorum { .. } => failure::of_order(failed, Work::Read).message,
    };
    ReplicaState {
        node: node.0,
        name,
        error,
        catching_up: false,
        rows: Vec::new(),
        clock: Vec::new(),
        lacks: Vec::new(),
    }
}

fn show_row(keyed: &KeyedRow, room: &mut usize, cut: &mut bool) -> RowState {
    let KeyedRow { key, row } = keyed;
    let names = key.path().names().to_vec().into_iter();
    RowState {
        path: names.map(|name| ByteBuf::from(Vec::from(name))).collect(),
        leaf: key.leaf().name().to_owned(),
        part: ByteBuf::from(text::part(key)),
        versions: show_versions(key.leaf(), row, room, cut),
        context: dots_as_text(row.context().dots()).join(" "),
    }
}

fn show_versions(leaf: Leaf, row: &Row, room: &mut usize, cut: &mut bool) -> Vec<VersionState> {
    let shown = row.versions().iter().map(|(&dot, version)| {
        let mut body = text::body(leaf, dot, version);
        *cut |= body.len() > *room;
        body.truncate(*room);
        *room -= body.len();
        VersionState {
            dot: dot.to_string(),
            hlc_ms: version.hlc.milliseconds(),
            operation: version.op.map(|op| op.to_string()).unwrap_or_default(),
            expires_ms: version.expires_ms,
            body: ByteBuf::from(body),
        }
    });
    shown.collect()
}

/// One entry for each actor: `0a1b2c3d.4e5f6071 1-57 60`.
fn dots_as_text(dots: &DotSet) -> Vec<String> {
    let mut actors: BTreeMap<Actor, String> = BTreeMap::new();
    for (actor, first, last) in dots.ranges() {
        let text = actors.entry(actor).or_insert_with(|| actor.to_string());
        text.push_str(&if first == last {
            format!(" {first}")
        } else {
            format!(" {first}-{last}")
        });
    }
    actors.into_values().collect()
}

/// Rows shown of one replica.
const MAX_ROWS: usize = 1_000;

/// Bytes of bodies shown of one replica, so that seven of them fit into a message.
const MAX_BODIES: usize = 512 << 10;
