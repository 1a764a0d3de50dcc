//! Operation ids that are used twice: for the same change, which counts once, and for another one.

use anyhow::{bail, ensure};

use crate::raw::Raw;
use crate::requests::{read_of, write_as};
use crate::{Witness, cluster};
use starling::wire::{
    FailureKind, Kind, Mutation, Outcome, Request, Response, State, WriteResponse,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_id_is_good_for_one_change_only() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let client = cluster.client().await?;
    let raw = Raw::client(&cluster).await?;
    for (kind, name) in Kind::ALL {
        client.create_bucket(name).kind(kind).await?;
        let nothing = state(&raw, kind).await?;
        let [first, second] = changes(kind)?;
        let written = written(&raw, &first).await?;
        ensure!(!written.repeated, "{name}: {written:?}");
        let once = state(&raw, kind).await?;
        ensure!(once != nothing, "{name}: {once:?}");
        let refused = raw.failure(&second).await?;
        let said = (refused.kind, refused.outcome);
        let expected = (FailureKind::BadOperation, Outcome::NotApplied);
        ensure!(said == expected, "{name}: {refused:?}");
        let again = self::written(&raw, &first).await?;
        ensure!(again.repeated, "{name}: {again:?}");
        ensure!(state(&raw, kind).await? == once, "{name} was changed");
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

/// Two changes of a key, or for maps of a field of it, under one operation id. The second would
/// change what the first has left.
fn changes(kind: Kind) -> anyhow::Result<[Request; 2]> {
    let put = |value: &str| Mutation::Put(value.as_bytes().to_vec().into());
    let add = |element: &str| Mutation::Add(vec![element.as_bytes().to_vec().into()]);
    let insert = |item: &str| Mutation::Insert {
        after: None,
        before: None,
        items: vec![item.as_bytes().to_vec().into()],
    };
    let mutations = match kind {
        Kind::Value | Kind::Register | Kind::Map => ["a", "b"].map(put),
        Kind::Counter | Kind::BoundedCounter => [5, 6].map(Mutation::Increment),
        Kind::Set | Kind::GrowSet | Kind::RemoveSet | Kind::Sketch => ["e", "f"].map(add),
        Kind::Max => [5, 6].map(Mutation::Offer),
        Kind::Min => [5, 4].map(Mutation::Offer),
        Kind::Flag | Kind::DisableFlag => [true, false].map(Mutation::Switch),
        Kind::List => ["x", "y"].map(insert),
    };
    let mut requests = mutations.map(|mutation| write_as(kind.name(), kind, "k", mutation));
    let [Request::Write(first), Request::Write(second)] = &mut requests else {
        bail!("a write is a write")
    };
    second.operation = first.operation;
    for write in [first, second] {
        write.w = Some(3);
        if kind == Kind::Map {
            let edit = &mut write.items[0].edits[0];
            (edit.path, edit.kind) = (vec![b"field".to_vec().into()], Kind::Register);
        }
    }
    Ok(requests)
}

async fn written(raw: &Raw, request: &Request) -> anyhow::Result<WriteResponse> {
    match raw.ask(request).await? {
        Response::Written(written) => Ok(written),
        other => bail!("{other:?}"),
    }
}

/// What the key shows in the bucket that is called as its kind.
async fn state(raw: &Raw, kind: Kind) -> anyhow::Result<State> {
    let request = read_of(kind.name(), kind, Some(3), 1_000);
    match raw.ask(&request).await? {
        Response::Read(read) => Ok(read.state),
        other => bail!("{other:?}"),
    }
}
