//! Objects on their way: out of the store, and into it.
//!
//! What a program writes goes through a short queue to a task that puts it into the store. The object appears when the
//! program says that it is finished; until then, what was there stays.

use std::sync::Arc;

use bytes::Bytes;
use state::blobs::{Reading, Writing};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};
use tokio::task::JoinSet;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::generated::wasi::blobstore::types;
use super::said;
use crate::bindings::{Log, told};
use crate::host::AppView;
use crate::limits::{OBJECT_AT_ONCE_BYTES_MAX, OBJECT_QUEUE_MAX, OBJECT_WRITE_BYTES_MAX};

/// An object, or a part of one, to be read.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Incoming {
    reading: Reading,
}

impl Incoming {
    pub(super) fn new(reading: Reading) -> Self {
        Self { reading }
    }
}

/// What is to become an object.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Outgoing {
    /// Until the program takes it.
    sink: Option<Sender<Bytes>>,
    /// Until it is known which object it becomes.
    source: Option<Receiver<Bytes>>,
    /// The one task that puts it into the store. Dropped, it ends, and what there is of the object is removed.
    writing: JoinSet<Result<Writing, state::Error>>,
}

impl Outgoing {
    fn new() -> Self {
        let (sink, source) = mpsc::channel(OBJECT_QUEUE_MAX);
        Self { sink: Some(sink), source: Some(source), writing: JoinSet::new() }
    }

    /// Makes the value become the object that `writing` writes.
    pub(super) fn write_to(&mut self, mut writing: Writing) -> Result<(), String> {
        let mut source = self.source.take().ok_or("the value becomes another object already")?;
        self.writing.spawn(async move {
            while let Some(bytes) = source.recv().await {
                writing.write(&bytes).await?;
            }
            Ok(writing)
        });
        Ok(())
    }
}

impl types::Host for AppView<'_> {}

impl types::HostOutgoingValue for AppView<'_> {
    fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<Outgoing>> {
        Ok(self.table.push(Outgoing::new())?)
    }

    /// Fails when as many are open as may be.
    fn outgoing_value_write_body(
        &mut self,
        value: Resource<Outgoing>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let sender = self.table.get_mut(&value)?.sink.take();
        let room = self.objects.clone().try_acquire_owned();
        let (Some(sender), Ok(room)) = (sender, room) else { return Ok(Err(())) };
        let sink: DynOutputStream = Box::new(Sink { sender, _room: room });
        Ok(Ok(self.table.push_child(sink, &value)?))
    }

    async fn finish(&mut self, value: Resource<Outgoing>) -> Result<(), String> {
        let mut value = self.table.delete(value).map_err(said)?;
        // The task ends when nobody can write any more.
        drop(value.sink.take());
        let written =
            value.writing.join_next().await.ok_or("the value becomes no object: call `write-data` first")?;
        let finished = match written.map_err(said)? {
            Ok(writing) => writing.finish().await,
            Err(error) => Err(error),
        };
        finished.map_err(|error| self.told(&error))
    }

    async fn drop(&mut self, value: Resource<Outgoing>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}

impl types::HostIncomingValue for AppView<'_> {
    /// The host holds all of it, so it must be short.
    async fn incoming_value_consume_sync(&mut self, value: Resource<Incoming>) -> Result<Vec<u8>, String> {
        let Incoming { reading } = self.table.delete(value).map_err(said)?;
        if reading.bytes() > OBJECT_AT_ONCE_BYTES_MAX {
            return Err(format!("more than {OBJECT_AT_ONCE_BYTES_MAX} bytes can only be read as a stream"));
        }
        let chunks: Result<Vec<_>, _> = reading.collect();
        Ok(chunks.map_err(|error| self.told(&error))?.concat())
    }

    async fn incoming_value_consume_async(
        &mut self,
        value: Resource<Incoming>,
    ) -> Result<Resource<DynInputStream>, String> {
        let Incoming { reading } = self.table.delete(value).map_err(said)?;
        let log = self.bindings.map(|bindings| Arc::clone(&bindings.log));
        let body: DynInputStream = Box::new(Body { reading, chunk: Bytes::new(), log });
        self.table.push(body).map_err(said)
    }

    fn size(&mut self, value: Resource<Incoming>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&value)?.reading.bytes())
    }

    async fn drop(&mut self, value: Resource<Incoming>) -> wasmtime::Result<()> {
        self.table.delete(value)?;
        Ok(())
    }
}

/// Where a program reads an object.
struct Body {
    reading: Reading,
    chunk: Bytes,
    log: Option<Arc<dyn Log>>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Body {
    async fn ready(&mut self) {}
}

impl InputStream for Body {
    fn read(&mut self, bytes_max: usize) -> StreamResult<Bytes> {
        if self.chunk.is_empty() {
            let chunk = self.reading.next().ok_or(StreamError::Closed)?;
            let chunk = chunk.map_err(|error| match &self.log {
                Some(log) => StreamError::LastOperationFailed(wasmtime::Error::msg(told(&**log, &error))),
                None => StreamError::LastOperationFailed(error.into()),
            });
            self.chunk = chunk?.into();
        }
        Ok(self.chunk.split_to(bytes_max.min(self.chunk.len())))
    }
}

/// Where a program writes an object. Nothing is lost when it is dropped: to wait for the store is for
/// [`Outgoing::finish`], which also tells what went wrong there.
struct Sink {
    sender: Sender<Bytes>,
    _room: OwnedSemaphorePermit,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {
        // A closed queue is ready too: for the error.
        drop(self.sender.reserve().await);
    }
}

impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.sender.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(StreamError::Closed),
            Err(TrySendError::Full(_)) => Err(StreamError::trap("written without asking how much")),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match (self.sender.is_closed(), self.sender.capacity()) {
            (true, _) => Err(StreamError::Closed),
            (false, 0) => Ok(0),
            (false, _) => Ok(OBJECT_WRITE_BYTES_MAX),
        }
    }
}
