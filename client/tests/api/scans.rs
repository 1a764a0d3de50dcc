//! Scans and lists of keys: whole, in order, by pages, and gone on with later.

use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use crate::fake::{Action, Fake, failed, page};
use starling::wire::{
    FailureKind, Item, Key, KeysResponse, Page, Part, Request, Response, ScanResponse, ScannedKey,
    State,
};
use starling::{Client, Entry, ErrorKind, Outcome, Read, Scan};

/// What a node does with a page: the part of `all`, which is in order, and where to go on. Its
/// cursors are the last that was shown.
fn cut(all: &[String], page: &Page) -> (Vec<ByteBuf>, Option<ByteBuf>) {
    let fits = |text: &&[u8]| {
        let after_from = page.from.as_ref().is_none_or(|from| *text >= &from[..]);
        let before_to = page.to.as_ref().is_none_or(|to| *text < &to[..]);
        let after_cursor = page
            .cursor
            .as_ref()
            .is_none_or(|cursor| match page.reverse {
                false => *text > &cursor[..],
                true => *text < &cursor[..],
            });
        after_from && before_to && after_cursor
    };
    let mut found: Vec<_> = all.iter().map(String::as_bytes).filter(fits).collect();
    if page.reverse {
        found.reverse();
    }
    let limit = usize::try_from(page.limit).expect("limits are small");
    let is_more = found.len() > limit;
    found.truncate(limit);
    let found: Vec<_> = found.into_iter().map(ByteBuf::from).collect();
    let next = found.last().cloned().filter(|_| is_more);
    (found, next)
}

pub(crate) fn sorts() -> Vec<String> {
    let months = (10..=12).flat_map(|month| (1..=20).map(move |day| (month, day)));
    months
        .map(|(month, day)| format!("2026-{month}-{day:02}"))
        .collect()
}

fn scanned(page: &Page) -> Action {
    let (found, next) = cut(&sorts(), page);
    let keys = found.into_iter().map(|sort| ScannedKey {
        state: State::Value(vec![sort.clone()]),
        context: ByteBuf::from([b"c", &sort[..]].concat()),
        sort,
    });
    Action::Reply(Response::Scanned(ScanResponse {
        keys: keys.collect(),
        next,
        answered: 2,
    }))
}

/// One that knows the keys of one partition key, a set and a list.
pub(crate) fn cluster() -> Fake {
    Fake::start(3, |_, request| match request {
        Request::Scan(scan) => scanned(&scan.page),
        Request::Read(asked) => {
            let (Part::Page(wanted) | Part::Count(wanted)) = &asked.part else {
                return Action::Silence;
            };
            let (found, next) = cut(&sorts(), wanted);
            let state = if let Part::Count(_) = &asked.part {
                State::Number(i64::try_from(found.len()).ok())
            } else if asked.kind == starling::Kind::List {
                let items = found.into_iter().map(|position| Item {
                    item: ByteBuf::from(b"item"),
                    position,
                });
                State::List(items.collect())
            } else {
                State::Set(found)
            };
            page(state, b"", next.as_ref().map(|next| &next[..]))
        }
        _ => crate::fake::written(b""),
    })
}

async fn texts(scan: Scan<Entry<Read>>) -> Vec<String> {
    let found = scan.collect().await.expect("the fake node answers");
    let sort =
        |entry: Entry<Read>| String::from_utf8(entry.key.sort.into_vec()).expect("it is text");
    found.into_iter().map(sort).collect()
}

#[tokio::test]
async fn a_scan_gives_everything_once_and_in_order_whatever_the_page() {
    let fake = cluster();
    let orders = fake.client().await.bucket("values");
    let mut reversed = sorts();
    reversed.reverse();
    for size in [1, 7, 20, 60, 1_000] {
        assert_eq!(texts(orders.scan("c-7").page_size(size)).await, sorts());
        assert_eq!(
            texts(orders.scan("c-7").page_size(size).reverse()).await,
            reversed
        );
    }
}

#[tokio::test]
async fn sets_and_lists_are_counted_by_pages_without_what_is_in_them() {
    let fake = cluster();
    let client = fake.client().await;
    for size in [1, 7, 20, 60, 10_000] {
        let set = client.bucket("sets").set("s").len().page_size(size);
        assert_eq!(set.await.unwrap(), 60);
        let list = client.bucket("lists").list("l").len().page_size(size);
        assert_eq!(list.await.unwrap(), 60);
    }
}

#[tokio::test]
async fn a_scan_can_be_of_a_range_or_a_prefix() {
    let fake = cluster();
    let orders = fake.client().await.bucket("values");
    let november: Vec<_> = sorts()
        .into_iter()
        .filter(|text| text.contains("-11-"))
        .collect();
    assert_eq!(
        texts(orders.scan("c-7").prefix("2026-11-").page_size(3)).await,
        november
    );
    let range = texts(orders.scan("c-7").range("2026-11-01".."2026-12-01")).await;
    assert_eq!(range, november);
    let inclusive = texts(orders.scan("c-7").range("2026-11-01"..="2026-11-02")).await;
    assert_eq!(inclusive, ["2026-11-01", "2026-11-02"]);
    let from = texts(orders.scan("c-7").range("2026-12-19"..)).await;
    assert_eq!(from, ["2026-12-19", "2026-12-20"]);
}

#[tokio::test]
async fn an_entry_of_a_scan_can_be_written_over() {
    let fake = cluster();
    let orders = fake.client().await.bucket("values");
    let mut scan = orders.scan("c-7");
    let first = scan.try_next().await.unwrap().unwrap();
    assert_eq!(first.key, Key::new("c-7", "2026-10-01"));
    let put = orders.put(&first.key, "x").context(first.read.context());
    put.only_if_current().await.unwrap();
    let (_, write) = fake.writes().remove(0);
    assert_eq!(write.items[0].context.as_slice(), b"c2026-10-01");
}

#[tokio::test]
async fn a_scan_goes_on_from_its_cursor_in_another_process() {
    let fake = cluster();
    let orders = fake.client().await.bucket("values");
    for reverse in [false, true] {
        let begin = || {
            let scan = orders.scan("c-7").page_size(7);
            if reverse { scan.reverse() } else { scan }
        };
        let whole = texts(begin()).await;
        let mut found = Vec::new();
        let mut cursor = begin().cursor();
        // One entry in each process, so that every place within a page is gone on from.
        while let Some(place) = cursor {
            let mut scan = begin().resume(&place);
            if let Some(entry) = scan.try_next().await.unwrap() {
                found.push(String::from_utf8(entry.key.sort.into_vec()).expect("it is text"));
            }
            cursor = scan.cursor();
        }
        assert_eq!(found, whole);
    }
}

#[tokio::test]
async fn a_cursor_of_something_else_is_refused() {
    let fake = cluster();
    let orders = fake.client().await.bucket("values");
    let cursor = orders.scan("c-7").cursor().unwrap();
    let others = [
        orders.scan("c-8").resume(&cursor),
        orders.scan("c-7").reverse().resume(&cursor),
        orders.scan("c-7").prefix("2026").resume(&cursor),
        orders.scan("c-7").resume("nonsense"),
        orders.scan("c-7").resume(&cursor[..10]),
    ];
    for mut scan in others {
        assert_eq!(
            scan.try_next().await.unwrap_err().kind(),
            ErrorKind::BadRequest
        );
    }
    let keys = orders.keys().resume(&cursor).try_next().await;
    assert_eq!(keys.unwrap_err().kind(), ErrorKind::BadRequest);
}

#[tokio::test]
async fn an_error_ends_no_scan_and_leaves_nothing_out() {
    let fake = cluster();
    let orders = fake.client().await.bucket("values");
    let mut calls = 0;
    for node in &fake.nodes {
        node.respond(move |request| {
            calls += 1;
            match request {
                Request::Scan(scan) if calls % 3 != 0 => scanned(&scan.page),
                _ => failed(FailureKind::BadRequest, Outcome::NotApplied),
            }
        });
    }
    let (mut scan, mut found, mut errors) = (orders.scan("c-7").page_size(4), Vec::new(), 0);
    loop {
        match scan.try_next().await {
            Ok(Some(entry)) => {
                found.push(String::from_utf8(entry.key.sort.into_vec()).expect("it is text"));
            }
            Ok(None) => break,
            Err(_) => errors += 1,
        }
    }
    assert_eq!(found, sorts());
    assert!(errors > 3);
}

#[tokio::test]
async fn sets_and_lists_are_read_by_pages() {
    let fake = cluster();
    let client = fake.client().await;
    let set = client.bucket("sets").set("k");
    let elements = set
        .scan()
        .page_size(7)
        .prefix("2026-10")
        .collect()
        .await
        .unwrap();
    assert_eq!(
        elements,
        sorts()[..20]
            .iter()
            .map(|text| text.as_bytes())
            .collect::<Vec<_>>()
    );
    let list = client.bucket("lists").list("k");
    let items = list.scan().page_size(7).reverse().collect().await.unwrap();
    let last = items
        .first()
        .map(|item| (item.position.as_bytes(), item.value.clone()));
    assert_eq!(items.len(), 60);
    assert_eq!(
        last,
        Some((&b"2026-12-20"[..], Bytes::from_static(b"item")))
    );
}

/// Nodes that hold three pages of keys in every 50th partition of the ring, the second of them
/// empty. They are asked only for what they own.
pub(crate) fn full() -> Fake {
    Fake::start(4, |_, request| {
        let Request::Keys(asked) = request else {
            return Action::Silence;
        };
        let here = asked.ring_partition.is_multiple_of(50);
        let (count, next) = match asked.cursor.as_ref().map(|cursor| &cursor[..]) {
            None if here => (2, Some("1")),
            Some([b'1']) => (0, Some("2")),
            Some(_) => (1, None),
            None => (0, None),
        };
        let at = &asked.cursor;
        let key = |index| Key::new(format!("{}-{at:?}-{index}", asked.ring_partition), "");
        Action::Reply(Response::Keys(KeysResponse {
            keys: (0..count).map(key).collect(),
            next: next.map(|next| ByteBuf::from(next.as_bytes())),
        }))
    })
}

async fn all_keys(client: &Client) -> Vec<Key> {
    let keys = client.bucket("values").keys().collect().await;
    keys.expect("the fake node answers")
}

#[tokio::test]
async fn the_keys_of_a_bucket_are_those_of_all_partitions_asked_of_their_owners() {
    let fake = full();
    let client = fake.client().await;
    let keys = all_keys(&client).await;
    let partitions = client.topology().partitions();
    let full = partitions.div_ceil(50);
    assert_eq!(keys.len(), usize::try_from(full * 3).unwrap());
    let map = client.topology();
    let mut asked = 0;
    for node in &fake.nodes {
        for request in node.requests() {
            let Request::Keys(keys) = request else {
                panic!("only keys are asked for")
            };
            let partition = ring::PartitionId(keys.ring_partition);
            let owners = map
                .ring()
                .owners(ring::ReplicaCount::DEFAULT, partition)
                .unwrap();
            assert_eq!(owners.first(), node.id);
            asked += 1;
        }
    }
    assert_eq!(asked, partitions + full * 2);
}

#[tokio::test]
async fn a_list_of_keys_goes_on_from_its_cursor_and_leaves_none_out() {
    let fake = full();
    let client = fake.client().await;
    let whole = all_keys(&client).await;
    let values = client.bucket("values");
    let mut found = Vec::new();
    let mut cursor = values.keys().cursor();
    while let Some(place) = cursor {
        let mut keys = values.keys().resume(&place);
        // Three at a time: some of a page come again after its middle.
        for _ in 0..3 {
            found.extend(keys.try_next().await.unwrap());
        }
        cursor = keys.cursor();
    }
    found.dedup();
    let is_there = |key: &Key| found.contains(key);
    assert!(whole.iter().all(is_there));
    assert!(found.len() <= whole.len() * 2);
}

#[tokio::test]
async fn a_partition_that_cannot_be_listed_is_an_error_and_never_left_out() {
    let fake = full();
    let client = fake.client().await;
    let whole = all_keys(&client).await;
    let mut keys = client.bucket("values").keys();
    for node in &fake.nodes {
        node.respond(|_| failed(FailureKind::BadRequest, Outcome::NotApplied));
    }
    for _ in 0..2 {
        assert_eq!(
            keys.try_next().await.unwrap_err().kind(),
            ErrorKind::BadRequest
        );
    }
    let healed = full();
    let again = healed.client().await;
    let cursor = keys.cursor().unwrap();
    let rest = again
        .bucket("values")
        .keys()
        .resume(&cursor)
        .collect()
        .await;
    assert_eq!(rest.unwrap(), whole);
}

#[tokio::test]
async fn a_paced_list_waits_before_each_page() {
    let fake = full();
    let client = fake.client().await;
    let whole = all_keys(&client).await;
    let mut paced = client
        .bucket("values")
        .keys()
        .pause(Duration::from_hours(1));
    // The first page comes at once.
    let mut found = Vec::new();
    for _ in 0..2 {
        found.extend(paced.try_next().await.unwrap());
    }
    // While it waits for its second page another list is read from the beginning to the end.
    tokio::select! {
        biased;
        _ = paced.try_next() => panic!("it did not wait"),
        keys = all_keys(&client) => assert_eq!(keys, whole),
    }
    // Given up while it waited, it has lost nothing.
    let mut rest = paced.pause(Duration::ZERO);
    while let Some(key) = rest.try_next().await.unwrap() {
        found.push(key);
    }
    assert_eq!(found, whole);
}
