//! Frames: how bodies are laid out on a stream (version 1; there is no predecessor).
//!
//! The side that opens a stream begins it with a preamble of five bytes. It says which stream this
//! is, and reading the accepting side's preamble tells the connecting side that it was admitted.
//!
//! ```text
//!   +-----+-----+-----+---------+------+
//!   | 'S' | 'T' | 'L' | version | lane |          version 1; lane 0 small bodies, 1 bulk
//!   +-----+-----+-----+---------+------+
//! ```
//!
//! Frames follow, back to back, until the stream ends.
//!
//! ```text
//!    0               4                               12     13              13 + length
//!   +---------------+-------------------------------+------+----------------+
//!   | length u32 LE | request id u64 LE             | kind | body           |
//!   +---------------+-------------------------------+------+----------------+
//!
//!   length  bytes of the body alone; more than the limit closes the connection
//!   id      chosen by the caller, repeated in the reply; 0 in a one-way message
//!   kind    1 request · 2 reply · 3 one-way · 4 no reply (the body is the reason, UTF-8)
//! ```
//!
//! Decoding is total: any bytes give frames, "more bytes are needed" or an error. The length is
//! compared with the limit before anything is allocated for it, and memory then grows with the
//! bytes that really arrive, never with the length that was promised.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::TransportError;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Reply,
    OneWay,
    /// The callee dropped the request; the body says why.
    NoReply,
}

/// Which of the two streams of a direction: bulk bodies must not delay small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Small,
    Bulk,
}

/// One decoded frame. The body shares the memory of the read buffer, so whoever keeps a small
/// body for long should copy it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) id: u64,
    pub(super) body: Bytes,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub(super) struct Decoder {
    buffer: BytesMut,
    max_frame: u32,
}

impl Decoder {
    pub(super) fn new(max_frame: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_frame,
        }
    }

    /// The buffer to read more bytes into, with room for at least a few kilobytes.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        if self.buffer.capacity().saturating_sub(self.buffer.len()) < LITTLE_ROOM {
            self.buffer.reserve(READ_AHEAD);
        }
        &mut self.buffer
    }

    /// The next whole frame, or `None` until more bytes have been read.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, TransportError> {
        let Some(&[l0, l1, l2, l3, i0, i1, i2, i3, i4, i5, i6, i7, kind]) =
            self.buffer.first_chunk::<HEADER>()
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length > self.max_frame {
            return Err(TransportError::FrameTooLarge {
                size: u64::from(length),
                limit: u64::from(self.max_frame),
            });
        }
        let kind = Kind::from_byte(kind)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.buffer.len() < HEADER.saturating_add(length) {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Ok(Some(Frame {
            kind,
            id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            body: self.buffer.split_to(length).freeze(),
        }))
    }

    /// Says that the stream has ended: it must not end inside of a frame.
    pub(super) fn end(&self) -> Result<(), TransportError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let reason = format!("the stream ended {} bytes into a frame", self.buffer.len());
        Err(TransportError::BadFrame { reason })
    }
}

impl Kind {
    fn from_byte(byte: u8) -> Result<Self, TransportError> {
        match byte {
            1 => Ok(Self::Request),
            2 => Ok(Self::Reply),
            3 => Ok(Self::OneWay),
            4 => Ok(Self::NoReply),
            unknown => {
                let reason = format!("{unknown} is no kind of frame");
                Err(TransportError::BadFrame { reason })
            }
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::OneWay => 3,
            Self::NoReply => 4,
        }
    }
}

impl Lane {
    /// The lane of a body of this many bytes.
    pub(super) fn of(size: usize) -> Self {
        if size > BULK { Self::Bulk } else { Self::Small }
    }

    pub(super) fn preamble(self) -> [u8; PREAMBLE] {
        let lane = match self {
            Self::Small => 0,
            Self::Bulk => 1,
        };
        [b'S', b'T', b'L', VERSION, lane]
    }

    /// Checks the first bytes of a stream that must be this lane.
    pub(super) fn check_preamble(self, bytes: [u8; PREAMBLE]) -> Result<(), TransportError> {
        if bytes == self.preamble() {
            return Ok(());
        }
        let reason = format!("a stream began with {bytes:02x?} and not with Starling's preamble");
        Err(TransportError::BadFrame { reason })
    }
}

/// Appends the header of a frame whose body follows.
pub(super) fn encode_header(kind: Kind, id: u64, length: u32, into: &mut BytesMut) {
    into.reserve(HEADER);
    into.put_u32_le(length);
    into.put_u64_le(id);
    into.put_u8(kind.byte());
}

/// Bytes before the body of a frame.
pub(super) const HEADER: usize = 13;
/// Bytes before the first frame of a stream.
pub(super) const PREAMBLE: usize = 5;
/// Bodies larger than this travel on the bulk lane.
const BULK: usize = 64 * 1024;
const VERSION: u8 = 1;
/// How much is asked of the allocator at a time. It is also what an idle stream holds at most.
const READ_AHEAD: usize = 32 * 1024;
/// Below this much room a read would be wastefully short.
const LITTLE_ROOM: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::encode_header;
    use super::{BufMut, Bytes, BytesMut, Decoder, Frame, Kind, Lane, TransportError};

    fn encode(kind: Kind, id: u64, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        encode_header(kind, id, u32::try_from(body.len()).unwrap(), &mut bytes);
        bytes.put_slice(body);
        bytes
    }

    #[test]
    fn the_bytes_of_a_frame_are_as_drawn() {
        let bytes = encode(Kind::Request, 0x0102, b"hi");
        assert_eq!(
            &bytes[..],
            [2, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, b'h', b'i']
        );
        assert_eq!(Lane::Bulk.preamble(), [0x53, 0x54, 0x4c, 1, 1]);
    }

    #[test]
    fn an_oversized_length_is_refused_before_its_body_arrives() {
        let mut decoder = Decoder::new(10);
        decoder
            .room()
            .put_slice(&encode(Kind::Request, 1, &[0; 11]).split_to(13));
        let error = decoder.take().unwrap_err();
        assert_eq!(
            error,
            TransportError::FrameTooLarge {
                size: 11,
                limit: 10
            }
        );
    }

    #[test]
    fn a_stream_that_ends_inside_of_a_frame_is_an_error() {
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.end(), Ok(()));
        decoder
            .room()
            .put_slice(&encode(Kind::OneWay, 0, b"half").split_to(15));
        assert_eq!(decoder.take(), Ok(None));
        assert!(matches!(
            decoder.end(),
            Err(TransportError::BadFrame { .. })
        ));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting_of_the_stream(
            bodies in vec(vec(any::<u8>(), 0..300), 0..20),
            cuts in vec(1_usize..200, 1..200),
        ) {
            let mut stream = BytesMut::new();
            for (id, body) in (0..).zip(&bodies) {
                stream.put_slice(&encode(Kind::Reply, id, body));
            }
            let mut decoder = Decoder::new(300);
            let mut decoded = Vec::new();
            let mut cuts = cuts.into_iter().cycle();
            while !stream.is_empty() {
                let cut = cuts.next().unwrap_or(1).min(stream.len());
                decoder.room().put_slice(&stream.split_to(cut));
                while let Some(frame) = decoder.take().unwrap() {
                    decoded.push(frame);
                }
            }
            let expected: Vec<_> = (0..)
                .zip(bodies)
                .map(|(id, body)| Frame { kind: Kind::Reply, id, body: Bytes::from(body) })
                .collect();
            prop_assert_eq!(decoded, expected);
            prop_assert_eq!(decoder.end(), Ok(()));
        }

        #[test]
        fn any_bytes_give_frames_or_an_error(garbage in vec(any::<u8>(), 0..2000)) {
            let mut decoder = Decoder::new(64);
            decoder.room().put_slice(&garbage);
            while let Ok(Some(frame)) = decoder.take() {
                prop_assert!(frame.body.len() <= 64);
            }
        }
    }
}
