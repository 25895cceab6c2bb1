//! Where a program spends its time: its stack, looked at once every tick of the epoch clock.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wasmtime::{GuestProfiler, Store, UpdateDeadline};

use crate::limits::EPOCH_TICK;
use crate::meter::Metered;
use crate::{Compiled, Engine, Limit, Program};

/// Samples one store until it is finished. Made from an engine with [`Settings::sample`](crate::Settings::sample).
pub struct Sampler(Arc<Mutex<Option<GuestProfiler>>>);

impl Sampler {
    /// Begins to sample `program`, called `name` in the profile, in `store`, whose calls must be asynchronous: the
    /// program gives way at every sample.
    ///
    /// # Errors
    /// Those of Wasmtime's profiler.
    pub fn start<T: Metered>(
        engine: &Engine,
        store: &mut Store<T>,
        program: &Program,
        name: &str,
    ) -> wasmtime::Result<Self> {
        let wasmtime = engine.wasmtime();
        let profiler = match program.compiled() {
            Compiled::Module(module) => {
                GuestProfiler::new(wasmtime, name, EPOCH_TICK, [(name.to_owned(), module.clone())])
            }
            Compiled::Component(component) => {
                GuestProfiler::new_component(wasmtime, name, EPOCH_TICK, component.clone(), [])
            }
        };
        let shared = Arc::new(Mutex::new(Some(profiler?)));
        let sampled = Arc::clone(&shared);
        let begun = Instant::now();
        let time_max = engine.settings().limits.time_max;
        let mut last = begun;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |store| {
            let now = Instant::now();
            if let Some(profiler) = sampled.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                profiler.sample(&store, now - last);
            }
            last = now;
            match time_max {
                Some(time_max) if now - begun > time_max => Err(Limit::Time(time_max).into()),
                _ => Ok(UpdateDeadline::Yield(1)),
            }
        });
        Ok(Self(shared))
    }

    /// Writes what was sampled in the Firefox profiler's own format, as JSON.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn finish(self, output: impl Write) -> wasmtime::Result<()> {
        let profiler = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        profiler.expect("a sampler is finished once").finish(output)
    }
}
