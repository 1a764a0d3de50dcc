//! Session tokens: what a session has seen of one vnode, opaque and authenticated (format 1; there
//! is no predecessor).
//!
//! ```text
//!   +------+----+-----------+---------------------------+---------------+------------------------+
//!   | kind | n  | partition | until, ms since the epoch | crdt::DotSet  | authenticator          |
//!   | 0x51 | u8 | u64       | u64 big endian            | events seen   | u64 big endian         |
//!   +------+----+-----------+---------------------------+---------------+------------------------+
//! ```
//!
//! The time is that by which the session was last told what has expired: for a node whose clock is
//! behind, it does not expire anew.

use serde_bytes::ByteBuf;

use super::accept::Accepted;
use super::desk::Desk;
use super::failure;
use super::token::{BadToken, TokenKey};
use crate::protocol::coordinator::{Order, Outcome};
use crate::protocol::time::Moment;
use crdt::codec::{Decoder, Encoder};
use crdt::dots::DotSet;
use ring::{PartitionId, ReplicaCount, VnodeId};
use starling::wire::{
    Failure, MAX_CONTEXT, Response, SessionDone, SessionRequest, SessionResponse, SessionWork,
};

/// What the answer to a session's request is sealed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealing {
    vnode: VnodeId,
    until_ms: u64,
}

/// What a session has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    dots: DotSet,
    until_ms: u64,
}

impl Desk {
    /// A request of a session, with what it has seen.
    pub(super) fn take_in_session(
        &self,
        now: Moment,
        request: &SessionRequest,
    ) -> Result<Accepted, Failure> {
        request.check().map_err(|error| failure::of_limit(&error))?;
        let tokens = &self.known()?.tokens;
        let opened = request.seen.iter().map(|token| open(tokens, token));
        let opened = opened.collect::<Result<Vec<_>, _>>();
        let opened = opened.map_err(|bad| failure::bad_session(&bad))?;
        // What ends is judged by the latest time by which the session was told anything.
        let latest = opened.iter().map(|(_, seen)| seen.until_ms).max();
        let until_ms = now.wall_ms.max(latest.unwrap_or(0));
        let moment = Moment {
            wall_ms: until_ms,
            ..now
        };
        let accepted = match &request.work {
            SessionWork::Read(read) => self.take_read(moment, read),
            SessionWork::Scan(scan) => self.take_scan(moment, scan),
            SessionWork::Write(write) => self.take_write(moment, write),
        }?;
        let Accepted::Order { mut order, shape } = accepted else {
            return Ok(accepted);
        };
        let (vnode, session) = match &mut order {
            Order::Read(read) | Order::Inspect(read) => (read.vnode, &mut read.session),
            Order::Write(write) => (write.vnode, &mut write.session),
        };
        let mut dots = DotSet::default();
        for (of, seen) in &opened {
            if of.partition != vnode.partition {
                return Err(failure::bad_session(&BadToken::OtherKey));
            }
            // A session knows a partition by its number: buckets with another n come along.
            if of.n == vnode.n {
                dots.join(&seen.dots);
            }
        }
        *session = Some(dots);
        let shape = shape.in_session(Sealing { vnode, until_ms });
        Ok(Accepted::Order { order, shape })
    }

    /// What a session has seen when it is told this, if it is told anything.
    pub(super) fn seal_seen(&self, sealing: Sealing, outcome: &Outcome) -> Option<ByteBuf> {
        let dots = match outcome {
            Outcome::Read(Ok(done)) => &done.seen,
            Outcome::Written(Ok(done)) => &done.seen,
            Outcome::Read(Err(_)) | Outcome::Written(Err(_)) | Outcome::Inspected(_) => {
                return None;
            }
        };
        let tokens = &self.known().ok()?.tokens;
        let seen = Seen {
            dots: dots.clone(),
            until_ms: sealing.until_ms,
        };
        Some(ByteBuf::from(seal(tokens, sealing.vnode, &seen)))
    }
}

/// An answer with what its session has seen. Failures go as they are.
pub(super) fn in_session(response: Response, seen: ByteBuf) -> Response {
    let done = match response {
        Response::Read(read) => SessionDone::Read(read),
        Response::Scanned(scanned) => SessionDone::Scanned(scanned),
        Response::Written(written) => SessionDone::Written(written),
        other => return other,
    };
    if seen.len() > MAX_CONTEXT {
        return Response::Failed(failure::session_too_large(&done));
    }
    Response::InSession(Box::new(SessionResponse { seen, done }))
}

fn seal(tokens: &TokenKey, vnode: VnodeId, seen: &Seen) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(64);
    encoder.u8(KIND);
    encoder.u8(vnode.n.into());
    encoder.u64(u64::from(vnode.partition.0));
    encoder.u64(seen.until_ms);
    seen.dots.encode(&mut encoder);
    let mut token = encoder.finish();
    let authenticator = tokens.authenticator(&token);
    token.extend_from_slice(&authenticator.to_be_bytes());
    token
}

fn open(tokens: &TokenKey, token: &[u8]) -> Result<(VnodeId, Seen), BadToken> {
    let (signed, authenticator) = token.split_last_chunk::<8>().ok_or(BadToken::Truncated)?;
    match signed.first() {
        Some(&KIND) => {}
        Some(&found) => return Err(BadToken::UnknownVersion { found }),
        None => return Err(BadToken::Truncated),
    }
    if tokens.authenticator(signed) != u64::from_be_bytes(*authenticator) {
        return Err(BadToken::Forged);
    }
    let mut decoder = Decoder::new(signed.get(1..).ok_or(BadToken::Truncated)?);
    let mut read = || {
        let n = decoder.u8("n")?;
        let partition = decoder.u64("partition")?;
        let until_ms = decoder.u64("until")?;
        let dots = DotSet::decode(&mut decoder)?;
        Ok((n, partition, Seen { dots, until_ms }))
    };
    let (n, partition, seen) = read().map_err(BadToken::Malformed)?;
    decoder.finish().map_err(BadToken::Malformed)?;
    let n = ReplicaCount::new(n).map_err(|_none| BadToken::OtherCluster)?;
    let partition = u32::try_from(partition).map_err(|_none| BadToken::OtherCluster)?;
    let partition = PartitionId(partition);
    Ok((VnodeId { n, partition }, seen))
}

/// The first byte of a session token: no context token begins with it.
const KIND: u8 = 0x51;

#[cfg(test)]
mod tests {
    use super::{BadToken, DotSet, PartitionId, ReplicaCount, Seen, TokenKey, VnodeId, open, seal};
    use crate::protocol::cluster::Secret;
    use crdt::{Actor, Dot};
    use ring::ClusterId;

    fn vnode() -> VnodeId {
        VnodeId {
            n: ReplicaCount::DEFAULT,
            partition: PartitionId(5),
        }
    }

    fn seen() -> Seen {
        let mut dots = DotSet::default();
        dots.insert_range(Actor { node: 1, nonce: 2 }, 1, 7);
        dots.insert(Dot::new(Actor { node: 3, nonce: 4 }, 9));
        Seen {
            dots,
            until_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_token_says_what_was_seen_of_which_vnode() {
        let key = TokenKey::new(ClusterId(7), &Secret::new([9; 16]));
        let token = seal(&key, vnode(), &seen());
        assert_eq!(open(&key, &token), Ok((vnode(), seen())));
    }

    #[test]
    fn a_token_that_was_changed_or_is_none_is_refused() {
        let key = TokenKey::new(ClusterId(7), &Secret::new([9; 16]));
        let token = seal(&key, vnode(), &seen());
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert!(open(&key, &changed).is_err(), "byte {at}");
        }
        for end in 0..token.len() {
            assert!(open(&key, &token[..end]).is_err(), "{end} bytes");
        }
        let other = TokenKey::new(ClusterId(7), &Secret::new([8; 16]));
        assert_eq!(open(&other, &token), Err(BadToken::Forged));
    }
}
