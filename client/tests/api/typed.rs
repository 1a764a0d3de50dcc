//! Values of a type of the program's own, and updates of them.

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::fake::{Action, Fake, failed, mutation, read, written};
use starling::wire::{FailureKind, Item, Mutation, Part, Request, State};
use starling::{ErrorKind, Gap, Kind, Outcome};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    visits: u64,
}

fn user(visits: u64) -> User {
    User {
        name: "Ada".to_owned(),
        visits,
    }
}

fn bytes(user: &User) -> ByteBuf {
    ByteBuf::from(rmp_serde::to_vec_named(user).expect("users encode"))
}

/// Has no encoding.
struct Never;

impl Serialize for Never {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("never"))
    }
}

/// A node with one key that holds what was written last, or at first `siblings`; of the first
/// `lost` conditional writes it says that somebody else was faster.
fn store(siblings: &[User], lost: usize) -> Fake {
    let held: Vec<_> = siblings.iter().map(bytes).collect();
    let held = Arc::new(Mutex::new((held, lost)));
    Fake::start(1, move |_, request| {
        let mut held = held.lock().expect("nobody panics with it");
        match request {
            Request::Read(_) => read(State::Value(held.0.clone()), b"seen"),
            Request::Write(write) => {
                if write.items[0].only_if_current && held.1 > 0 {
                    held.1 -= 1;
                    return failed(FailureKind::NotCurrent, Outcome::NotApplied);
                }
                if let Mutation::Put(value) = mutation(write) {
                    held.0 = vec![value.clone()];
                }
                written(b"after")
            }
            _ => Action::Silence,
        }
    })
}

fn merge(siblings: Vec<User>) -> User {
    user(siblings.into_iter().map(|user| user.visits).sum())
}

fn visit(current: Option<User>) -> User {
    user(current.map_or(0, |user| user.visits) + 1)
}

#[tokio::test]
async fn a_value_comes_back_as_it_was_put() {
    let fake = store(&[], 0);
    let users = fake.client().await.typed::<User>("values");
    assert_eq!(users.get("ada").await.unwrap().single(), Ok(None));
    users.put("ada", &user(3)).await.unwrap();
    let found = users.get("ada").await.unwrap();
    assert_eq!(found.single(), Ok(Some(&user(3))));
    users
        .put("ada", &user(4))
        .context(found.context())
        .await
        .unwrap();
    assert_eq!(fake.writes()[1].1.items[0].context.as_slice(), b"seen");
}

#[tokio::test]
async fn siblings_are_typed_too() {
    let fake = store(&[user(1), user(2)], 0);
    let users = fake.client().await.typed::<User>("values");
    let found = users.get("ada").await.unwrap();
    assert_eq!(found.siblings(), [user(1), user(2)]);
    assert!(found.single().is_err());
    assert_eq!(found.resolve(|all| merge(all.to_vec())), Some(user(3)));
}

#[tokio::test]
async fn an_update_merges_siblings_and_changes_what_comes_of_them() {
    let fake = store(&[user(1), user(2)], 0);
    let users = fake.client().await.typed::<User>("values");
    let (updated, _) = users.update("ada", merge, visit).await.unwrap();
    assert_eq!(updated, user(4));
    assert_eq!(users.get("ada").await.unwrap().single(), Ok(Some(&user(4))));
}

#[tokio::test]
async fn an_update_that_was_too_slow_begins_again_under_another_name() {
    let fake = store(&[user(1)], 3);
    let users = fake.client().await.typed::<User>("values");
    let (updated, _) = users.update("ada", merge, visit).await.unwrap();
    assert_eq!(updated, user(2));
    let mut names: Vec<_> = fake
        .writes()
        .iter()
        .map(|(_, w)| w.operation.sequence)
        .collect();
    names.dedup();
    assert_eq!(names.len(), 4);
}

#[tokio::test]
async fn an_update_gives_up_after_ten_rounds() {
    let fake = store(&[], usize::MAX);
    let client = fake.client().await;
    let typed = client
        .typed::<User>("values")
        .update("ada", merge, visit)
        .await;
    assert_eq!(typed.unwrap_err().kind(), ErrorKind::NotCurrent);
    assert_eq!(fake.writes().len(), 10);
    let plain = client
        .bucket("values")
        .update("ada", |all| all.concat())
        .await;
    assert_eq!(plain.unwrap_err().kind(), ErrorKind::NotCurrent);
    assert_eq!(fake.writes().len(), 20);
}

#[tokio::test]
async fn an_update_that_may_have_been_applied_is_not_begun_again() {
    let fake = Fake::start(1, |_, request| match request {
        Request::Read(_) => read(State::Value(Vec::new()), b""),
        _ => failed(FailureKind::NotCurrent, Outcome::MaybeApplied),
    });
    let values = fake.client().await.bucket("values");
    let error = values.update("ada", |all| all.concat()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::NotCurrent, Outcome::MaybeApplied)
    );
    assert_eq!(fake.writes().len(), 1);
}

#[tokio::test]
async fn a_conditional_write_is_not_retried() {
    let fake = store(&[], usize::MAX);
    let put = fake.client().await.bucket("values").put("ada", "x");
    let error = put.only_if_current().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotCurrent, 1));
    assert!(!error.is_retryable() && error.outcome() == Outcome::NotApplied);
}

#[tokio::test]
async fn bytes_of_another_type_are_an_error_and_stay_readable() {
    let fake = Fake::start(1, |_, _| {
        read(State::Value(vec![ByteBuf::from(b"\xc1")]), b"")
    });
    let users = fake.client().await.typed::<User>("values");
    let error = users.get("ada").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
    let raw = users.raw().get("ada").await.unwrap();
    assert_eq!(raw.single().unwrap().unwrap(), &b"\xc1"[..]);
}

#[tokio::test]
async fn a_value_without_bytes_is_an_error_when_it_is_awaited() {
    let fake = store(&[], 0);
    let put = fake
        .client()
        .await
        .typed::<Never>("values")
        .put("ada", &Never);
    let error = put.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Codec, Outcome::NotApplied)
    );
    assert!(fake.writes().is_empty());
}

#[tokio::test]
async fn many_typed_values_are_read_at_once() {
    let fake = store(&[user(5)], 0);
    let users = fake.client().await.typed::<User>("values");
    let mut reads = users.multi_get(["a", "b", "c"]);
    let mut visits = 0;
    while let Some((_, read)) = reads.next().await {
        visits += read
            .unwrap()
            .single()
            .unwrap()
            .map_or(0, |user| user.visits);
    }
    assert_eq!(visits, 15);
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_is_an_option() {
    let fake = store(&[], 0);
    let users = fake.client().await.typed::<User>("values").json();
    users.put("ada", &user(1)).await.unwrap();
    let (_, write) = fake.writes().remove(0);
    let text = ByteBuf::from(br#"{"name":"Ada","visits":1}"#);
    assert_eq!(mutation(&write), &Mutation::Put(text));
    assert_eq!(users.get("ada").await.unwrap().single(), Ok(Some(&user(1))));
}

/// A node that holds what was put, added or inserted last in a map's fields.
fn fields() -> Fake {
    let held: Arc<Mutex<Vec<ByteBuf>>> = Arc::default();
    Fake::start(1, move |_, request| {
        let mut held = held.lock().expect("nobody panics with it");
        match request {
            Request::Read(asked) => {
                let state = match (asked.kind, &asked.part) {
                    (Kind::Register, _) => State::Register(held.last().cloned()),
                    (Kind::List, _) => {
                        let item = |item: &ByteBuf| Item {
                            position: ByteBuf::from("p"),
                            item: item.clone(),
                        };
                        State::List(held.iter().map(item).collect())
                    }
                    (_, Part::Element(element)) => {
                        let found = held.iter().filter(|own| *own == element);
                        State::Set(found.cloned().collect())
                    }
                    _ => State::Set(held.clone()),
                };
                read(state, b"seen")
            }
            Request::Write(write) => {
                match mutation(write) {
                    Mutation::Put(value) => *held = vec![value.clone()],
                    Mutation::Add(all) | Mutation::Insert { items: all, .. } => {
                        held.clone_from(all);
                    }
                    Mutation::Remove(all) => held.retain(|own| !all.contains(own)),
                    _ => return failed(FailureKind::BadRequest, Outcome::NotApplied),
                }
                written(b"after")
            }
            _ => Action::Silence,
        }
    })
}

#[tokio::test]
async fn registers_sets_and_lists_are_typed_alike() {
    let fake = fields();
    let map = fake.client().await.bucket("map").map("ada");
    let register = map.register("last").typed::<User>();
    register.set(&user(7)).await.unwrap();
    assert_eq!(register.read().await.unwrap().into_value(), Some(user(7)));

    let set = map.set("seen").typed::<User>();
    set.add_all([user(1), user(2)]).await.unwrap();
    assert!(set.contains(&user(2)).await.unwrap());
    set.remove(&user(2)).await.unwrap();
    assert!(!set.contains(&user(2)).await.unwrap());
    assert_eq!(set.members().await.unwrap().elements(), [user(1)]);
    assert_eq!(set.scan().collect().await.unwrap(), [user(1)]);
    let grown = map.grow_set("seen").typed::<User>();
    grown.add(&user(3)).await.unwrap();
    assert_eq!(grown.members().await.unwrap().into_elements(), [user(3)]);

    let list = map.list("log").typed::<User>();
    list.insert(&Gap::default(), &[user(4), user(5)])
        .await
        .unwrap();
    let items = list.read().await.unwrap();
    assert_eq!(items.values().collect::<Vec<_>>(), [&user(4), &user(5)]);
    list.push_back(&user(6)).await.unwrap();
    let (_, pushed) = fake.writes().pop().unwrap();
    let after = Some(ByteBuf::from("p"));
    let expected = Mutation::Insert {
        after,
        before: None,
        items: vec![bytes(&user(6))],
    };
    assert_eq!(mutation(&pushed), &expected);
    let item = list.scan().try_next().await.unwrap().unwrap();
    assert_eq!(item.value, user(6));
}

#[tokio::test]
async fn what_is_of_another_type_says_where_it_is_and_in_which_format_it_was_read() {
    let fake = fields();
    let map = fake.client().await.bucket("map").map("ada").map("home");
    map.register("city").set("London").await.unwrap();
    let city = map.register("city").typed::<User>();
    let said = city.read().await.unwrap_err().to_string();
    let place = "field home.city of key ada of bucket map";
    assert!(
        said.contains(place) && said.contains("MessagePack"),
        "{said}"
    );
    let scanned = map.list("city").typed::<User>().scan().try_next().await;
    assert!(scanned.unwrap_err().to_string().contains(place));
    let members = map.set("city").typed::<User>().members().await;
    assert_eq!(members.unwrap_err().kind(), ErrorKind::Codec);
}

#[tokio::test]
async fn an_element_without_bytes_is_neither_asked_for_nor_written() {
    let fake = fields();
    let set = fake.client().await.bucket("set").set("k").typed::<Never>();
    for error in [
        set.contains(&Never).await.unwrap_err(),
        set.add(&Never).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(error.to_string().contains("key k of bucket set"), "{error}");
    }
    assert!(fake.writes().is_empty());
}
