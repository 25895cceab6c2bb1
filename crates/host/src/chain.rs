//! `sampan:chain/calls`: a function calls the other functions of its app, those that it was granted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use wasmtime::component::{Linker, Resource};

use crate::Host;
use crate::bindings::{CallError, Calling, Payload};
use crate::denials::Denial;
use crate::host::{App, AppView};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import sampan:chain/calls@0.1.0;",
        imports: {
            "sampan:chain/calls.call": async | trappable,
            "sampan:chain/calls.batch": async | trappable,
            "sampan:chain/calls.[method]pending.wait": async | trappable,
            default: trappable,
        },
        with: {
            "sampan:chain/types": super::types,
            "sampan:chain/calls.pending": super::Pending,
        },
    });
}

/// `sampan:chain/types`: the words that a node uses too.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub mod types {
    pub use crate::bindings::{CallError as Error, Payload};
}

use generated::sampan::chain::calls;

/// A call that was begun. Dropped, it is cancelled.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Pending {
    /// With the room that it takes up; `None` when its result was taken, or it was cancelled.
    task: Option<(JoinHandle<Called>, OwnedSemaphorePermit)>,
}

type Called = Result<Payload, CallError>;

impl Pending {
    async fn wait(&mut self) -> Called {
        let Some((task, _)) = &mut self.task else { return Err(CallError::Cancelled) };
        let called = task.await;
        self.task = None;
        called.unwrap_or_else(|error| Err(CallError::Trapped(error.to_string())))
    }

    fn cancel(&mut self) {
        if let Some((task, _)) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl AppView<'_> {
    fn calling(&self, name: &str, input: Payload) -> Result<Calling<Called>, CallError> {
        let (Some(bindings), Some(call)) = (self.bindings, self.call) else {
            return Err(CallError::Denied);
        };
        if !bindings.calls.contains(name) {
            self.denials.record(Denial::Call(name.to_owned()));
            return Err(CallError::Denied);
        }
        Ok(bindings.siblings.call(name, call.below()?, input))
    }

    fn begin(&self, name: &str, input: Payload) -> Result<Pending, CallError> {
        let room = Arc::clone(self.calls).try_acquire_owned().map_err(|_| CallError::Busy)?;
        Ok(Pending { task: Some((tokio::spawn(self.calling(name, input)?), room)) })
    }
}

impl calls::Host for AppView<'_> {
    async fn call(&mut self, name: String, input: Payload) -> wasmtime::Result<Called> {
        Ok(match self.calling(&name, input) {
            Ok(calling) => calling.await,
            Err(error) => Err(error),
        })
    }

    async fn batch(&mut self, calls: Vec<(String, Payload)>) -> wasmtime::Result<Vec<Called>> {
        let begun: Vec<_> = calls.into_iter().map(|(name, input)| self.begin(&name, input)).collect();
        let mut called = Vec::with_capacity(begun.len());
        for pending in begun {
            called.push(async { pending?.wait().await }.await);
        }
        Ok(called)
    }

    fn start(
        &mut self,
        name: String,
        input: Payload,
    ) -> wasmtime::Result<Result<Resource<Pending>, CallError>> {
        Ok(match self.begin(&name, input) {
            Ok(pending) => Ok(self.table.push(pending)?),
            Err(error) => Err(error),
        })
    }

    fn id(&mut self) -> wasmtime::Result<String> {
        Ok(format!("{:032x}", self.call.map_or(0, |call| call.chain)))
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        let remaining =
            self.call.map_or(Duration::MAX, |call| call.deadline.saturating_duration_since(Instant::now()));
        Ok(remaining.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

impl calls::HostPending for AppView<'_> {
    fn ready(&mut self, pending: Resource<Pending>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&pending)?.task.as_ref().is_none_or(|(task, _)| task.is_finished()))
    }

    async fn wait(&mut self, pending: Resource<Pending>) -> wasmtime::Result<Called> {
        Ok(self.table.get_mut(&pending)?.wait().await)
    }

    fn cancel(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.table.get_mut(&pending)?.cancel();
        Ok(())
    }

    fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.table.delete(pending)?;
        Ok(())
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    calls::add_to_linker::<_, App>(linker, Host::app)
}
