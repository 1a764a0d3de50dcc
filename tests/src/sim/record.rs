//! Keeping the ledger: which events a batch makes, and what the answers to it promise.

use std::collections::BTreeMap;

use super::bits;
use super::describe::Brief;
use super::ledger::{Entry, Wanted};
use super::monotonic::Standing;
use super::queue::{Instant, SECOND};
use super::world::{Broken, World};
use crate::invariants::Observation;
use crdt::kinds::{Leaf, cleared};
use crdt::{Context, Dot};
use ring::VnodeId;
use starling::wire::Durability;
use starling_node::protocol::event::{Effect, Event};
use starling_node::protocol::hints::kept_dot;
use starling_node::protocol::keys::{RowKey, dot_of_event_key};
use starling_node::protocol::messages::{Change, Kept, PeerReply, PeerRequest};
use starling_node::protocol::replica::Output;
use starling_node::protocol::stage::{Changes, Family};
use starling_node::protocol::vnode::{FieldEdit, Sending, Vnode, Written};

type Logged = BTreeMap<VnodeId, Vec<Event>>;
type Changed = BTreeMap<VnodeId, Vec<RowKey>>;

impl World {
    /// Enters what a batch makes. Returns the events that it logs and the rows that it changes.
    pub(crate) fn record_batch(
        &mut self,
        node: usize,
        outputs: &[Output],
        changes: &Changes,
    ) -> Result<(Logged, Changed), Broken> {
        for output in outputs {
            match output {
                Output::Written {
                    ticket,
                    result: Ok(written),
                } => {
                    self.record_write(*ticket, written)?;
                }
                Output::Call {
                    request: PeerRequest::Replicate(replicate),
                    ..
                } => {
                    replicate
                        .changes
                        .iter()
                        .for_each(|change| self.record_own(change));
                }
                _ => {}
            }
        }
        let (mut events, mut rows) = (Logged::new(), Changed::new());
        for (family, key, value) in changes.iter() {
            match (family, value) {
                (Family::Dotlog, Some(value)) => {
                    let event = decode(key, value)?;
                    if let Some(vnode) = self.vnode_of(&event.row) {
                        events.entry(vnode).or_default().push(event);
                    }
                }
                (Family::Dotlog, None) => self.record_trimmed(node, key)?,
                (Family::Data, _) => {
                    let row = RowKey::decode(key).map_err(|error| naming(&error))?;
                    if let Some(vnode) = self.vnode_of(&row) {
                        rows.entry(vnode).or_default().push(row);
                    }
                }
                (Family::Hints, value) => self.record_hint(node, key, value.is_some())?,
                (Family::Records | Family::Meta, _) => {}
            }
        }
        Ok((events, rows))
    }

    /// Enters that a node logs an event no more, and has still seen it: a damaged vnode that is
    /// emptied has seen nothing any more.
    fn record_trimmed(&mut self, node: usize, key: &[u8]) -> Result<(), Broken> {
        let dot = dot_of_event_key(key).map_err(|error| naming(&error))?;
        let entry = self.ledger.entry(dot);
        let vnode = entry.and_then(|entry| self.vnode_of(&entry.event.row));
        let process = self.nodes[node].process.as_ref();
        let clock_of = |id| Some(process?.replica.vnode(id)?.clock());
        let has_seen = |&id: &VnodeId| clock_of(id).is_some_and(|clock| clock.contains(dot));
        if let Some(vnode) = vnode.filter(has_seen) {
            self.tally.count("a dotlog entry was trimmed");
            self.ledger.trim(vnode, dot);
        }
        Ok(())
    }

    /// Enters the events of a client's write.
    fn record_write(&mut self, ticket: u64, written: &Written) -> Result<(), Broken> {
        let Some(attempt) = self.attempts.get(&ticket) else {
            return Ok(());
        };
        let operation = attempt.operation;
        if let Sending::Changes(changes) = &written.sending {
            for change in changes {
                self.record_change(operation, change)?;
            }
        } else if written.repeated {
            self.tally.count("a retry hit a record");
        }
        let dots = self.ledger.dots_of(operation);
        let dots: Vec<Dot> = dots
            .filter(|&dot| written.contexts.iter().any(|c| c.contains(dot)))
            .collect();
        if let Some(attempt) = self.attempts.get_mut(&ticket) {
            attempt.dots = dots;
        }
        Ok(())
    }

    fn record_change(&mut self, operation: usize, change: &Change) -> Result<(), Broken> {
        let Change { event, delta } = change;
        if event.operation.is_none() {
            self.record_own(change);
            return Ok(());
        }
        if let Some(earlier) = self.ledger.entry(event.dot) {
            let earlier = &earlier.event;
            return Err(("naming", format!("{event:?} reuses the dot of {earlier:?}")));
        }
        let covers = self.covered_by(operation, change);
        if event.row.leaf() == Leaf::Share && is_removal(event) {
            self.tally.count("a counter was reset");
        }
        if event.row.leaf() == Leaf::Cleared {
            self.tally.count("a collection was cleared at once");
        }
        let version = delta.versions().get(&event.dot);
        let body = version.map(|version| version.body.clone());
        let expires_ms = version.and_then(|version| version.expires_ms);
        let (event, operation) = (event.clone(), Some(operation));
        self.trace
            .say(self.queue.now(), format_args!("made {}", Brief(&event)));
        self.ledger.enter(Entry {
            event,
            operation,
            body,
            expires_ms,
            covers,
            covered_by: Vec::new(),
        });
        Ok(())
    }

    /// What an event of a client's write may take away. Where the client says what it has seen,
    /// that decides, whatever the vnode made of it; otherwise what the vnode saw.
    fn covered_by(&self, operation: usize, change: &Change) -> Context {
        let Change { event, delta } = change;
        let (prefix, path, leaf) = (event.row.prefix(), event.row.path(), event.row.leaf());
        let changes = self.ledger.operations[operation].changes.iter();
        let mut of_key = changes.filter(|w| self.ledger.subjects[w.subject].prefix == prefix);
        let mut by_vnode = delta.context().clone();
        if leaf == Leaf::Cleared {
            by_vnode.join(&Context::of(cleared::removed(delta).unwrap_or_default()));
            return by_vnode;
        }
        let Some(Wanted { context, edits, .. }) = of_key.next() else {
            return by_vnode;
        };
        let is_of_row = |edit: &&FieldEdit| path.names().starts_with(edit.path.names());
        let is_put = leaf == Leaf::Value && !is_removal(event);
        // Disabling takes away what the vnode sees, and so does a reset.
        let is_by_context = is_removal(event)
            && !matches!(leaf, Leaf::Share | Leaf::Flag)
            && edits.iter().filter(is_of_row).count() == 1
            && !context.is_empty();
        if is_put || is_by_context {
            context.clone()
        } else {
            by_vnode
        }
    }

    /// Enters an event that a vnode made of its own and spreads: an increment became void, a share
    /// that was reset was removed, or an alias.
    fn record_own(&mut self, change: &Change) {
        if self.ledger.entry(change.event.dot).is_none() {
            let is_share = change.event.row.leaf() == Leaf::Share;
            let is_removal = change.delta.versions().is_empty();
            self.tally.count(match (is_share, is_removal) {
                (true, true) => "a reset share was collected",
                (true, false) => "an increment was made void",
                (false, _) => "an alias was removed",
            });
            self.trace.say(
                self.queue.now(),
                format_args!("made {}", Brief(&change.event)),
            );
            self.ledger.enter(Entry {
                event: change.event.clone(),
                operation: None,
                body: None,
                expires_ms: None,
                covers: change.delta.context().clone(),
                covered_by: Vec::new(),
            });
        }
    }

    /// A write is let out: this node stands by it, and so do those that it says hold it.
    pub(crate) fn promise_written(&mut self, node: usize, ticket: u64, sending: &Sending) {
        let Some(attempt) = self.attempts.get(&ticket) else {
            return;
        };
        let durability = self.ledger.operations[attempt.operation].durability;
        let now = self.queue.now();
        for dot in attempt.dots.clone() {
            self.ledger.promise(dot, node, durability, now);
            let Sending::Held(holders) = sending else {
                continue;
            };
            for &holder in holders {
                let holder = self.index_of(holder);
                // What was heard from a disk that was replaced since is a promise taken back.
                if self.nodes[holder].disk_since + HEARSAY < now {
                    self.ledger.promise(dot, holder, Durability::Synced, now);
                }
            }
        }
    }

    /// A peer asks this node to store something, or to stand by what it shows: the answer will
    /// promise it.
    pub(crate) fn note_asked(&mut self, node: usize, call: u64, request: &PeerRequest) {
        if let PeerRequest::Read(read) = request
            && let Some(durability) = read.durable
            && let Some(standing) = Standing::of(&read.selection, durability)
            && let Some(process) = &mut self.nodes[node].process
        {
            process.standing.insert(call, standing);
        }
        let (dots, durability): (Vec<Dot>, _) = match request {
            PeerRequest::Replicate(replicate) | PeerRequest::Keep(Kept::Changes(replicate)) => {
                let changes = replicate.changes.iter();
                (
                    changes.map(|change| change.event.dot).collect(),
                    replicate.durability,
                )
            }
            PeerRequest::Again(again) | PeerRequest::Keep(Kept::Again(again)) => {
                (again.dots.iter().collect(), again.durability)
            }
            PeerRequest::Absorb(absorb) => {
                let events = absorb.bundle.events.iter();
                (events.map(|event| event.dot).collect(), absorb.durability)
            }
            _ => return,
        };
        if let Some(process) = &mut self.nodes[node].process {
            process.asked.insert(call, (dots, durability));
        }
    }

    /// An answer is let out.
    pub(crate) fn promise_answer(&mut self, node: usize, call: u64, reply: &PeerReply) {
        match reply {
            PeerReply::Acked => {
                let process = self.nodes[node].process.as_ref();
                let asked = process.and_then(|process| process.asked.get(&call).cloned());
                let now = self.queue.now();
                if let Some((dots, durability)) = asked {
                    for dot in dots {
                        self.ledger.promise(dot, node, durability, now);
                    }
                }
            }
            PeerReply::Rows(rows) => {
                if rows.catching_up {
                    self.tally.count("a catching-up replica did not count");
                }
                if !rows.left_out.is_empty() {
                    self.tally.count("a body was left out");
                }
                let process = self.nodes[node].process.as_ref();
                if let Some(standing) = process.and_then(|process| process.standing.get(&call)) {
                    self.promise_rows(node, &standing.clone(), rows);
                }
            }
            PeerReply::Pulled(pulled) if !pulled.bundle.rows.is_empty() => {
                self.tally.count("a pull brought rows");
            }
            PeerReply::Page(page) if page.next.is_none() => {
                self.tally.count("a full sync was finished");
            }
            _ => {}
        }
    }

    /// A replica tells its own coordinator something.
    pub(crate) fn note_told(&mut self, node: usize, output: &Output) {
        match output {
            Output::RowsRead {
                ticket,
                result: Ok(rows),
            } => self.promise_own_rows(node, *ticket, rows),
            Output::Behind { .. } => self.tally.count("a peer was far behind"),
            _ => {}
        }
    }

    /// A stand-in keeps an event, or drops it: then the owners stand by it in its place.
    fn record_hint(&mut self, node: usize, key: &[u8], is_kept: bool) -> Result<(), Broken> {
        let kept = kept_dot(key).map_err(|error| ("naming", format!("{error:?}")))?;
        let Some((vnode, dot)) = kept else {
            return Ok(());
        };
        let now = self.queue.now();
        if is_kept {
            self.tally.count("a hint was kept");
            self.ledger.keep(node, dot, now);
            return Ok(());
        }
        self.tally.count("a hint was dropped");
        let Some(since) = self.ledger.let_go(node, dot) else {
            return Ok(());
        };
        let subjects = &self.ledger.subjects;
        let owners = subjects.iter().find(|subject| subject.vnode == vnode);
        let owners = owners.map_or_else(Vec::new, |subject| subject.owners.clone());
        for owner in owners {
            let there = &self.nodes[owner];
            // What was heard of a disk that was lost since was true then.
            let has_lost = there.disk_since > 0 && there.disk_since + HEARSAY > since;
            let Some(process) = there.process.as_ref().filter(|_| !has_lost) else {
                continue;
            };
            let clock = process.replica.vnode(vnode).map(Vnode::clock);
            let Some(clock) = clock else {
                // It has begun just now, or cannot read its vnode: it cannot tell what it holds.
                continue;
            };
            let dropped = Observation::Dropped {
                node,
                dot,
                owner,
                holds: clock.contains(dot),
            };
            Self::check(&self.ledger, &dropped)?;
            let now = self.queue.now();
            self.ledger.promise(dot, owner, Durability::Synced, now);
        }
        Ok(())
    }

    fn vnode_of(&self, row: &RowKey) -> Option<VnodeId> {
        let (_, partition) = row.vnode(bits())?;
        Some(VnodeId {
            n: self.ring.layout().n(),
            partition,
        })
    }
}

fn is_removal(event: &Event) -> bool {
    let effect = event.operation.map(|operation| operation.effect);
    effect == Some(Effect::Removal)
}

/// An event in a dotlog entry: behind the mark that its row needs settling.
fn decode(key: &[u8], value: &[u8]) -> Result<Event, Broken> {
    let dot = dot_of_event_key(key).map_err(|error| naming(&error))?;
    Event::decode_value(dot, value.get(1..).unwrap_or_default()).map_err(|error| naming(&error))
}

fn naming(error: &crdt::codec::DecodeError) -> Broken {
    (
        "naming",
        format!("a batch holds bytes that cannot be read: {error}"),
    )
}

/// How long after a disk was replaced its peers may still tell what was on it.
const HEARSAY: Instant = 12 * SECOND;
