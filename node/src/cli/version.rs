//! `starling version`.

use serde_json::json;

use super::output::Output;
use starling::transport::Alpn;

/// Prints the version, the protocols and how this binary was built.
pub(crate) fn run(output: Output) -> anyhow::Result<()> {
    let protocols = [Alpn::Client, Alpn::Peer].map(Alpn::name);
    if output.is_json() {
        output.json(&json!({
            "v": 1,
            "version": VERSION,
            "protocols": protocols,
            "engines": ENGINES,
        }))?;
    } else {
        let (protocols, engines) = (protocols.join(" "), ENGINES.join(" "));
        output.line(format_args!(
            "starling {VERSION}   {protocols}   engines {engines}"
        ))?;
    }
    Ok(())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(feature = "rocksdb")]
const ENGINES: &[&str] = &["rocksdb", "memory"];
#[cfg(not(feature = "rocksdb"))]
const ENGINES: &[&str] = &["memory"];
