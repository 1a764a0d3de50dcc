//! Several keys at once: batches, bulk, `multi_get`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_bytes::ByteBuf;

use crate::fake::{Action, Fake, failed, read, written, written_all};
use starling::wire::{FailureKind, Kind, Mutation, Request, State};
use starling::{ErrorKind, Key, Outcome};

#[tokio::test]
async fn a_batch_is_one_write_with_an_item_for_each_key() {
    let fake = Fake::start(3, |_, request| match request {
        Request::Write(_) => written_all(&[b"one", b"two"]),
        _ => read(State::Value(Vec::new()), b"seen"),
    });
    let client = fake.client().await;
    let orders = client.bucket("values");
    let seen = orders.get(("c-7", "1")).await.unwrap();
    let batch = orders.batch("c-7", |keys| {
        keys.key("1")
            .context(seen.context())
            .only_if_current()
            .value()
            .put("a");
        keys.key("2").delete();
    });
    let done = batch.w(3).await.unwrap();
    let (node, write) = fake.writes().remove(0);
    assert_eq!(node, client.owners("values", "c-7")[0].node);
    assert_eq!(
        (write.partition.as_slice(), write.w),
        (&b"c-7"[..], Some(3))
    );
    let [first, second] = &write.items[..] else {
        panic!("{:?}", write.items)
    };
    assert_eq!(
        (first.sort.as_slice(), first.context.as_slice()),
        (&b"1"[..], &b"seen"[..])
    );
    assert!(first.only_if_current && !second.only_if_current);
    assert_eq!(first.edits[0].mutation, Mutation::Put(ByteBuf::from(b"a")));
    assert_eq!(second.edits[0].mutation, Mutation::Delete);
    // Each key has its own context, good for the next write of that key.
    let context = done.context("2").expect("it was written");
    assert!(context.is_of("values", &Key::new("c-7", "2")));
    assert!(done.context("3").is_none());
}

#[tokio::test]
async fn a_key_that_a_batch_names_twice_is_one_item() {
    let fake = Fake::start(1, |_, _| written_all(&[b"", b""]));
    let maps = fake.client().await.bucket("maps");
    let batch = maps.batch("p", |keys| {
        keys.key("a").map().counter("n").add(1);
        keys.key("b").map().counter("n").add(1);
        keys.key("a").map().register("name").set("x");
    });
    batch.await.unwrap();
    let (_, write) = fake.writes().remove(0);
    let sizes: Vec<_> = write.items.iter().map(|item| item.edits.len()).collect();
    assert_eq!(sizes, [2, 1]);
    assert_eq!(write.items[0].edits[1].kind, Kind::Register);
}

#[tokio::test]
async fn a_batch_of_nothing_or_with_a_foreign_context_is_not_sent() {
    let fake = Fake::start(1, |_, _| read(State::Value(Vec::new()), b"seen"));
    let values = fake.client().await.bucket("values");
    let seen = values.get(("p", "a")).await.unwrap();
    let empty = values.batch("p", |_| {}).await.unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::BadRequest);
    let foreign = values.batch("p", |keys| {
        keys.key("b").context(seen.context()).value().put("x");
    });
    assert_eq!(foreign.await.unwrap_err().kind(), ErrorKind::BadContext);
    assert!(fake.writes().is_empty());
}

#[tokio::test]
async fn a_bulk_of_writes_has_a_result_for_each_in_their_order() {
    let fake = Fake::start(3, |_, request| match request {
        Request::Write(write) if write.partition.starts_with(b"bad") => {
            failed(FailureKind::BadRequest, Outcome::NotApplied)
        }
        _ => written(b""),
    });
    let client = fake.client().await;
    let values = client.bucket("values");
    let report = client
        .bulk()
        .write(values.put("a", "x"))
        .write(values.put("bad", "x"))
        .write(client.bucket("counters").counter("n").add(1))
        .writes((0..100).map(|key| values.put(key.to_string(), "x")))
        .concurrency(4)
        .await;
    assert_eq!(report.results().len(), 103);
    let failures: Vec<_> = report
        .failures()
        .map(|(at, error)| (at, error.kind()))
        .collect();
    assert_eq!(failures, [(1, ErrorKind::BadRequest)]);
    assert!(!report.is_complete() && report.results()[102].is_ok());
    assert_eq!(fake.writes().len(), 103);
}

#[tokio::test]
async fn each_of_many_reads_has_its_result() {
    let fake = Fake::start(3, |_, request| match request {
        Request::Read(asked) if asked.key.partition.as_slice() == b"7" => {
            failed(FailureKind::BadRequest, Outcome::NotApplied)
        }
        Request::Read(asked) => {
            let value = asked.key.partition.clone();
            read(State::Value(vec![value]), b"")
        }
        _ => Action::Silence,
    });
    let values = fake.client().await.bucket("values");
    let keys = (0..200).map(|key: u32| key.to_string());
    let mut reads = values.multi_get(keys).concurrency(8).r(1);
    let (mut found, mut errors) = (BTreeSet::new(), 0);
    while let Some((key, result)) = reads.next().await {
        match result {
            Ok(read) => {
                assert_eq!(read.single().unwrap().unwrap(), &key.partition[..]);
                found.insert(key);
            }
            Err(error) => {
                assert_eq!(
                    (error.kind(), &key.partition[..]),
                    (ErrorKind::BadRequest, &b"7"[..])
                );
                errors += 1;
            }
        }
    }
    assert_eq!((found.len(), errors), (199, 1));
    assert!(reads.next().await.is_none());
}

#[tokio::test]
async fn no_more_reads_are_under_way_than_asked_for() {
    let fake = Fake::start(1, |_, _| Action::Silence);
    let values = fake.client().await.bucket("values");
    let mut reads = values
        .multi_get((0..).map(|key: u32| key.to_string()))
        .concurrency(5);
    let wait = Duration::from_millis(300);
    let waited = tokio::time::timeout(wait, reads.next()).await;
    assert!(waited.is_err(), "nobody answers");
    assert_eq!(fake.nodes[0].requests().len(), 5);
}
