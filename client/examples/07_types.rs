//! The other kinds: registers, maxima and minima, flags, sketches, lists, bounded counters, and
//! what lasts a while.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use starling::Set;
use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    let bucket = |name: &str, kind: Kind| {
        let (client, name) = (client.clone(), format!("example-{name}"));
        async move {
            client.create_bucket(&name).kind(kind).await?;
            Ok::<_, Error>(client.bucket(name))
        }
    };

    // The latest assignment counts, and here only for an hour.
    let mottos = bucket("mottos", Kind::Register).await?;
    let motto = mottos.register("site");
    motto.set("hello").await?;
    motto.set("welcome").ttl(Duration::from_secs(3_600)).await?;
    println!("the motto is {:?}", motto.read().await?.value());

    let records = bucket("records", Kind::Max).await?;
    let record = records.max("high-score");
    record.offer(120).await?;
    record.offer(90).await?;
    assert!(record.read().await?.into_value() >= Some(120));

    let flags = bucket("flags", Kind::Flag).await?;
    let beta = flags.flag("beta");
    beta.enable().await?;
    assert!(*beta.read().await?.value());
    beta.disable().await?;
    assert!(!beta.read().await?.into_value());

    // About how many different visitors there were, in a few kilobytes.
    let visitors = bucket("visitors", Kind::Sketch).await?;
    let today = visitors.hll("today");
    today.clear().await?;
    today
        .add_all((0..1_000).map(|visitor| format!("visitor-{visitor}")))
        .await?;
    today.add("visitor-7").await?;
    let count = today.estimate().await?.into_value();
    println!("about {count} visitors");
    assert!((950..1_050).contains(&count));

    // A list keeps its order when several people change it at once.
    let lists = bucket("lists", Kind::List).await?;
    let tasks = lists.list("tasks");
    tasks.clear().await?;
    tasks.push_back("write").await?;
    tasks.push_back("publish").await?;
    let items = tasks.read().await?;
    tasks.insert(&items.gap(1), ["test", "review"]).await?;
    tasks.push_front("think").await?;
    let items = tasks.read().await?;
    let texts: Vec<_> = items
        .values()
        .map(|item| String::from_utf8_lossy(item))
        .collect();
    println!("{texts:?}");
    assert_eq!(texts, ["think", "write", "test", "review", "publish"]);
    tasks.remove(&items.items()[0].position).await?;

    sell(&bucket("tickets", Kind::BoundedCounter).await?).await?;

    // Elements of a set that last for a while: each has its own end.
    let sessions = bucket("sessions", Kind::Set).await?;
    let online = sessions.set("online");
    online.add("ada").ttl(Duration::from_millis(200)).await?;
    online.add("eve").ttl(Duration::from_secs(3_600)).await?;
    tokio::time::timeout(Duration::from_secs(10), gone(&online, "ada")).await??;
    assert!(online.contains("eve").await?);
    client.close().await;
    Ok(())
}

/// Tickets, never below 0. What was added can be spent when every owner holds it, so a spend may
/// have to wait; the client does so within its deadline.
async fn sell(tickets: &Bucket) -> Result<(), Error> {
    let seats = tickets.bounded_counter("hall");
    seats.add(3).await?;
    println!("{} seats are left", seats.value().await?.value());
    let refused = seats.spend(1_000_000_000).await.err();
    let kind = refused.map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::Insufficient));
    Ok(())
}

/// Reads until an element is over.
async fn gone(set: &Set, element: &'static str) -> Result<(), Error> {
    while set.contains(element).await? {}
    Ok(())
}
