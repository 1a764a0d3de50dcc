//! Processor time and memory of processes, from the kernel's own accounts.
//!
//! `/proc/PID/stat` counts user and system time in ticks of 10 ms (`USER_HZ` is 100 wherever Linux
//! runs Starling), so a run of some seconds is exact to a few parts in a thousand.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use starling::Client;

/// The processes whose time is counted.
#[derive(Debug)]
pub(super) struct Accounts {
    nodes: Vec<u32>,
    /// How many nodes there are, here or elsewhere.
    members: usize,
}

/// Time used up, at one moment or between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// All nodes together; unknown if one of them is not on this machine.
    pub(super) nodes: Option<Duration>,
    /// This process.
    pub(super) client: Option<Duration>,
    /// Resident memory of all nodes together, in bytes, as it is now.
    pub(super) nodes_memory: Option<u64>,
    /// How many processes `nodes` counts.
    pub(super) processes: usize,
}

impl Accounts {
    /// Of these processes, or of all nodes of the cluster that run here.
    pub(super) fn open(pids: &[u32], client: &Client) -> Self {
        let map = client.topology();
        let members = map.nodes().count();
        if !pids.is_empty() {
            return Self {
                nodes: pids.to_vec(),
                members: pids.len(),
            };
        }
        let addresses = map.nodes().flat_map(|node| &node.addresses);
        let ports = addresses.filter_map(|address| address.rsplit_once(':')?.1.parse().ok());
        let nodes = find_nodes(&ports.collect());
        Self { nodes, members }
    }

    /// What they have used until now.
    pub(super) fn read(&self) -> Usage {
        let is_all = self.nodes.len() == self.members;
        let nodes = self
            .nodes
            .iter()
            .map(|pid| cpu_time(&pid.to_string()))
            .sum();
        let memory = self.nodes.iter().map(|pid| memory(*pid)).sum();
        Usage {
            nodes: if is_all { nodes } else { None },
            client: cpu_time("self"),
            nodes_memory: if is_all { memory } else { None },
            processes: self.nodes.len(),
        }
    }
}

impl Usage {
    /// What was used since an earlier reading. A process that was started anew in between makes
    /// the difference unknown.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let between = |now: Option<Duration>, then: Option<Duration>| now?.checked_sub(then?);
        Self {
            nodes: between(self.nodes, earlier.nodes),
            client: between(self.client, earlier.client),
            ..*self
        }
    }
}

/// The processes here that are `starling server` with a configuration for one of these ports.
fn find_nodes(ports: &BTreeSet<u16>) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let serves = |pid: &u32| served_port(*pid).is_some_and(|port| ports.contains(&port));
    pids.filter(serves).collect()
}

fn served_port(pid: u32) -> Option<u16> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<&str> = line
        .split(|byte| *byte == 0)
        .map_while(|word| std::str::from_utf8(word).ok())
        .collect();
    let serves = words.iter().skip(1).any(|word| *word == "server");
    let config = words
        .iter()
        .position(|word| ["-c", "--config"].contains(word))
        .filter(|_| serves)?;
    // A relative path begins where that process was started.
    let place = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let config: PathBuf = place.join(words.get(config + 1)?);
    Some(Config::load(&config).ok()?.listen.quic.port())
}

fn cpu_time(pid: &str) -> Option<Duration> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 and 15, counted behind the name, which may hold spaces and brackets.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(TICK.saturating_mul(u32::try_from(user + system).ok()?))
}

/// Resident pages, of 4 KiB.
fn memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

const TICK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::{Duration, Usage, cpu_time, parse_stat};

    #[test]
    fn the_name_of_a_process_cannot_confuse() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 120 30 5 6 20 0 1 0 9";
        assert_eq!(parse_stat(text), Some(Duration::from_millis(1500)));
        assert_eq!(parse_stat("7 (a"), None);
    }

    #[test]
    fn a_process_knows_its_own_time() {
        assert!(cpu_time("self").is_some());
    }

    #[test]
    fn a_process_started_anew_leaves_the_difference_unknown() {
        let usage = |seconds| Usage {
            nodes: Some(Duration::from_secs(seconds)),
            ..Usage::default()
        };
        assert_eq!(
            usage(3).since(&usage(1)).nodes,
            Some(Duration::from_secs(2))
        );
        assert_eq!(usage(1).since(&usage(3)).nodes, None);
    }
}
