//! The counters of one node, as `OpenMetrics`. `docs/metrics.md` lists them; a test keeps it whole.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::bodies::BodyCounters;
use super::disk::DiskGauges;
use super::gossip::GossipMetrics;
use super::hints::HintGauges;
use super::outcomes::outcome;
use super::vnodes::VnodeGauges;
use crate::runtime::Statistics;
use starling::wire::Response;

/// The counters of one node. All may be used from any thread.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    operations: Family<[Label; 2], Counter>,
    latency: Latencies,
    commits: Counter,
    batch_inputs: Histogram,
    written_bytes: Counter,
    records: Gauge,
    rows: Gauge,
    dotlog_events: Gauge,
    store_bytes: Gauge,
    missing_here: Gauge,
    missing_there: Gauge,
    stamps_ahead: Gauge,
    clock_ahead: Gauge,
    disk: DiskGauges,
    /// Reads of large values.
    pub(crate) bodies: BodyCounters,
    hints: HintGauges,
    vnodes: VnodeGauges,
    /// Membership.
    pub(crate) gossip: GossipMetrics,
    /// Batches that came to nothing because the store failed.
    pub(crate) failed_commits: Counter,
    /// Damaged rows or files that were met.
    pub(crate) corruptions: Counter,
    /// Reads answered without the committer.
    pub(crate) inline_reads: Counter,
    /// Bytes of requests from clients.
    pub(crate) received_bytes: Counter,
    /// Bytes of answers to clients.
    pub(crate) sent_bytes: Counter,
    /// Clients connected now.
    pub(crate) client_connections: Gauge,
    /// Peers that this node's calls reach now.
    pub(crate) peers_reachable: Gauge,
    /// Frames that were no messages.
    pub(crate) malformed_frames: Counter,
    /// Requests that had waited here until nobody waited for them, and were not carried out.
    pub(crate) expired: Counter,
    /// Dot pulls asked of peers.
    pub(crate) pulls: Counter,
    /// Rows that pulls and syncs brought.
    pub(crate) rows_pulled: Counter,
    /// Keys that a read found different at two owners.
    pub(crate) repairs: Counter,
    pub(crate) hedges: Counter,
    /// Pulled dots that were here already.
    pub(crate) pulled_but_equal: Counter,
    /// Events trimmed from the dotlog.
    pub(crate) trimmed: Counter,
}

/// Its name and its value.
type Label = (&'static str, &'static str);

type Latencies = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// What a client asked for, as far as metrics tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Data is read.
    Read,
    /// Data is written.
    Write,
    /// Replicas are inspected.
    Inspect,
    /// The ring, a status, or a bucket.
    Cluster,
    /// Bytes that were no request, or one that was refused before anything was done.
    Refused,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            operations: Family::default(),
            latency: Family::new_with_constructor(latency_histogram),
            commits: Counter::default(),
            batch_inputs: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            written_bytes: Counter::default(),
            records: Gauge::default(),
            rows: Gauge::default(),
            dotlog_events: Gauge::default(),
            store_bytes: Gauge::default(),
            missing_here: Gauge::default(),
            missing_there: Gauge::default(),
            stamps_ahead: Gauge::default(),
            clock_ahead: Gauge::default(),
            disk: DiskGauges::default(),
            bodies: BodyCounters::default(),
            hints: HintGauges::default(),
            vnodes: VnodeGauges::default(),
            gossip: GossipMetrics::default(),
            pulled_but_equal: Counter::default(),
            trimmed: Counter::default(),
            failed_commits: Counter::default(),
            corruptions: Counter::default(),
            inline_reads: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            client_connections: Gauge::default(),
            peers_reachable: Gauge::default(),
            malformed_frames: Counter::default(),
            expired: Counter::default(),
            pulls: Counter::default(),
            rows_pulled: Counter::default(),
            repairs: Counter::default(),
            hedges: Counter::default(),
        };
        let mut registry = Registry::with_prefix("starling");
        metrics.register_clients(&mut registry);
        metrics.register_store(&mut registry);
        metrics.disk.register(&mut registry);
        metrics.bodies.register(&mut registry);
        metrics.hints.register(&mut registry);
        metrics.vnodes.register(&mut registry);
        metrics.register_replicas(&mut registry);
        metrics.gossip.register(&mut registry);
        let shown = metrics.registry.lock();
        *shown.unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }

    fn register_clients(&self, registry: &mut Registry) {
        let all = "Client requests answered, by kind and outcome";
        registry.register("operations", all, self.operations.clone());
        let latency = "Seconds from a client's request to its answer, by kind";
        registry.register("operation_seconds", latency, self.latency.clone());
        let counters = [
            (
                "received_bytes",
                "Bytes of client requests",
                &self.received_bytes,
            ),
            (
                "sent_bytes",
                "Bytes of answers to clients",
                &self.sent_bytes,
            ),
            (
                "malformed_frames",
                "Frames that were no messages",
                &self.malformed_frames,
            ),
            (
                "inline_reads",
                "Replica reads that needed no commit",
                &self.inline_reads,
            ),
            (
                "expired_requests",
                "Requests not carried out, because nobody waited for them any more",
                &self.expired,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            (
                "client_connections",
                "Clients connected now",
                &self.client_connections,
            ),
            (
                "peers_reachable",
                "Peers that calls of this node reach",
                &self.peers_reachable,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_store(&self, registry: &mut Registry) {
        let inputs = "Inputs in one commit: writes, peers' requests, answers";
        registry.register("commit_inputs", inputs, self.batch_inputs.clone());
        let counters = [
            ("commits", "Batches written to the store", &self.commits),
            (
                "written_bytes",
                "Bytes of keys and values written",
                &self.written_bytes,
            ),
            (
                "failed_commits",
                "Batches given up because the store failed",
                &self.failed_commits,
            ),
            (
                "corruptions",
                "Damaged rows or files met",
                &self.corruptions,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            ("rows", "Rows of keys, about", &self.rows),
            (
                "dotlog_events",
                "Events in the dotlog, about",
                &self.dotlog_events,
            ),
            (
                "records",
                "Operation records kept for retries",
                &self.records,
            ),
            (
                "store_bytes",
                "Bytes of the store's files",
                &self.store_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_replicas(&self, registry: &mut Registry) {
        let counters = [
            ("pulls", "Dot pulls asked of peers", &self.pulls),
            (
                "rows_pulled",
                "Rows that pulls and syncs brought",
                &self.rows_pulled,
            ),
            (
                "repairs",
                "Keys that a read found different at two owners",
                &self.repairs,
            ),
            (
                "hedges",
                "Reads that asked one more owner early",
                &self.hedges,
            ),
            (
                "pulled_but_equal_dots",
                "Pulled dots that were here already",
                &self.pulled_but_equal,
            ),
            (
                "trimmed_events",
                "Events trimmed from the dotlog",
                &self.trimmed,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let gauges = [
            (
                "missing_here_dots",
                "Dots that peers have and this node lacks",
                &self.missing_here,
            ),
            (
                "missing_there_dots",
                "Dots that this node has and peers lack",
                &self.missing_there,
            ),
            (
                "stamps_ahead",
                "Stamps of peers from too far ahead: check clocks",
                &self.stamps_ahead,
            ),
            (
                "clock_ahead_milliseconds",
                "How far the wall clock is ahead of those of most nodes; 0 if it agrees",
                &self.clock_ahead,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    /// A client got its answer.
    pub(crate) fn answered(&self, operation: Operation, response: &Response, took: Duration) {
        let kind = operation.label();
        let labels = [("kind", kind), ("outcome", outcome(response))];
        self.operations.get_or_create(&labels).inc();
        self.latency
            .get_or_create(&[("kind", kind)])
            .observe(took.as_secs_f64());
    }

    /// A batch was written.
    pub(crate) fn committed(&self, inputs: usize, bytes: usize) {
        self.commits.inc();
        // Batches have at most some hundred inputs, so nothing is lost.
        self.batch_inputs
            .observe(f64::from(u32::try_from(inputs).unwrap_or(u32::MAX)));
        self.written_bytes
            .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The vnodes have come to this.
    pub(crate) fn show(&self, statistics: &Statistics) {
        let lag = |of: fn(&crate::protocol::replica::Lag) -> u64| -> u64 {
            statistics.lags.values().map(of).sum()
        };
        for (gauge, value) in [
            (&self.records, statistics.records),
            (&self.rows, statistics.rows),
            (&self.dotlog_events, statistics.events),
            (&self.store_bytes, statistics.disk_bytes),
            (&self.missing_here, lag(|lag| lag.missing_here)),
            (&self.missing_there, lag(|lag| lag.missing_there)),
            (&self.stamps_ahead, statistics.stamps_ahead),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.clock_ahead.set(statistics.clock_ahead_ms);
        self.disk.show(statistics);
        self.hints.show(statistics);
        self.vnodes.show(statistics);
    }

    /// The text of `/metrics`.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            tracing::error!("the metrics could not be written out");
        }
        text
    }
}

impl Operation {
    fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Inspect => "inspect",
            Self::Cluster => "cluster",
            Self::Refused => "refused",
        }
    }
}

fn latency_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 18))
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn every_metric_is_explained() {
        let guide = include_str!("../../../docs/metrics.md");
        let text = Metrics::new().encode();
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut count = 0;
        for name in names.filter_map(|line| line.split(' ').next()) {
            assert!(
                guide.contains(&format!("| `{name}` |")),
                "docs/metrics.md lacks {name}"
            );
            count += 1;
        }
        assert!(count > 20, "{text}");
    }
}
