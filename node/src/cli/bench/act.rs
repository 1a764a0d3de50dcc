//! The operations of the workloads, each as a client's program would do it.

use super::work::Job;
use super::workload::Workload;
use starling::{Bucket, Context, Error, Write};

/// Carries out operations.
pub(super) struct Actor<'a> {
    pub(super) job: &'a Job,
    pub(super) bucket: &'a Bucket,
    pub(super) random: &'a mut fastrand::Rng,
}

/// What an operation gave.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What the next put of the key is to build on.
    pub(super) context: Option<Context>,
    /// How many elements were read, or written before the beginning.
    pub(super) elements: u64,
}

impl Actor<'_> {
    /// One read.
    pub(super) async fn read(&mut self, key: String) -> Result<Done, Error> {
        match self.job.workload {
            Workload::SetContains => self.contains(key).await,
            Workload::MapGet => self.field(key).await,
            Workload::Scan => self.page(key).await,
            Workload::Members => self.members(key).await,
            Workload::Length => self.length(key).await,
            Workload::Estimate => self.estimate(key).await,
            Workload::Put
            | Workload::Get
            | Workload::Mixed
            | Workload::Counter
            | Workload::SetAdd
            | Workload::SetRemove
            | Workload::MapUpdate
            | Workload::MapIncrement
            | Workload::MapRemove
            | Workload::HllAdd
            | Workload::ListPush => {
                let mut query = self.bucket.get(key);
                if let Some(r) = self.job.r {
                    query = query.r(r);
                }
                let context = query.await?.context().clone();
                Ok(Done {
                    context: Some(context),
                    elements: 0,
                })
            }
        }
    }

    /// One write.
    pub(super) async fn write(
        &mut self,
        key: String,
        context: Option<&Context>,
    ) -> Result<Done, Error> {
        match self.job.workload {
            Workload::Counter => self.send(self.bucket.counter(key).add(1)).await,
            Workload::SetAdd => {
                let element = element(self.odd());
                self.send(self.bucket.set(key).add(element)).await
            }
            Workload::SetRemove => {
                let element = element(self.even());
                self.send(self.bucket.set(key).remove(element)).await
            }
            Workload::MapUpdate => {
                let field = field(self.even());
                let value = self.job.value.clone();
                let write = self.bucket.map(key).register(field).set(value);
                self.send(write).await
            }
            Workload::MapIncrement => {
                let field = field(self.even());
                let write = self.bucket.map(key).counter(field).add(1);
                self.send(write).await
            }
            Workload::MapRemove => {
                let field = field(self.even());
                self.send(self.bucket.map(key).remove(field)).await
            }
            Workload::HllAdd => {
                let thing = self.random.u64(..).to_be_bytes().to_vec();
                self.send(self.bucket.hll(key).add(thing)).await
            }
            Workload::ListPush => {
                let list = self.bucket.list(key);
                list.push_back(self.job.value.clone()).await?;
                Ok(Done::default())
            }
            Workload::Put
            | Workload::Get
            | Workload::Mixed
            | Workload::SetContains
            | Workload::MapGet
            | Workload::Scan
            | Workload::Members
            | Workload::Length
            | Workload::Estimate => {
                let mut write = self.bucket.put(key, self.job.value.clone());
                if let Some(context) = context {
                    write = write.context(context);
                }
                let context = self.with_options(write).await?.context().clone();
                Ok(Done {
                    context: Some(context),
                    elements: 0,
                })
            }
        }
    }

    /// Writes the parts of a key from the `from`-th on, at most [`PARTS_AT_ONCE`] of them.
    pub(super) async fn fill(&mut self, key: String, from: u64) -> Result<Done, Error> {
        let to = self.job.elements.names.min(from + PARTS_AT_ONCE);
        let numbers = (from..to).map(|number| 2 * number);
        let value = &self.job.value;
        match self.job.workload {
            Workload::Scan => {
                let batch = self.bucket.batch(key, |keys| {
                    for number in numbers {
                        keys.key(element(number)).value().put(value.clone());
                    }
                });
                batch.await?;
            }
            Workload::MapUpdate | Workload::MapGet | Workload::MapRemove => {
                let write = self.bucket.map(key).update(|map| {
                    for number in numbers {
                        map.register(field(number)).set(value.clone());
                    }
                });
                write.await?;
            }
            Workload::MapIncrement => {
                let write = self.bucket.map(key).update(|map| {
                    for number in numbers {
                        map.counter(field(number)).add(1);
                    }
                });
                write.await?;
            }
            Workload::Put
            | Workload::Get
            | Workload::Mixed
            | Workload::Counter
            | Workload::SetAdd
            | Workload::SetRemove
            | Workload::SetContains
            | Workload::HllAdd
            | Workload::ListPush
            | Workload::Members
            | Workload::Length
            | Workload::Estimate => {
                self.bucket.set(key).add_all(numbers.map(element)).await?;
            }
        }
        Ok(Done {
            context: None,
            elements: to.saturating_sub(from),
        })
    }

    async fn contains(&mut self, key: String) -> Result<Done, Error> {
        let number = self.random.u64(..2 * self.job.elements.names);
        let mut query = self.bucket.set(key).contains(element(number));
        if let Some(r) = self.job.r {
            query = query.r(r);
        }
        query.await?;
        Ok(Done::default())
    }

    async fn field(&mut self, key: String) -> Result<Done, Error> {
        let field = field(self.even());
        let mut query = self.bucket.map(key).register(field).read();
        if let Some(r) = self.job.r {
            query = query.r(r);
        }
        query.await?;
        Ok(Done::default())
    }

    async fn page(&mut self, key: String) -> Result<Done, Error> {
        let page = self.job.page;
        let mut scan = self.bucket.scan(key).range(element(self.even())..);
        scan = scan.page_size(page);
        if let Some(r) = self.job.r {
            scan = scan.r(r);
        }
        let mut elements = 0;
        while elements < u64::from(page) && scan.try_next().await?.is_some() {
            elements += 1;
        }
        Ok(Done {
            context: None,
            elements,
        })
    }

    async fn members(&mut self, key: String) -> Result<Done, Error> {
        let mut scan = self.bucket.set(key).scan().page_size(self.job.page);
        if let Some(r) = self.job.r {
            scan = scan.r(r);
        }
        let mut elements = 0;
        while scan.try_next().await?.is_some() {
            elements += 1;
        }
        Ok(Done {
            context: None,
            elements,
        })
    }

    async fn length(&mut self, key: String) -> Result<Done, Error> {
        let mut length = self.bucket.set(key).len().page_size(self.job.page);
        if let Some(r) = self.job.r {
            length = length.r(r);
        }
        Ok(Done {
            context: None,
            elements: length.await?,
        })
    }

    async fn estimate(&mut self, key: String) -> Result<Done, Error> {
        let mut estimate = self.bucket.set(key).approximate_len();
        if let Some(r) = self.job.r {
            estimate = estimate.r(r);
        }
        estimate.await?;
        Ok(Done::default())
    }

    async fn send<M: Send + 'static>(&self, write: Write<M>) -> Result<Done, Error> {
        self.with_options(write).await?;
        Ok(Done::default())
    }

    fn with_options<M>(&self, mut write: Write<M>) -> Write<M> {
        if let Some(w) = self.job.w {
            write = write.w(w);
        }
        match self.job.durability {
            Some(durability) => write.durability(durability),
            None => write,
        }
    }

    /// The number of an element that was there at the beginning, if any was.
    fn even(&mut self) -> u64 {
        2 * self.random.u64(..self.job.elements.names.max(1))
    }

    /// The number of an element that was not.
    fn odd(&mut self) -> u64 {
        self.even() + 1
    }
}

/// Names are in the order of their numbers. What is there at the beginning has even ones, so that
/// what is added lies between.
fn element(number: u64) -> String {
    format!("element-{number:010}")
}

fn field(number: u64) -> String {
    format!("field-{number:010}")
}

/// How many parts of a key are written at a time before the beginning.
pub(super) const PARTS_AT_ONCE: u64 = 500;
