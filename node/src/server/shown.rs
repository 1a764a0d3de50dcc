//! From an order's outcome to the answer that the client waits for.

use serde_bytes::ByteBuf;

use super::desk::Desk;
use super::failure::{self, Work};
use super::state::state;
use super::token::Scope;
use crate::protocol::cluster::BucketRecord;
use crate::protocol::coordinator::{OrderFailed, Outcome, ReadDone, WriteDone};
use ring::{PartitionId, Token};
use starling::wire::{Failure, Kind, ReadResponse, Response, WriteResponse};

/// How to answer an order: what is kept of the request while it is under way.
#[derive(Debug)]
pub struct Shape(Asked);

#[derive(Debug)]
enum Asked {
    Read { kind: Kind, scope: Scope },
    Write { kind: Kind, scope: Scope },
    Inspect(Box<Inspected>),
}

/// Which key is inspected.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) bucket: BucketRecord,
    pub(super) token: Token,
    pub(super) partition: PartitionId,
}

impl Shape {
    pub(super) fn read(kind: Kind, scope: Scope) -> Self {
        Self(Asked::Read { kind, scope })
    }

    pub(super) fn write(kind: Kind, scope: Scope) -> Self {
        Self(Asked::Write { kind, scope })
    }

    pub(super) fn inspect(bucket: BucketRecord, token: Token, partition: PartitionId) -> Self {
        Self(Asked::Inspect(Box::new(Inspected {
            bucket,
            token,
            partition,
        })))
    }

    /// What was asked for, for metrics and logs: `read`, `write` or `inspect`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self.0 {
            Asked::Read { .. } => "read",
            Asked::Write { .. } => "write",
            Asked::Inspect(_) => "inspect",
        }
    }
}

impl Desk {
    /// The answer to a client whose order has come to an end.
    #[must_use]
    pub fn respond(&self, shape: &Shape, outcome: Outcome) -> Response {
        let response = match (&shape.0, outcome) {
            (Asked::Read { kind, scope }, Outcome::Read(done)) => self.read(*kind, *scope, done),
            (Asked::Write { kind, scope }, Outcome::Written(done)) => {
                self.written(*kind, *scope, done)
            }
            (Asked::Inspect(inspected), Outcome::Inspected(answers)) => {
                self.inspected(inspected, &answers)
            }
            (Asked::Read { .. } | Asked::Write { .. } | Asked::Inspect(_), _) => Err(
                failure::unshowable("the node mixed up two requests, which is a bug"),
            ),
        };
        response.unwrap_or_else(Response::Failed)
    }

    fn read(
        &self,
        kind: Kind,
        scope: Scope,
        done: Result<ReadDone, OrderFailed>,
    ) -> Result<Response, Failure> {
        let done = done.map_err(|failed| failure::of_order(failed, Work::Read))?;
        let token = self.known()?.tokens.seal(scope, &done.context);
        Ok(Response::Read(ReadResponse {
            state: state(kind, &done.rows)?,
            context: ByteBuf::from(token.ok_or_else(failure::context_too_large)?),
            answered: done.answered,
        }))
    }

    fn written(
        &self,
        kind: Kind,
        scope: Scope,
        done: Result<WriteDone, OrderFailed>,
    ) -> Result<Response, Failure> {
        let done = done.map_err(|failed| failure::of_order(failed, Work::Write))?;
        let token = self
            .known()?
            .tokens
            .seal_written(scope, &done.context, self.node);
        Ok(Response::Written(WriteResponse {
            context: ByteBuf::from(token),
            acks: done.acks,
            // The write succeeded; a state that cannot be shown does not undo it.
            state: done.rows.and_then(|rows| state(kind, &rows).ok()),
            repeated: done.repeated,
        }))
    }
}
