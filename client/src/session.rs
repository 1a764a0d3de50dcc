//! Sessions: who writes, reads its writes, and who has read, never goes back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_bytes::ByteBuf;

use crate::bucket::Bucket;
use crate::client::{Client, Plan};
use crate::error::{Error, ErrorKind};
use crate::hex;
use crate::wire::{Outcome, Request, Response, SessionRequest, SessionWork};
use ring::NodeId;

/// Operations that build on each other, in one process or in several: [`Session::token`] makes it
/// a text, with which [`Client::resume`] goes on elsewhere.
///
/// Whichever node answers, and with any r and w, an operation of a session finds
///
/// - what the session has written (*read your writes*),
/// - nothing older than what it has read (*monotonic reads*), also of what has expired,
/// - and as a write, it is entered by an owner that holds all that the session has read and written
///   of the key's partition (*writes follow reads*, *monotonic writes*): what it removes or counts
///   up is that. A value that is put replaces what its context covers, as without a session.
///
/// or it fails: as [`SessionBehind`](ErrorKind::SessionBehind) if no owner that has it answers in
/// time, as [`SessionLost`](ErrorKind::SessionLost) if it is lost. Operations that are under way at
/// the same time do not know of each other. Writes that failed are not promised; listings of a
/// bucket's keys take no part.
///
/// A session remembers a few bytes for each actor that has written in each partition it has used,
/// and goes on until it holds [`MOST_SESSION_BYTES`](crate::MOST_SESSION_BYTES).
///
/// ```no_run
/// # async fn run(client: starling::Client) -> Result<(), starling::Error> {
/// let session = client.session();
/// session.bucket("users").put("ada", "Ada").await?;
/// let token = session.token(); // in a header, say
///
/// let elsewhere = client.resume(&token)?;
/// let read = elsewhere.bucket("users").get("ada").r(1).await?;
/// assert!(!read.siblings().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    client: Client,
    seen: Arc<Mutex<Seen>>,
}

/// By partition the tokens that nodes gave. There are several only where operations were under way
/// at the same time, until the next one joins them.
type Seen = BTreeMap<u32, Vec<ByteBuf>>;

impl Session {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            seen: Arc::default(),
        }
    }

    pub(crate) fn resume(client: Client, token: &str) -> Result<Self, Error> {
        let seen = decode(token);
        let seen = seen.ok_or_else(|| Error::local(ErrorKind::BadContext, DAMAGED))?;
        let seen = Arc::new(Mutex::new(seen));
        Ok(Self { client, seen })
    }

    /// A bucket, all operations on which are of this session.
    pub fn bucket(&self, name: impl Into<String>) -> Bucket {
        self.client.bucket(name).in_session(self)
    }

    /// The session as text of hexadecimal digits, as far as it has come.
    pub fn token(&self) -> String {
        let seen = self.seen();
        let tokens = seen.iter().flat_map(|(partition, tokens)| {
            tokens.iter().flat_map(|token| {
                let size = u32::try_from(token.len()).unwrap_or(u32::MAX);
                let head = partition
                    .to_be_bytes()
                    .into_iter()
                    .chain(size.to_be_bytes());
                head.chain(token.iter().copied())
            })
        });
        hex::encode([VERSION].into_iter().chain(tokens))
    }

    /// Carries out a read, a scan or a write in this session.
    pub(crate) async fn call(
        &self,
        plan: Plan,
        work: SessionWork,
    ) -> Result<(NodeId, Response), Error> {
        let partition = self.partition_of(&work);
        let sent = self.take(partition)?;
        let is_write = matches!(work, SessionWork::Write(_));
        let seen = sent.clone();
        let request = SessionRequest { seen, work };
        request.check()?;
        let shared = self.client.shared();
        let request = Request::InSession(Box::new(request));
        match shared.call(plan, request).await? {
            (node, Response::InSession(response)) => {
                self.file(partition, &sent, response.seen);
                Ok((node, response.done.into()))
            }
            (node, _) if is_write => Err(Error::unexpected(node, Outcome::MaybeApplied)),
            (node, _) => Err(Error::unexpected(node, Outcome::NotApplied)),
        }
    }

    fn partition_of(&self, work: &SessionWork) -> u32 {
        let (bucket, key) = match work {
            SessionWork::Read(read) => (&read.bucket, &read.key.partition),
            SessionWork::Scan(scan) => (&scan.bucket, &scan.partition),
            SessionWork::Write(write) => (&write.bucket, &write.partition),
        };
        self.client.topology().ring_partition(bucket, key)
    }

    /// What to send along.
    fn take(&self, partition: u32) -> Result<Vec<ByteBuf>, Error> {
        let seen = self.seen();
        let bytes: usize = seen.values().flatten().map(|token| token.len()).sum();
        if bytes > MOST_BYTES {
            return Err(Error::local(ErrorKind::TooLarge, TOO_LARGE));
        }
        Ok(seen.get(&partition).cloned().unwrap_or_default())
    }

    /// The answer's token stands for those that were sent.
    fn file(&self, partition: u32, sent: &[ByteBuf], token: ByteBuf) {
        let mut seen = self.seen();
        let tokens = seen.entry(partition).or_default();
        // Of buckets with another n the tokens stay: the node did not join them.
        let is_joined = |known: &ByteBuf| sent.contains(known) && n_of(known) == n_of(&token);
        tokens.retain(|known| !is_joined(known));
        tokens.push(token);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows how much it has seen and not what.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} partitions)", self.seen().len())
    }
}

/// The number of owners that a node's token begins with, after its kind.
fn n_of(token: &ByteBuf) -> Option<u8> {
    token.get(1).copied()
}

fn decode(text: &str) -> Option<Seen> {
    if text.len() > 2 * (1 + MOST_BYTES + 8 * MOST_TOKENS) {
        return None;
    }
    let bytes = hex::decode(text)?;
    let (&VERSION, mut rest) = bytes.split_first()? else {
        return None;
    };
    let mut seen = Seen::new();
    while !rest.is_empty() {
        let (partition, after) = rest.split_first_chunk::<4>()?;
        let (size, after) = after.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let (token, after) = after.split_at_checked(size)?;
        let tokens = seen.entry(u32::from_be_bytes(*partition)).or_default();
        tokens.push(ByteBuf::from(token));
        rest = after;
    }
    Some(seen)
}

/// What a session may hold, in bytes.
pub const MOST_BYTES: usize = 256 * 1024;
/// More tokens than a session of so many bytes can have.
const MOST_TOKENS: usize = MOST_BYTES / 16;
const VERSION: u8 = 1;
const DAMAGED: &str = "the session token is damaged or of another version; nothing was sent: begin \
                       a new session";
const TOO_LARGE: &str = "the session has grown too large; nothing was sent: begin a new session";

#[cfg(test)]
mod tests {
    use super::{ByteBuf, Seen, decode};
    use crate::hex;

    #[test]
    fn a_token_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let bytes = [
            &[1][..],
            &[0, 0, 0, 7, 0, 0, 0, 3],
            b"abc",
            &[0, 0, 0, 7, 0, 0, 0, 0],
            &[0, 0, 1, 0, 0, 0, 0, 1],
            b"d",
        ]
        .concat();
        let token = |bytes: &[u8]| ByteBuf::from(bytes);
        let expected = Seen::from([
            (7, vec![token(b"abc"), token(b"")]),
            (256, vec![token(b"d")]),
        ]);
        assert_eq!(decode(&hex::encode(bytes.clone())), Some(expected));
        for end in [0, 2, 9, 11, 13] {
            assert_eq!(decode(&hex::encode(bytes[..end].to_vec())), None, "{end}");
        }
        assert_eq!(decode("zz"), None);
    }
}
