//! The client's promises, against fake nodes that speak the wire over the real transport.

mod ages;
mod answers;
mod errors;
mod fake;
mod kinds;
mod many;
mod retries;
mod routing;
mod scans;
mod streams;
mod typed;
