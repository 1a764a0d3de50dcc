//! Maps: named fields of any kind, changed together and read as a tree.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use starling::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect_url(&std::env::var("STARLING_URL")?).await?;
    client
        .create_bucket("example-profiles")
        .kind(Kind::Map)
        .await?;
    let ada = client.bucket("example-profiles").map("ada");
    let before = ada.read().await?.value().counter("logins");

    // All changes of one write are applied together or not at all. Fields need not be declared.
    ada.update(|m| {
        m.counter("logins").add(1);
        m.set("emails")
            .add("ada@example.org")
            .add("old@example.org");
        m.register("name").set("Ada");
        m.flag("vip").enable();
        m.map("address").register("city").set("London");
        m.register("legacy").set("to be removed");
    })
    .await?;
    ada.update(|m| {
        m.set("emails").remove("old@example.org");
        m.remove("legacy");
    })
    .await?;

    let found = ada.read().await?;
    let map = found.value();
    println!("{} fields", map.len());
    for (name, kind, _) in map.iter() {
        println!("  {} is a {kind}", String::from_utf8_lossy(name));
    }
    assert_eq!(map.counter("logins") - before, 1);
    assert_eq!(map.set("emails"), ["ada@example.org"]);
    assert!(map.flag("vip") && !map.contains("legacy"));
    let city = map
        .map("address")
        .and_then(|address| address.register("city"));
    assert_eq!(city.map(AsRef::as_ref), Some(&b"London"[..]));

    // The handle of a field works like that of a key: only this field is read and written.
    let emails = ada.set("emails");
    assert!(emails.contains("ada@example.org").await?);
    ada.map("address").register("city").set("Paris").await?;
    let city = ada.map("address").register("city").read().await?;
    println!("moved to {:?}", city.value());
    client.close().await;
    Ok(())
}
