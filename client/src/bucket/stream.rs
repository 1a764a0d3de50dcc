//! Whatever is read bit by bit, as streams for the combinators of the `futures` crates.

use futures_util::stream::{self, BoxStream};

use super::{Keys, MultiGet, OneOfMany, Scan};
use crate::error::Error;
use crate::wire::Key;

impl Keys {
    /// The keys as a [`Stream`](futures_util::Stream), which ends after an error. Who wants to go
    /// on after one calls [`try_next`](Keys::try_next).
    pub fn stream(self) -> BoxStream<'static, Result<Key, Error>> {
        Box::pin(stream::try_unfold(self, async |mut keys| {
            Ok(keys.try_next().await?.map(|key| (key, keys)))
        }))
    }
}

impl<T: Send + Sync + 'static> Scan<T> {
    /// What is left as a [`Stream`](futures_util::Stream), which ends after an error. Who wants to
    /// go on after one calls [`try_next`](Scan::try_next).
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn run(orders: starling::Bucket) -> Result<(), starling::Error> {
    /// let november = orders.scan("customer-7").prefix("2026-11-").stream();
    /// let disputed = november.try_filter(|order| {
    ///     let is_disputed = order.read.siblings().len() > 1;
    ///     async move { is_disputed }
    /// });
    /// let disputed: Vec<_> = disputed.try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(self) -> BoxStream<'static, Result<T, Error>> {
        Box::pin(stream::try_unfold(self, async |mut scan| {
            Ok(scan.try_next().await?.map(|item| (item, scan)))
        }))
    }
}

impl<T: Send + 'static> MultiGet<T> {
    /// The results as a [`Stream`](futures_util::Stream), in the order in which they arrive. It
    /// goes on after a key that could not be read.
    pub fn stream(self) -> BoxStream<'static, OneOfMany<T>> {
        Box::pin(stream::unfold(self, async |mut reads| {
            reads.next().await.map(|read| (read, reads))
        }))
    }
}
