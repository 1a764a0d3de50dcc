//! What each kind's handle writes and reads, of a key and of a field of a map.

use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use crate::fake::{Fake, mutation, page, read, written};
use starling::wire::{Edit, Field, Item, Kind, Mutation, Page, Part, Request, State, WriteRequest};
use starling::{Bucket, ErrorKind, Gap, Outcome, Position};

fn buffer(text: &str) -> ByteBuf {
    ByteBuf::from(text.as_bytes())
}

fn buffers(texts: &[&str]) -> Vec<ByteBuf> {
    texts.iter().map(|text| buffer(text)).collect()
}

/// Reads find what the state says.
fn cluster(state: State) -> Fake {
    Fake::start(1, move |_, request| match request {
        Request::Read(_) => read(state.clone(), b"seen"),
        _ => written(b"after"),
    })
}

async fn bucket(fake: &Fake, name: &str) -> Bucket {
    fake.client().await.bucket(name)
}

fn edits(write: WriteRequest) -> Vec<Edit> {
    let [item] = <[_; 1]>::try_from(write.items).expect("one key is written");
    item.edits
}

fn last_edit(fake: &Fake) -> Edit {
    let (_, write) = fake.writes().pop().expect("something was written");
    edits(write).pop().expect("something was changed")
}

fn last_read(fake: &Fake) -> starling::wire::ReadRequest {
    let last = fake.nodes[0].requests().pop();
    let read = match last {
        Some(Request::Read(read)) => Some(read),
        _ => None,
    };
    read.expect("the last request is a read")
}

#[tokio::test]
async fn who_learns_the_kind_when_it_runs_changes_keys_and_fields_of_any() {
    let fake = cluster(State::Flag(true));
    let b = bucket(&fake, "any").await;
    let offer = || Mutation::Offer(3);
    b.change("k", Kind::Min, offer()).await.unwrap();
    assert_eq!(last_edit(&fake), Edit::of_key(Kind::Min, offer()));
    let of_field = Edit {
        path: buffers(&["f"]),
        ..Edit::of_key(Kind::Max, offer())
    };
    let map = b.map("k");
    map.change("f", Kind::Max, offer()).await.unwrap();
    assert_eq!(last_edit(&fake), of_field);
    let update = map.update(|map| {
        map.change("f", Kind::Max, offer());
    });
    update.await.unwrap();
    assert_eq!(last_edit(&fake), of_field);
}

#[tokio::test]
async fn every_kind_is_written_in_its_own_words() {
    let fake = cluster(State::Flag(true));
    let b = bucket(&fake, "any").await;
    let expect = |kind, mutation| assert_eq!(last_edit(&fake), Edit::of_key(kind, mutation));
    b.register("k").set("x").await.unwrap();
    expect(Kind::Register, Mutation::Put(buffer("x")));
    b.max("k").offer(5).await.unwrap();
    expect(Kind::Max, Mutation::Offer(5));
    b.min("k").offer(-5).await.unwrap();
    expect(Kind::Min, Mutation::Offer(-5));
    b.flag("k").enable().await.unwrap();
    expect(Kind::Flag, Mutation::Switch(true));
    b.disable_flag("k").disable().await.unwrap();
    expect(Kind::DisableFlag, Mutation::Switch(false));
    b.bounded_counter("k").add(5).await.unwrap();
    expect(Kind::BoundedCounter, Mutation::Increment(5));
    b.bounded_counter("k").spend(5).await.unwrap();
    expect(Kind::BoundedCounter, Mutation::Increment(-5));
    // What is no amount changes nothing, and is refused by the node.
    b.bounded_counter("k").spend(u64::MAX).await.unwrap();
    expect(Kind::BoundedCounter, Mutation::Increment(0));
    b.grow_set("k").add("a").add("b").await.unwrap();
    expect(Kind::GrowSet, Mutation::Add(buffers(&["a", "b"])));
    b.remove_set("k").remove("a").await.unwrap();
    expect(Kind::RemoveSet, Mutation::Remove(buffers(&["a"])));
    b.hll("k").add_all(["a", "b"]).await.unwrap();
    expect(Kind::Sketch, Mutation::Add(buffers(&["a", "b"])));
    b.list("k")
        .remove(&Position::from_bytes("p"))
        .await
        .unwrap();
    expect(Kind::List, Mutation::Remove(buffers(&["p"])));
    b.map("k").clear().await.unwrap();
    expect(Kind::Map, Mutation::Delete);
    assert!(*b.flag("k").read().await.unwrap().value());
}

#[tokio::test]
async fn a_set_is_added_to_and_removed_from_in_one_write() {
    let fake = cluster(State::Set(Vec::new()));
    let tags = bucket(&fake, "sets").await.set("k");
    tags.add("a")
        .add("b")
        .remove("c")
        .remove("d")
        .add("e")
        .await
        .unwrap();
    let (_, write) = fake.writes().remove(0);
    let mutations: Vec<_> = edits(write).into_iter().map(|edit| edit.mutation).collect();
    let expected = [
        Mutation::Add(buffers(&["a", "b"])),
        Mutation::Remove(buffers(&["c", "d"])),
        Mutation::Add(buffers(&["e"])),
    ];
    assert_eq!(mutations, expected);
}

#[tokio::test]
async fn every_kind_is_read_as_what_it_is() {
    let fake = cluster(State::Number(Some(7)));
    let b = bucket(&fake, "any").await;
    let max = b.max("k").read().r(2).await.unwrap();
    assert_eq!((max.value(), max.answered()), (&Some(7), 2));
    fake.nodes[0].respond(|_| read(State::Register(Some(buffer("x"))), b""));
    let register = b.register("k").read().await.unwrap().into_value();
    assert_eq!(register, Some(Bytes::from_static(b"x")));
    fake.nodes[0].respond(|_| read(State::Estimate(1_000), b""));
    assert_eq!(b.hll("k").estimate().await.unwrap().value(), &1_000);
    // A node that answers with another kind is not believed.
    let error = b.counter("k").read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

fn item(position: &str, item: &str) -> Item {
    Item {
        position: buffer(position),
        item: buffer(item),
    }
}

#[tokio::test]
async fn an_item_of_a_list_is_put_between_its_neighbours() {
    let fake = cluster(State::List(vec![item("p", "a"), item("q", "b")]));
    let tasks = bucket(&fake, "lists").await.list("k");
    let items = tasks.read().await.unwrap();
    assert_eq!(items.values().collect::<Vec<_>>(), ["a", "b"]);
    let insert = |after: Option<&str>, before: Option<&str>| Mutation::Insert {
        after: after.map(buffer),
        before: before.map(buffer),
        items: buffers(&["x", "y"]),
    };
    let gaps = [
        (items.gap(0), insert(None, Some("p"))),
        (items.gap(1), insert(Some("p"), Some("q"))),
        (items.gap(2), insert(Some("q"), None)),
        (items.gap(99), insert(Some("q"), None)),
        (Gap::default(), insert(None, None)),
    ];
    for (gap, expected) in gaps {
        tasks.insert(&gap, ["x", "y"]).await.unwrap();
        assert_eq!(last_edit(&fake).mutation, expected);
    }
}

#[tokio::test]
async fn pushing_reads_one_end_of_the_list_and_writes_beyond_it() {
    let fake = Fake::start(1, |_, request| match request {
        Request::Read(_) => page(State::List(vec![item("p", "a")]), b"", Some(b"p")),
        _ => written(b""),
    });
    let tasks = bucket(&fake, "lists").await.list("k");
    for (back, after, before) in [(true, Some("p"), None), (false, None, Some("p"))] {
        if back {
            tasks.push_back("x").await.unwrap();
        } else {
            tasks.push_front("x").await.unwrap();
        }
        let insert = Mutation::Insert {
            after: after.map(buffer),
            before: before.map(buffer),
            items: buffers(&["x"]),
        };
        assert_eq!(last_edit(&fake).mutation, insert);
        let requests = fake.nodes[0].requests();
        let Some(Request::Read(asked)) = requests.iter().rfind(|r| matches!(r, Request::Read(_)))
        else {
            panic!("the list was read")
        };
        let one = Page {
            reverse: back,
            limit: 1,
            ..Page::default()
        };
        assert_eq!(asked.part, Part::Page(one));
    }
}

#[tokio::test]
async fn all_changes_of_a_map_are_one_write_of_one_key() {
    let fake = cluster(State::Map(Vec::new()));
    let ada = bucket(&fake, "maps").await.map("ada");
    ada.update(|m| {
        m.counter("logins").add(1);
        m.set("emails").add("new").add("newer").remove("old");
        m.set("tags").add("x");
        m.register("name").set("Ada");
        m.flag("vip").enable();
        m.map("address").map("home").register("city").set("London");
        m.remove("legacy");
    })
    .w(2)
    .await
    .unwrap();
    let (_, write) = fake.writes().remove(0);
    let edit = |path: &[&str], kind, mutation| Edit {
        path: buffers(path),
        kind,
        mutation,
    };
    let city = ["address", "home", "city"];
    let expected = [
        edit(&["logins"], Kind::Counter, Mutation::Increment(1)),
        edit(
            &["emails"],
            Kind::Set,
            Mutation::Add(buffers(&["new", "newer"])),
        ),
        edit(&["emails"], Kind::Set, Mutation::Remove(buffers(&["old"]))),
        edit(&["tags"], Kind::Set, Mutation::Add(buffers(&["x"]))),
        edit(&["name"], Kind::Register, Mutation::Put(buffer("Ada"))),
        edit(&["vip"], Kind::Flag, Mutation::Switch(true)),
        edit(&city, Kind::Register, Mutation::Put(buffer("London"))),
        edit(&["legacy"], Kind::Map, Mutation::Delete),
    ];
    assert_eq!(edits(write), expected);
}

#[tokio::test]
async fn a_field_is_read_and_written_alone() {
    let fake = cluster(State::Set(buffers(&["a"])));
    let emails = bucket(&fake, "maps")
        .await
        .map("ada")
        .map("contact")
        .set("emails");
    let members = emails.members().await.unwrap();
    let asked = last_read(&fake);
    assert_eq!(
        (asked.path, asked.kind),
        (buffers(&["contact", "emails"]), Kind::Set)
    );
    emails.remove("a").context(members.context()).await.unwrap();
    let edit = last_edit(&fake);
    assert_eq!(
        (edit.path, edit.kind),
        (buffers(&["contact", "emails"]), Kind::Set)
    );
}

#[tokio::test]
async fn a_map_is_read_as_a_tree() {
    let field = |name, kind, state| Field {
        name: buffer(name),
        kind,
        state,
    };
    let city = field(
        "city",
        Kind::Register,
        State::Register(Some(buffer("London"))),
    );
    let fields = vec![
        field("address", Kind::Map, State::Map(vec![city])),
        field("logins", Kind::Counter, State::Counter(3)),
    ];
    let fake = cluster(State::Map(fields));
    let found = bucket(&fake, "maps").await.map("ada").read().await.unwrap();
    let map = found.value();
    assert_eq!((map.len(), map.counter("logins")), (2, 3));
    let city = map
        .map("address")
        .and_then(|address| address.register("city"));
    assert_eq!(city, Some(&Bytes::from_static(b"London")));
}

#[tokio::test]
async fn what_lasts_for_a_while_says_how_long_and_what_cannot_is_refused() {
    let fake = cluster(State::Set(Vec::new()));
    let b = bucket(&fake, "any").await;
    let hour = Duration::from_secs(3_600);
    b.put("k", "x").ttl(hour).await.unwrap();
    b.set("k").add("e").ttl(hour).await.unwrap();
    let ttls: Vec<_> = fake
        .writes()
        .iter()
        .map(|(_, write)| write.ttl_ms)
        .collect();
    assert_eq!(ttls, [Some(3_600_000); 2]);
    let counter = b.counter("k").add(1).ttl(hour).await.unwrap_err();
    let map = b.map("k").update(|m| {
        m.register("name").set("Ada");
        m.flag("vip").enable();
    });
    let map = map.ttl(hour).await.unwrap_err();
    let never = b.put("k", "x").ttl(Duration::ZERO).await.unwrap_err();
    for error in [counter, map, never] {
        let found = (error.kind(), error.outcome());
        assert_eq!(
            found,
            (ErrorKind::BadRequest, Outcome::NotApplied),
            "{error}"
        );
    }
    assert_eq!(fake.writes().len(), 2);
}

#[tokio::test]
async fn a_key_is_removed_whatever_its_kind() {
    let fake = cluster(State::Flag(true));
    let client = fake.client().await;
    for (bucket, kind) in [
        ("values", Kind::Value),
        ("counters", Kind::Counter),
        ("maps", Kind::Map),
    ] {
        client.bucket(bucket).delete("k").await.unwrap();
        assert_eq!(last_edit(&fake), Edit::of_key(kind, Mutation::Delete));
    }
    // A bucket that was made since is looked up.
    fake.add_bucket("fresh", Kind::List);
    client.bucket("fresh").delete("k").await.unwrap();
    assert_eq!(last_edit(&fake).kind, Kind::List);
}

#[tokio::test]
async fn names_that_no_field_can_have_are_refused_before_anything_is_sent() {
    let fake = cluster(State::Flag(true));
    let maps = bucket(&fake, "maps").await;
    let empty = maps.map("k").register("").set("x").await.unwrap_err();
    let read = maps.map("k").flag("").read().await.unwrap_err();
    let deep = (0..9).fold(maps.map("k"), |map, _| map.map("m"));
    let deep = deep.clear().await.unwrap_err();
    let nothing = maps.map("k").update(|_| {}).await.unwrap_err();
    let kinds = [empty, read, deep, nothing].map(|error| error.kind());
    let (bad, large) = (ErrorKind::BadRequest, ErrorKind::TooLarge);
    assert_eq!(kinds, [bad, bad, large, bad]);
    assert!(fake.nodes[0].requests().is_empty());
}

#[tokio::test]
async fn a_bare_put_is_one_change_of_one_key() {
    let fake = cluster(State::Flag(true));
    bucket(&fake, "values")
        .await
        .put(("p", "s"), "x")
        .await
        .unwrap();
    let (_, write) = fake.writes().remove(0);
    assert_eq!(mutation(&write), &Mutation::Put(buffer("x")));
    assert_eq!(
        (&write.partition[..], &write.items[0].sort[..]),
        (&b"p"[..], &b"s"[..])
    );
    assert!(write.items[0].context.is_empty() && !write.items[0].only_if_current);
    assert!(matches!(fake.nodes[0].requests()[..], [Request::Write(_)]));
}

#[tokio::test]
async fn an_answer_without_a_context_for_each_key_is_not_believed() {
    let fake = Fake::start(1, |_, _| crate::fake::written_all(&[]));
    let error = bucket(&fake, "values")
        .await
        .put("k", "x")
        .await
        .unwrap_err();
    let found = (error.kind(), error.outcome());
    assert_eq!(found, (ErrorKind::Protocol, Outcome::MaybeApplied));
    assert!(matches!(fake.nodes[0].requests()[..], [Request::Write(_)]));
}
