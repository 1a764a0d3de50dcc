//! Messages from peers: what each is answered with.

use std::time::Duration;

use super::wire::{Envelope, Item, Message, MessageError};
use super::{Carriage, Gossip};
use crate::id::NodeId;
use crate::membership::{Incarnation, MemberState};

impl Gossip {
    /// A peer, who is `from` by its certificate, has sent these bytes, by datagram or stream.
    ///
    /// # Errors
    /// When they are no message of this cluster and version, or the sender was removed. They are
    /// dropped and nothing is changed.
    pub fn handle_message(
        &mut self,
        now: Duration,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<(), MessageError> {
        let envelope = Envelope::decode(bytes, self.cluster)?;
        if from == self.own.id || self.is_removed() {
            return Ok(());
        }
        let sender = self.members.member(from);
        if let Some(removed) = sender.filter(|member| member.state == MemberState::Removed) {
            // It is told, so that it stops. It cannot be made to answer more than it asks.
            let record = Item::Member(Box::new(removed.clone()));
            if is_greeting(&envelope.message) {
                self.send(from, Message::Push(vec![record]));
            }
            return Err(MessageError::Removed { from });
        }
        self.hear(now, from, &envelope);
        let incarnation = self.own.incarnation;
        self.answer(now, from, envelope.message);
        if self.own.incarnation > incarnation && !self.is_removed() {
            // Whoever has told this node that it is suspected hears at once that it is not.
            let own = Item::Member(Box::new(self.own.clone()));
            self.send(from, Message::Push(vec![own]));
        }
        self.refresh(now);
        Ok(())
    }

    fn answer(&mut self, now: Duration, from: NodeId, message: Message) {
        match message {
            Message::Heartbeat => {}
            Message::Push(items) => self.take_in(now, items, true),
            Message::Ping { nonce } => self.send(from, Message::Ack { nonce }),
            Message::Ack { nonce } => self.handle_ack(now, from, nonce),
            Message::Probe { nonce, subject } => self.handle_probe(now, from, nonce, subject),
            Message::Probed { nonce, is_alive } => self.handle_probed(now, nonce, is_alive),
            Message::Pull { root } => self.handle_pull(from, root),
            Message::Buckets { salt, fingerprints } => {
                self.handle_buckets(from, salt, &fingerprints);
            }
            Message::Summary(buckets) => self.handle_summary(now, from, &buckets),
            Message::Want(ids) => self.handle_want(now, from, &ids),
            Message::Join(items) => {
                self.take_in(now, items, true);
                self.send_everything(now, from);
            }
            Message::Page { is_last, items } => {
                self.take_in(now, items, false);
                if is_last {
                    self.joining = None;
                }
            }
        }
    }

    /// Any message shows that its sender lives, in the incarnation it names.
    fn hear(&mut self, now: Duration, from: NodeId, envelope: &Envelope) {
        let incarnation = envelope.incarnation;
        let known = self.members.member(from).map(|member| member.incarnation);
        let is_known = known.is_some_and(|known| known >= incarnation);
        if let Some(watch) = self.watches.get_mut(&from) {
            let is_heartbeat = envelope.message == Message::Heartbeat;
            watch.handle_heard(now, is_heartbeat, &self.config.detector);
        }
        if is_greeting(&envelope.message) {
            if !is_known {
                self.send(from, Message::Want(vec![from]));
            }
            self.tell_of_suspicion(now, from, incarnation);
        }
        self.take_back(now, from, incarnation);
    }

    /// Tells a peer what is said of the incarnation that it speaks in, so that it can refute it.
    fn tell_of_suspicion(&mut self, now: Duration, peer: NodeId, incarnation: Incarnation) {
        let case = self.verdicts.case(peer);
        if case.is_none_or(|(suspected, _)| suspected < incarnation) {
            return;
        }
        let evidence = self.verdicts.evidence(now, peer);
        if !evidence.is_empty() {
            let items = evidence.into_iter().map(Item::Suspicion).collect();
            self.send_items(peer, items, true);
        }
    }

    /// Puts a message on its way, as a datagram if it fits into one.
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        let bytes = self.encode(message);
        let carriage = if bytes.len() <= super::MAX_DATAGRAM {
            Carriage::Datagram
        } else {
            Carriage::Stream
        };
        self.transmits.push_back(super::Transmit {
            to,
            bytes,
            carriage,
        });
    }

    /// The bytes of a message from this node.
    pub(super) fn encode(&self, message: Message) -> Vec<u8> {
        let envelope = Envelope {
            incarnation: self.own.incarnation,
            message,
        };
        envelope.encode(self.cluster)
    }
}

/// Whether a message comes by the clock and not as an answer: only these are answered with what
/// the sender did not ask for, so that nothing goes back and forth for ever.
fn is_greeting(message: &Message) -> bool {
    match message {
        Message::Heartbeat | Message::Ping { .. } | Message::Pull { .. } | Message::Join(_) => true,
        Message::Push(_)
        | Message::Ack { .. }
        | Message::Probe { .. }
        | Message::Probed { .. }
        | Message::Buckets { .. }
        | Message::Summary(_)
        | Message::Want(_)
        | Message::Page { .. } => false,
    }
}
