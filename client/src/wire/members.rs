//! What nodes hold each other for, and why.

use serde::{Deserialize, Serialize};

use ring::MemberState;

/// What a node holds a member for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Alive, suspect, down or removed.
    pub state: MemberState,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// How suspicious its silence is, in hundredths: measured by the node that answers if it
    /// observes the member, else the greatest that an observer has reported. `None` if nobody has
    /// reported anything.
    pub phi_hundredths: Option<u32>,
    /// Who suspects it.
    pub suspected_by: Vec<Suspecting>,
    /// It has gone down so often lately that it is asked last.
    pub is_quarantined: bool,
}

/// One observer's suspicion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspecting {
    /// The observer's number.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// How suspicious the silence was, in hundredths.
    pub phi_hundredths: u32,
    /// How long ago it said so, in milliseconds.
    pub age_ms: u64,
}

/// What one node knows of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// The node that answers.
    pub asked: u64,
    /// Its name.
    pub asked_name: String,
    /// How much the node that answers doubts itself, from 0 to 8: everything that it waits for
    /// takes so many times longer, and once more.
    pub asked_health: u32,
    /// The member that was asked about.
    pub node: u64,
    /// What the member says of itself.
    pub record: RecordInfo,
    /// What it is held for.
    pub view: MemberView,
    /// How it is heard, if the node that answers observes it.
    pub edge: Option<EdgeInfo>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordInfo {
    /// Its name.
    pub name: String,
    /// Its failure domain.
    pub zone: String,
    /// `host:port` of its QUIC endpoint, best first.
    pub addresses: Vec<String>,
    /// `host:port` of its HTTP port; empty if it has said none.
    pub http: String,
    /// Its share of the data, relative to the others'.
    pub weight: u32,
    /// When this life of it began, by its hybrid logical clock.
    pub boot: u64,
    /// How often it has refuted a suspicion in this life.
    pub refutations: u64,
    /// How often it has changed what it says in this life.
    pub version: u64,
}

/// How one node hears another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeInfo {
    /// How long ago it was heard last, by any message, in milliseconds.
    pub heard_ms_ago: u64,
    /// The mean interval between its heartbeats, in microseconds.
    pub mean_us: u64,
    /// Their standard deviation as measured, in microseconds.
    pub sigma_us: u64,
    /// The last intervals, at most 128, the oldest first, in microseconds. A new edge begins with
    /// two that were not measured.
    pub intervals_us: Vec<u32>,
}

impl Default for MemberView {
    /// Nothing is said against it.
    fn default() -> Self {
        Self {
            state: MemberState::Alive,
            for_ms: 0,
            phi_hundredths: None,
            suspected_by: Vec::new(),
            is_quarantined: false,
        }
    }
}
