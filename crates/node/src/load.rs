//! From a manifest to functions that are ready.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use engine::options::{Codegen, Interrupt, Pool};
use engine::{CodeCache, Engine, Form, Limits, Profile, Program, Seal};
use host::bindings::{Connections, Database, Siblings};
use host::grants::Peer;
use host::{Authorities, Bindings, Grants};
use image::trust::{TrustList, is_trusted};
use image::{Manifest, Name, Problem, Secret};
use state::{BucketSpec, Container, Durability, Sql, SqlLimits, Store};

use crate::error::Words;
use crate::function::{Function, Loaded, Settings};
use crate::gate::{Gate, Place};
use crate::limits::{RUNNING_MAX, SLOTS_MAX, SLOTS_SPARE, WORKER_IDLE, WORKER_LANES_MAX};
use crate::log::{FunctionLog, Logs};
use crate::native::{self, Awaited, Workshop};
use crate::sealed::{Apart, Habits, Order, Within, Zygote};
use crate::telemetry::Telemetry;
use crate::websocket::Sockets;
use tokio::runtime::Handle;

use crate::{Error, bucket};

/// What an app finds on the machine that serves it.
pub struct Machine {
    /// The directory of the manifest.
    pub dir: PathBuf,
    /// Where its buckets are.
    pub store: Arc<dyn Store>,
    /// The directory of its SQL database.
    pub sql: PathBuf,
    /// Compiled code.
    pub cache: Option<Arc<CodeCache>>,
    /// The seal of precompiled programs.
    pub seal: Option<Seal>,
    /// Reads the trust list, for functions under profile `trusted`.
    pub trust: fn() -> Result<TrustList, String>,
    /// Reads an environment variable, for secrets.
    pub variable: fn(&str) -> Option<String>,
    /// Whom encrypted connections trust.
    pub authorities: Authorities,
    /// What makes the processes of sealed functions, where there are any.
    pub zygote: Option<Zygote>,
    /// Where the program comes from and what is behind it, in a process that is sealed itself.
    pub within: Option<Arc<Within>>,
    /// Where spans go; `None` where nothing is traced.
    pub telemetry: Option<Arc<Telemetry>>,
}

/// What there is once in an app, where any function is granted it.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    sql: Option<Arc<Database>>,
    /// Those of earlier manifests too: each is opened once in a process, and a later manifest may have it again.
    containers: BTreeMap<String, Container>,
}

impl Shared {
    /// What `manifest` asks for: what was open `before`, and what has to be opened. Blocks.
    fn open(manifest: &Manifest, machine: &Machine, before: Option<&Shared>) -> Result<Self, Error> {
        let app: &str = &manifest.app.name;
        let mut shared = before.cloned().unwrap_or_default();
        if machine.within.is_none()
            && shared.sql.is_none()
            && manifest.functions.values().any(|function| function.grants.sql)
        {
            std::fs::create_dir_all(&machine.sql)
                .map_err(|source| Error::Read { path: machine.sql.clone(), source })?;
            let sql = Sql::open(&machine.sql.join(format!("{app}.sqlite")), SqlLimits::default())?;
            shared.sql = Some(Arc::new(Database::new(Arc::new(sql))));
        }
        for (name, blobs) in &manifest.blobs {
            let quota_bytes = blobs.quota.as_ref().map(|quota| quota.0);
            let spec = BucketSpec { quota_bytes, ..BucketSpec::new(app, &***name, Durability::Disk) };
            let container = Container::new(Arc::clone(&machine.store), spec, Arc::new(SystemTime::now))?;
            // For a process that is sealed, its node has opened it.
            if machine.within.is_none() {
                if !shared.containers.contains_key(container.name()) {
                    container.open()?;
                }
                Handle::current().block_on(container.create())?;
            }
            shared.containers.insert(container.name().to_owned(), container);
        }
        Ok(shared)
    }
}

/// Makes the functions of one manifest.
pub(crate) struct Loader {
    pub(crate) manifest: Manifest,
    pub(crate) machine: Arc<Machine>,
    gate: Arc<Gate>,
    siblings: Arc<dyn Siblings>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) sockets: Arc<Sockets>,
    /// What is shared by all functions that are granted it.
    shared: Shared,
    /// One engine for all functions with the same profile and options.
    engines: Arc<Mutex<Engines>>,
    pub(crate) workshop: Arc<Workshop>,
}

/// Engines that some function needs, by their settings.
type Engines = Vec<(String, Weak<Engine>)>;

impl Loader {
    /// Loads what `manifest` says, instead of what the loader `before` did.
    pub(crate) fn new(
        manifest: Manifest,
        machine: Arc<Machine>,
        siblings: Arc<dyn Siblings>,
        before: Option<&Loader>,
    ) -> Result<Self, Error> {
        Ok(Self {
            shared: Shared::open(&manifest, &machine, before.map(|before| &before.shared))?,
            manifest,
            gate: before.map_or_else(|| Gate::new(RUNNING_MAX), |before| Arc::clone(&before.gate)),
            siblings,
            logs: before.map_or_else(Logs::new, |before| Arc::clone(&before.logs)),
            sockets: before.map(|before| Arc::clone(&before.sockets)).unwrap_or_default(),
            engines: before.map(|before| Arc::clone(&before.engines)).unwrap_or_else(|| known(&machine)),
            machine,
            workshop: before.map(|before| Arc::clone(&before.workshop)).unwrap_or_default(),
        })
    }

    /// Whether another manifest admits as many calls of a function.
    pub(crate) fn admits_alike(&self, name: &Name, other: &Manifest) -> bool {
        let admitted = |manifest: &Manifest| {
            let limits = &manifest.functions.get(&**name as &str)?.limits;
            Some((*limits.concurrency, *limits.queue))
        };
        admitted(&self.manifest) == admitted(other)
    }

    /// How many functions get processes of their own.
    pub(crate) fn starts(&self) -> usize {
        match self.machine.within {
            Some(_) => 0,
            None => self.manifest.functions.values().filter(|declared| is_apart(declared)).count(),
        }
    }

    /// The function called `name`, compiled and linked, and its native code if that is yet to be made. It takes the place
    /// of the `old` one, if there is one.
    pub(crate) fn function(
        &self,
        name: &Name,
        old: Option<&Function>,
    ) -> Result<(Function, Option<Awaited>), Error> {
        let declared = &self.manifest.functions[&**name as &str];
        if is_apart(declared) && self.machine.within.is_none() {
            let function = self.sealed(name, declared, old)?;
            return Ok((self.checked(name, declared, function)?, None));
        }
        let failed = |source| Error::Program { function: name.to_string(), source };
        let mut settings = self.settings(declared)?;
        let limits = settings.limits.clone();
        let path = self.machine.dir.join(&*declared.program);
        let cache = self.machine.cache.as_deref();
        let is_native = settings.options.codegen == Codegen::Native;
        let bytes = match *declared.profile {
            image::Profile::Trusted => Some(self.trusted(name, declared, &path)?),
            _ if is_native && self.machine.within.is_none() => Some(engine::read(&path).map_err(failed)?),
            _ => None,
        };
        let loaded = match (&self.machine.within, bytes) {
            (Some(within), _) => {
                let load = |engine: &Engine| within.inside.load(engine);
                let loaded = match self.suited(&mut settings, load) {
                    Err(error) if error.is_of_native() => {
                        self.tell_failure(name, &error);
                        self.suited(&mut settings.without_native(), load)
                    }
                    loaded => loaded,
                };
                loaded.map(|loaded| (loaded, None))
            }
            (None, Some(bytes)) if is_native && Form::detect(&bytes) != Ok(Form::Compiled) => {
                self.native(name, settings, bytes)
            }
            (None, bytes) => {
                let load = |engine: &Engine| match &bytes {
                    Some(bytes) if *declared.profile == image::Profile::Trusted => engine.load(bytes, cache),
                    _ => engine.load_file(&path, cache, || self.machine.seal.clone()),
                };
                self.suited(&mut settings, load).map(|loaded| (loaded, None))
            }
        };
        let (loaded, awaited) = loaded.map_err(failed)?;
        let settings = self.calls(name, declared, limits)?;
        let place = self.place(declared, old);
        let function = Function::link(name, loaded, place, settings, self.machine.within.as_deref())?;
        Ok((self.checked(name, declared, function)?, awaited))
    }

    /// A program in the engine that suits it, of which the settings become those.
    fn suited(
        &self,
        settings: &mut engine::Settings,
        load: impl Fn(&Engine) -> Result<Program, engine::Error>,
    ) -> Result<Loaded, engine::Error> {
        let load = |settings: &engine::Settings| {
            let engine = self.engine(settings.clone())?;
            let program = load(&engine)?;
            self.loaded(engine, program)
        };
        let mut loaded = load(settings);
        if let Err(engine::Error::Concurrent) = loaded {
            settings.concurrent = true;
            loaded = load(settings);
        }
        // The program is not one for signals, or the machine is not.
        if let Err(engine::Error::Unstoppable | engine::Error::Setup(_)) = loaded
            && settings.has_signals()
        {
            settings.options.interrupt = Interrupt::Epoch;
            loaded = load(settings);
        }
        loaded
    }

    fn loaded(&self, engine: Arc<Engine>, program: Program) -> Result<Loaded, engine::Error> {
        let interrupts = engine.interrupts(&program, self.machine.cache.as_deref()).transpose()?;
        Ok(Loaded { engine, program, interrupts })
    }

    /// A program as native code, where that is at hand; else as under `dense`, and what is to be made.
    fn native(
        &self,
        name: &Name,
        mut settings: engine::Settings,
        bytes: Vec<u8>,
    ) -> Result<(Loaded, Option<Awaited>), engine::Error> {
        let cache = self.machine.cache.as_deref();
        let mut failure = None;
        for concurrent in [false, true] {
            settings.concurrent = concurrent;
            let engine = self.engine(settings.clone())?;
            match engine.load_at_hand(&bytes, cache) {
                Ok(Some(program)) => return Ok((self.loaded(engine, program)?, None)),
                Ok(None) | Err(engine::Error::Concurrent) => {}
                Err(error) if error.is_of_native() => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        settings.concurrent = false;
        let mut others = settings.without_native();
        let loaded = self.suited(&mut others, |engine| engine.load(&bytes, cache))?;
        if let Some(error) = failure {
            self.tell_failure(name, &error);
            return Ok((loaded, None));
        }
        settings.concurrent = others.concurrent;
        Ok((loaded, Some(Awaited { engine: self.engine(settings)?, bytes })))
    }

    fn tell_failure(&self, name: &Name, error: &engine::Error) {
        native::tell_failure(&FunctionLog::new(Arc::clone(&self.logs), name), &native::why(error));
    }

    /// The same function with other code of the same program.
    pub(crate) fn again(
        &self,
        name: &Name,
        old: &Function,
        engine: Arc<Engine>,
        program: Program,
    ) -> Result<Function, Error> {
        let declared = &self.manifest.functions[&**name as &str];
        let loaded = self.loaded(engine, program);
        let loaded = loaded.map_err(|source| Error::Program { function: name.to_string(), source })?;
        let settings = self.calls(name, declared, old.settings.limits.clone())?;
        let function = Function::link(name, loaded, old.place.clone(), settings, None)?;
        Ok(Function { stats: Arc::clone(&old.stats), ..function })
    }

    /// The function, if it can be what it is declared to be.
    fn checked(
        &self,
        name: &Name,
        declared: &image::Function,
        function: Function,
    ) -> Result<Function, Error> {
        let problem = |span, text: &str, hint| {
            Err(self.manifest.error(vec![Problem::new(span, format!("`{name}` {text}")).hint(hint)]).into())
        };
        match (declared.watches.first(), &declared.share) {
            (Some(watched), _) if !function.is_watcher() => {
                let hint = "what watches a bucket exports `wasi:keyvalue/watcher@0.2.0-draft2`";
                problem(watched.span(), "cannot be told of changes", hint)
            }
            (_, Some(share))
                if function.apart.is_none() && function.settings.share.is_some() && !function.can_share() =>
            {
                let hint = "only a function of WASI 0.3 HTTP that is no middleware can share its instances";
                problem(share.span(), "answers one request at a time", hint)
            }
            _ => Ok(function),
        }
    }

    /// The bytes of a program that is on the trust list.
    fn trusted(&self, name: &Name, declared: &image::Function, path: &Path) -> Result<Vec<u8>, Error> {
        let read = engine::read(path);
        let bytes = read.map_err(|source| Error::Program { function: name.to_string(), source })?;
        let distrusted = |why: String| {
            let problem = Problem::new(declared.profile.span(), format!("`{name}` is not trusted: {why}"));
            let hint = format!("`sampan trust add {}` trusts this very program", path.display());
            Error::from(self.manifest.error(vec![problem.hint(hint)]))
        };
        let list = (self.machine.trust)().map_err(distrusted)?;
        is_trusted(&bytes, &list).map_err(|why| distrusted(why.to_string()))?;
        Ok(bytes)
    }

    /// How calls of a function run.
    fn calls(&self, name: &Name, declared: &image::Function, limits: Limits) -> Result<Settings, Error> {
        Ok(Settings {
            grants: self.grants(name, declared)?,
            limits,
            deadline: declared.limits.deadline.0,
            body_bytes_max: declared.limits.body.0,
            reuse: *declared.reuse as usize,
            share: declared.share.as_ref().map(|share| **share as usize).filter(|share| *share > 1),
        })
    }

    fn place(&self, declared: &image::Function, old: Option<&Function>) -> Place {
        match old {
            Some(old) => old.place.clone(),
            None => self.gate.place(*declared.limits.concurrency, *declared.limits.queue as usize),
        }
    }

    /// A function that runs in a process of its own.
    fn sealed(
        &self,
        name: &Name,
        declared: &image::Function,
        old: Option<&Function>,
    ) -> Result<Function, Error> {
        // Everything that can be wrong with it is wrong here, where its lines are known.
        let limits = self.settings(declared)?.limits;
        let settings = self.calls(name, declared, limits)?;
        let env = settings.grants.env.clone();
        let failed =
            |reason: String| Error::Worker { function: name.to_string(), source: Words::new(&reason) };
        let bindings =
            settings.grants.bindings.clone().ok_or_else(|| failed("it has no bindings".to_owned()))?;
        let manifest = self.manifest.alone(name, |function| {
            function.program = self.machine.dir.join(&*function.program).into();
            function.build = None;
            function.secrets.clear();
            function.env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            let dirs = settings.grants.dirs.iter().map(|dir| moved(dir, &dir.host).into());
            function.grants.dirs = dirs.collect();
            // Who may run was said by this node.
            function.limits.queue = image::limits::QUEUE_MAX.into();
        });
        // More event loops than calls, or processors, would only take room.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let calls = *declared.limits.concurrency as usize;
        let order = Order {
            manifest: manifest.map_err(|error| failed(error.to_string()))?,
            calls: bindings.calls.clone(),
            is_traced: bindings.telemetry.is_some(),
            lanes: processors.min(calls).clamp(1, WORKER_LANES_MAX),
        };
        let frozen_after = declared.freeze.as_ref().map_or(WORKER_IDLE, |time| time.0);
        // What a call leaves running may take as long as the call.
        let frozen_after = frozen_after.max(settings.deadline);
        let habits = Habits { spare: *declared.spare as usize, frozen_after };
        let started = Apart::start(Arc::clone(&self.machine), &order, habits, bindings);
        let apart = Handle::current().block_on(started).map_err(failed)?;
        // It runs nothing, and so needs no pool and no clock.
        let mut engine = engine::Settings::new(Profile::Portable);
        engine.options.pool = Pool::Off;
        let engine =
            self.engine(engine).map_err(|source| Error::Program { function: name.to_string(), source })?;
        Ok(Function::apart(name, engine, apart, self.place(declared, old), settings))
    }

    /// The settings of an engine, and the limits of each instance in it.
    fn settings(&self, declared: &image::Function) -> Result<engine::Settings, Error> {
        let settings =
            settings(declared, slots(&self.manifest)).map_err(|(span, reason)| self.wrong(span, &reason))?;
        Ok(engine::Settings { tools: (self.machine.variable)("PATH").unwrap_or_default().into(), ..settings })
    }

    fn engine(&self, settings: engine::Settings) -> Result<Arc<Engine>, engine::Error> {
        let key = key(&settings);
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        engines.retain(|(_, engine)| engine.strong_count() > 0);
        let known = engines.iter().find(|(known, _)| *known == key);
        if let Some(engine) = known.and_then(|(_, engine)| engine.upgrade()) {
            return Ok(engine);
        }
        let engine = match Engine::new(settings.clone()) {
            Err(engine::Error::Setup(_)) => {
                // A machine with little address space serves fewer at once.
                let mut smaller = settings;
                smaller.options.pool = Pool::Auto;
                Engine::new(smaller)?
            }
            engine => engine?,
        };
        let engine = Arc::new(engine);
        engines.push((key, Arc::downgrade(&engine)));
        Ok(engine)
    }

    fn grants(&self, name: &Name, declared: &image::Function) -> Result<Grants, Error> {
        let granted = &declared.grants;
        let mut dirs = Vec::new();
        for text in &granted.dirs {
            let mut dir: host::grants::Dir = text.parse().map_err(|error| self.wrong(text.span(), &error))?;
            dir.host = self.machine.dir.join(dir.host);
            if !dir.host.is_dir() {
                return Err(
                    self.wrong(text.span(), &format!("there is no directory `{}`", dir.host.display()))
                );
            }
            dirs.push(dir);
        }
        let peers = |texts: &[image::At<String>], read: fn(&str) -> Result<Peer, host::grants::Malformed>| {
            let peer = |text: &image::At<String>| read(text).map_err(|error| self.wrong(text.span(), &error));
            texts.iter().map(peer).collect::<Result<Vec<_>, _>>()
        };
        let mut env: Vec<_> =
            declared.env.iter().map(|(name, value)| ((**name).clone(), (**value).clone())).collect();
        for (name, secret) in &declared.secrets {
            env.push(((**name).clone(), self.secret(secret)?));
        }
        Ok(Grants {
            dirs,
            env,
            net: peers(&granted.net, |text| text.parse())?,
            listen: Vec::new(),
            http: peers(&granted.http, Peer::server)?,
            authorities: self.machine.authorities.clone(),
            bindings: Some(Arc::new(self.bindings(name, declared)?)),
        })
    }

    fn bindings(&self, name: &Name, declared: &image::Function) -> Result<Bindings, Error> {
        let granted = &declared.grants;
        let mut buckets = BTreeMap::new();
        for name in &granted.buckets {
            let bucket = bucket(&self.manifest, name)?;
            self.machine.store.open(&bucket)?;
            buckets.insert(name.to_string(), bucket);
        }
        let container = |name: &image::At<Name>| self.shared.containers.get_key_value(&***name as &str);
        let containers = granted.blobs.iter().filter_map(container);
        let containers = containers.map(|(name, container)| (name.clone(), container.clone())).collect();
        let config = granted.config.iter().map(|(key, value)| ((**key).clone(), (**value).clone()));
        let calls: BTreeSet<String> = granted.calls.iter().map(|name| name.to_string()).collect();
        let log = FunctionLog::new(Arc::clone(&self.logs), name);
        let bindings = Bindings {
            name: name.to_string(),
            store: Arc::clone(&self.machine.store),
            buckets,
            config: config.collect(),
            calls,
            siblings: Arc::clone(&self.siblings),
            sql: self.shared.sql.as_ref().filter(|_| granted.sql).map(|sql| Arc::new(sql.for_another()) as _),
            containers,
            connections: Some(Arc::clone(&self.sockets) as Arc<dyn Connections>),
            log: Arc::new(log),
            telemetry: self.machine.telemetry.clone().map(|telemetry| telemetry as _),
        };
        Ok(match &self.machine.within {
            Some(within) => within.node.reach(bindings, granted.sql),
            None => bindings,
        })
    }

    /// A secret's value. An error names where it should be, and never what is there.
    fn secret(&self, secret: &Secret) -> Result<String, Error> {
        match secret {
            Secret::Env(name) => (self.machine.variable)(name).ok_or_else(|| {
                let missing =
                    Problem::new(name.span(), format!("the environment variable `{}` is not set", **name));
                self.manifest.error(vec![missing.hint(format!("set it: `{}=… sampan serve`", **name))]).into()
            }),
            Secret::File(path) => {
                let file: &Path = path;
                let cannot = |error: &dyn std::fmt::Display| {
                    let problem = format!("cannot read the secret in `{}`: {error}", file.display());
                    self.manifest.error(vec![Problem::new(path.span(), problem)])
                };
                let text =
                    std::fs::read_to_string(self.machine.dir.join(file)).map_err(|error| cannot(&error))?;
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        }
    }

    fn wrong(&self, span: Range<usize>, error: &dyn std::fmt::Display) -> Error {
        self.manifest.error(vec![Problem::new(span, error.to_string())]).into()
    }
}

/// Whether a function is to have a process of its own.
fn is_apart(declared: &image::Function) -> bool {
    *declared.profile == image::Profile::Sealed
}

/// What engines that can stand for each other have in common.
fn key(settings: &engine::Settings) -> String {
    // How much memory an instance may have is its own affair.
    let limits = engine::Limits { memory_bytes_max: 0, ..settings.limits.clone() };
    format!("{:?}", engine::Settings { limits, ..settings.clone() })
}

/// The engines that were there before any app.
fn known(machine: &Machine) -> Arc<Mutex<Engines>> {
    let ready = machine.within.iter().filter_map(|within| within.ready.as_ref());
    let engines = ready.map(|ready| (key(ready.engine.settings()), Arc::downgrade(&ready.engine)));
    Arc::new(Mutex::new(engines.collect()))
}

/// Slots for all the instances that the functions may have at once: each slot costs a little at the start.
pub(crate) fn slots(manifest: &Manifest) -> u32 {
    let instances = manifest.functions.values().map(|function| {
        // Those that run, and those that wait for a request or for another call.
        function.limits.concurrency.saturating_add(function.reuse.saturating_mul(2))
    });
    // A component may have more than one memory.
    instances.fold(SLOTS_SPARE, u32::saturating_add).min(SLOTS_MAX)
}

/// The grant of a directory that lies at another place, as a manifest says it.
pub(crate) fn moved(dir: &host::grants::Dir, place: &Path) -> String {
    format!("{}:{}{}", place.display(), dir.guest, if dir.read_only { ":ro" } else { "" })
}

/// The settings of an engine with so many slots, and the limits of each instance in it; or what is wrong with them, and
/// where.
pub(crate) fn settings(
    declared: &image::Function,
    slots: u32,
) -> Result<engine::Settings, (Range<usize>, String)> {
    let mut settings = engine::Settings::new(match *declared.profile {
        image::Profile::Dense => Profile::Dense,
        image::Profile::Sealed => Profile::Sealed,
        image::Profile::Trusted => Profile::Trusted,
        image::Profile::Portable => Profile::Portable,
    });
    // A function that does not end must not keep others from running.
    settings.options.interrupt = Interrupt::Epoch;
    // Instances that are shared run in tasks that nobody here can watch.
    let is_shared = declared.share.as_ref().is_some_and(|share| **share > 1);
    // Signals make each instance dearer, and its code no slower: they pay where instances live on.
    if !is_shared && *declared.reuse > 0 {
        settings.options.prefer_signals();
    }
    settings.clock_rests = true;
    if settings.profile != Profile::Portable {
        settings.options.pool = Pool::Slots(slots);
    }
    for (key, value) in &declared.options {
        let wrong = |error: engine::Error| (key.span(), error.to_string());
        settings.set(&format!("{}={}", **key, **value)).map_err(wrong)?;
        match settings.options.interrupt {
            Interrupt::None => {
                let reason = "a function that is served must be one that can be stopped";
                return Err((key.span(), reason.to_owned()));
            }
            Interrupt::Signal if is_shared => {
                let reason = "a function with `share` is interrupted by `epoch` or `fuel`";
                return Err((key.span(), reason.to_owned()));
            }
            _ => {}
        }
    }
    settings.limits.memory_bytes_max = usize::try_from(declared.limits.memory.0).unwrap_or(usize::MAX);
    settings.limits.fuel_max = declared.limits.fuel.as_ref().map(|fuel| **fuel);
    Ok(settings)
}
