//! Differential fuzzing, bounded and seeded: `dense` and `portable` agree on every result, trap, unit of fuel and
//! byte of final state of modules that wasm-smith makes up.
//!
//! `SAMPAN_FUZZ_CASES` sets the number of cases, `SAMPAN_FUZZ_SEED` the first seed.

mod random;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arbitrary::Unstructured;
use engine::wasmtime::{self, AnyRef, Extern, Instance, Rooted, Store, ThrownException};
use engine::wasmtime::{Trap, Val, ValType};
use engine::{Compiled, Engine, Limit, Limits, Meter, Profile, Program, Settings};
use random::Random;

/// Enough for a minute on two slow processors.
const CASES_DEFAULT: u64 = 1_200;

/// Of a hundred cases, those that must have called a function that used fuel.
const EXECUTED_PERCENT_MIN: usize = 60;

/// Of a hundred cases, those that may end early because of a limit that is not the same for all machine code.
const INCONCLUSIVE_PERCENT_MAX: usize = 2;

/// Of what a reference leads to, so many steps and array elements are compared.
const DEPTH_SHOWN: usize = 3;
const ELEMENTS_SHOWN: usize = 8;

const FUEL_PER_CALL: u64 = 10_000;
const THREADS: usize = 2;

/// What a case showed when it showed no mismatch.
#[derive(Clone, Copy)]
enum Shown {
    Agreement,
    /// Nothing: the module does not start, or has no function that can be called.
    Nothing,
}

/// Why a case ended early.
enum Stop {
    /// One side met a limit on what depends on its machine code: frames on the stack, the collector's heap.
    Inconclusive,
    Mismatch(String),
}

/// How an instantiation or a call ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Returned(Vec<String>),
    Failed(String),
    OverLimit(Limit),
}

#[test]
fn dense_and_portable_agree() {
    let cases = number("SAMPAN_FUZZ_CASES").unwrap_or(CASES_DEFAULT);
    let first = number("SAMPAN_FUZZ_SEED").unwrap_or(1);
    let engines = [engine(Profile::Dense), engine(Profile::Portable)];
    let [executed, idle, inconclusive] = [const { AtomicUsize::new(0) }; 3];
    let next = AtomicU64::new(first);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + cases {
                return;
            }
            let count = match case(&engines, seed) {
                Ok(Shown::Agreement) => &executed,
                Ok(Shown::Nothing) => &idle,
                Err(Stop::Inconclusive) => &inconclusive,
                Err(Stop::Mismatch(what)) => {
                    let text = wasmprinter::print_bytes(module(seed)).unwrap();
                    panic!("seed {seed}: {what}\n{text}");
                }
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("the sides agree"));
    });
    let [executed, idle, inconclusive] = [executed, idle, inconclusive].map(AtomicUsize::into_inner);
    println!(
        "{cases} cases: {executed} executed, {idle} with nothing to execute, {inconclusive} inconclusive"
    );
    let percent = |count: usize| count as u64 * 100 / cases;
    assert!(percent(executed) >= EXECUTED_PERCENT_MIN as u64, "only {executed} of {cases} executed anything");
    assert!(
        percent(inconclusive) <= INCONCLUSIVE_PERCENT_MAX as u64,
        "{inconclusive} of {cases} inconclusive"
    );
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn engine(profile: Profile) -> Engine {
    let mut settings = Settings::new(profile);
    settings.set("deterministic=yes").unwrap();
    // So deep that the fuel is used up first, save by enormous frames.
    settings.set("stack=8M").unwrap();
    settings.limits = Limits { memory_bytes_max: 64 << 20, fuel_max: Some(FUEL_PER_CALL), ..settings.limits };
    Engine::new(settings).unwrap()
}

/// A module that needs nothing from outside and exports all it has.
fn module(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let size = (2 << 10) + random.below(30 << 10);
    let bytes = random.bytes(size);
    let config = wasm_smith::Config {
        export_everything: true,
        max_imports: 0,
        // Few of everything else, so that most of the random bytes become code.
        min_types: 4,
        max_types: 24,
        min_funcs: 4,
        max_funcs: 12,
        max_instructions: 300,
        max_globals: 8,
        max_tags: 4,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 16,
        allow_start_export: random.below(4) == 0,
        max_memories: 3,
        max_tables: 3,
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        max_table_elements: 10_000,
        memory_max_size_required: random.below(2) == 0,
        custom_page_sizes_enabled: true,
        wide_arithmetic_enabled: true,
        // Shared memories are off in both profiles.
        threads_enabled: false,
        ..wasm_smith::Config::default()
    };
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes));
    module.expect("any bytes make a module").to_bytes()
}

fn case(engines: &[Engine; 2], seed: u64) -> Result<Shown, Stop> {
    let wasm = module(seed);
    let [dense, portable] = engines;
    let (mut dense, mut portable) = (Side::new(dense, &wasm)?, Side::new(portable, &wasm)?);
    if let Ended::Failed(_) | Ended::OverLimit(_) =
        agree("instantiation", dense.instantiate(), portable.instantiate())?
    {
        return Ok(Shown::Nothing);
    }
    let mut shown = Shown::Nothing;
    for function in dense.functions() {
        let called = [&mut dense, &mut portable].map(|side| side.call(&function, seed));
        let [Some(a), Some(b)] = called else { continue };
        agree(&format!("call of `{function}`"), a, b)?;
        let (a, b) = (dense.fuel_used(), portable.fuel_used());
        if a != b {
            return mismatch(&format!("fuel used by `{function}`"), a, b);
        }
        if a > 0 {
            shown = Shown::Agreement;
        }
    }
    same_state(&mut dense, &mut portable)?;
    Ok(shown)
}

fn mismatch<T>(what: &str, dense: impl std::fmt::Debug, portable: impl std::fmt::Debug) -> Result<T, Stop> {
    Err(Stop::Mismatch(format!("{what}\n   dense: {dense:?}\nportable: {portable:?}")))
}

/// What came of one step, if it was the same on both sides.
fn agree(what: &str, dense: Ended, portable: Ended) -> Result<Ended, Stop> {
    let stack = |ended: &Ended| matches!(ended, Ended::OverLimit(Limit::Stack(_)));
    let heap = |ended: &Ended| matches!(ended, Ended::OverLimit(Limit::Memory { .. } | Limit::Heap(_)));
    // What ran until its stack was full did an unknown part of its work; two heaps may be full at different sizes.
    if stack(&dense) || stack(&portable) || (dense != portable && (heap(&dense) || heap(&portable))) {
        return Err(Stop::Inconclusive);
    }
    if dense != portable {
        return mismatch(what, dense, portable);
    }
    Ok(dense)
}

fn same_state(dense: &mut Side<'_>, portable: &mut Side<'_>) -> Result<(), Stop> {
    for ((name, a), (_, b)) in dense.exports().into_iter().zip(portable.exports()) {
        if let (Extern::Memory(a), Extern::Memory(b)) = (&a, &b) {
            let (a, b) = (a.data(&dense.store), b.data(&portable.store));
            if let Some(at) = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at)) {
                return mismatch(&format!("memory `{name}` at {at:#x}"), a.get(at), b.get(at));
            }
        }
        let (a, b) = (dense.render_state(a), portable.render_state(b));
        if let Some(at) = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at)) {
            return mismatch(&format!("`{name}` at {at}"), a.get(at), b.get(at));
        }
    }
    Ok(())
}

/// One of the two engines, with the module under test.
struct Side<'a> {
    engine: &'a Engine,
    module: wasmtime::Module,
    store: Store<Meter>,
    instance: Option<Instance>,
}

impl<'a> Side<'a> {
    fn new(engine: &'a Engine, wasm: &[u8]) -> Result<Self, Stop> {
        let module = match engine.load(wasm, None).map(Program::into_compiled) {
            Ok(Compiled::Module(module)) => module,
            Ok(Compiled::Component(_)) => return Err(Stop::Mismatch("a component".to_owned())),
            Err(error) => {
                return Err(Stop::Mismatch(format!("refused by {}: {error:?}", engine.settings().profile)));
            }
        };
        let store = engine.store(Meter::new(&engine.settings().limits));
        Ok(Self { engine, module, store, instance: None })
    }

    fn instantiate(&mut self) -> Ended {
        match Instance::new(&mut self.store, &self.module, &[]) {
            Ok(instance) => {
                self.instance = Some(instance);
                Ended::Returned(Vec::new())
            }
            Err(error) => self.failed(&error),
        }
    }

    fn exports(&mut self) -> Vec<(String, Extern)> {
        let Some(instance) = self.instance else { return Vec::new() };
        instance
            .exports(&mut self.store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .collect()
    }

    fn functions(&mut self) -> Vec<String> {
        let functions = self.exports().into_iter().filter(|(_, item)| matches!(item, Extern::Func(_)));
        functions.map(|(name, _)| name).collect()
    }

    /// Calls the function with arguments that `seed` decides, and fresh fuel. `None` if it takes what no one can make.
    fn call(&mut self, function: &str, seed: u64) -> Option<Ended> {
        let function = self.instance?.get_func(&mut self.store, function)?;
        let signature = function.ty(&self.store);
        let mut random = Random::new(seed);
        let args: Option<Vec<Val>> = signature.params().map(|param| argument(&param, &mut random)).collect();
        let args = args?;
        let mut results = vec![Val::I32(0); signature.results().len()];
        self.store.set_fuel(FUEL_PER_CALL).unwrap();
        Some(match function.call(&mut self.store, &args, &mut results) {
            Ok(()) => {
                Ended::Returned(results.iter().map(|result| self.render(result, DEPTH_SHOWN)).collect())
            }
            Err(error) => self.failed(&error),
        })
    }

    fn fuel_used(&self) -> u64 {
        FUEL_PER_CALL - self.store.get_fuel().unwrap()
    }

    fn failed(&mut self, error: &wasmtime::Error) -> Ended {
        if let Some(limit) = self.engine.limit_in(error) {
            return Ended::OverLimit(limit);
        }
        if error.is::<ThrownException>() {
            self.store.take_pending_exception();
            return Ended::Failed("exception".to_owned());
        }
        Ended::Failed(match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => format!("{error:#}"),
        })
    }

    /// The state behind an export in words; memories are compared as bytes.
    fn render_state(&mut self, item: Extern) -> Vec<String> {
        let values: Vec<Val> = match item {
            Extern::Global(global) => vec![global.get(&mut self.store)],
            Extern::Table(table) => (0..table.size(&self.store))
                .filter_map(|index| table.get(&mut self.store, index))
                .map(Val::from)
                .collect(),
            _ => Vec::new(),
        };
        values.iter().map(|value| self.render(value, DEPTH_SHOWN)).collect()
    }

    /// A value in words, and what it refers to as deep as `depth`.
    fn render(&mut self, value: &Val, depth: usize) -> String {
        match value {
            Val::I32(value) => format!("i32 {value}"),
            Val::I64(value) => format!("i64 {value}"),
            Val::F32(bits) => format!("f32 {bits:#x}"),
            Val::F64(bits) => format!("f64 {bits:#x}"),
            Val::V128(value) => format!("v128 {:#x}", value.as_u128()),
            Val::FuncRef(Some(function)) => {
                let signature = function.ty(&self.store);
                format!("function of {} parameters", signature.params().len())
            }
            Val::AnyRef(Some(reference)) => self.render_any(*reference, depth),
            Val::ExternRef(Some(_)) => "extern".to_owned(),
            Val::ExnRef(Some(_)) => "exception".to_owned(),
            Val::ContRef(Some(_)) => "continuation".to_owned(),
            _ => "null".to_owned(),
        }
    }

    fn render_any(&mut self, reference: Rooted<AnyRef>, depth: usize) -> String {
        if let Some(number) = reference.as_i31(&self.store).unwrap() {
            return format!("i31 {}", number.get_i32());
        }
        let (kind, values): (_, Vec<Val>) = if let Some(object) = reference.as_struct(&self.store).unwrap() {
            ("struct", object.fields(&mut self.store).unwrap().collect())
        } else if let Some(array) = reference.as_array(&self.store).unwrap() {
            ("array", array.elems(&mut self.store).unwrap().take(ELEMENTS_SHOWN).collect())
        } else {
            ("another's", Vec::new())
        };
        if depth == 0 {
            return format!("{kind} of {}", values.len());
        }
        let values: Vec<String> = values.iter().map(|value| self.render(value, depth - 1)).collect();
        format!("{kind} of {}", values.join(", "))
    }
}

fn argument(param: &ValType, random: &mut Random) -> Option<Val> {
    // Small numbers reach further into programs than large ones.
    let number = if random.below(2) == 0 { random.next() } else { random.below(64) as u64 };
    Some(match param {
        ValType::I32 => Val::I32(number as i32),
        ValType::I64 => Val::I64(number as i64),
        ValType::F32 => Val::F32(number as u32),
        ValType::F64 => Val::F64(number),
        ValType::V128 => Val::V128((u128::from(number) << 64 | u128::from(random.next())).into()),
        ValType::Ref(reference) if reference.is_nullable() => Val::null_ref(reference.heap_type()),
        ValType::Ref(_) => return None,
    })
}
