//! Large values, which use up what a full disk has promised to the log already.

use std::sync::Arc;
use std::time::Duration;

use starling::{Client, Context};
use starling_tests::workload::Shared;

/// Overwrites a few large values until the sessions are told to end. What becomes of a write does
/// not matter; what the last one left is removed by the next.
pub async fn press(client: Client, shared: Arc<Shared>) {
    let mut contexts: Vec<Option<Context>> = vec![None; KEYS];
    for at in (0..KEYS).cycle() {
        if shared.is_over() {
            return;
        }
        let key = format!("ballast-{at}");
        let bucket = client.bucket(BUCKET);
        if contexts[at].is_none() {
            let read = bucket.get(&key).await;
            contexts[at] = read.ok().map(|read| read.context().clone());
        }
        if let Some(context) = contexts[at].take() {
            let written = bucket.put(&key, vec![0; SIZE]).context(&context).await;
            contexts[at] = written.ok().map(|written| written.context().clone());
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// The bucket of the large values.
pub const BUCKET: &str = "ballast";
/// Enough for every node to own some.
const KEYS: usize = 16;
const SIZE: usize = 512 * 1024;
const BETWEEN: Duration = Duration::from_millis(50);
