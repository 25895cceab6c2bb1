//! A call in an instance: fresh or kept warm, until its answer, its trap or its deadline.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use engine::wasmtime::component::{self, ComponentNamedList, Lift, Lower};
use engine::wasmtime::{self, Store, Trap};
use engine::{Busy, backtrace};
use host::Host;
use host::bindings::{Call, CallError, Level, Next, Payload};
use http::{Request, Response};
use tokio::time::timeout_at;
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{Error as HttpError, WasiBody, WasiHttpView};

use crate::body::{Ahead, Ongoing, Work, bounded, keeping};
use crate::concurrent::Concurrent;
use crate::function::{Exported, Function, Http};
use crate::gate::{Origin, Permit, Refused};
use crate::guest::{Guest, watched};
use crate::stats::End;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Too many calls are waiting.
    #[error("too many calls are waiting")]
    Busy,
    /// The deadline has passed.
    #[error("the deadline has passed")]
    Late,
    /// The instance trapped, or hit a limit.
    #[error("{0:?}")]
    Trapped(wasmtime::Error),
    /// The request has more body than the function takes.
    #[error("the body of the request is larger than it may be")]
    TooLarge,
    /// The function answered with an error of HTTP.
    #[error("{0}")]
    Refused(HttpError),
    /// The function ended without an answer.
    #[error("it ended without an answer")]
    NoAnswer,
    /// The command ended with this exit code.
    #[error("it ended with exit code {0}")]
    Exit(i32),
    /// The function does not answer such calls.
    #[error("it does not answer such calls")]
    NoEntry,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Failure::Busy,
            Refused::Late => Failure::Late,
        }
    }
}

/// An instance that answers requests.
pub(crate) struct Instance {
    guest: Guest,
    entry: Entry,
}

enum Entry {
    P2(Proxy),
    P3(Service),
}

/// A call that runs: its room, and the clock that stops it.
pub(crate) struct Entered {
    _permit: Permit,
    _busy: Option<Busy>,
}

/// An instance whose exports are called.
pub(crate) struct Exporting {
    guest: Guest,
    instance: component::Instance,
}

/// Instances that have answered a call and wait for the next one, the last one used on top.
pub(crate) struct Warm<T> {
    instances: Mutex<Vec<(Instant, T)>>,
    count_max: usize,
}

impl<T> Warm<T> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { instances: Mutex::new(Vec::new()), count_max }
    }

    fn instances(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, T)>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<T> {
        if self.count_max == 0 {
            return None;
        }
        self.instances().pop().map(|(_, instance)| instance)
    }

    fn keep(&self, instance: T) {
        if self.count_max == 0 {
            return;
        }
        let mut instances = self.instances();
        if instances.len() < self.count_max {
            instances.push((Instant::now(), instance));
        }
    }

    /// Gives up those that have not been called since `moment`.
    pub(crate) fn shrink(&self, moment: Instant) {
        let mut instances = self.instances();
        let idle = instances.partition_point(|(used, _)| *used < moment);
        let given_up: Vec<_> = instances.drain(..idle).collect();
        drop(instances);
        drop(given_up);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.instances().len()
    }
}

/// Where an instance puts its answer while it goes on.
type Answer = Arc<Mutex<Option<Result<Response<WasiBody>, HttpError>>>>;

impl Function {
    /// Answers an HTTP request. The answer's body goes on while the function writes it. What the function passes on, as
    /// middleware, goes to `next`.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        call: Call,
        next: Option<Arc<dyn Next>>,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let begun = Instant::now();
        let (request, exceeded) = bounded(request, self.settings.body_bytes_max);
        let (parts, body) = request.into_parts();
        let mut ahead = Ahead::new(body);
        let entered = tokio::select! {
            biased;
            entered = self.enter(call) => entered?,
            error = ahead.broken() => {
                let failure = match exceeded.load(Ordering::Relaxed) {
                    true => Failure::TooLarge,
                    false => Failure::Refused(error),
                };
                self.ended(begun, Some(&failure));
                return Err(failure);
            }
        };
        let request = Request::from_parts(parts, ahead.into_body());
        // Boxed, what few calls are in costs the others no room: each turn of a request would copy it.
        let answered = match (&self.apart, &self.command, self.settings.share) {
            (Some(apart), ..) => {
                let answered = self.in_time(call, Box::pin(apart.answer(call, next, request))).await;
                answered.map(|response| response.map(|body| keeping(body, entered)))
            }
            (None, Some(command), _) => {
                self.in_time(call, Box::pin(self.answer_command(command, call, request))).await
            }
            (None, None, Some(share)) => {
                let concurrent = self.concurrent.get_or_init(|| Concurrent::new(self, share));
                self.in_time(call, Box::pin(concurrent.answer(self, call, request, entered))).await
            }
            (None, None, None) => Arc::clone(self).answer_instance(call, next, request, entered).await,
        };
        // A function that cannot read all of a request may fail in any way.
        let answered = answered.map_err(|failure| match exceeded.load(Ordering::Relaxed) {
            true => Failure::TooLarge,
            false => failure,
        });
        self.ended(begun, answered.as_ref().err());
        answered
    }

    async fn answer_instance(
        self: Arc<Self>,
        call: Call,
        next: Option<Arc<dyn Next>>,
        request: Request<WasiBody>,
        entered: Entered,
    ) -> Result<Response<WasiBody>, Failure> {
        let answer = Answer::default();
        let mut work: Work =
            Box::pin(Arc::clone(&self).work(call, next, request, Arc::clone(&answer), entered));
        let (response, worked) = std::future::poll_fn(|context| {
            let worked = work.as_mut().poll(context);
            let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (answer, worked) {
                (Some(answer), worked) => {
                    Poll::Ready(answer.map(|answer| (answer, worked)).map_err(Failure::Refused))
                }
                (None, Poll::Ready(worked)) => Poll::Ready(Err(worked.err().unwrap_or(Failure::NoAnswer))),
                (None, Poll::Pending) => Poll::Pending,
            }
        })
        .await?;
        Ok(match worked {
            Poll::Ready(Ok(())) => response,
            Poll::Ready(Err(failure)) => response.map(|body| Ongoing::failed(body, &failure)),
            // Its caller may read the body while it runs itself.
            Poll::Pending if self.runs_apart(call) => {
                response.map(|body| Ongoing::going_on(body, Box::pin(spawn(work))))
            }
            Poll::Pending => response.map(|body| Ongoing::going_on(body, work)),
        })
    }

    /// Runs one request to its end, past its answer.
    async fn work(
        self: Arc<Self>,
        call: Call,
        next: Option<Arc<dyn Next>>,
        request: Request<WasiBody>,
        answer: Answer,
        _entered: Entered,
    ) -> Result<(), Failure> {
        let serving = pin!(async {
            let mut instance = match self.warm.take() {
                Some(instance) => instance,
                None => self.instance().await?,
            };
            self.begin(&mut instance.guest.store, call, next)?;
            instance.serve(request, answer).await?;
            // What comes next knows the app: kept warm, the instance would keep its own app alive.
            instance.guest.store.data_mut().serve(call, None);
            wasmtime::Result::Ok(instance)
        });
        match timeout_at(call.deadline.into(), serving).await {
            Ok(Ok(instance)) => {
                self.warm.keep(instance);
                Ok(())
            }
            Ok(Err(error)) => Err(self.trapped(error)),
            Err(_) => Err(self.late()),
        }
    }

    /// Makes an instance, which the first call has where instances are kept; code and memory have been touched then.
    pub(crate) async fn prepare(&self, call: Call) -> Result<(), Failure> {
        if self.http.is_none() {
            return Ok(());
        }
        let _entered = self.enter(call).await?;
        let made = timeout_at(call.deadline.into(), self.instance()).await.map_err(|_| self.late())?;
        self.warm.keep(made.map_err(|error| self.trapped(error))?);
        Ok(())
    }

    async fn instance(&self) -> wasmtime::Result<Instance> {
        let mut guest = self.guest().await?;
        let Guest { store, interruptible } = &mut guest;
        let entry = match &self.http {
            Some(Http::P2(entry)) => {
                Entry::P2(watched(interruptible, pin!(entry.instantiate_async(&mut **store))).await?)
            }
            Some(Http::P3(entry)) => {
                Entry::P3(watched(interruptible, pin!(entry.instantiate_async(&mut **store))).await?)
            }
            None => return Err(Failure::NoEntry.into()),
        };
        Ok(Instance { guest, entry })
    }

    /// Answers a call through `sampan:chain`.
    pub(crate) async fn call(&self, call: Call, input: Payload) -> Result<Payload, CallError> {
        if let Some(apart) = &self.apart {
            let output = self.invoke_apart(call, apart.call(call, input)).await;
            return output.unwrap_or_else(|failure| Err(self.call_error(failure)));
        }
        if let Some(command) = &self.command {
            let begun = Instant::now();
            let _entered = self.enter(call).await.map_err(|failure| self.call_error(failure))?;
            let output = self.in_time(call, self.call_command(command, call, input)).await;
            self.ended(begun, output.as_ref().err());
            return output.map_err(|failure| self.call_error(failure));
        }
        let Some(chain) = &self.chain else {
            return Err(CallError::Failed(format!("`{}` does not export `sampan:chain/handler`", self.name)));
        };
        let (output,): (Result<Payload, String>,) =
            self.invoke(call, chain, (input,)).await.map_err(|failure| self.call_error(failure))?;
        output.map_err(CallError::Failed)
    }

    /// Calls an exported function, in a warm instance where there is one.
    pub(crate) async fn invoke<P, R>(&self, call: Call, function: &Exported, given: P) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.invoke_with(call, function, |_| Ok(given)).await
    }

    /// The same, with what the instance's host gives it.
    pub(crate) async fn invoke_with<P, R>(
        &self,
        call: Call,
        function: &Exported,
        given: impl FnOnce(&mut Host) -> wasmtime::Result<P> + Send,
    ) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let begun = Instant::now();
        let _entered = self.enter(call).await?;
        let calling = pin!(async {
            let mut exporting = match self.warm_exports.take() {
                Some(exporting) => exporting,
                None => {
                    let mut guest = self.guest().await?;
                    let Guest { store, interruptible } = &mut guest;
                    let instance =
                        watched(interruptible, pin!(function.instance.instantiate_async(&mut **store)))
                            .await?;
                    Exporting { guest, instance }
                }
            };
            let Exporting { guest: Guest { store, interruptible }, instance } = &mut exporting;
            self.begin(store, call, None)?;
            let function = instance.get_typed_func::<P, R>(&mut **store, &function.function)?;
            let given = given(store.data_mut())?;
            let result = watched(interruptible, pin!(function.call_async(&mut **store, given))).await?;
            wasmtime::Result::Ok((result, exporting))
        });
        let result = match timeout_at(call.deadline.into(), calling).await {
            Ok(Ok((result, exporting))) => {
                self.warm_exports.keep(exporting);
                Ok(result)
            }
            Ok(Err(error)) => Err(self.trapped(error)),
            Err(_) => Err(self.late()),
        };
        self.ended(begun, result.as_ref().err());
        result
    }

    /// The same, in the function's own process.
    pub(crate) async fn invoke_apart<R>(
        &self,
        call: Call,
        work: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        let begun = Instant::now();
        let _entered = self.enter(call).await?;
        let result = self.in_time(call, work).await;
        self.ended(begun, result.as_ref().err());
        result
    }

    /// Makes what an instance does next a part of `call`, with all the fuel that a call has.
    fn begin(
        &self,
        store: &mut Store<Host>,
        call: Call,
        next: Option<Arc<dyn Next>>,
    ) -> wasmtime::Result<()> {
        store.data_mut().serve(call, next);
        match self.settings.limits.fuel_max {
            Some(fuel) => store.set_fuel(fuel),
            None => Ok(()),
        }
    }

    async fn in_time<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout_at(call.deadline.into(), work).await.unwrap_or_else(|_| Err(self.late()))
    }

    async fn enter(&self, call: Call) -> Result<Entered, Failure> {
        let begun = Instant::now();
        let from = if call.depth == 0 { Origin::Outside } else { Origin::Inside };
        let entered = self.place.enter(from, call.deadline).await.map_err(Failure::from);
        if let Err(failure) = &entered {
            self.count(begun, Some(failure));
        }
        Ok(Entered { _permit: entered?, _busy: self.engine.busy() })
    }

    /// Counts a call that had begun, and says to the log why it failed, if it was not said already.
    fn ended(&self, begun: Instant, failure: Option<&Failure>) {
        match failure {
            None | Some(Failure::Trapped(_) | Failure::Late) => {}
            Some(failure) => self.log(&failure.to_string()),
        }
        self.count(begun, failure);
    }

    fn count(&self, begun: Instant, failure: Option<&Failure>) {
        let end = match failure {
            None => End::Answered,
            Some(Failure::Busy) => End::Refused,
            Some(Failure::Late) => End::Late,
            Some(Failure::Trapped(_) | Failure::NoAnswer) => End::Trapped,
            Some(Failure::TooLarge | Failure::Refused(_) | Failure::Exit(_) | Failure::NoEntry) => {
                End::Failed
            }
        };
        self.stats.end(end, begun.elapsed());
    }

    /// Explains to the log, once, why an instance ended.
    pub(crate) fn trapped(&self, error: wasmtime::Error) -> Failure {
        match self.engine.limit_in(&error) {
            Some(limit) => self.log(&limit.to_string()),
            None => self.log(&explain(&error)),
        }
        Failure::Trapped(error)
    }

    /// Says to the log that an instance was stopped at its deadline.
    pub(crate) fn late(&self) -> Failure {
        self.log(&Failure::Late.to_string());
        Failure::Late
    }

    /// Says to the log what the function did not say itself.
    pub(crate) fn log(&self, text: &str) {
        if let Some(bindings) = &self.settings.grants.bindings {
            bindings.log.line(Level::Error, text);
        }
    }

    /// What a caller is told of a failure.
    pub(crate) fn call_error(&self, failure: Failure) -> CallError {
        match failure {
            Failure::Busy => CallError::Busy,
            Failure::Late => CallError::Late,
            Failure::Trapped(error) => CallError::Trapped(match self.engine.limit_in(&error) {
                Some(limit) => limit.to_string(),
                None => error.root_cause().to_string(),
            }),
            failure => CallError::Failed(failure.to_string()),
        }
    }
}

/// A trap, and the functions that were running.
pub(crate) fn explain(error: &wasmtime::Error) -> String {
    let cause = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    backtrace(error).into_iter().fold(cause, |text, line| text + "\n  " + &line)
}

impl Instance {
    /// Answers one request, and does what is to be done after it.
    async fn serve(&mut self, request: Request<WasiBody>, answer: Answer) -> wasmtime::Result<()> {
        let put = move |answered| {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
        };
        let Guest { store, interruptible } = &mut self.guest;
        match &self.entry {
            Entry::P2(proxy) => {
                let mut http = store.data_mut().http();
                let scheme = match request.uri().scheme() {
                    Some(scheme) if *scheme == http::uri::Scheme::HTTPS => Scheme::Https,
                    _ => Scheme::Http,
                };
                let request = http.new_incoming_request(scheme, request)?;
                let out = http.new_response_outparam_from_callback(move |answered| {
                    put(answered.map_err(HttpError::from));
                })?;
                let handler = proxy.wasi_http_incoming_handler();
                watched(interruptible, pin!(handler.call_handle(&mut **store, request, out))).await
            }
            Entry::P3(service) => {
                let http = store.data_mut().http();
                let (request, sent) = wasmtime_wasi_http::p3::Request::from_http(http.hooks, request);
                let handling = Box::pin(store.run_concurrent(async |store| {
                    let response = service.handle(store, request).await??;
                    let response = store.with(|mut store| response.into_http(&mut store, sent))?;
                    put(Ok(response));
                    std::future::poll_fn(|context| store.poll_no_interesting_tasks(context)).await;
                    wasmtime::Result::Ok(())
                }));
                watched(interruptible, handling).await?
            }
        }
    }
}
