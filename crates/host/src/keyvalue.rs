//! `wasi:keyvalue`: the buckets of an app. A read is answered at once; a write returns when it is as durable as its
//! bucket asks for.

use std::sync::Arc;

use state::limits::{BATCH_BYTES_MAX, BATCH_OPS_MAX};
use state::{Batch, Entry, Expected, Range, Receipt, Store};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::TrappableError;

use crate::Host;
use crate::denials::Denial;
use crate::host::{App, AppView};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/atomics@0.2.0-draft2;
            import wasi:keyvalue/batch@0.2.0-draft2;
        ",
        imports: {
            "wasi:keyvalue/store.[method]bucket.set": async | trappable,
            "wasi:keyvalue/store.[method]bucket.delete": async | trappable,
            "wasi:keyvalue/atomics.increment": async | trappable,
            "wasi:keyvalue/atomics.swap": async | trappable,
            "wasi:keyvalue/batch.set-many": async | trappable,
            "wasi:keyvalue/batch.delete-many": async | trappable,
            default: trappable,
        },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::Failure },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
    });
}

use generated::wasi::keyvalue::store::{Error, KeyResponse};
use generated::wasi::keyvalue::{atomics, batch, store};

/// A bucket that a program has opened, or is handed.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn Store>,
    bucket: state::Bucket,
}

/// The key of a compare-and-swap, and the version that was found under it. Not the value: a program could have the host
/// hold as many as it has handles.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Cas {
    bucket: Bucket,
    key: String,
    found: Option<u64>,
}

/// An error that the program is told, or a trap.
type Failure = TrappableError<Error>;

impl Bucket {
    fn get(&self, key: &str) -> Result<Option<Entry>, state::Error> {
        self.store.get(&self.bucket, key.as_bytes())
    }

    fn cas(self, key: String) -> Result<Cas, state::Error> {
        let found = self.get(&key)?.map(|entry| entry.version);
        Ok(Cas { bucket: self, key, found })
    }
}

impl Host {
    /// A handle of the bucket `name`, to be handed to the program: `wasi:keyvalue/watcher` asks for one.
    ///
    /// # Errors
    /// When the bucket was not granted, or the program holds as many handles as it may.
    pub fn hand_bucket(&mut self, name: &str) -> wasmtime::Result<Resource<Bucket>> {
        let app = self.app();
        let Some(bucket) = app.granted(name) else {
            wasmtime::bail!("the bucket `{name}` was not granted");
        };
        Ok(app.table.push(bucket)?)
    }
}

impl AppView<'_> {
    fn granted(&self, name: &str) -> Option<Bucket> {
        let bindings = self.bindings?;
        let bucket = bindings.buckets.get(name)?.clone();
        Some(Bucket { store: Arc::clone(&bindings.store), bucket })
    }

    fn bucket(&self, bucket: &Resource<Bucket>) -> Result<&Bucket, Failure> {
        self.table.get(bucket).map_err(Failure::trap)
    }

    fn failed(&self, error: &state::Error) -> Error {
        match error {
            state::Error::NoBucket(_) => Error::NoSuchStore,
            error => Error::Other(self.told(error)),
        }
    }

    fn read(&self, bucket: &Resource<Bucket>, key: &str) -> Result<Option<Entry>, Failure> {
        Ok(self.bucket(bucket)?.get(key).map_err(|error| self.failed(&error))?)
    }

    async fn write(&mut self, bucket: &Resource<Bucket>, batch: Batch) -> Result<Receipt, Failure> {
        let Bucket { store, bucket } = self.bucket(bucket)?;
        Ok(store.write(bucket, batch).await.map_err(|error| self.failed(&error))?)
    }
}

impl store::Host for AppView<'_> {
    fn open(&mut self, name: String) -> Result<Resource<Bucket>, Failure> {
        let Some(bucket) = self.granted(&name) else {
            self.denials.record(Denial::Bucket(name));
            return Err(Error::NoSuchStore.into());
        };
        self.table.push(bucket).map_err(Failure::trap)
    }

    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<Error> {
        failure.downcast()
    }
}

impl store::HostBucket for AppView<'_> {
    fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.read(&bucket, &key)?.map(|entry| entry.value))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), Failure> {
        self.write(&bucket, Batch::default().put(key, value)).await?;
        Ok(())
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Failure> {
        self.write(&bucket, Batch::default().delete(key)).await?;
        Ok(())
    }

    fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Failure> {
        Ok(self.read(&bucket, &key)?.is_some())
    }

    /// Keys that are no text were not written by a program; they are shown as well as can be.
    fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Result<KeyResponse, Failure> {
        let Bucket { store, bucket } = self.bucket(&bucket)?;
        let range = Range { after: cursor.as_deref().map(str::as_bytes), ..Range::default() };
        let page = store.keys(bucket, range).map_err(|error| self.failed(&error))?;
        let text = |key: Vec<u8>| String::from_utf8_lossy(&key).into_owned();
        Ok(KeyResponse { keys: page.items.into_iter().map(text).collect(), cursor: page.next.map(text) })
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for AppView<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Result<i64, Failure> {
        let receipt = self.write(&bucket, Batch::default().increment(key, delta)).await?;
        receipt.counters.first().copied().ok_or_else(|| Error::Other("nothing was counted".into()).into())
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { bucket, key, found } = self.table.delete(cas)?;
        let expected = found.map_or(Expected::Absent, Expected::Version);
        let batch = Batch::default().swap(key.clone(), expected, Some(value));
        let error = match bucket.store.write(&bucket.bucket, batch).await {
            Ok(_) => return Ok(Ok(())),
            Err(state::Error::Conflict { .. }) => match bucket.cas(key) {
                Ok(cas) => atomics::CasError::CasFailed(self.table.push(cas)?),
                Err(error) => atomics::CasError::StoreError(self.failed(&error)),
            },
            Err(error) => atomics::CasError::StoreError(self.failed(&error)),
        };
        Ok(Err(error))
    }
}

impl atomics::HostCas for AppView<'_> {
    fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Cas>, Failure> {
        let cas = self.bucket(&bucket)?.clone().cas(key).map_err(|error| self.failed(&error))?;
        self.table.push(cas).map_err(Failure::trap)
    }

    /// The value now: it is this one that a swap replaces from then on, or fails.
    fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, Failure> {
        let Cas { bucket, key, .. } = self.table.get(&cas).map_err(Failure::trap)?;
        let entry = bucket.get(key).map_err(|error| self.failed(&error))?;
        let cas = self.table.get_mut(&cas).map_err(Failure::trap)?;
        cas.found = entry.as_ref().map(|entry| entry.version);
        Ok(entry.map(|entry| entry.value))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl batch::Host for AppView<'_> {
    /// As much at a time as one batch may write: the host holds all of it.
    fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, Failure> {
        let too_much = || {
            let most =
                format!("at most {BATCH_OPS_MAX} keys and {BATCH_BYTES_MAX} bytes can be got at a time");
            Failure::from(Error::Other(most))
        };
        if keys.len() > BATCH_OPS_MAX {
            return Err(too_much());
        }
        let bucket = self.bucket(&bucket)?;
        let mut found = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let entry = bucket.get(&key).map_err(|error| self.failed(&error))?;
            let value = entry.map(|entry| entry.value);
            bytes += value.as_ref().map_or(0, Vec::len);
            if bytes > BATCH_BYTES_MAX {
                return Err(too_much());
            }
            found.push((key, value));
        }
        Ok(found)
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        entries: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Failure> {
        let batch = entries.into_iter().fold(Batch::default(), |batch, (key, value)| batch.put(key, value));
        self.write(&bucket, batch).await?;
        Ok(())
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), Failure> {
        let batch = keys.into_iter().fold(Batch::default(), Batch::delete);
        self.write(&bucket, batch).await?;
        Ok(())
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, App>(linker, Host::app)?;
    atomics::add_to_linker::<_, App>(linker, Host::app)?;
    batch::add_to_linker::<_, App>(linker, Host::app)
}
