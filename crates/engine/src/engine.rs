//! An engine: one profile with its options and limits, ready to load programs and to make stores for them.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use wasmtime::component::ResourceTableError;
use wasmtime::{Config, GcHeapOutOfMemory, Store, Trap, WasmCoreDump};

use crate::limits::{EPOCH_TICK, Limits, SLICE_FUEL};
use crate::meter::{Meter, Metered};
use crate::options::{Bounds, Codegen, Interrupt, Options, Pool};
use crate::ticker::{Busy, Ticker};
use crate::{CodeCache, Error, Interrupts, Limit, Profile, Program, dense, language, portable, shim, signal};

/// How an [`Engine`] is to be made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The position of the dial.
    pub profile: Profile,
    /// The fine print. Begin with [`Options::of`] the profile.
    pub options: Options,
    /// What one instance may use.
    pub limits: Limits,
    /// Run components that do several things at once, by the component model's async, as those for WASI 0.3 do. Each
    /// instance and each call of the others costs a third more then.
    pub concurrent: bool,
    /// Let the epoch clock rest while nobody is [busy](Engine::busy): then no time limit is kept and nothing yields, and
    /// no processor is woken a thousand times a second.
    pub clock_rests: bool,
    /// Directories in which the compiler of native code is looked for, written as `PATH` is.
    pub tools: OsString,
    /// Keep what is needed for [`Engine::core_dump`] when a program traps.
    pub coredump: bool,
    /// Allow [`Sampler`](crate::Sampler)s.
    pub sample: bool,
}

impl Settings {
    /// A profile as it is, with the default limits.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            options: Options::of(profile),
            limits: Limits::default(),
            concurrent: false,
            clock_rests: false,
            tools: OsString::new(),
            coredump: false,
            sample: false,
        }
    }

    /// The same, with Wasmtime's own code behind guard pages in place of native code.
    #[must_use]
    pub fn without_native(&self) -> Self {
        let mut settings = self.clone();
        settings.options.codegen = Codegen::Cranelift;
        settings.options.bounds = Bounds::Guarded;
        settings
    }

    /// Whether a program checks its time limit itself, by the epoch clock.
    pub fn has_epochs(&self) -> bool {
        // Native code is brought by signals to where the clock is looked at.
        let in_native =
            self.options.codegen == Codegen::Native && self.options.interrupt == Interrupt::Signal;
        self.sample || in_native || self.options.interrupt == Interrupt::Epoch
    }

    /// Whether signals interrupt a program: see [`Engine::interrupts`].
    pub fn has_signals(&self) -> bool {
        let in_native = self.options.codegen == Codegen::Native;
        !self.sample && !in_native && self.options.interrupt == Interrupt::Signal
    }
}

/// Compiles programs, or finds their code, and makes stores that hold them to their limits.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    settings: Settings,
    pool_refused: Option<wasmtime::Error>,
    /// What programs call that are interrupted, once it is needed.
    helper: OnceLock<Program>,
    /// Advances the epoch while the engine lives.
    ticker: Option<Ticker>,
}

impl Engine {
    /// Sets up an engine.
    ///
    /// With `pool = auto` a machine that cannot give the address space gets an engine without a pool;
    /// [`pool_refused`](Self::pool_refused) then says why.
    ///
    /// # Errors
    /// [`Error::Option`] for options that do not go together, and [`Error::Setup`] when the machine refuses what the profile
    /// needs.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        settings.options.check(settings.profile)?;
        if settings.options.codegen == Codegen::Native
            && (settings.limits.fuel_max.is_some() || settings.sample)
        {
            let reason = "neither counts fuel nor knows where it spends its time".to_owned();
            return Err(Error::Option { option: "codegen=native".to_owned(), reason });
        }
        let (slots, fallback) = match settings.options.pool {
            Pool::Off => (None, false),
            Pool::Slots(slots) => (Some(slots), false),
            Pool::Auto if dense::moves_memories(&settings.options) => (None, false),
            Pool::Auto if settings.limits.memory_bytes_max > dense::SLOT_BYTES => (None, false),
            Pool::Auto => (Some(dense::SLOTS_DEFAULT), true),
        };
        let (wasmtime, pool_refused) = match wasmtime_engine(&settings, slots) {
            Ok(engine) => (engine, None),
            Err(refused) if fallback => {
                (wasmtime_engine(&settings, None).map_err(Error::Setup)?, Some(refused))
            }
            Err(error) => return Err(Error::Setup(error)),
        };
        let ticker = settings.has_epochs().then(|| Ticker::new(&wasmtime, settings.clock_rests));
        // An engine for sealed processes may be made before its process is copied, and of its threads a copy has only one. One for
        // native code may never need it.
        let is_native = settings.options.codegen == Codegen::Native;
        let may_wait = settings.clock_rests && (settings.profile == Profile::Sealed || is_native);
        if let Some(ticker) = ticker.as_ref().filter(|_| !may_wait) {
            ticker.start();
        }
        Ok(Self { wasmtime, settings, pool_refused, helper: OnceLock::new(), ticker })
    }

    /// Whether instances live in a pool.
    pub(crate) fn is_pooled(&self) -> bool {
        self.wasmtime.pooling_allocator_metrics().is_some()
    }

    /// The same engine without its pool, for a program that [does not fit](Error::Unfit) one. `None` where there
    /// is no pool, or one was asked for.
    pub fn without_pool(&self) -> Option<Result<Self, Error>> {
        let mut settings = self.settings.clone();
        settings.options.pool = Pool::Off;
        (self.is_pooled() && self.settings.options.pool == Pool::Auto).then(|| Self::new(settings))
    }

    /// The same engine for programs that do [several things at once](Error::Concurrent). `None` where it is one.
    pub fn with_concurrency(&self) -> Option<Result<Self, Error>> {
        let settings = Settings { concurrent: true, ..self.settings.clone() };
        (!self.settings.concurrent).then(|| Self::new(settings))
    }

    /// The same engine with Wasmtime's own code, behind guard pages, for a program that [cannot become](Error::NotNative)
    /// native code. `None` where it has no other.
    pub fn without_native(&self) -> Option<Result<Self, Error>> {
        (self.settings.options.codegen == Codegen::Native).then(|| Self::new(self.settings.without_native()))
    }

    /// The same engine for a program that [is native code](Error::IsNative). `None` where it is one, or runs no machine code.
    pub fn for_native(&self) -> Option<Result<Self, Error>> {
        let mut settings = self.settings.clone();
        settings.options.codegen = Codegen::Native;
        (self.settings.options.codegen == Codegen::Cranelift).then(|| Self::new(settings))
    }

    /// The same engine, but for how programs are interrupted: with any other way than by signals it runs
    /// [all programs](Error::Unstoppable).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_interrupt(&self, interrupt: Interrupt) -> Result<Self, Error> {
        let mut settings = self.settings.clone();
        settings.options.interrupt = interrupt;
        Self::new(settings)
    }

    /// What makes calls of `program` interruptible, with a little code that is taken from the cache too. `None` where the engine does not [interrupt by
    /// signals](Settings::has_signals).
    ///
    /// # Errors
    /// [`Error::Setup`] when signals do not work on this machine, as a test of a moment shows at the first call.
    /// [`with_interrupt`](Self::with_interrupt) is the cure.
    pub fn interrupts<T: Metered>(
        &self,
        program: &Program,
        cache: Option<&CodeCache>,
    ) -> Option<Result<Interrupts<T>, Error>> {
        self.settings.has_signals().then(|| {
            let helper = match self.helper.get() {
                Some(helper) => helper,
                None => {
                    let helper = self.load(signal::HELPER.as_bytes(), cache)?;
                    signal::test(&self.wasmtime, &helper).map_err(Error::Setup)?;
                    self.helper.get_or_init(|| helper)
                }
            };
            Interrupts::new(&self.wasmtime, helper, program).map_err(Error::Setup)
        })
    }

    /// The Wasmtime engine underneath, for linkers.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// What the engine was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Why there is no pool, when the machine could not give the address space for one.
    pub fn pool_refused(&self) -> Option<&wasmtime::Error> {
        self.pool_refused.as_ref()
    }

    /// Keeps the epoch clock going, for as long as a program runs. Needed only where the clock
    /// [rests](Settings::clock_rests) otherwise; `None` where there is none.
    pub fn busy(&self) -> Option<Busy> {
        self.ticker.as_ref().map(Ticker::busy)
    }

    /// A meter that allows what the engine's limits allow.
    pub fn meter(&self) -> Meter {
        Meter::new(&self.settings.limits)
    }

    /// A store for one instance, held to the engine's limits from now on.
    pub fn store<T: Metered>(&self, data: T) -> Store<T> {
        let limits = &self.settings.limits;
        let mut store = Store::new(&self.wasmtime, data);
        store.limiter(|data| data.meter());
        let gives_way = self.settings.options.interrupt == Interrupt::Fuel;
        if let Some(fuel) = limits.fuel_max.or(gives_way.then_some(u64::MAX)) {
            store.set_fuel(fuel).expect("an engine with a fuel limit consumes fuel");
        }
        if gives_way {
            store
                .fuel_async_yield_interval(Some(SLICE_FUEL))
                .expect("it consumes fuel, and the interval is not 0");
        }
        if self.settings.has_epochs() {
            let ticks = limits.time_max.map_or(u64::MAX / 2, |time| {
                u64::try_from(time.as_micros().div_ceil(EPOCH_TICK.as_micros())).unwrap_or(u64::MAX / 2)
            });
            store.set_epoch_deadline(ticks);
            store.epoch_deadline_trap();
        }
        store
    }

    /// The limit that is behind an error from a call, if it was one.
    pub fn limit_in(&self, error: &wasmtime::Error) -> Option<Limit> {
        let limits = &self.settings.limits;
        if let Some(limit) = error.downcast_ref::<Limit>() {
            return Some(*limit);
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            return Some(Limit::Handles(limits.handles_max));
        }
        if error.is::<GcHeapOutOfMemory<()>>() {
            return Some(Limit::Heap(limits.memory_bytes_max));
        }
        if is_count_refused(error) {
            return Some(Limit::Instances);
        }
        match error.downcast_ref::<Trap>()? {
            Trap::OutOfFuel => limits.fuel_max.map(Limit::Fuel),
            Trap::Interrupt => limits.time_max.map(Limit::Time),
            Trap::StackOverflow => Some(Limit::Stack(limits.stack_bytes_max)),
            _ => None,
        }
    }

    /// What a debugger can read of a program that trapped: its memories, globals and stack, in the format of the
    /// tool conventions' `Coredump.md`. `None` unless the engine was made with [`Settings::coredump`].
    pub fn core_dump<T: Metered>(
        &self,
        store: &mut Store<T>,
        error: &wasmtime::Error,
        name: &str,
    ) -> Option<Vec<u8>> {
        Some(error.downcast_ref::<WasmCoreDump>()?.serialize(store, name))
    }

    /// Names everything that decides whether compiled code fits this engine: its version, the processor's features,
    /// the profile and the options that reach the code.
    pub(crate) fn compatibility(&self) -> [u8; 32] {
        names(&self.wasmtime, &self.settings)
    }
}

/// What [`Engine::compatibility`] is of an engine with these settings, which is not made whole for that.
pub(crate) fn compatibility(settings: &Settings) -> Result<[u8; 32], Error> {
    let engine = wasmtime_engine(settings, None).map_err(Error::Setup)?;
    Ok(names(&engine, settings))
}

fn names(engine: &wasmtime::Engine, settings: &Settings) -> [u8; 32] {
    let mut hasher = Blake3(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    settings.profile.name().hash(&mut hasher);
    if settings.options.codegen == Codegen::Native {
        shim::compatibility(settings).hash(&mut hasher);
    }
    hasher.0.finalize().into()
}

fn wasmtime_engine(settings: &Settings, slots: Option<u32>) -> wasmtime::Result<wasmtime::Engine> {
    let Settings { options, coredump, .. } = settings;
    let mut config = Config::new();
    language::configure(&mut config, settings);
    config.epoch_interruption(settings.has_epochs());
    match options.codegen {
        Codegen::Cranelift | Codegen::Native => dense::code(&mut config, options),
        Codegen::Pulley => portable::code(&mut config)?,
    }
    match slots {
        Some(slots) => dense::pool(&mut config, slots, settings),
        None => dense::on_demand(&mut config),
    }
    #[cfg(target_os = "linux")]
    if settings.profile == Profile::Sealed {
        crate::sealed::mapped::configure(&mut config);
    }
    config.coredump_on_trap(*coredump);
    wasmtime::Engine::new(&config)
}

/// Whether a store refused one more instance, memory or table. Wasmtime says so in words only.
fn is_count_refused(error: &wasmtime::Error) -> bool {
    let words = error.root_cause().to_string();
    words.starts_with("resource limit exceeded: ") && words.contains(" count too high at ")
}

/// A hasher of the standard library's kind whose whole state is kept, so that the result names its input.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        u64::from_le_bytes(self.0.finalize().as_bytes()[..8].try_into().expect("eight of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_native_code_may_never_need_begins_when_it_does() {
        let mut settings = Settings::new(Profile::Dense);
        settings.options.codegen = Codegen::Native;
        settings.options.interrupt = Interrupt::Signal;
        settings.clock_rests = true;
        let engine = Engine::new(settings).unwrap();
        let begun = || engine.ticker.as_ref().is_some_and(|ticker| ticker.thread.get().is_some());
        assert!(!begun());
        let _busy = engine.busy();
        assert!(begun());
    }
}
