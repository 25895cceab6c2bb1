//! An app that is served: its functions, which can be replaced while others run, and the way to each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Instant;

use host::bindings::{Call, CallError, Calling, Payload, Siblings};
use http::{Request, Response};
use image::{Chain, Manifest, Name, Problem};
use state::Store;
use wasmtime_wasi_http::WasiBody;

use crate::execution::{Execution, Executions};
use crate::function::Function;
use crate::gate::Gate;
use crate::instance::Failure;
use crate::limits::{DEADLINE_MAX, RANDOM_IDS, RUNNING_MAX};
use crate::load::{Loader, Machine, Shared};
use crate::log::Logs;
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
        let loading = tokio::task::spawn_blocking(|| Self::load_blocking(manifest, machine));
        loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn load_blocking(manifest: Manifest, machine: Machine) -> Result<Arc<Self>, Error> {
        let chains = manifest.chains.iter().map(|(name, chain)| (name.to_string(), Arc::new(chain.clone())));
        let chains = chains.collect();
        let table = Arc::new_cyclic(|this| Table {
            functions: RwLock::default(),
            chains,
            executions: Arc::default(),
            this: this.clone(),
        });
        let loader = Loader {
            shared: Shared::open(&manifest, &machine)?,
            manifest,
            machine,
            gate: Gate::new(RUNNING_MAX),
            siblings: Arc::clone(&table) as Arc<dyn Siblings>,
            logs: Logs::new(),
            sockets: Arc::default(),
            engines: Mutex::default(),
        };
        let manifest = &loader.manifest;
        let router = Router::new(manifest).map_err(|problems| manifest.error(problems))?;
        let mut functions = BTreeMap::new();
        for name in manifest.functions.keys() {
            functions.insert(name.to_string(), Arc::new(loader.function(name, None)?));
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
        Ok(Arc::new(Self { loader, table, router }))
    }

    /// Loads the program of a function again. Calls that run go on with the old one.
    ///
    /// # Errors
    /// When it cannot be loaded: then the old one stays.
    pub async fn reload(self: &Arc<Self>, name: &Name) -> Result<(), Error> {
        let (app, name) = (Arc::clone(self), name.clone());
        let loading = tokio::task::spawn_blocking(move || {
            let function = app.loader.function(&name, app.table.get(&name).as_deref())?;
            app.table.put(Arc::new(function));
            Ok(())
        });
        loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
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
        drop(old);
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
            return Box::pin(async move {
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
        request: Request<WasiBody>,
    ) -> Calling<Result<Response<WasiBody>, CallError>> {
        let function = self.get(name);
        Box::pin(async move {
            let function = function.ok_or(CallError::Denied)?;
            let call = Call { deadline: call.deadline.min(function.deadline()), ..call };
            let (call, traced) = telemetry::call(&function, call);
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
