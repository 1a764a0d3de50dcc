//! A member record and a suspicion as they travel.
//!
//! ```text
//!   record      id 8 | boot 8 | refutations varint | removed 0/1 | version varint | name text |
//!               count u8, addresses text... | http 0, or 1 text | zone text | weight varint |
//!               layout 0, or 1 epoch varint, digest 16 | vnodes varint | rows varint |
//!               offset varint (zigzag, ms)
//!   suspicion   subject 8 | boot 8 | refutations varint | observer 8 | sequence varint |
//!               level u8 | age varint (ms)
//! ```
//!
//! A record says alive or removed. Suspect and down are conclusions, which every node draws by
//! itself: if they travelled, one node with a bad day could convict everybody everywhere.

use std::time::Duration;

use super::bytes::{Read, Reader, put_text, put_varint};
use super::error::Malformed;
use crate::detector::{Level, Suspicion};
use crate::id::NodeId;
use crate::layout::LayoutId;
use crate::membership::{Address, Incarnation, Load, Member, MemberName, MemberState};
use crate::zone::Zone;

/// Most bytes of a record, so that one always fits into a datagram.
pub const MAX_RECORD: usize = 1_024;

/// The bytes of a record.
pub(in crate::gossip) fn encode_member(member: &Member) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(member.id.0.to_be_bytes());
    put_incarnation(&mut bytes, member.incarnation);
    bytes.push(u8::from(member.state == MemberState::Removed));
    put_varint(&mut bytes, member.version);
    put_text(&mut bytes, member.name.as_str());
    let addresses = u8::try_from(member.addresses.len()).unwrap_or(u8::MAX);
    bytes.push(addresses);
    for address in member.addresses.iter().take(usize::from(addresses)) {
        put_text(&mut bytes, address.as_str());
    }
    bytes.push(u8::from(member.http.is_some()));
    if let Some(http) = &member.http {
        put_text(&mut bytes, http.as_str());
    }
    put_text(&mut bytes, member.zone.as_str());
    put_varint(&mut bytes, u64::from(member.weight));
    bytes.push(u8::from(member.layout.is_some()));
    if let Some(layout) = member.layout {
        put_varint(&mut bytes, layout.epoch);
        bytes.extend(layout.digest.to_be_bytes());
    }
    put_varint(&mut bytes, member.load.vnodes);
    put_varint(&mut bytes, member.load.rows);
    put_varint(&mut bytes, zigzag(member.hlc_offset_ms));
    bytes
}

/// Reads what [`encode_member`] wrote, all of it.
pub(super) fn decode_member(bytes: &[u8]) -> Read<Member> {
    if bytes.len() > MAX_RECORD {
        return Err(Malformed::Record);
    }
    let mut reader = Reader::new(bytes);
    let member = Member {
        id: NodeId(reader.u64()?),
        incarnation: read_incarnation(&mut reader)?,
        state: if reader.flag()? {
            MemberState::Removed
        } else {
            MemberState::Alive
        },
        version: reader.varint()?,
        name: MemberName::new(reader.text()?).map_err(|_refused| Malformed::Text)?,
        addresses: read_addresses(&mut reader)?,
        http: read_option(&mut reader, read_address)?,
        zone: Zone::new(reader.text()?).map_err(|_refused| Malformed::Text)?,
        weight: reader.varint32()?,
        layout: read_option(&mut reader, read_layout)?,
        load: Load {
            vnodes: reader.varint()?,
            rows: reader.varint()?,
        },
        hlc_offset_ms: unzigzag(reader.varint()?),
    };
    reader.finish()?;
    member.check().map_err(|_refused| Malformed::Record)?;
    Ok(member)
}

pub(super) fn put_suspicion(bytes: &mut Vec<u8>, suspicion: &Suspicion) {
    bytes.extend(suspicion.subject.0.to_be_bytes());
    put_incarnation(bytes, suspicion.incarnation);
    bytes.extend(suspicion.observer.0.to_be_bytes());
    put_varint(bytes, suspicion.sequence);
    bytes.push(suspicion.level.byte());
    let age = u64::try_from(suspicion.age.as_millis()).unwrap_or(u64::MAX);
    put_varint(bytes, age);
}

pub(super) fn read_suspicion(reader: &mut Reader<'_>) -> Read<Suspicion> {
    Ok(Suspicion {
        subject: NodeId(reader.u64()?),
        incarnation: read_incarnation(reader)?,
        observer: NodeId(reader.u64()?),
        sequence: reader.varint()?,
        level: Level::from(reader.u8()?),
        age: Duration::from_millis(reader.varint()?),
    })
}

pub(super) fn put_incarnation(bytes: &mut Vec<u8>, incarnation: Incarnation) {
    bytes.extend(incarnation.boot.to_be_bytes());
    put_varint(bytes, incarnation.refutations);
}

pub(super) fn read_incarnation(reader: &mut Reader<'_>) -> Read<Incarnation> {
    Ok(Incarnation {
        boot: reader.u64()?,
        refutations: reader.varint()?,
    })
}

fn read_addresses(reader: &mut Reader<'_>) -> Read<Vec<Address>> {
    let count = reader.u8()?;
    (0..count).map(|_| read_address(reader)).collect()
}

fn read_address(reader: &mut Reader<'_>) -> Read<Address> {
    Address::new(reader.text()?).map_err(|_refused| Malformed::Text)
}

fn read_layout(reader: &mut Reader<'_>) -> Read<LayoutId> {
    Ok(LayoutId {
        epoch: reader.varint()?,
        digest: reader.u128()?,
    })
}

fn read_option<T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Read<T>,
) -> Read<Option<T>> {
    reader.flag()?.then(|| read(reader)).transpose()
}

/// Small numbers of either sign as small numbers: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
fn zigzag(value: i64) -> u64 {
    let doubled = value.unsigned_abs().wrapping_mul(2);
    if value < 0 {
        doubled.wrapping_sub(1)
    } else {
        doubled
    }
}

fn unzigzag(value: u64) -> i64 {
    let half = (value >> 1).cast_signed();
    if value & 1 == 0 { half } else { -1 - half }
}
