//! Keys that live together: atomic batches, ordered reads by pages, and the keys of a bucket.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client.create_bucket("example-orders-by-day").await?;
    let orders = client.bucket("example-orders-by-day");

    // Begin anew, so that this example can run twice.
    for old in orders.scan("customer-7").collect().await? {
        orders.delete(&old.key).context(old.read.context()).await?;
    }

    // All of a batch is applied or none of it, whatever fails.
    let batch = orders.batch("customer-7", |keys| {
        for day in 1..=25 {
            let sort = format!("2026-11-{day:02}");
            keys.key(sort).value().put(format!("order of day {day}"));
        }
        keys.key("2026-12-01").value().put("order of december");
    });
    let done = batch.await?;
    println!(
        "{} orders at {} replicas",
        done.contexts().count(),
        done.acks()
    );

    // A range or a prefix of the sort keys, forwards or backwards, by pages.
    let mut november = orders
        .scan("customer-7")
        .prefix("2026-11-")
        .reverse()
        .page_size(10);
    let latest = november.try_next().await?.ok_or("it was just written")?;
    println!("the latest of november: {}", latest.key);
    assert_eq!(latest.key, Key::new("customer-7", "2026-11-25"));

    // A scan goes on from its cursor, in this process or another.
    let cursor = november.cursor().ok_or("it is not at its end")?;
    let rest = orders
        .scan("customer-7")
        .prefix("2026-11-")
        .reverse()
        .resume(&cursor);
    assert_eq!(rest.collect().await?.len(), 24);

    // Writes of any keys, each with a result of its own: no atomic batch.
    let writes = (1..=5).map(|customer| orders.put((format!("customer-{customer}"), "x"), "x"));
    let report = client.bulk().writes(writes).await;
    for (place, error) in report.failures() {
        println!("write {place} failed: {error}");
    }
    assert!(report.is_complete());

    // All keys of the bucket, in no order that means anything.
    let mut keys = orders.keys();
    let mut count = 0;
    while keys.try_next().await?.is_some() {
        count += 1;
    }
    println!("the bucket has {count} keys");
    assert!(count >= 31);
    client.close().await;
    Ok(())
}
