//! What goes into requests and comes out of answers.

use bytes::Bytes;
use serde_bytes::ByteBuf;

use crate::fake::{Action, Fake, mutation, read, written};
use starling::wire::{Mutation, Part, Request, State};
use starling::{Client, Context, Durability, ErrorKind, OperationId, Outcome, Profile};

fn values(values: &[&'static [u8]]) -> State {
    State::Value(values.iter().map(|value| ByteBuf::from(*value)).collect())
}

/// Reads find what the state says, writes succeed with the context `after`.
fn cluster(state: State) -> Fake {
    Fake::start(1, move |_, request| match request {
        Request::Read(_) => read(state.clone(), b"seen"),
        Request::Write(_) => written(b"after"),
        _ => Action::Silence,
    })
}

#[tokio::test]
async fn a_read_gives_value_and_context_and_a_write_passes_it_on() {
    let fake = cluster(values(&[b"Ada"]));
    let users = fake.client().await.bucket("values");
    let found = users.get("ada").r(2).await.unwrap();
    assert_eq!(found.single(), Ok(Some(&Bytes::from_static(b"Ada"))));
    let first = users
        .put("ada", "Lovelace")
        .context(found.context())
        .await
        .unwrap();
    users
        .put("ada", "Countess")
        .context(first.context())
        .w(3)
        .await
        .unwrap();
    let contexts: Vec<_> = fake
        .writes()
        .into_iter()
        .map(|(_, mut write)| write.items.remove(0).context.into_vec())
        .collect();
    assert_eq!(contexts, [b"seen".to_vec(), b"after".to_vec()]);
}

#[test]
fn clients_and_their_operations_go_anywhere() {
    fn goes_anywhere<T: Send + Sync>() {}
    fn can_be_spawned(client: &Client) -> Vec<tokio::task::JoinHandle<()>> {
        let (bucket, handle) = (client.bucket("values"), client.clone());
        let update = async move { drop(bucket.update("k", |all| all.concat()).await) };
        let refresh = async move { drop(handle.refresh().await) };
        vec![tokio::spawn(update), tokio::spawn(refresh)]
    }
    goes_anywhere::<Client>();
    goes_anywhere::<starling::Bucket>();
    goes_anywhere::<starling::Error>();
    let _: fn(&Client) -> Vec<_> = can_be_spawned;
}

#[tokio::test]
async fn options_reach_the_node() {
    let fake = cluster(values(&[]));
    let users = fake.client().await.bucket("values");
    let operation = OperationId {
        client: (7, 8),
        sequence: 9,
    };
    let put = users
        .put("ada", "x")
        .w(3)
        .durability(Durability::Synced)
        .return_value();
    put.operation_id(operation).await.unwrap();
    let (_, write) = fake.writes().remove(0);
    assert_eq!(
        (write.w, write.durability),
        (Some(3), Some(Durability::Synced))
    );
    assert_eq!((write.operation, write.return_value), (operation, true));
    assert_eq!(mutation(&write), &Mutation::Put(ByteBuf::from(b"x")));
    assert!(write.timeout_ms > 0);
}

#[tokio::test]
async fn siblings_cannot_be_ignored() {
    let fake = cluster(values(&[b"a", b"b"]));
    let users = fake.client().await.bucket("values");
    let found = users.get("ada").await.unwrap();
    assert_eq!(found.single().map_err(|conflict| conflict.siblings), Err(2));
    let error = starling::Error::from(found.single().unwrap_err());
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Conflict, Outcome::NotApplied)
    );
    assert_eq!(
        found.resolve(|siblings| siblings.concat()),
        Some(Bytes::from_static(b"ab"))
    );
}

#[tokio::test]
async fn an_update_writes_over_all_that_it_saw() {
    let fake = cluster(values(&[b"a", b"b"]));
    let users = fake.client().await.bucket("values");
    users
        .update("ada", |siblings| siblings.concat())
        .await
        .unwrap();
    let (_, write) = fake.writes().remove(0);
    assert_eq!(mutation(&write), &Mutation::Put(ByteBuf::from(b"ab")));
    assert_eq!(write.items[0].context.as_slice(), b"seen");
    assert!(write.items[0].only_if_current);
}

#[tokio::test]
async fn a_profile_can_ask_that_blind_puts_say_so() {
    let fake = cluster(values(&[b"a"]));
    let profile = Profile::new().explicit_blind_puts();
    let builder = fake.builder().default_profile(profile);
    let client = builder.connect().await.unwrap();
    let users = client.bucket("values");
    let error = users.put("ada", "x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::BadRequest, Outcome::NotApplied)
    );
    let unsaid = users.batch("ada", |keys| {
        keys.key("1").blind().value().put("x");
        keys.key("2").value().put("x");
    });
    assert_eq!(unsaid.await.unwrap_err().kind(), ErrorKind::BadRequest);
    assert!(fake.writes().is_empty());

    let seen = users.get("ada").await.unwrap();
    let context = seen.context();
    users.put("ada", "x").context(context).await.unwrap();
    users.put("ada", "x").only_if_current().await.unwrap();
    users
        .put("ada", "x")
        .context(context)
        .blind()
        .await
        .unwrap();
    users.delete("ada").await.unwrap();
    let contexts = fake.writes().into_iter();
    let contexts = contexts.map(|(_, write)| write.items[0].context.to_vec());
    assert_eq!(contexts.collect::<Vec<_>>(), [&b"seen"[..], b"", b"", b""]);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_no_error() {
    let fake = cluster(values(&[]));
    let found = fake
        .client()
        .await
        .bucket("values")
        .get("nobody")
        .await
        .unwrap();
    assert_eq!(found.single(), Ok(None));
    assert_eq!(found.resolve(|siblings| siblings.concat()), None);
}

#[tokio::test]
async fn counters_and_sets_have_operations_of_their_own() {
    let fake = cluster(State::Counter(41));
    let client = fake.client().await;
    let hits = client.bucket("counters").counter("home");
    hits.add(5).await.unwrap();
    hits.reset().await.unwrap();
    assert_eq!(hits.read().await.unwrap().value(), 41);
    let tags = client.bucket("sets").set("post");
    tags.add("rust").add("kv").await.unwrap();
    tags.remove("draft").await.unwrap();
    let mutations: Vec<_> = fake
        .writes()
        .into_iter()
        .map(|(_, write)| mutation(&write).clone())
        .collect();
    let element = |text: &str| ByteBuf::from(text.as_bytes());
    let expected = [
        Mutation::Increment(5),
        Mutation::Delete,
        Mutation::Add(vec![element("rust"), element("kv")]),
        Mutation::Remove(vec![element("draft")]),
    ];
    assert_eq!(mutations, expected);
}

#[tokio::test]
async fn a_set_is_read_whole_or_asked_for_one_element() {
    let fake = cluster(State::Set(vec![
        ByteBuf::from(b"kv"),
        ByteBuf::from(b"rust"),
    ]));
    let tags = fake.client().await.bucket("sets").set("post");
    let members = tags.members().await.unwrap();
    assert_eq!(
        (
            members.len(),
            members.contains("kv"),
            members.contains("no")
        ),
        (2, true, false)
    );
    assert!(tags.contains("rust").await.unwrap());
    let requests = fake.nodes[0].requests();
    let Some(Request::Read(last)) = requests.last() else {
        panic!("a read was sent")
    };
    assert_eq!(last.part, Part::Element(ByteBuf::from(b"rust")));
}

#[tokio::test]
async fn a_context_of_another_key_is_refused_before_anything_is_sent() {
    let fake = cluster(values(&[b"Ada"]));
    let users = fake.client().await.bucket("values");
    let found = users.get("ada").await.unwrap();
    let copy = Context::from_token(&found.context().to_token()).unwrap();
    let error = users.put("eve", "x").context(&copy).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::BadContext, Outcome::NotApplied)
    );
    assert!(fake.writes().is_empty());
    users.put("ada", "x").context(&copy).await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_sent() {
    let fake = cluster(values(&[]));
    let client = fake.client().await;
    let users = client.bucket("values");
    let large = users
        .put("ada", vec![0; starling::wire::MAX_VALUE + 1])
        .await
        .unwrap_err();
    let key = users
        .put(vec![0; starling::wire::MAX_KEY + 1], "x")
        .await
        .unwrap_err();
    let many = client
        .bucket("sets")
        .set("s")
        .add_all(vec!["e"; 1_001])
        .await
        .unwrap_err();
    for error in [large, key, many] {
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::TooLarge, Outcome::NotApplied)
        );
    }
    assert_eq!(
        users.get("").await.unwrap_err().kind(),
        ErrorKind::BadRequest
    );
    assert!(fake.nodes[0].requests().is_empty());
}
