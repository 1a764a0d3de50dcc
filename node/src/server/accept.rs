//! From a client's bytes to an order, with everything checked on the way.

use std::time::Duration;

use serde_bytes::ByteBuf;

use super::desk::{DEFAULT_DURABILITY, Desk};
use super::failure;
use super::fields::Fields;
use super::place::{Field, count, path, range_of_keys};
use super::shown::{Scanned, Shape};
use super::state::{Amount, Shown};
use crate::protocol::cluster::BucketProperties;
use crate::protocol::coordinator::{Order, ReadOrder};
use crate::protocol::keys::data_range;
use crate::protocol::messages::{Range, Selection};
use crate::protocol::time::{Moment, Time};
use ring::{NodeId, PartitionId, ReplicaCount, VnodeId};
use starling::wire::{
    self, CreateBucket, Failure, InspectRequest, Key, KeysRequest, Kind, Part, ReadRequest,
    Request, Response, ScanRequest,
};

/// What to do with a request.
#[derive(Debug)]
pub enum Accepted {
    /// Hand the order to the coordinator, and what comes of it with the shape to
    /// [`Desk::respond`].
    Order {
        /// The order.
        order: Order,
        /// How to answer.
        shape: Shape,
    },
    /// Answer this.
    Reply(Response),
    /// Make a bucket, and answer [`Desk::bucket_created`].
    CreateBucket {
        /// Its name, which is a valid one.
        name: String,
        /// What it is to be.
        properties: BucketProperties,
    },
    /// Answer [`Desk::status`].
    Status,
    /// Answer what is known of this member.
    MemberInfo {
        /// Its number.
        node: NodeId,
    },
    /// Answer what is known of each vnode of this node.
    Vnodes {
        /// Have their content compared with the other owners now.
        scrub: bool,
    },
}

impl Desk {
    /// Reads and checks a request. Any bytes are taken: what they ask for is done or refused.
    #[must_use]
    pub fn accept(&self, now: Moment, bytes: &[u8]) -> Accepted {
        let accepted = match wire::decode(bytes) {
            Ok(request) => self.take(now, request),
            Err(error) => Err(failure::unreadable(&error)),
        };
        accepted.unwrap_or_else(|failure| Accepted::Reply(Response::Failed(failure)))
    }

    fn take(&self, now: Moment, request: Request) -> Result<Accepted, Failure> {
        match request {
            Request::Read(read) => self.take_read(now, &read),
            Request::Scan(scan) => self.take_scan(now, &scan),
            Request::Keys(keys) => self.take_keys(now, &keys),
            Request::Write(write) => self.take_write(now, &write),
            Request::Inspect(inspect) => self.take_inspect(now, &inspect),
            Request::InSession(session) => self.take_in_session(now, &session),
            Request::Topology => Ok(Accepted::Reply(Response::Topology(self.topology()?))),
            Request::CreateBucket(CreateBucket {
                name,
                kind,
                n,
                siblings,
                sloppy,
            }) => {
                self.serving()?;
                wire::validate_bucket_name(&name).map_err(|error| failure::bad_request(&error))?;
                let n = ReplicaCount::new(n).map_err(|error| failure::bad_request(&error))?;
                let properties = BucketProperties {
                    kind,
                    n,
                    siblings,
                    sloppy,
                };
                Ok(Accepted::CreateBucket { name, properties })
            }
            Request::Status => self.known().map(|_| Accepted::Status),
            Request::MemberInfo { node } => {
                let node = NodeId(node);
                self.known().map(|_| Accepted::MemberInfo { node })
            }
            Request::Vnodes { scrub } => self.known().map(|_| Accepted::Vnodes { scrub }),
        }
    }

    pub(super) fn take_read(&self, now: Moment, read: &ReadRequest) -> Result<Accepted, Failure> {
        let place = self.place(&read.bucket, &read.key)?;
        place.check_kind(&read.path, read.kind)?;
        let path = path(&read.path)?;
        let field = Field {
            path: &path,
            kind: read.kind,
        };
        let selection = field.selection(&place.prefix, &read.part)?;
        let scope = match &read.part {
            Part::Element(element) => Some(place.scope(&read.key, &path, Some(element))),
            Part::Whole => Some(place.scope(&read.key, &path, None)),
            Part::Page(_) | Part::Count(_) | Part::Estimate => None,
        };
        let prefix = place.prefix.clone();
        let fields = match &selection {
            Selection::Range(range) if read.kind == Kind::Map => Some(range.clone()),
            _ => None,
        };
        let order = ReadOrder {
            vnode: place.vnode,
            selection,
            r: self.replicas(&place, read)?,
            local: read.local,
            // Samples of replicas that differ are no rows to compare.
            repair: (read.part != Part::Estimate).then_some(place.prefix),
            session: None,
            monotonic: read.monotonic.then_some(DEFAULT_DURABILITY),
            deadline: deadline(now, read.timeout_ms)?,
        };
        let shown = Shown {
            kind: read.kind,
            siblings: place.record.siblings,
            depth: path.names().len(),
            amount: match read.part {
                Part::Whole | Part::Element(_) | Part::Page(_) => Amount::Shown,
                Part::Count(_) => Amount::Counted,
                Part::Estimate => Amount::Estimated,
            },
            reverse: matches!(&read.part, Part::Page(page) if page.reverse),
            now_ms: now.wall_ms,
        };
        Ok(Accepted::Order {
            order: Order::Read(order),
            shape: match (&read.part, fields) {
                (Part::Page(page), Some(range)) => {
                    let names = (page.limit, false);
                    Shape::fields(Fields::new((prefix, path), range, names, shown))
                }
                (Part::Count(page), Some(range)) => {
                    let names = (page.limit, true);
                    Shape::fields(Fields::new((prefix, path), range, names, shown))
                }
                _ => Shape::read(shown, scope),
            },
        })
    }

    pub(super) fn take_scan(&self, now: Moment, scan: &ScanRequest) -> Result<Accepted, Failure> {
        let key = |sort: &[u8]| Key {
            partition: scan.partition.clone(),
            sort: ByteBuf::from(sort),
        };
        let place = self.place(&scan.bucket, &key(b""))?;
        place.check_kind(&[], scan.kind)?;
        scan.page
            .check()
            .map_err(|error| failure::of_limit(&error))?;
        let order = ReadOrder {
            vnode: place.vnode,
            selection: Selection::Range(range_of_keys(&place, scan)?),
            r: place.count("r", scan.r)?,
            local: false,
            repair: None,
            session: None,
            monotonic: None,
            deadline: deadline(now, scan.timeout_ms)?,
        };
        let shown = Shown {
            kind: scan.kind,
            siblings: place.record.siblings,
            depth: 0,
            amount: Amount::Shown,
            reverse: false,
            now_ms: now.wall_ms,
        };
        let scanned = Scanned {
            shown,
            bucket: place.record.id,
            partition: scan.partition.clone(),
            limit: usize::try_from(scan.page.limit).unwrap_or(usize::MAX),
            reverse: scan.page.reverse,
        };
        Ok(Accepted::Order {
            order: Order::Read(order),
            shape: Shape::scan(scanned),
        })
    }

    fn take_keys(&self, now: Moment, keys: &KeysRequest) -> Result<Accepted, Failure> {
        let known = self.serving()?;
        let record = known.buckets.of_name(&keys.bucket);
        let record = record.ok_or_else(|| failure::unknown_bucket(&keys.bucket))?;
        let partition = PartitionId(keys.ring_partition);
        let owners = known.ring.owners(record.n, partition).ok_or_else(|| {
            failure::bad_request(&format_args!(
                "the ring has no partition {}; nothing was read: refresh the ring",
                keys.ring_partition
            ))
        })?;
        if !owners.contains(self.node) {
            return Err(failure::not_owner(&known.name_of(owners.first())));
        }
        let vnode = VnodeId {
            n: record.n,
            partition,
        };
        let (start, to) = data_range(vnode, known.ring.layout().q_bits());
        let from = keys
            .cursor
            .as_ref()
            .map_or_else(|| start.clone(), |c| c.to_vec());
        let range = Range {
            from: ByteBuf::from(from.max(start)),
            to: ByteBuf::from(to),
            reverse: false,
            limit: None,
        };
        let order = ReadOrder {
            vnode,
            selection: Selection::Keys {
                bucket: record.id,
                range,
            },
            r: count(known, record, "r", keys.r)?,
            local: false,
            repair: None,
            session: None,
            monotonic: None,
            deadline: deadline(now, keys.timeout_ms)?,
        };
        Ok(Accepted::Order {
            order: Order::Read(order),
            shape: Shape::keys(now.wall_ms),
        })
    }

    fn take_inspect(&self, now: Moment, inspect: &InspectRequest) -> Result<Accepted, Failure> {
        let place = self.place(&inspect.bucket, &inspect.key)?;
        let shape = Shape::inspect(place.record.clone(), place.token, place.vnode.partition);
        let order = ReadOrder {
            vnode: place.vnode,
            selection: Selection::Key(place.prefix),
            r: 1,
            local: false,
            repair: None,
            session: None,
            monotonic: None,
            deadline: deadline(now, inspect.timeout_ms)?,
        };
        Ok(Accepted::Order {
            order: Order::Inspect(order),
            shape,
        })
    }
}

pub(super) fn deadline(now: Moment, timeout_ms: u32) -> Result<Time, Failure> {
    if (1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
        Ok(now.time.after(Duration::from_millis(timeout_ms.into())))
    } else {
        Err(failure::bad_request(&format_args!(
            "a timeout of {timeout_ms} ms is out of range; nothing was done: allow 1 to \
             {MAX_TIMEOUT_MS} ms"
        )))
    }
}

/// The longest that a request may keep a node busy: a minute.
const MAX_TIMEOUT_MS: u32 = 60_000;
