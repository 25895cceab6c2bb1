//! An app that is served: its functions, which can be replaced while others run, and the way to each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use engine::{Engine, Program};
use host::bindings::{Call, CallError, Calling, Payload, Siblings};
use http::{Request, Response};
use image::{At, Chain, Manifest, Name, Problem};
use state::Store;
use tokio::runtime::Handle;
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::WasiBody;

use crate::execution::{Execution, Executions};
use crate::function::Function;
use crate::instance::Failure;
use crate::limits::{DEADLINE_MAX, RANDOM_IDS, STARTS_AT_ONCE_MAX};
use crate::load::{Loader, Machine};
use crate::log::{FunctionLog, Logs};
use crate::native::{Awaited, Order};
use crate::respond::remove_ours;
use crate::router::Router;
use crate::websocket::Sockets;
use crate::{Error, chain, telemetry};

/// An app that is ready to be served.
pub struct App {
    loader: Loader,
    table: Arc<Table>,
    router: Router,
}

/// What can be called in an app, by name.
pub(crate) struct Table {
    functions: RwLock<BTreeMap<String, Arc<Function>>>,
    chains: BTreeMap<String, Arc<Chain>>,
    executions: Arc<Executions>,
    /// Itself, for chains that go on while their caller waits.
    this: Weak<Table>,
}

impl App {
    /// Makes every function of `manifest` ready.
    ///
    /// # Errors
    /// The first thing that cannot be as the manifest says.
    pub async fn load(manifest: Manifest, machine: Machine) -> Result<Arc<Self>, Error> {
        let loading = tokio::task::spawn_blocking(|| Self::load_blocking(manifest, Arc::new(machine), None));
        loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// The same app as `manifest` wants it now. Both share what they remember, their log, and who may run.
    ///
    /// # Errors
    /// As [`App::load`]; and when the manifest is that of another app.
    pub(crate) async fn changed(self: Arc<Self>, manifest: Manifest) -> Result<Arc<Self>, Error> {
        let name = &manifest.app.name;
        if ***name != *self.name() {
            let text = format!("this is `{}`, not the app `{}` that is served", **name, self.name());
            let hint = "an app of another name has other buckets: serve it by itself";
            return Err(manifest.error(vec![Problem::new(name.span(), text).hint(hint)]).into());
        }
        let machine = Arc::clone(&self.loader.machine);
        let loading =
            tokio::task::spawn_blocking(move || Self::load_blocking(manifest, machine, Some(&self)));
        loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// As [`load`](Self::load), on this thread.
    pub(crate) fn load_blocking(
        manifest: Manifest,
        machine: Arc<Machine>,
        before: Option<&App>,
    ) -> Result<Arc<Self>, Error> {
        let chains = manifest.chains.iter().map(|(name, chain)| (name.to_string(), Arc::new(chain.clone())));
        let chains = chains.collect();
        let table = Arc::new_cyclic(|this| Table {
            functions: RwLock::default(),
            chains,
            executions: before.map(|before| Arc::clone(&before.table.executions)).unwrap_or_default(),
            this: this.clone(),
        });
        let siblings = Arc::clone(&table) as Arc<dyn Siblings>;
        let loader = Loader::new(manifest, machine, siblings, before.map(|before| &before.loader))?;
        let manifest = &loader.manifest;
        let router = Router::new(manifest).map_err(|problems| manifest.error(problems))?;
        let (mut functions, mut awaited) = (BTreeMap::new(), Vec::new());
        for (name, loaded) in load_each(&loader, before) {
            let (function, native) = loaded?;
            let function = Arc::new(function);
            awaited.extend(native.map(|native| ((**name).clone(), Arc::clone(&function), native)));
            functions.insert(name.to_string(), function);
        }
        let of_routes = manifest.routes.iter().flat_map(|route| &route.middleware);
        let unable = of_routes.filter(|name| !functions[&***name as &str].is_middleware).map(|name| {
            let text = format!("`{}` cannot pass a request on", **name);
            Problem::new(name.span(), text).hint("middleware imports and exports `wasi:http/handler@0.3`")
        });
        let unable: Vec<_> = unable.collect();
        if !unable.is_empty() {
            return Err(manifest.error(unable).into());
        }
        table.replace(functions);
        let app = Arc::new(Self { loader, table, router });
        awaited.into_iter().for_each(|(name, function, native)| app.order(&name, &function, native));
        Ok(app)
    }

    /// Loads the program of a function again. Calls that run go on with the old one.
    ///
    /// # Errors
    /// When it cannot be loaded: then the old one stays.
    pub async fn reload(self: &Arc<Self>, name: &Name) -> Result<(), Error> {
        let (app, name) = (Arc::clone(self), name.clone());
        let loading = tokio::task::spawn_blocking(move || {
            let (function, native) = app.loader.function(&name, app.table.get(&name).as_deref())?;
            let function = Arc::new(function);
            app.table.put(Arc::clone(&function));
            if let Some(native) = native {
                app.order(&name, &function, native);
            }
            Ok(())
        });
        loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Has native code made of a function.
    fn order(self: &Arc<Self>, name: &Name, function: &Arc<Function>, awaited: Awaited) {
        self.loader.workshop.order(Order {
            app: Arc::downgrade(self),
            name: name.clone(),
            function: Arc::downgrade(function),
            awaited,
            cache: self.loader.machine.cache.clone(),
            log: FunctionLog::new(Arc::clone(&self.loader.logs), name),
        });
    }

    /// Puts other code of the same program in the place of a function, if that is still there.
    pub(crate) fn renew(
        &self,
        name: &Name,
        old: &Arc<Function>,
        engine: Arc<Engine>,
        program: Program,
    ) -> Result<bool, Error> {
        let function = self.loader.again(name, old, engine, program)?;
        Ok(self.table.renew(old, Arc::new(function)))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.loader.manifest.app.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.loader.manifest.app.version
    }

    /// What it was made from.
    pub fn manifest(&self) -> &Manifest {
        &self.loader.manifest
    }

    /// Where its buckets are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.loader.machine.store
    }

    /// What happened in its chains.
    pub fn executions(&self) -> &Executions {
        &self.table.executions
    }

    /// Calls a function or chain from outside, as a request would.
    pub async fn call(&self, name: &str, input: Payload) -> Result<Payload, CallError> {
        let deadline = Instant::now() + DEADLINE_MAX;
        self.call_within(name, Call { chain: random_id(), span: 0, depth: 0, deadline }, input).await
    }

    /// The same, as a part of `call`.
    pub(crate) async fn call_within(
        &self,
        name: &str,
        call: Call,
        input: Payload,
    ) -> Result<Payload, CallError> {
        self.table.call(name, call, input).await
    }

    /// What its functions say.
    pub fn logs(&self) -> &Arc<Logs> {
        &self.loader.logs
    }

    /// Its functions, in the order of their names.
    pub fn functions(&self) -> Vec<Arc<Function>> {
        self.table.all()
    }

    /// The function called `name`.
    pub fn function(&self, name: &str) -> Option<Arc<Function>> {
        self.table.get(name)
    }

    /// The longest that a call of a function may take.
    pub(crate) fn deadline_max(&self) -> Duration {
        self.functions().iter().map(|function| function.settings.deadline).max().unwrap_or_default()
    }

    /// Says goodbye to the WebSockets of its functions, for another app takes its place.
    pub(crate) fn close_sockets(&self) {
        self.functions().iter().for_each(|function| function.replaced.begin());
    }

    /// Its open WebSockets.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.loader.sockets
    }

    /// The directory of its manifest.
    pub(crate) fn dir(&self) -> &Path {
        &self.loader.machine.dir
    }

    /// Where its spans go.
    pub(crate) fn telemetry(&self) -> Option<&Arc<telemetry::Telemetry>> {
        self.loader.machine.telemetry.as_ref()
    }

    pub(crate) fn router(&self) -> &Router {
        &self.router
    }
}

/// A function, and its native code if that is yet to be made.
type Loaded = Result<(Function, Option<Awaited>), Error>;

/// The functions of an app in their order, up to one that cannot be loaded. Where some have processes of their own, a few are
/// loaded at the same time: most of what that takes is the kernel, or the other process.
fn load_each<'a>(loader: &'a Loader, before: Option<&App>) -> Vec<(&'a At<Name>, Loaded)> {
    let manifest = &loader.manifest;
    let names: Vec<_> = manifest.functions.keys().collect();
    let (next, loaded) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let runtime = Handle::current();
    let load = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = names.get(index) else { break };
            let old = before.filter(|before| before.loader.admits_alike(name, manifest));
            let old = old.and_then(|before| before.function(name));
            let function = loader.function(name, old.as_deref());
            if function.is_err() {
                next.store(names.len(), Ordering::Relaxed);
            }
            loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(index, (names[index], function));
        }
    };
    thread::scope(|scope| {
        for _ in 1..loader.starts().min(STARTS_AT_ONCE_MAX) {
            scope.spawn(|| {
                let _entered = runtime.enter();
                load();
            });
        }
        load();
    });
    loaded.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

impl Drop for App {
    /// The functions know their siblings, and so themselves.
    fn drop(&mut self) {
        self.table.replace(BTreeMap::new());
    }
}

impl Table {
    fn get(&self, name: &str) -> Option<Arc<Function>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn all(&self) -> Vec<Arc<Function>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn put(&self, function: Arc<Function>) {
        let mut table = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        let old = table.insert(function.name().to_owned(), function);
        drop(table);
        old.inspect(|old| old.replaced.begin());
    }

    /// Puts a function in the place of the old one, if that is still there.
    fn renew(&self, old: &Arc<Function>, function: Arc<Function>) -> bool {
        let mut table = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        match table.get_mut(old.name()) {
            Some(place) if Arc::ptr_eq(place, old) => {
                let old = std::mem::replace(place, function);
                drop(table);
                drop(old);
                true
            }
            _ => false,
        }
    }

    fn replace(&self, functions: BTreeMap<String, Arc<Function>>) {
        let mut table = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *table, functions);
        drop(table);
        drop(old);
    }
}

impl Siblings for Table {
    fn call(&self, name: &str, call: Call, input: Payload) -> Calling<Result<Payload, CallError>> {
        if let Some(function) = self.get(name) {
            let call = Call { deadline: call.deadline.min(function.deadline()), ..call };
            let (call, traced) = telemetry::call(&function, call);
            return calling(function.runs_apart(call), async move {
                let result = function.call(call, input).await;
                telemetry::ended(traced, &result);
                result
            });
        }
        let (Some(chain), Some(table)) = (self.chains.get(name), self.this.upgrade()) else {
            return Box::pin(async { Err(CallError::Denied) });
        };
        let call = Call { deadline: call.deadline.min(Instant::now() + chain.deadline.0), ..call };
        let chain = Arc::clone(chain);
        let steps = chain.steps.iter().map(|step| step.name.to_string());
        let execution = Arc::new(Execution::new(name, call.chain, steps));
        self.executions.push(Arc::clone(&execution));
        Box::pin(async move {
            let result = chain::run(chain, table, call, input, Arc::clone(&execution)).await;
            execution.end(result.as_ref().err().map(ToString::to_string));
            result
        })
    }

    fn request(
        &self,
        name: &str,
        call: Call,
        mut request: Request<WasiBody>,
    ) -> Calling<Result<Response<WasiBody>, CallError>> {
        let Some(function) = self.get(name) else {
            return Box::pin(async { Err(CallError::Denied) });
        };
        let call = Call { deadline: call.deadline.min(function.deadline()), ..call };
        let (call, traced) = telemetry::call(&function, call);
        let headers = request.headers_mut();
        remove_ours(headers);
        if let Some(traced) = &traced {
            traced.tell(headers);
        }
        calling(function.runs_apart(call), async move {
            let result = function.answer(call, None, request).await.map_err(|failure| match failure {
                Failure::Busy => CallError::Busy,
                Failure::Late => CallError::Late,
                failure => CallError::Failed(failure.to_string()),
            });
            telemetry::ended(traced, &result);
            result
        })
    }
}

/// A call on its way, `apart` on a task of its own.
fn calling<T: Send + 'static>(apart: bool, call: impl Future<Output = T> + Send + 'static) -> Calling<T> {
    match apart {
        true => Box::pin(spawn(call)),
        false => Box::pin(call),
    }
}

/// Names a chain of calls. It is told to others, and must not be guessed from the one before.
pub(crate) fn random_id() -> u128 {
    thread_local! {
        /// Many at once: each question to the operating system takes its time.
        static IDS: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
    }
    IDS.with_borrow_mut(|ids| {
        if ids.is_empty() {
            let mut bytes = [0; 16 * RANDOM_IDS];
            getrandom::fill(&mut bytes).expect("the machine has random numbers");
            ids.extend(bytes.as_chunks().0.iter().map(|id| u128::from_le_bytes(*id)));
        }
        ids.pop().expect("some were made")
    })
}
