//! Scans, lists of keys and many reads as streams.

use futures_util::{StreamExt, TryStreamExt};

use crate::fake::{Fake, failed, read};
use crate::scans::{cluster, full, sorts};
use starling::wire::{FailureKind, Request, State};
use starling::{Error, ErrorKind, Key, Outcome};

#[tokio::test]
async fn a_scan_as_a_stream_gives_all_pages_in_order() {
    let orders = cluster().client().await.bucket("values");
    let stream = orders.scan("c-7").page_size(7).stream();
    let found = stream.map_ok(|entry| String::from_utf8(entry.key.sort.into_vec()).unwrap());
    let found: Vec<String> = found.try_collect().await.unwrap();
    assert_eq!(found, sorts());
}

#[tokio::test]
async fn a_list_of_keys_as_a_stream_ends_with_the_page_that_cannot_be_read() {
    let fake = full();
    let values = fake.client().await.bucket("values");
    let all: Vec<Key> = values.keys().stream().try_collect().await.unwrap();
    assert_eq!(all, values.keys().collect().await.unwrap());
    for node in &fake.nodes {
        node.respond(|_| failed(FailureKind::BadRequest, Outcome::NotApplied));
    }
    let cut: Vec<Result<Key, Error>> = values.keys().stream().collect().await;
    let kinds: Vec<ErrorKind> = cut.iter().map(|r| r.as_ref().unwrap_err().kind()).collect();
    assert_eq!(kinds, [ErrorKind::BadRequest]);
}

#[tokio::test]
async fn many_reads_as_a_stream_go_on_after_one_that_fails() {
    let fake = Fake::start(1, |_, request| match request {
        Request::Read(asked) if asked.key.partition.as_slice() == b"7" => {
            failed(FailureKind::BadRequest, Outcome::NotApplied)
        }
        _ => read(State::Value(Vec::new()), b""),
    });
    let values = fake.client().await.bucket("values");
    let reads = values.multi_get((0..20).map(|key: u32| key.to_string()));
    let failed = reads.stream().filter(|(_, read)| {
        let is_failed = read.is_err();
        async move { is_failed }
    });
    let failed: Vec<Key> = failed.map(|(key, _)| key).collect().await;
    assert_eq!(failed, [Key::from("7")]);
}
