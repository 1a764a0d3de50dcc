//! What each direction of each link does with packets. Pure: the rules are text for `nft`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All clients, which are in one place.
    Clients,
    /// A node, from 0.
    Node(usize),
}

/// How many of a hundred packets are lost, by sender and receiver; none where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    lost: BTreeMap<(End, End), u8>,
}

impl Links {
    /// Takes every packet from one end to the other, and lets those of the other way through.
    pub fn cut(&mut self, from: End, to: End) {
        self.lose(from, to, ALL);
    }

    /// Takes every packet between two ends.
    pub fn cut_both(&mut self, one: End, other: End) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Takes so many of a hundred packets from one end to the other, at random. If more are taken
    /// already, it stays with those.
    pub fn lose(&mut self, from: End, to: End, percent: u8) {
        let lost = self.lost.entry((from, to)).or_default();
        *lost = percent.min(ALL).max(*lost);
    }

    /// What `nft -f -` needs to hear in the receiver's namespace. It replaces what was before as a
    /// whole.
    pub fn rules(&self, to: End) -> String {
        let rule = |((from, _), percent): (&(End, End), &u8)| {
            let chance = match *percent {
                ALL => String::new(),
                percent => format!("numgen random mod {ALL} < {percent} "),
            };
            format!(
                "    ip saddr {} meta l4proto udp {chance}drop\n",
                from.address()
            )
        };
        let lossy = self.lost.iter().filter(|((_, end), _)| *end == to);
        let rules: String = lossy.map(rule).collect();
        format!(
            "table inet starling\ndelete table inet starling\ntable inet starling {{\n  \
             chain input {{\n    type filter hook input priority 0; policy accept;\n{rules}  \
             }}\n}}\n"
        )
    }
}

impl End {
    /// Its address.
    pub fn address(self) -> Ipv4Addr {
        let last = match self {
            Self::Clients => CLIENTS,
            Self::Node(at) => u8::try_from(at).map_or(CLIENTS, |at| at.saturating_add(1)),
        };
        Ipv4Addr::new(10, 77, 0, last)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients => f.write_str("clients"),
            Self::Node(at) => write!(f, "n{}", at + 1),
        }
    }
}

/// Of a hundred.
const ALL: u8 = 100;
/// The last part of the clients' address; nodes count from 1.
const CLIENTS: u8 = 100;

#[cfg(test)]
mod tests {
    use super::{End, Links};

    #[test]
    fn a_cut_concerns_one_direction() {
        let mut links = Links::default();
        links.cut(End::Node(0), End::Node(1));
        assert!(
            links
                .rules(End::Node(1))
                .contains("ip saddr 10.77.0.1 meta l4proto udp drop")
        );
        assert!(!links.rules(End::Node(0)).contains("drop"));
    }

    #[test]
    fn the_worse_of_two_faults_counts() {
        let mut links = Links::default();
        links.lose(End::Clients, End::Node(1), 30);
        links.lose(End::Clients, End::Node(1), 10);
        let rule = "ip saddr 10.77.0.100 meta l4proto udp numgen random mod 100 < 30 drop";
        assert!(links.rules(End::Node(1)).contains(rule));
        links.cut_both(End::Node(1), End::Clients);
        assert!(
            links
                .rules(End::Node(1))
                .contains("10.77.0.100 meta l4proto udp drop")
        );
    }
}
