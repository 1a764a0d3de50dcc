//! Requests that are well-formed and wrong: each names what is wrong with it, and does nothing.

use anyhow::{bail, ensure};

use crate::raw::Raw;
use crate::{BUCKET, Witness, cluster};
use starling::wire::{
    self, CreateBucket, Edit, FailureKind, Key, Kind, Mutation, OperationId, Outcome, Part,
    ReadRequest, Request, Response, Siblings, WriteItem, WriteRequest,
};
use starling::{Client, ErrorKind};
use starling_tests::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_request_is_refused_whole_with_a_reason() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let raw = Raw::client(&cluster).await?;
    let held = Held::of(&cluster, &raw, "k").await?;
    let requests = wrong_requests().into_iter();
    let requests = requests.flat_map(|(kind, wrong)| wrong.into_iter().map(move |w| (kind, w)));
    for (kind, (case, request, text)) in requests {
        let failure = raw.failure(&request).await?;
        ensure!(failure.kind == kind, "{case}: {failure:?}");
        ensure!(
            failure.outcome == Outcome::NotApplied,
            "{case}: {failure:?}"
        );
        ensure!(failure.message.contains(text), "{case}: {failure:?}");
    }
    held.assert_unchanged().await?;
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_token_is_good_for_its_own_key_and_unchanged_only() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let raw = Raw::client(&cluster).await?;
    let held = Held::of(&cluster, &raw, "k").await?;
    let token = context_of(&raw, "k").await?;
    let other = context_of(&raw, "witness").await?;
    let mut forged = token.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    let mut newer = token.clone();
    newer[0] = 9;
    let cases = [
        ("cut", token[..token.len() - 1].to_vec(), "cut short"),
        ("hardly there", token[..4].to_vec(), "cut short"),
        ("forged", forged, "changed"),
        ("of another key", other, "another key"),
        ("of another version", newer, "version"),
        ("garbage", vec![1; 100], "garbage"),
        ("endless", vec![1; wire::MAX_CONTEXT + 1], "65"),
    ];
    for (case, context, text) in cases {
        let mut write = put("k", b"x");
        if let Request::Write(write) = &mut write {
            write.items[0].context = context.into();
        }
        let failure = raw.failure(&write).await?;
        let expected = [FailureKind::BadContext, FailureKind::TooLarge];
        ensure!(expected.contains(&failure.kind), "{case}: {failure:?}");
        ensure!(
            failure.outcome == Outcome::NotApplied,
            "{case}: {failure:?}"
        );
        ensure!(failure.message.contains(text), "{case}: {failure:?}");
    }
    held.assert_unchanged().await?;
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_of_one_kind_for_its_life() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let client = cluster.client().await?;
    client.create_bucket("counts").kind(Kind::Counter).await?;
    client.create_bucket("counts").kind(Kind::Counter).await?;
    let conflict = client
        .create_bucket("counts")
        .kind(Kind::Set)
        .await
        .unwrap_err();
    ensure!(conflict.kind() == ErrorKind::WrongKind, "{conflict}");
    let conflict = client
        .create_bucket("counts")
        .kind(Kind::Counter)
        .n(1)
        .await
        .unwrap_err();
    ensure!(conflict.kind() == ErrorKind::WrongKind, "{conflict}");
    for error in wrong_kinds(&client).await {
        ensure!(error.kind() == ErrorKind::WrongKind, "{error}");
        ensure!(error.to_string().contains("holds kind counter"), "{error}");
    }
    let unknown = client.bucket("no-such-bucket").get("k").await.unwrap_err();
    ensure!(unknown.kind() == ErrorKind::UnknownBucket, "{unknown}");
    ensure!(
        unknown.to_string().contains("starling bucket create"),
        "{unknown}"
    );
    witness.assert_undisturbed().await?;
    cluster.finish()
}

/// The key that all these requests ask for, and its bucket, in which nothing else is.
struct Held {
    client: Client,
    key: &'static str,
}

impl Held {
    async fn of(cluster: &Cluster, raw: &Raw, key: &'static str) -> anyhow::Result<Self> {
        let client = cluster.client().await?;
        match raw.ask(&put(key, b"before")).await? {
            Response::Written(_) => Ok(Self { client, key }),
            other => bail!("{other:?}"),
        }
    }

    async fn assert_unchanged(self) -> anyhow::Result<()> {
        let bucket = self.client.bucket(BUCKET);
        let read = bucket.get(self.key).r(3).await?;
        let siblings = read.siblings();
        ensure!(read.single()? == Some(&"before".into()), "{siblings:?}");
        let mut keys = bucket.keys().collect().await?;
        keys.sort();
        ensure!(keys == [self.key, "witness"].map(Key::from), "{keys:?}");
        let refused = self.client.bucket("b").get(self.key).await.unwrap_err();
        ensure!(refused.kind() == ErrorKind::UnknownBucket, "{refused}");
        Ok(())
    }
}

/// What is wrong, the request, and words of the message that answers it.
type Wrong = (&'static str, Request, &'static str);

/// Wrong requests by the kind of failure that answers them.
fn wrong_requests() -> Vec<(FailureKind, Vec<Wrong>)> {
    let delete = |bucket| write(bucket, "k", Mutation::Delete);
    let nowhere = vec![
        ("no bucket", delete("no-such-bucket"), "there is no bucket"),
        ("a name that is none", delete("a/b"), "there is no bucket"),
    ];
    let strange = vec![
        ("a counter's", mutate(Mutation::Increment(1)), "kind value"),
        ("a set's", add(vec![b"e".to_vec()]), "kind value"),
        ("a set's read", read(Kind::Set, None, 1_000), "kind value"),
    ];
    vec![
        (FailureKind::UnknownBucket, nowhere),
        (FailureKind::WrongKind, strange),
        (FailureKind::TooLarge, too_large()),
        (FailureKind::BadRequest, out_of_range()),
    ]
}

fn too_large() -> Vec<Wrong> {
    let key = "k".repeat(wire::MAX_KEY + 1);
    let value = vec![0; wire::MAX_VALUE + 1];
    let element = vec![b'e'; wire::MAX_ELEMENT + 1];
    let many = vec![b"e".to_vec(); wire::MAX_ELEMENTS + 1];
    vec![
        ("a long key", put(&key, b""), "key"),
        ("a large value", put("k", &value), "value"),
        ("a long element", add(vec![element]), "element"),
        ("many elements", add(many), "number of elements"),
    ]
}

fn out_of_range() -> Vec<Wrong> {
    let read = |r, timeout_ms| read(Kind::Value, r, timeout_ms);
    vec![
        ("an empty key", put("", b""), "empty"),
        ("no element", add(Vec::new()), "no element"),
        ("no replica", read(Some(0), 1_000), "1"),
        ("too many replicas", read(Some(4), 1_000), "3"),
        ("no time", read(None, 0), "time"),
        ("all the time", read(None, u32::MAX), "time"),
        ("a bucket's name", bucket("a b", 3), "name"),
        ("a bucket without replicas", bucket("b", 0), "7"),
        ("a bucket with eight", bucket("b", 8), "7"),
    ]
}

/// What becomes of using a counter as something else.
async fn wrong_kinds(client: &Client) -> Vec<starling::Error> {
    let bucket = client.bucket("counts");
    [
        bucket.put("k", "v").await.err(),
        bucket.get("k").await.err(),
        bucket.set("k").add("e").await.err(),
        bucket.set("k").members().await.err(),
    ]
    .into_iter()
    .map(|error| error.expect("the bucket holds counters"))
    .collect()
}

async fn context_of(raw: &Raw, key: &str) -> anyhow::Result<Vec<u8>> {
    let mut request = read(Kind::Value, None, 1_000);
    if let Request::Read(read) = &mut request {
        read.key = Key::from(key);
    }
    match raw.ask(&request).await? {
        Response::Read(read) => Ok(read.context.into_vec()),
        other => bail!("{other:?}"),
    }
}

fn mutate(mutation: Mutation) -> Request {
    write(BUCKET, "k", mutation)
}

fn add(elements: Vec<Vec<u8>>) -> Request {
    mutate(Mutation::Add(
        elements.into_iter().map(Into::into).collect(),
    ))
}

fn put(key: &str, value: &[u8]) -> Request {
    write(BUCKET, key, Mutation::Put(value.to_vec().into()))
}

fn write(bucket: &str, key: &str, mutation: Mutation) -> Request {
    write_as(bucket, kind_of(&mutation), key, mutation)
}

/// A write under an operation id that nobody else has.
pub fn write_as(bucket: &str, kind: Kind, key: &str, mutation: Mutation) -> Request {
    let key = Key::from(key);
    let item = WriteItem {
        sort: key.sort,
        edits: vec![Edit::of_key(kind, mutation)],
        context: Vec::new().into(),
        only_if_current: false,
    };
    Request::Write(WriteRequest {
        bucket: bucket.to_owned(),
        partition: key.partition,
        items: vec![item],
        operation: OperationId {
            client: (fastrand::u64(..), fastrand::u64(..)),
            sequence: 1,
        },
        age_ms: 0,
        ttl_ms: None,
        w: None,
        durability: None,
        return_value: false,
        timeout_ms: 1_000,
        sloppy: None,
        pw: None,
    })
}

/// The kind that a mutation of these tests is meant for.
fn kind_of(mutation: &Mutation) -> Kind {
    match mutation {
        Mutation::Increment(_) => Kind::Counter,
        Mutation::Add(_) => Kind::Set,
        _ => Kind::Value,
    }
}

fn read(kind: Kind, r: Option<u8>, timeout_ms: u32) -> Request {
    read_of(BUCKET, kind, r, timeout_ms)
}

/// A read of key `k`.
pub fn read_of(bucket: &str, kind: Kind, r: Option<u8>, timeout_ms: u32) -> Request {
    Request::Read(ReadRequest {
        bucket: bucket.to_owned(),
        kind,
        key: Key::from("k"),
        path: Vec::new(),
        part: Part::Whole,
        r,
        local: false,
        timeout_ms,
        pr: None,
        monotonic: false,
    })
}

fn bucket(name: &str, n: u8) -> Request {
    Request::CreateBucket(CreateBucket {
        name: name.to_owned(),
        kind: Kind::Value,
        n,
        siblings: Siblings::default(),
        sloppy: false,
    })
}
