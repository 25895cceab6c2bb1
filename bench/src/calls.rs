//! What our engine costs an embedder, in one process: setting it up, instantiating, and calls in both directions.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use engine::options::Pool;
use engine::wasmtime::{
    self, Config, Enabled, InstanceAllocationStrategy, InstancePre, Linker, Module, PoolingAllocationConfig,
    Store,
};
use engine::{Engine, Limits, Meter, Profile, Settings};

use crate::contest::{Benchmark, Contestant, Sample, WASMTIME};

const CALLS_WAT: &str = include_str!("calls.wat");

/// Bytes of the data segment of the larger module, and pages that it writes when it is called.
const DATA_BYTES: usize = 1 << 20;
const PAGES_TOUCHED: usize = 16;

/// An engine, ours or raw, and how it makes stores.
struct Subject {
    name: &'static str,
    engine: wasmtime::Engine,
    store: Box<dyn Fn() -> Store<Meter>>,
}

/// How often each thing is done per sample.
struct Repeats {
    instances: u32,
    calls: u32,
}

/// All benchmarks of this file. `little`: just enough to see that they run.
pub(crate) fn benchmarks(little: bool) -> Result<Vec<Benchmark>> {
    let repeats = if little {
        Repeats { instances: 10, calls: 100 }
    } else {
        Repeats { instances: 2_000, calls: 1_000_000 }
    };
    let subjects = subjects()?;
    let calls = CALLS_WAT.as_bytes();
    let data = data_module();
    let each = |name: &str, make: &dyn Fn(&Rc<Subject>) -> Result<Contestant>| -> Result<Benchmark> {
        let contestants = subjects.iter().map(make).collect::<Result<_>>()?;
        Ok(Benchmark { name: name.to_owned(), contestants })
    };
    Ok(vec![
        set_up(),
        each("instantiate, no memory", &|subject| instantiate(subject, calls, repeats.instances))?,
        each("instantiate, 1 MiB of data, 16 pages written", &|subject| {
            instantiate(subject, data.as_bytes(), repeats.instances)
        })?,
        each("call host → guest", &|subject| call_guest(subject, repeats.calls))?,
        each("call guest → host", &|subject| call_host(subject, repeats.calls))?,
    ])
}

fn subjects() -> Result<Vec<Rc<Subject>>> {
    let ours = |name, settings| -> Result<Rc<Subject>> {
        let ours = Engine::new(settings)?;
        if let Some(refused) = ours.pool_refused() {
            bail!("this machine refuses the pool that is to be measured: {refused}");
        }
        let engine = ours.wasmtime().clone();
        let store = Box::new(move || ours.store(Meter::new(&Limits::default())));
        Ok(Rc::new(Subject { name, engine, store }))
    };
    let raw = |name, config: &Config| -> Result<Rc<Subject>> {
        let engine = wasmtime::Engine::new(config)?;
        let raw = engine.clone();
        let store = Box::new(move || Store::new(&raw, Meter::new(&Limits::default())));
        Ok(Rc::new(Subject { name, engine, store }))
    };
    let mut on_demand = Settings::new(Profile::Dense);
    on_demand.options.pool = Pool::Off;
    Ok(vec![
        ours("sampan dense", Settings::new(Profile::Dense))?,
        ours("sampan dense, pool=off", on_demand)?,
        ours("sampan portable", Settings::new(Profile::Portable))?,
        raw(WASMTIME, &best())?,
        raw("Wasmtime, defaults", &Config::new())?,
    ])
}

/// Wasmtime with the fastest flags that we know, and no limits.
fn best() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(64).total_memories(64).total_tables(64).total_stacks(64).total_gc_heaps(64);
    pool.linear_memory_keep_resident(1 << 20).table_keep_resident(64 << 10).pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)).concurrency_support(false);
    config
}

fn set_up() -> Benchmark {
    let ours = |name, profile| {
        timed(name, 1, move || {
            Engine::new(Settings::new(profile))?;
            Ok(())
        })
    };
    let raw = |name, config: fn() -> Config| {
        timed(name, 1, move || {
            wasmtime::Engine::new(&config())?;
            Ok(())
        })
    };
    let contestants = vec![
        ours("sampan dense", Profile::Dense),
        ours("sampan portable", Profile::Portable),
        raw(WASMTIME, best),
        raw("Wasmtime, defaults", Config::new),
    ];
    Benchmark { name: "set up an engine".to_owned(), contestants }
}

/// A store, an instance that runs its export `run` if it has one, and their end.
fn instantiate(subject: &Rc<Subject>, program: &[u8], repeats: u32) -> Result<Contestant> {
    let linked = link(subject, program)?;
    let subject = Rc::clone(subject);
    Ok(timed(subject.name, repeats, move || {
        let mut store = (subject.store)();
        let instance = linked.instantiate(&mut store)?;
        if let Ok(run) = instance.get_typed_func::<(), ()>(&mut store, "run") {
            run.call(&mut store, ())?;
        }
        Ok(())
    }))
}

fn call_guest(subject: &Rc<Subject>, repeats: u32) -> Result<Contestant> {
    let mut store = (subject.store)();
    let instance = link(subject, CALLS_WAT.as_bytes())?.instantiate(&mut store)?;
    let add = instance.get_typed_func::<(u32, u32), u32>(&mut store, "add")?;
    let mut sum = 0;
    Ok(timed(subject.name, repeats, move || {
        let next = add.call(&mut store, (sum, 1))?;
        ensure!(next == sum.wrapping_add(1), "the guest cannot add");
        sum = next;
        Ok(())
    }))
}

fn call_host(subject: &Rc<Subject>, repeats: u32) -> Result<Contestant> {
    let mut store = (subject.store)();
    let instance = link(subject, CALLS_WAT.as_bytes())?.instantiate(&mut store)?;
    let call_host = instance.get_typed_func::<u32, u32>(&mut store, "call_host")?;
    let expected = (1..=repeats).fold(0u32, u32::wrapping_add);
    // One call to the guest, `repeats` from there back.
    let mut once = timed(subject.name, 1, move || {
        ensure!(call_host.call(&mut store, repeats)? == expected, "the guest cannot count");
        Ok(())
    });
    let run = move || {
        let sample = (once.run)()?;
        Ok(Sample { time_ns: sample.time_ns / f64::from(repeats), ..sample })
    };
    Ok(Contestant { name: subject.name, run: Box::new(run) })
}

fn link(subject: &Subject, program: &[u8]) -> Result<InstancePre<Meter>> {
    let mut linker = Linker::new(&subject.engine);
    linker.func_wrap("host", "add", |a: u32, b: u32| a.wrapping_add(b))?;
    Ok(linker.instantiate_pre(&Module::new(&subject.engine, program)?)?)
}

/// A contestant whose sample is the mean time of `repeats` times `once`.
fn timed(name: &'static str, repeats: u32, mut once: impl FnMut() -> Result<()> + 'static) -> Contestant {
    let run = move || {
        let start = Instant::now();
        for _ in 0..repeats {
            once()?;
        }
        let time_ns = start.elapsed().as_nanos() as f64 / f64::from(repeats);
        Ok(Sample { time_ns, cpu_ns: None, memory_bytes: None })
    };
    Contestant { name, run: Box::new(run) }
}

/// A module whose `run` writes to every page up to [`PAGES_TOUCHED`] of its data.
fn data_module() -> String {
    let data = "\\01".repeat(DATA_BYTES);
    let end = PAGES_TOUCHED * 4096;
    format!(
        r#"(module
          (memory {pages})
          (data (i32.const 0) "{data}")
          (func (export "run") (local $at i32)
            (loop $again
              (i32.store (local.get $at) (i32.const 7))
              (local.set $at (i32.add (local.get $at) (i32.const 4096)))
              (br_if $again (i32.lt_u (local.get $at) (i32.const {end}))))))"#,
        pages = DATA_BYTES / 65_536
    )
}
