//! What arrives: the small and the bulk stream of one direction, read as one sequence of frames.

use quinn::RecvStream;
use tokio::io::AsyncReadExt;

use super::error::TransportError;
use super::frames::{Decoder, Frame};

/// Both lanes of one direction. Small frames go first.
#[derive(Debug)]
pub(super) struct Inlet {
    small: Reader,
    bulk: Reader,
}

#[derive(Debug)]
struct Reader {
    stream: RecvStream,
    decoder: Decoder,
    ended: bool,
}

impl Inlet {
    pub(super) fn new(small: RecvStream, bulk: RecvStream, max_frame: u32) -> Self {
        Self {
            small: Reader::new(small, max_frame),
            bulk: Reader::new(bulk, max_frame),
        }
    }

    /// The next frame of either lane, or `None` when the peer has ended both.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, TransportError> {
        loop {
            if let Some(frame) = self.small.decoder.take()? {
                return Ok(Some(frame));
            }
            if let Some(frame) = self.bulk.decoder.take()? {
                return Ok(Some(frame));
            }
            if self.small.ended && self.bulk.ended {
                return Ok(None);
            }
            tokio::select! {
                biased;
                filled = self.small.fill(), if !self.small.ended => filled?,
                filled = self.bulk.fill(), if !self.bulk.ended => filled?,
            }
        }
    }
}

impl Reader {
    fn new(stream: RecvStream, max_frame: u32) -> Self {
        Self {
            stream,
            decoder: Decoder::new(max_frame),
            ended: false,
        }
    }

    /// Waits for more bytes or the end. Dropping it half-way loses nothing.
    async fn fill(&mut self) -> Result<(), TransportError> {
        match self.stream.read_buf(self.decoder.room()).await {
            Ok(0) => {
                self.ended = true;
                self.decoder.end()
            }
            Ok(_) => Ok(()),
            // A lost connection has its own, better error at the connection itself, which is asked
            // first; what remains is a stream that the peer reset.
            Err(error) => Err(TransportError::BadFrame {
                reason: format!("a stream was broken off ({error})"),
            }),
        }
    }
}
