//! What gossip goes by.

use std::time::Duration;

use crate::detector::DetectorConfig;

/// How much is said, to how many and how often. Intervals below 1 ms count as 1 ms.
#[derive(Clone, Debug, PartialEq)]
pub struct GossipConfig {
    /// How silence is judged.
    pub detector: DetectorConfig,
    /// Between two rounds of handing on what is new. Default 200 ms. Nothing new costs nothing.
    pub push_every: Duration,
    /// To how many members what is new is handed on in a round. Default 3. A round costs at most
    /// so many datagrams.
    pub fanout: usize,
    /// Between two comparisons with a random member. Default 1 s; each costs two small datagrams
    /// while both know the same.
    pub pull_every: Duration,
    /// How many members are asked to probe one that has fallen silent. Default 3.
    pub helpers: usize,
    /// How long a probe waits for its answers. Default 500 ms, multiplied by the patience of a node
    /// in bad health. It may add itself to the time to detection.
    pub probe_timeout: Duration,
    /// Between two requests of a node that is joining. Default 2 s.
    pub join_every: Duration,
    /// A call of [`Gossip::handle_timeout`](super::Gossip::handle_timeout) that comes so much after
    /// its time was a pause of this node. Default 500 ms.
    pub late: Duration,
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self {
            detector: DetectorConfig::default(),
            push_every: Duration::from_millis(200),
            fanout: 3,
            pull_every: Duration::from_secs(1),
            helpers: 3,
            probe_timeout: Duration::from_millis(500),
            join_every: Duration::from_secs(2),
            late: Duration::from_millis(500),
        }
    }
}
