//! The result of a measurement.

use std::time::Duration;

use bytesize::ByteSize;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::cpu::Usage;
use super::work::Tally;
use super::{BenchOptions, Output};
use crate::cli::output::{Paint, Word};
use crate::cli::text::{grouped, seconds};

/// The result of a measurement.
pub(super) struct Report<'a> {
    options: &'a BenchOptions,
    tally: &'a Tally,
    elapsed: Duration,
    used: Usage,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        options: &'a BenchOptions,
        tally: &'a Tally,
        elapsed: Duration,
        used: Usage,
    ) -> Self {
        Self {
            options,
            tally,
            elapsed,
            used,
        }
    }

    pub(super) fn print(&self, output: Output) -> anyhow::Result<()> {
        if output.is_json() {
            output.json(&self.to_json())?;
            return Ok(());
        }
        let options = self.options;
        output.line(format_args!(
            "{}   {} operations in {}   {} keys{}, {} values, concurrency {}{}",
            options.workload.name(),
            grouped(self.tally.operations()),
            seconds(self.elapsed),
            grouped(options.keys()),
            self.parts(),
            options.value_size,
            options.concurrency(),
            self.asked()
        ))?;
        let verbs = options.workload.verbs();
        let mut rows = Vec::new();
        for (name, latencies) in [
            (verbs.read, &self.tally.reads),
            (verbs.write, &self.tally.writes),
        ] {
            if !latencies.is_empty() {
                rows.push(self.row(name, latencies));
            }
        }
        output.table(&["", "a second", "p50", "p95", "p99", "p99.9", "max"], rows)?;
        self.print_elements(output)?;
        self.print_processor(output)?;
        for (message, count) in &self.tally.errors {
            let error = format_args!("{count} operations failed: {message}").to_string();
            output.note(output.paint(Paint::Bad, error));
        }
        Ok(())
    }

    /// How many parts the keys have, if they have any.
    fn parts(&self) -> String {
        match self.options.workload.elements(self.options.elements).names {
            0 => String::new(),
            names => format!(" of {} elements", grouped(names)),
        }
    }

    /// The rate that was asked for, if one was.
    fn asked(&self) -> String {
        self.options.rate.map_or_else(String::new, |rate| {
            format!(", {} a second asked for", grouped(u64::from(rate)))
        })
    }

    fn print_elements(&self, output: Output) -> anyhow::Result<()> {
        if self.tally.elements == 0 {
            return Ok(());
        }
        let micros = |used: Option<Duration>| {
            self.per_thousand_elements(used)
                .map_or_else(|| "unknown".to_owned(), |micros| format!("{micros:.0}"))
        };
        output.line(format_args!(
            "elements {}   a second {}   CPU-µs per 1,000 elements   nodes {}   client {}   \
             together {}",
            grouped(self.tally.elements),
            self.rate(self.tally.elements),
            micros(self.used.nodes),
            micros(self.used.client),
            micros(self.together())
        ))?;
        Ok(())
    }

    fn print_processor(&self, output: Output) -> anyhow::Result<()> {
        let micros = |used: Option<Duration>| {
            self.per_operation(used)
                .map_or_else(|| "unknown".to_owned(), |micros| format!("{micros:.1}"))
        };
        let memory = self
            .used
            .nodes_memory
            .map_or_else(|| "unknown".to_owned(), |bytes| ByteSize(bytes).to_string());
        output.line(format_args!(
            "CPU-µs per operation   nodes {}   client {}   together {}   memory of the nodes \
             {memory}",
            micros(self.used.nodes),
            micros(self.used.client),
            micros(self.together())
        ))?;
        if self.used.nodes.is_none() {
            output.note(format_args!(
                "{} of the nodes' processes were found on this machine, steady: name them with \
                 --pids to count their processor time",
                self.used.processes
            ));
        }
        Ok(())
    }

    fn row(&self, name: &str, latencies: &Histogram<u64>) -> Vec<Word> {
        let mut row = vec![name.into(), self.rate(latencies.len()).into()];
        for quantile in QUANTILES {
            row.push(latency(latencies.value_at_quantile(quantile)).into());
        }
        row.push(latency(latencies.max()).into());
        row
    }

    fn rate(&self, count: u64) -> String {
        let millis = u64::try_from(self.elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        grouped(count.saturating_mul(1000) / millis)
    }

    fn together(&self) -> Option<Duration> {
        Some(self.used.nodes? + self.used.client?)
    }

    /// Microseconds of processor time for each operation that succeeded.
    fn per_operation(&self, used: Option<Duration>) -> Option<f64> {
        micros_per(used, self.tally.operations())
    }

    /// Microseconds of processor time for a thousand elements that were read.
    fn per_thousand_elements(&self, used: Option<Duration>) -> Option<f64> {
        micros_per(used, self.tally.elements).map(|micros| micros * 1000.0)
    }

    fn to_json(&self) -> Value {
        let latencies = |latencies: &Histogram<u64>| {
            json!({
                "operations": latencies.len(),
                "p50_us": latencies.value_at_quantile(0.5),
                "p95_us": latencies.value_at_quantile(0.95),
                "p99_us": latencies.value_at_quantile(0.99),
                "p999_us": latencies.value_at_quantile(0.999),
                "max_us": latencies.max(),
            })
        };
        json!({
            "v": 1,
            "workload": self.options.workload.name(),
            "keys": self.options.keys(),
            "elements": self.options.workload.elements(self.options.elements).names,
            "value_size": self.options.value_size.as_u64(),
            "concurrency": self.options.concurrency(),
            "rate": self.options.rate,
            "r": self.options.r,
            "w": self.options.w,
            "seconds": self.elapsed.as_secs_f64(),
            "operations": self.tally.operations(),
            "reads": latencies(&self.tally.reads),
            "writes": latencies(&self.tally.writes),
            "errors": self.tally.errors,
            "cpu_us_per_operation": {
                "nodes": self.per_operation(self.used.nodes),
                "client": self.per_operation(self.used.client),
                "together": self.per_operation(self.together()),
            },
            "elements_read": self.tally.elements,
            "cpu_us_per_thousand_elements": {
                "nodes": self.per_thousand_elements(self.used.nodes),
                "client": self.per_thousand_elements(self.used.client),
                "together": self.per_thousand_elements(self.together()),
            },
            "nodes_memory_bytes": self.used.nodes_memory,
        })
    }
}

fn micros_per(used: Option<Duration>, count: u64) -> Option<f64> {
    let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
    Some(used?.as_secs_f64() * 1e6 / f64::from(count))
}

fn latency(micros: u64) -> String {
    if micros < 1000 {
        format!("{micros} µs")
    } else {
        format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
    }
}

const QUANTILES: [f64; 4] = [0.5, 0.95, 0.99, 0.999];

#[cfg(test)]
mod tests {
    use super::latency;

    #[test]
    fn latencies_are_shown_in_the_unit_that_fits() {
        assert_eq!(latency(7), "7 µs");
        assert_eq!(latency(12_345), "12.34 ms");
    }
}
