//! Differential fuzzing of native code, bounded and seeded: it agrees with Wasmtime on every result, trap, global and
//! byte of memory of modules that wasm-smith makes up, and of loops that walk through memory.
//!
//! `SAMPAN_FUZZ_CASES` sets the number of cases, `SAMPAN_FUZZ_SEED` the first seed.

mod loops;
mod random;

use aot::{Assembly, Clang, Output, Precision, Target};
use arbitrary::Unstructured;
use engine::native::{self, Limits, Object, Policy, Trap, Value};
use engine::wasmtime::{self, Engine, Extern, Val};
use random::Random;

/// Enough for a minute on two slow processors.
const CASES_DEFAULT: u64 = 720;
/// So many modules become one object: to start clang for each would take long.
const CASES_PER_OBJECT: u64 = 24;
/// Of a hundred cases, those that must have called a function that ended on both sides.
const EXECUTED_PERCENT_MIN: u64 = 60;

const LIMITS: Limits =
    Limits { memory_bytes_max: 256 << 20, table_elements_max: 1 << 20, stack_bytes_max: 512 << 10 };
/// Calls and turns of loops, after which a module ends itself.
const STEPS_MAX: u32 = 1_000;

/// What traps under both is compared also after a trap; what is relaxed only up to one.
const MODES: [(Policy, Precision); 3] = [
    (Policy::Guarded, Precision::Precise),
    (Policy::Checked, Precision::Precise),
    (Policy::Guarded, Precision::Relaxed),
];

/// How an instantiation or a call ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Returned(Vec<String>),
    Trapped(Trap),
}

#[test]
fn native_code_and_wasmtime_agree() {
    let cases = number("SAMPAN_FUZZ_CASES").unwrap_or(CASES_DEFAULT);
    let first = number("SAMPAN_FUZZ_SEED").unwrap_or(1);
    let seeds: Vec<u64> = (first..first + cases).collect();
    let batches: Vec<&[u64]> = seeds.chunks(CASES_PER_OBJECT as usize).collect();
    let executed: u64 = std::thread::scope(|scope| {
        let halves = batches.split_at(batches.len() / 2);
        let workers = [halves.0, halves.1].map(|half| {
            let work = move || half.iter().map(|batch| run_batch(batch)).sum::<u64>();
            std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap()
        });
        workers.into_iter().map(|worker| worker.join().expect("the sides agree")).sum()
    });
    println!("{cases} cases: {executed} executed");
    assert!(executed * 100 / cases >= EXECUTED_PERCENT_MIN, "only {executed} of {cases} executed anything");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// How many of the cases executed something.
fn run_batch(seeds: &[u64]) -> u64 {
    let target = Target::host().expect("a target that is known");
    let mut assembly = Assembly::new(target);
    for seed in seeds {
        let (policy, precision) = mode(*seed);
        let added = assembly.add(&format!("m{seed}"), &module(*seed), policy, precision);
        added.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    }
    let clang = Clang::find(&std::env::var_os("PATH").unwrap()).unwrap();
    let object = clang.compile(&assembly.finish(), &target, "native", 2, Output::Shared).unwrap();
    // SAFETY: it was made just now.
    let object = unsafe { Object::load(&object) }.unwrap();
    seeds.iter().filter(|seed| case(**seed, &object.module(&format!("m{seed}")).unwrap())).count() as u64
}

fn mode(seed: u64) -> (Policy, Precision) {
    MODES[(seed % MODES.len() as u64) as usize]
}

/// A module that needs nothing from outside, exports all it has, and ends. Of every two, one is all loops.
fn module(seed: u64) -> Vec<u8> {
    if seed.is_multiple_of(2) {
        return loops::module(seed);
    }
    let mut random = Random::new(seed);
    let size = (2 << 10) + random.below(30 << 10);
    let bytes = random.bytes(size);
    let config = wasm_smith::Config {
        export_everything: true,
        max_imports: 0,
        min_types: 4,
        max_types: 24,
        min_funcs: 4,
        max_funcs: 12,
        max_instructions: 300,
        max_globals: 8,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 16,
        allow_start_export: false,
        max_memories: 3,
        max_tables: 3,
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        max_table_elements: 10_000,
        memory_max_size_required: true,
        table_max_size_required: true,
        canonicalize_nans: true,
        custom_page_sizes_enabled: true,
        // What native code has not, and what is not the same everywhere.
        threads_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        relaxed_simd_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let mut module =
        wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).expect("any bytes make a module");
    module.ensure_termination(STEPS_MAX).expect("nothing in its way");
    module.to_bytes()
}

/// Whether the case called a function that ended on both sides. Panics if the sides differ.
fn case(seed: u64, module: &native::Module) -> bool {
    let (_, precision) = mode(seed);
    let (mut ours, mut theirs) = (Ours::new(module), Theirs::new(&self::module(seed)));
    agree(seed, "instantiation", &ours.started, &theirs.started);
    let (Ok(instance), Ok(_)) = (&ours.instance, &theirs.instance) else { return false };
    let instance = *instance;
    let mut executed = false;
    for name in module.exports() {
        let Some(function) = ours.store.func(instance, name) else { continue };
        let Some((args, vals)) = theirs.arguments(name, seed) else { continue };
        let ended =
            ended(function.call(&mut ours.store, &args).map(|values| values.iter().map(shown).collect()));
        let other = theirs.call(name, &vals);
        // What ran until its stack was full did an unknown part of its work.
        let full = |ended: &Ended| *ended == Ended::Trapped(Trap::StackOverflow);
        if full(&ended) || full(&other) {
            return executed;
        }
        let may_differ = precision == Precision::Relaxed && other == Ended::Trapped(Trap::MemoryOutOfBounds);
        if may_differ {
            return executed;
        }
        agree(seed, name, &ended, &other);
        executed = true;
    }
    for name in module.exports() {
        match ours.store.export(instance, name) {
            Some(native::Extern::Memory(memory)) => {
                let (a, b) = (memory.data(&ours.store), theirs.memory(name));
                let differs = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at));
                assert!(differs.is_none(), "seed {seed}: memory `{name}` at {differs:?}");
            }
            Some(native::Extern::Global(global)) => {
                let (a, b) = (shown(&global.get(&ours.store)), theirs.global(name));
                assert!(a == b, "seed {seed}: global `{name}`: {a}, {b}");
            }
            Some(native::Extern::Table(table)) => {
                let (a, b) = (table.len(&ours.store), theirs.table_len(name));
                assert!(a as u64 == b, "seed {seed}: table `{name}`: {a}, {b}");
            }
            _ => {}
        }
    }
    executed
}

fn agree(seed: u64, what: &str, ours: &Ended, theirs: &Ended) {
    if ours != theirs {
        let text = wasmprinter::print_bytes(module(seed)).unwrap();
        panic!("seed {seed}: {what}\n  native: {ours:?}\nwasmtime: {theirs:?}\n{text}");
    }
}

fn ended(result: Result<Vec<String>, native::Error>) -> Ended {
    match result {
        Ok(values) => Ended::Returned(values),
        // Wasmtime has one name for both.
        Err(native::Error::Trap(Trap::UndefinedElement)) => Ended::Trapped(Trap::TableOutOfBounds),
        Err(native::Error::Trap(trap)) => Ended::Trapped(trap),
        Err(other) => panic!("neither returned nor trapped: {other:?}"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::FuncRef(function) => format!("reference {}", function.is_some()),
        Value::ExternRef(reference) => format!("reference {}", reference.is_some()),
        number => format!("{number:?}"),
    }
}

struct Ours {
    store: Box<native::Store>,
    instance: Result<native::Instance, ()>,
    started: Ended,
}

impl Ours {
    fn new(module: &native::Module) -> Self {
        let mut store = native::Store::new(LIMITS);
        let made = store.instantiate(module, &[]);
        let instance = made.as_ref().copied().map_err(drop);
        Self { store, instance, started: ended(made.map(|_| Vec::new())) }
    }
}

struct Theirs {
    store: wasmtime::Store<()>,
    instance: Result<wasmtime::Instance, ()>,
    started: Ended,
}

impl Theirs {
    fn new(wasm: &[u8]) -> Self {
        let mut config = wasmtime::Config::new();
        config
            .wasm_memory64(true)
            .wasm_custom_page_sizes(true)
            .wasm_multi_memory(true)
            .wasm_extended_const(true);
        let engine = Engine::new(&config).unwrap();
        let module = wasmtime::Module::new(&engine, wasm).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        let made = wasmtime::Instance::new(&mut store, &module, &[]);
        let started = match &made {
            Ok(_) => Ended::Returned(Vec::new()),
            Err(error) => Ended::Trapped(trap(error)),
        };
        Self { store, instance: made.map_err(drop), started }
    }

    fn export(&mut self, name: &str) -> Extern {
        let instance = self.instance.expect("it started");
        instance.get_export(&mut self.store, name).expect("both have the same exports")
    }

    /// Arguments that `seed` decides, for both sides.
    fn arguments(&mut self, name: &str, seed: u64) -> Option<(Vec<Value>, Vec<Val>)> {
        let Extern::Func(function) = self.export(name) else { return None };
        let mut random = Random::new(seed);
        let params: Vec<wasmtime::ValType> = function.ty(&self.store).params().collect();
        Some(params.iter().map(|param| argument(param, &mut random)).unzip())
    }

    fn call(&mut self, name: &str, args: &[Val]) -> Ended {
        let Extern::Func(function) = self.export(name) else { panic!("`{name}` is a function") };
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match function.call(&mut self.store, args, &mut results) {
            Ok(()) => Ended::Returned(results.iter().map(shown_val).collect()),
            Err(error) => Ended::Trapped(trap(&error)),
        }
    }

    fn memory(&mut self, name: &str) -> Vec<u8> {
        let Extern::Memory(memory) = self.export(name) else { panic!("`{name}` is a memory") };
        memory.data(&self.store).to_vec()
    }

    fn global(&mut self, name: &str) -> String {
        let Extern::Global(global) = self.export(name) else { panic!("`{name}` is a global") };
        shown_val(&global.get(&mut self.store))
    }

    fn table_len(&mut self, name: &str) -> u64 {
        let Extern::Table(table) = self.export(name) else { panic!("`{name}` is a table") };
        table.size(&self.store)
    }
}

/// The trap that Wasmtime means.
fn trap(error: &wasmtime::Error) -> Trap {
    use wasmtime::Trap as T;
    match error.downcast_ref::<T>().unwrap_or_else(|| panic!("no trap: {error:#}")) {
        T::UnreachableCodeReached => Trap::Unreachable,
        T::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        T::TableOutOfBounds => Trap::TableOutOfBounds,
        T::IndirectCallToNull => Trap::UninitializedElement,
        T::BadSignature => Trap::IndirectCallType,
        T::IntegerDivisionByZero => Trap::DivideByZero,
        T::IntegerOverflow => Trap::IntegerOverflow,
        T::BadConversionToInteger => Trap::InvalidConversion,
        T::StackOverflow => Trap::StackOverflow,
        other => panic!("what is {other:?}?"),
    }
}

fn shown_val(value: &Val) -> String {
    match value {
        Val::I32(value) => shown(&Value::I32(*value)),
        Val::I64(value) => shown(&Value::I64(*value)),
        Val::F32(bits) => shown(&Value::F32(*bits)),
        Val::F64(bits) => shown(&Value::F64(*bits)),
        Val::V128(value) => shown(&Value::V128(value.as_u128())),
        Val::FuncRef(reference) => format!("reference {}", reference.is_some()),
        Val::ExternRef(reference) => format!("reference {}", reference.is_some()),
        other => panic!("what is {other:?}?"),
    }
}

fn argument(param: &wasmtime::ValType, random: &mut Random) -> (Value, Val) {
    use wasmtime::ValType;
    // Small numbers reach further into programs than large ones.
    let number = if random.below(2) == 0 { random.next() } else { random.below(64) as u64 };
    match param {
        ValType::I32 => (Value::I32(number as i32), Val::I32(number as i32)),
        ValType::I64 => (Value::I64(number as i64), Val::I64(number as i64)),
        ValType::F32 => (Value::F32(number as u32), Val::F32(number as u32)),
        ValType::F64 => (Value::F64(number), Val::F64(number)),
        ValType::V128 => {
            let bits = u128::from(number) << 64 | u128::from(random.next());
            (Value::V128(bits), Val::V128(bits.into()))
        }
        ValType::Ref(of) => {
            let null = Val::null_ref(of.heap_type());
            (
                if matches!(null, Val::FuncRef(_)) { Value::FuncRef(None) } else { Value::ExternRef(None) },
                null,
            )
        }
    }
}
