//! Instances of WASI 0.3 that answer several requests at the same time: while one waits, another is worked on.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use engine::Busy;
use engine::wasmtime::component::GuestTaskId;
use engine::wasmtime::{self, Store, StoreContextMut};
use host::Host;
use host::bindings::Call;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep_until};
use wasmtime_wasi_http::handler::{
    ExpirationError, HandlerState, Instance, InstantiationError, Proxy, ProxyHandler, ShouldAccept,
    TrapOrPanicError, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use crate::function::{Function, Http};
use crate::instance::{Entered, Failure, explain};
use crate::limits::WARM_IDLE;
use crate::store::InstanceStore;

/// The instances of one function.
pub(crate) struct Concurrent(ProxyHandler<Maker>);

/// Makes them.
struct Maker {
    function: Weak<Function>,
    /// Requests that one of them answers at the same time.
    share: usize,
    /// How many there are.
    count: Arc<AtomicUsize>,
}

/// What is known of one of them.
struct Worker {
    function: Weak<Function>,
    share: usize,
    latest: Arc<Mutex<Instant>>,
    count: Arc<AtomicUsize>,
    _busy: Option<Busy>,
}

/// When one of them has to end, whatever it does.
struct End {
    sleep: Pin<Box<Sleep>>,
    /// The last of the deadlines of its requests.
    latest: Arc<Mutex<Instant>>,
    /// How long it may go on after its answers.
    grace: Duration,
    /// How many there are, and how many are kept when they have nothing to do.
    count: Arc<AtomicUsize>,
    kept: usize,
}

impl Concurrent {
    pub(crate) fn new(function: &Arc<Function>, share: usize) -> Self {
        let function = Arc::downgrade(function);
        Self(ProxyHandler::new(Maker { function, share, count: Arc::default() }))
    }

    /// Instances that there are.
    pub(crate) fn count(&self) -> usize {
        self.0.state().count.load(Ordering::Relaxed)
    }

    /// Answers a request in an instance that may answer others too.
    pub(crate) async fn answer(
        &self,
        function: &Function,
        call: Call,
        request: Request<WasiBody>,
        entered: Entered,
    ) -> Result<Response<WasiBody>, Failure> {
        let response = self.0.handle(call, request).await.map_err(|error| {
            if error.is::<ExpirationError>() {
                return function.late();
            }
            // Why was said when the instance ended.
            if error.is::<TrapOrPanicError>() {
                return Failure::Trapped(error);
            }
            match error.downcast::<InstantiationError<Call>>() {
                Ok(error) => function.trapped(wasmtime::Error::msg(explain(&error.error))),
                Err(error) => function.trapped(error),
            }
        })?;
        // The request runs until its answer is written.
        Ok(response.map(|body| {
            WasiBody::new(body.map_frame(move |frame| {
                let _entered = &entered;
                frame
            }))
        }))
    }
}

impl HandlerState for Maker {
    type StoreData = Host;
    type WorkerExpiration = End;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, End, Worker>> {
        let gone = || wasmtime::format_err!("the function was replaced");
        let function = self.function.upgrade().ok_or_else(gone)?;
        let Some(Http::P3(entry)) = &function.http else { return Err(Failure::NoEntry.into()) };
        let mut store = function.store()?;
        let proxy = Proxy::P3(entry.instantiate_async(&mut *store).await?);
        self.count.fetch_add(1, Ordering::Relaxed);
        let latest = Arc::new(Mutex::new(Instant::now()));
        let expiration = End {
            sleep: Box::pin(sleep_until(Instant::now().into())),
            latest: Arc::clone(&latest),
            grace: function.settings.deadline,
            count: Arc::clone(&self.count),
            kept: function.settings.reuse,
        };
        let state = Worker {
            function: Weak::clone(&self.function),
            share: self.share,
            latest,
            count: Arc::clone(&self.count),
            _busy: function.engine.busy(),
        };
        Ok(Instance { store: store.into_inner(), proxy, view: Host::http, expiration, state })
    }
}

impl WorkerState for Worker {
    type StoreData = Host;
    type RequestData = Call;

    fn should_accept_request(&self, answering: usize, _answered: usize) -> ShouldAccept {
        match answering < self.share {
            true => ShouldAccept::Yes,
            false => ShouldAccept::No,
        }
    }

    /// What the instance does from now on is a part of the latest call, for nobody knows which of its calls it is for;
    /// but it may take as long as the one that may take longest.
    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, Host>,
        call: Call,
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = call.deadline.max(*latest);
        store.data_mut().serve(Call { deadline: *latest, ..call }, None);
        Box::pin(sleep_until(call.deadline.into()))
    }

    fn drop(&self, store: Store<Host>, result: wasmtime::Result<()>) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        if let (Err(error), Some(function)) = (result, self.function.upgrade()) {
            function.trapped(error);
        }
        drop(InstanceStore::new(store));
    }
}

impl WorkerExpiration for End {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        let end = match status {
            WorkerStatus::Idle if self.count.load(Ordering::Relaxed) > self.kept => since,
            WorkerStatus::Idle => since + WARM_IDLE,
            WorkerStatus::Requests => *self.latest.lock().unwrap_or_else(PoisonError::into_inner),
            WorkerStatus::PostReturn => since + self.grace,
        };
        if self.sleep.deadline() != end.into() {
            self.sleep.as_mut().reset(end.into());
        }
        self.sleep.as_mut().poll(context)
    }
}
