//! A function of an app: a program that is linked and ready, with what it was granted.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::wasmtime;
use engine::wasmtime::component::{Component, ComponentExportIndex, InstancePre, types::ComponentItem};
use engine::{Compiled, Engine, Interrupts, Limits, Program};
use host::bindings::Call;
use host::{Grants, Host, link};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::Error;
use crate::concurrent::Concurrent;
use crate::gate::Place;
use crate::instance::{Exporting, Instance, Warm};
use crate::sealed::{Apart, Within};
use crate::stats::{Stats, Summary};
use crate::websocket::Ending;

/// A function, ready to be called.
pub struct Function {
    pub(crate) name: Arc<str>,
    pub(crate) engine: Arc<Engine>,
    /// What makes its calls give way, where it does not look at a clock itself.
    pub(crate) interrupts: Option<Interrupts<Host>>,
    pub(crate) http: Option<Http>,
    pub(crate) chain: Option<Exported>,
    pub(crate) socket: Option<Socket>,
    pub(crate) watcher: Option<Watcher>,
    /// Whether it can pass a request on.
    pub(crate) is_middleware: bool,
    /// A program that runs from its beginning to its end for each call.
    pub(crate) command: Option<host::Command>,
    /// The process that it runs in, where that is not this one.
    pub(crate) apart: Option<Apart>,
    pub(crate) place: Place,
    /// Shared with what takes its place as the same program.
    pub(crate) stats: Arc<Stats>,
    pub(crate) warm: Warm<Instance>,
    /// Instances that answer several requests at once; made at the first use.
    pub(crate) concurrent: OnceLock<Concurrent>,
    pub(crate) warm_exports: Warm<Exporting>,
    pub(crate) settings: Settings,
    /// Closes its WebSockets when another takes its place.
    pub(crate) replaced: Ending,
}

/// A program in the engine that suits it.
pub(crate) struct Loaded {
    pub(crate) engine: Arc<Engine>,
    pub(crate) program: Program,
    pub(crate) interrupts: Option<Interrupts<Host>>,
}

/// How an app wants one of its functions to run.
pub(crate) struct Settings {
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    /// The longest that a call may take, where its caller does not want it sooner.
    pub(crate) deadline: Duration,
    /// Bytes that a request's body may have.
    pub(crate) body_bytes_max: u64,
    /// Warm instances that are kept.
    pub(crate) reuse: usize,
    /// Requests that one of them answers at the same time, where it is more than one.
    pub(crate) share: Option<usize>,
}

/// How a function answers HTTP requests.
pub(crate) enum Http {
    /// `wasi:http/incoming-handler` of WASI 0.2.
    P2(ProxyPre<Host>),
    /// `wasi:http/handler` of WASI 0.3.
    P3(ServicePre<Host>),
}

/// A function that an instance exports from an interface.
pub(crate) struct Exported {
    pub(crate) instance: InstancePre<Host>,
    pub(crate) function: ComponentExportIndex,
}

/// How a function serves WebSockets.
pub(crate) struct Socket {
    pub(crate) opened: Exported,
    pub(crate) received: Exported,
    pub(crate) closed: Exported,
}

/// How a function is told of changes.
pub(crate) struct Watcher {
    pub(crate) on_set: Exported,
    pub(crate) on_delete: Exported,
}

impl Function {
    /// Links `program` as the function `name`, with what a process that is `within` a seal has ready for it.
    pub(crate) fn link(
        name: &str,
        Loaded { engine, program, interrupts }: Loaded,
        place: Place,
        settings: Settings,
        within: Option<&Within>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Link { function: name.to_owned(), source };
        let entries = match program.compiled() {
            Compiled::Component(component) => {
                let ready = within.and_then(|within| within.ready.as_ref()?.link.instance_pre(component));
                let instance = match ready {
                    Some(instance) => Ok(instance),
                    None => link::component(engine.wasmtime(), &program, component)
                        .and_then(|linker| linker.instantiate_pre(component)),
                };
                instance.and_then(|instance| entries(component, instance)).map_err(failed)?
            }
            Compiled::Module(_) => Entries::default(),
        };
        let Entries { http, chain, socket, watcher, is_middleware } = entries;
        let mut command = None;
        if http.is_none() && chain.is_none() && socket.is_none() && watcher.is_none() {
            command = Some(match host::Command::link(&engine, &program, &settings.grants) {
                Ok(command) => command,
                Err(host::Error::Link(source)) => return Err(failed(source)),
                Err(_) => return Err(Error::NoEntry { function: name.to_owned() }),
            });
        }
        Ok(Self {
            name: name.into(),
            engine,
            interrupts,
            http,
            chain,
            socket,
            watcher,
            is_middleware,
            command,
            apart: None,
            place,
            stats: Arc::new(Stats::new()),
            warm: Warm::new(settings.reuse),
            concurrent: OnceLock::new(),
            warm_exports: Warm::new(settings.reuse),
            settings,
            replaced: Ending::default(),
        })
    }

    /// A function that runs in a process of its own; `engine` runs nothing of it.
    pub(crate) fn apart(
        name: &str,
        engine: Arc<Engine>,
        apart: Apart,
        place: Place,
        settings: Settings,
    ) -> Self {
        let is_middleware = apart.abilities().is_middleware;
        Self {
            name: name.into(),
            engine,
            interrupts: None,
            http: None,
            chain: None,
            socket: None,
            watcher: None,
            is_middleware,
            command: None,
            apart: Some(apart),
            place,
            stats: Arc::new(Stats::new()),
            warm: Warm::new(0),
            concurrent: OnceLock::new(),
            warm_exports: Warm::new(0),
            settings,
            replaced: Ending::default(),
        }
    }

    /// Whether it can be told of changes.
    pub(crate) fn is_watcher(&self) -> bool {
        self.watcher.is_some() || self.apart.as_ref().is_some_and(|apart| apart.abilities().is_watcher)
    }

    /// Whether an instance can answer several requests at once. Middleware cannot: what it passes on would not be known
    /// from what it passes on for another.
    pub(crate) fn can_share(&self) -> bool {
        matches!(self.http, Some(Http::P3(_))) && !self.is_middleware
    }

    /// Whether a call needs a task of its own. Wasmtime runs no instance of WASI 0.3 from inside another one, and who makes
    /// the call may be one.
    pub(crate) fn runs_apart(&self, call: Call) -> bool {
        call.depth > 0 && self.engine.settings().concurrent
    }

    /// When a call that begins now must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.deadline
    }

    /// Its name in the app.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was counted of it.
    pub fn summary(&self) -> Summary {
        let here = self.stats.summary();
        let apart = self.apart.as_ref().map_or(0, Apart::made);
        // What a process says of itself may be anything.
        Summary { instances: here.instances.saturating_add(apart), ..here }
    }

    /// Warm instances that wait for a call.
    pub fn warm(&self) -> usize {
        let concurrent = self.concurrent.get().map_or(0, Concurrent::count);
        let apart = self.apart.as_ref().map_or(0, Apart::warm);
        self.warm.count() + self.warm_exports.count() + concurrent + apart
    }

    /// Processes of it that are frozen, since nobody calls them.
    pub fn frozen(&self) -> usize {
        self.apart.as_ref().map_or(0, Apart::frozen)
    }

    /// Gives up the warm instances that have not been called since `moment`.
    pub(crate) fn shrink(&self, moment: Instant) {
        self.warm.shrink(moment);
        self.warm_exports.shrink(moment);
    }

    /// Calls that run, and calls that wait.
    pub fn load(&self) -> (u32, usize) {
        self.place.load()
    }
}

/// What a component exports that can be called.
#[derive(Default)]
struct Entries {
    http: Option<Http>,
    chain: Option<Exported>,
    socket: Option<Socket>,
    watcher: Option<Watcher>,
    is_middleware: bool,
}

fn entries(component: &Component, instance: InstancePre<Host>) -> wasmtime::Result<Entries> {
    let export = |interface, function| exported(component, &instance, interface, function);
    let socket = |function| export("sampan:websocket/handler@0.1.0", function);
    let watcher = |function| export("wasi:keyvalue/watcher@0.2.0-draft2", function);
    let kind = component.component_type();
    let passes_on =
        kind.imports(component.engine()).any(|(name, _)| name.starts_with("wasi:http/handler@0.3"));
    let http = http(component, &instance)?;
    Ok(Entries {
        is_middleware: passes_on && matches!(http, Some(Http::P3(_))),
        http,
        chain: export("sampan:chain/handler@0.1.0", "handle"),
        socket: match (socket("opened"), socket("received"), socket("closed")) {
            (Some(opened), Some(received), Some(closed)) => Some(Socket { opened, received, closed }),
            _ => None,
        },
        watcher: match (watcher("on-set"), watcher("on-delete")) {
            (Some(on_set), Some(on_delete)) => Some(Watcher { on_set, on_delete }),
            _ => None,
        },
    })
}

fn http(component: &Component, instance: &InstancePre<Host>) -> wasmtime::Result<Option<Http>> {
    let kind = component.component_type();
    let exports = |prefix: &str| {
        kind.exports(component.engine()).any(|(name, item)| {
            name.starts_with(prefix) && matches!(item.ty, ComponentItem::ComponentInstance(_))
        })
    };
    Ok(if exports("wasi:http/handler@0.3") {
        Some(Http::P3(ServicePre::new(instance.clone())?))
    } else if exports("wasi:http/incoming-handler@0.2") {
        Some(Http::P2(ProxyPre::new(instance.clone())?))
    } else {
        None
    })
}

fn exported(
    component: &Component,
    instance: &InstancePre<Host>,
    interface: &str,
    function: &str,
) -> Option<Exported> {
    let interface = component.get_export_index(None, interface)?;
    let function = component.get_export_index(Some(&interface), function)?;
    Some(Exported { instance: instance.clone(), function })
}
