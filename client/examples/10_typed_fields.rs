//! Registers, sets and lists of a type of your own, here as the fields of a map.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use serde::{Deserialize, Serialize};

use starling::prelude::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
}

/// What goes into a set is the same in every encoding of it: numbers, texts, enums.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Right {
    Read(String),
    Write(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    day: u32,
    page: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client
        .create_bucket("example-people")
        .kind(Kind::Map)
        .await?;
    let ada = client.bucket("example-people").map("ada");
    ada.clear().await?;

    let home = ada.register("home").typed::<Address>();
    let london = Address {
        street: "12 St James's Square".to_owned(),
        city: "London".to_owned(),
    };
    home.set(&london).await?;
    assert_eq!(home.read().await?.into_value(), Some(london));

    let rights = ada.set("rights").typed::<Right>();
    let write = Right::Write("notes".to_owned());
    rights
        .add_all([&Right::Read("notes".to_owned()), &write])
        .await?;
    assert!(rights.contains(&write).await?);
    rights.remove(&write).await?;
    println!("rights: {:?}", rights.members().await?.elements());
    assert!(!rights.contains(&write).await?);

    let visits = ada.list("visits").typed::<Visit>();
    for (day, page) in [(1, "engine"), (2, "notes")] {
        let page = page.to_owned();
        visits.push_back(&Visit { day, page }).await?;
    }
    let mut scan = visits.scan().reverse();
    while let Some(visit) = scan.try_next().await? {
        println!("day {}: {}", visit.value.day, visit.value.page);
    }

    // Bytes of another type are an error that says where they are; they can be read all the same.
    let number = ada.register("home").typed::<u64>();
    let error = number.read().await.expect_err("it is an address");
    println!("{error}");
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert!(number.raw().read().await?.value().is_some());
    client.close().await;
    Ok(())
}
