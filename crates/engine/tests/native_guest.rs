//! Native code behind Wasmtime's interface does what Wasmtime's own code does: the same module is run by both.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use engine::limits::NATIVE_FRAMES_MAX;
use engine::wasmtime::{self, AsContextMut, Caller, Extern, Instance, Linker, Store, Trap, Val};
use engine::{
    CodeCache, Compiled, Engine, Error, Limit, Meter, NativeBacktrace, NativeFunction, Profile, Program,
    Seal, Settings,
};

fn engine(options: &[&str], change: impl FnOnce(&mut Settings)) -> Engine {
    let mut settings = Settings::new(Profile::Dense);
    settings.tools = std::env::var_os("PATH").unwrap();
    options.iter().for_each(|option| settings.set(option).unwrap());
    change(&mut settings);
    Engine::new(settings).unwrap()
}

fn native(bounds: &str) -> Engine {
    engine(&["codegen=native", &format!("bounds={bounds}")], |_| {})
}

/// A program in a store, with a host that calls it back.
struct Side {
    store: Store<Meter>,
    instance: Instance,
}

impl Side {
    fn new(engine: &Engine, text: &str) -> wasmtime::Result<Self> {
        let program = engine.load(text.as_bytes(), None).unwrap();
        Self::of(engine, &program)
    }

    fn of(engine: &Engine, program: &Program) -> wasmtime::Result<Self> {
        let mut store = engine.store(engine.meter());
        let linker = linker(engine, program);
        let Compiled::Module(module) = program.compiled() else { panic!("a component") };
        let instance = linker.instantiate(&mut store, module)?;
        Ok(Self { store, instance })
    }

    /// Results, or the trap, in words.
    fn call(&mut self, name: &str, args: &[Val]) -> String {
        let function = self.instance.get_func(&mut self.store, name).expect(name);
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match function.call(&mut self.store, args, &mut results) {
            Ok(()) => format!("{results:?}"),
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => trap.to_string(),
                None => error.root_cause().to_string(),
            },
        }
    }

    fn endless(&mut self, name: &str) -> wasmtime::Error {
        let run = self.instance.get_typed_func::<(), ()>(&mut self.store, name).unwrap();
        run.call(&mut self.store, ()).unwrap_err()
    }

    fn memory(&mut self, name: &str) -> Vec<u8> {
        let memory = self.instance.get_memory(&mut self.store, name).expect(name);
        memory.data(&self.store).to_vec()
    }
}

fn linker(engine: &Engine, program: &Program) -> Linker<Meter> {
    let mut linker = Linker::new(engine.wasmtime());
    program.link_native(&mut linker).unwrap();
    // What it is given, twice; before that it calls the program, grows its memory, and writes to it.
    linker
        .func_wrap("host", "twice", |mut caller: Caller<'_, Meter>, value: i32| {
            let Some(Extern::Func(inner)) = caller.get_export("inner") else { panic!("it has no `inner`") };
            let inner = inner.typed::<i32, i32>(&caller)?;
            let inside = inner.call(caller.as_context_mut(), value)?;
            let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
                panic!("it has no memory")
            };
            memory.grow(&mut caller, 1)?;
            memory.write(&mut caller, 100, &value.to_le_bytes())?;
            Ok(2 * inside)
        })
        .unwrap();
    linker.func_wrap("host", "many", |a: i32, b: i64, c: f32, d: f64| (d, c, b, a)).unwrap();
    linker
        .func_wrap("host", "fail", || -> wasmtime::Result<()> { Err(wasmtime::format_err!("no")) })
        .unwrap();
    linker
}

const TEXT: &str = r#"(module
    (import "host" "twice" (func $twice (param i32) (result i32)))
    (import "host" "many" (func $many (param i32 i64 f32 f64) (result f64 f32 i64 i32)))
    (import "host" "fail" (func $fail))
    (type $unary (func (param i32) (result i32)))
    (memory (export "memory") 1 20)
    (memory $other (export "other") 1 2)
    (global $begun (mut i32) (i32.const 0))
    (global (export "seven") i32 (i32.const 7))
    (table 4 funcref)
    (elem (i32.const 1) $increment $inner)
    (data (i32.const 8) "\2a\00\00\00")
    (data (memory $other) (i32.const 0) "other")
    (data $passive "passive")
    (start $start)
    (func $start (global.set $begun (i32.const 1)))
    (func (export "begun") (result i32) (global.get $begun))
    (func $increment (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $inner (export "inner") (param i32) (result i32)
        (i32.store (i32.const 200) (i32.add (i32.load (i32.const 200)) (i32.const 1)))
        (i32.add (local.get 0) (i32.const 10)))
    (func (export "twice") (param i32) (result i32 i32 i32 i32)
        (call $twice (local.get 0))
        (memory.size)
        (i32.load (i32.const 100))
        (i32.load (i32.const 200)))
    (func (export "many") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
        (call $many (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "wide") (param v128 i32 v128) (result i32 v128 v128)
        (local.get 1) (i32x4.add (local.get 0) (local.get 2)) (local.get 0))
    (func (export "fail") (call $fail))
    (export "direct" (func $many))
    (func (export "indirect") (param i32 i32) (result i32)
        (call_indirect (type $unary) (local.get 1) (local.get 0)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "grow") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size))
    (func (export "grow other") (param i32) (result i32 i32)
        (memory.grow $other (local.get 0)) (memory.size $other))
    (func (export "copy") (param i32) (result i32)
        (memory.copy $other 0 (i32.const 0) (i32.const 8) (local.get 0))
        (i32.load $other (i32.const 0)))
    (func (export "init") (param i32) (memory.init $passive (i32.const 300) (i32.const 0) (local.get 0)))
    (func (export "drop") (data.drop $passive))
    (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func (export "truncate") (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
    (func (export "unreachable") unreachable)
    (func $deep (export "deep") (param i32) (result i32)
        (i32.add (call $deep (local.get 0)) (i32.const 1)))
    (func (export "spin") (loop (br 0)))
    (func (export "fill") (loop
        (memory.fill (i32.const 0) (i32.const 0) (i32.mul (memory.size) (i32.const 65536)))
        (br 0)))
    (func (export "count") (param i64) (result i64) (local i64)
        (loop
            (local.set 1 (i64.xor (i64.mul (local.get 1) (i64.const 31)) (local.get 0)))
            (br_if 0 (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
        (local.get 1)))"#;

fn calls() -> Vec<(&'static str, Vec<Val>)> {
    use Val::{F32, F64, I32, I64};
    let vector = |value: u128| Val::V128(value.into());
    vec![
        ("begun", vec![]),
        ("twice", vec![I32(5)]),
        ("twice", vec![I32(-5)]),
        ("many", vec![I32(-1), I64(i64::MIN), F32(0x7fc0_0001), F64(1.5_f64.to_bits())]),
        ("direct", vec![I32(-1), I64(i64::MIN), F32(0x7fc0_0001), F64(1.5_f64.to_bits())]),
        ("wide", vec![vector(u128::MAX), I32(3), vector(7 << 64 | 9)]),
        ("fail", vec![]),
        ("indirect", vec![I32(1), I32(41)]),
        ("indirect", vec![I32(2), I32(41)]),
        ("indirect", vec![I32(0), I32(41)]),
        ("indirect", vec![I32(4), I32(41)]),
        ("load", vec![I32(8)]),
        ("load", vec![I32(3 * 65_536 - 4)]),
        ("load", vec![I32(3 * 65_536 - 3)]),
        ("load", vec![I32(-4)]),
        ("store", vec![I32(-1), I32(1)]),
        ("grow", vec![I32(2)]),
        ("grow", vec![I32(0)]),
        ("grow", vec![I32(100)]),
        ("grow", vec![I32(-1)]),
        ("load", vec![I32(4 * 65_536)]),
        ("grow other", vec![I32(1)]),
        ("grow other", vec![I32(1)]),
        ("copy", vec![I32(4)]),
        ("copy", vec![I32(200_000)]),
        ("init", vec![I32(7)]),
        ("init", vec![I32(8)]),
        ("drop", vec![]),
        ("init", vec![I32(1)]),
        ("divide", vec![I32(7), I32(-2)]),
        ("divide", vec![I32(7), I32(0)]),
        ("divide", vec![I32(i32::MIN), I32(-1)]),
        ("truncate", vec![F32(f32::NAN.to_bits())]),
        ("truncate", vec![F32(3e9_f32.to_bits())]),
        ("unreachable", vec![]),
        ("deep", vec![I32(0)]),
        ("twice", vec![I32(5)]),
        ("count", vec![I64(100_000)]),
    ]
}

#[test]
fn native_code_does_what_wasmtimes_does() {
    let mut wasmtime = Side::new(&engine(&[], |_| {}), TEXT).unwrap();
    let mut expected: Vec<String> = calls().iter().map(|(name, args)| wasmtime.call(name, args)).collect();
    expected.extend(["memory", "other"].map(|name| format!("{:?}", wasmtime.memory(name))));
    for bounds in ["guarded", "checked"] {
        let mut side = Side::new(&native(bounds), TEXT).unwrap();
        for ((name, args), expected) in calls().iter().zip(&expected) {
            assert_eq!(&side.call(name, args), expected, "{bounds}: {name} {args:?}");
        }
        let memories = [side.memory("memory"), side.memory("other")].map(|memory| format!("{memory:?}"));
        assert_eq!(memories[..], expected[expected.len() - 2..], "{bounds}");
        let seven = side.instance.get_global(&mut side.store, "seven").unwrap();
        assert!(matches!(seven.get(&mut side.store), Val::I32(7)));
    }
}

/// Memories of 64 bits are checked, whatever is asked for.
#[test]
fn a_memory_of_64_bits_is_native_too() {
    const WIDE: &str = r#"(module
        (memory (export "memory") i64 1 8)
        (memory $other (export "other") 1)
        (data (i64.const 8) "\2a\00\00\00")
        (data $passive "passive")
        (func (export "load") (param i64) (result i32) (i32.load (local.get 0)))
        (func (export "far") (param i64) (result i64) (i64.load offset=0xffff_ffff_ffff_fff0 (local.get 0)))
        (func (export "store") (param i64 i32) (i32.store offset=16 (local.get 0) (local.get 1)))
        (func (export "grow") (param i64) (result i64 i64) (memory.grow (local.get 0)) (memory.size))
        (func (export "grow other") (param i32) (result i32 i32)
            (memory.grow $other (local.get 0)) (memory.size $other))
        (func (export "copy") (param i64 i64 i64) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "out") (param i32 i64 i32)
            (memory.copy $other 0 (local.get 0) (local.get 1) (local.get 2)))
        (func (export "init") (param i64) (memory.init $passive (local.get 0) (i32.const 0) (i32.const 7)))
        (func (export "sum") (param i64 i64) (result i32) (local i32)
            (loop
                (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))
                (local.set 0 (i64.add (local.get 0) (i64.const 4)))
                (br_if 0 (i64.lt_u (local.get 0) (local.get 1))))
            (local.get 2)))"#;
    use Val::{I32, I64};
    let calls = [
        ("load", vec![I64(8)]),
        ("load", vec![I64(65_532)]),
        ("load", vec![I64(65_533)]),
        ("load", vec![I64(1 << 32)]),
        ("load", vec![I64(-4)]),
        ("far", vec![I64(15)]),
        ("far", vec![I64(24)]),
        ("store", vec![I64(65_516), I32(7)]),
        ("store", vec![I64(65_517), I32(7)]),
        ("store", vec![I64(-16), I32(9)]),
        ("grow", vec![I64(1)]),
        ("grow", vec![I64(100)]),
        ("grow", vec![I64(-1)]),
        ("grow", vec![I64(1 << 33)]),
        ("grow other", vec![I32(2)]),
        ("load", vec![I64(131_068)]),
        ("load", vec![I64(131_069)]),
        ("copy", vec![I64(100), I64(0), I64(16)]),
        ("copy", vec![I64(100), I64(0), I64(1 << 32)]),
        ("out", vec![I32(0), I64(8), I32(4)]),
        ("out", vec![I32(0), I64(1 << 32), I32(4)]),
        ("init", vec![I64(131_065)]),
        ("init", vec![I64(131_066)]),
        ("sum", vec![I64(0), I64(131_072)]),
        ("sum", vec![I64(0), I64(131_076)]),
        ("sum", vec![I64(-64), I64(-4)]),
    ];
    let mut wasmtime = Side::new(&engine(&[], |_| {}), WIDE).unwrap();
    let expected: Vec<String> = calls.iter().map(|(name, args)| wasmtime.call(name, args)).collect();
    for bounds in ["guarded", "checked", "masked"] {
        let mut side = Side::new(&native(bounds), WIDE).unwrap();
        for ((name, args), expected) in calls.iter().zip(&expected) {
            assert_eq!(&side.call(name, args), expected, "{bounds}: {name} {args:?}");
        }
        assert!(side.memory("memory") == wasmtime.memory("memory"), "{bounds}");
        assert!(side.memory("other") == wasmtime.memory("other"), "{bounds}");
    }
}

/// What is masked goes astray in its own memory, or faults: never anything else.
#[test]
fn masked_code_stays_in_its_memory() {
    let mut side = Side::new(&native("masked"), TEXT).unwrap();
    // Twenty pages at most are masked with 2 MiB - 1, and all but one of these is not accessible.
    assert_eq!(side.call("load", &[Val::I32(1 << 21 | 8)]), "[I32(42)]");
    assert_eq!(side.call("load", &[Val::I32(1 << 20)]), Trap::MemoryOutOfBounds.to_string());
}

/// A thousand interruptions, at whatever instruction, change no result.
#[test]
fn native_code_gives_way_and_goes_on() {
    let engine = engine(&["codegen=native", "interrupt=signal"], |_| {});
    let mut store = engine.store(engine.meter());
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let program = engine.load(TEXT.as_bytes(), None).unwrap();
    let Compiled::Module(module) = program.compiled() else { panic!("a component") };
    let linker = linker(&engine, &program);
    let mut given_way = 0;
    let counted = poll(&mut given_way, async {
        let instance = linker.instantiate_async(&mut store, module).await?;
        let count = instance.get_typed_func::<i64, i64>(&mut store, "count")?;
        count.call_async(&mut store, 1_000_000_000).await
    });
    let expected = (1..=1_000_000_000_i64).rev().fold(0_i64, |hash, at| hash.wrapping_mul(31) ^ at);
    assert_eq!(counted.unwrap(), expected);
    assert!(given_way > 20, "it gave way {given_way} times");
}

/// Polls to the end, and counts how often there was more to do.
fn poll<F: Future>(pending: &mut u32, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => *pending += 1,
        }
    }
}

#[test]
fn native_code_ends_when_its_time_is_over() {
    let limited = |settings: &mut Settings| settings.limits.time_max = Some(Duration::from_millis(50));
    for interrupt in ["signal", "epoch"] {
        let engine = engine(&["codegen=native", &format!("interrupt={interrupt}")], limited);
        let mut side = Side::new(&engine, TEXT).unwrap();
        let error = side.endless("spin");
        assert_eq!(engine.limit_in(&error), Some(Limit::Time(Duration::from_millis(50))), "{error:?}");
        let mut side = Side::new(&engine, TEXT).unwrap();
        let error = side.endless("fill");
        assert_eq!(engine.limit_in(&error), Some(Limit::Time(Duration::from_millis(50))), "{error:?}");
    }
}

/// The same module without the names of its functions.
fn nameless(wasm: &[u8]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload.unwrap().as_section().filter(|(id, _)| *id != 0) {
            module.section(&wasm_encoder::RawSection { id, data: &wasm[range] });
        }
    }
    module.finish()
}

/// Functions that nothing is known of before they are called become no part of others, and have their name. Frames are of
/// all kinds: with many values in registers that a callee saves, larger than pages, aligned for vectors.
#[test]
fn a_trap_names_the_functions_that_were_running() {
    const TRAPS: &str = r#"(module
        (type $nothing (func))
        (type $way (func (param i32)))
        (memory (export "memory") 1)
        (table 10 funcref)
        (elem (i32.const 0) $reads $ends 2 $copies $full $many $fills $over)
        (elem (i32.const 8) $middle $wide)
        (func $reads (drop (i32.load (i32.const -1))))
        (func $ends unreachable)
        (func (drop (i32.div_u (i32.const 1) (i32.load (i32.const 4)))))
        (func $copies (memory.copy (i32.const 0) (i32.const 4) (i32.const -1)))
        (func $full (call_indirect (type $nothing) (i32.const 100)))
        (func $many (local i64 i64 i64 i64 i64 i64 i64 i64)
            (loop
                (local.set 0 (i64.add (local.get 7) (i64.load (i32.const 0))))
                (local.set 1 (i64.xor (local.get 0) (i64.load (i32.const 8))))
                (local.set 2 (i64.add (local.get 1) (i64.load (i32.const 16))))
                (local.set 3 (i64.xor (local.get 2) (i64.load (i32.const 24))))
                (local.set 4 (i64.add (local.get 3) (i64.load (i32.const 32))))
                (local.set 5 (i64.xor (local.get 4) (i64.load (i32.const 40))))
                (local.set 6 (i64.add (local.get 5) (local.get 2)))
                (local.set 7 (i64.xor (local.get 6) (local.get 3)))
                (i64.store (i32.wrap_i64 (local.get 0)) (local.get 7))
                (call_indirect (type $nothing) (i32.const 2))
                (i64.store (i32.wrap_i64 (local.get 1)) (local.get 4))
                (i64.store (i32.wrap_i64 (local.get 6)) (local.get 5))
                (br_if 0 (i64.eqz (local.get 1)))))
        (func $fills (memory.fill (i32.const 65536) (i32.const 4) (i32.const 1)))
        (func $over (drop (i32.trunc_f32_s (f32.load (i32.const 48)))))
        (func $middle (param i32)
            (call_indirect (type $nothing) (local.get 0))
            (i32.store (i32.const 0) (local.get 0)))
        (func $wide (param i32) (local v128 v128)
            (local.set 1 (v128.load (i32.const 64)))
            (local.set 2 (i32x4.add (local.get 1) (v128.load (i32.const 80))))
            (call_indirect (type $way) (local.get 0) (i32.const 8))
            (v128.store (i32.const 64) (local.get 2))
            (v128.store (i32.const 80) (local.get 1)))
        (data (i32.const 48) "\00\00\80\7f")
        (func (export "change") (table.set (i32.const 0) (ref.func 3)))
        (func $outer (export "run") (param i32)
            (call_indirect (type $way) (local.get 0) (i32.const 9))
            (i32.store (i32.const 0) (local.get 0))))"#;
    let named = wat::parse_str(TRAPS).unwrap();
    let innermost: [&[u32]; 8] = [&[0], &[1], &[2], &[3], &[4], &[2, 5], &[6], &[7]];
    let name = |number| {
        let names =
            ["reads", "ends", "", "copies", "full", "many", "fills", "over", "middle", "wide", "", "outer"];
        Some(names[number as usize]).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    for (module, has_names) in [(&named, true), (&nameless(&named), false)] {
        for bounds in ["guarded", "checked"] {
            let engine = native(bounds);
            let program = engine.load(module, None).unwrap();
            let mut side = Side::of(&engine, &program).unwrap();
            for (element, innermost) in (0..).zip(innermost) {
                let run = side.instance.get_typed_func::<u32, ()>(&mut side.store, "run").unwrap();
                let error = run.call(&mut side.store, element).unwrap_err();
                let functions = innermost.iter().chain(&[8, 9, 11]).map(|number| NativeFunction {
                    number: *number,
                    name: name(*number).filter(|_| has_names),
                });
                let expected = NativeBacktrace { functions: functions.collect(), is_whole: true };
                assert_eq!(error.downcast_ref(), Some(&expected), "{bounds}: {error:?}");
                assert!(error.downcast_ref::<Trap>().is_some(), "{bounds}: {error:?}");
            }
        }
    }
}

/// Where a stack ends, a fault may come at any instruction that makes a frame, small or large.
#[test]
fn a_full_stack_names_the_functions_that_filled_it() {
    for locals in [0, 100, 600, 3_000, 20_000] {
        let kept: String =
            (0..locals).map(|local| format!("(local.set {local} (i64.load (i32.const 0)))")).collect();
        let used: String =
            (0..locals).map(|local| format!("(i64.store (i32.const 8) (local.get {local}))")).collect();
        let text = format!(
            r#"(module
            (memory (export "memory") 1)
            (func $deepens (local {}) {kept} (call $deepens) {used} (i32.store (i32.const 0) (i32.const 1)))
            (func (export "run") (call $deepens)))"#,
            "i64 ".repeat(locals)
        );
        for bounds in ["guarded", "checked"] {
            let mut side = Side::new(&native(bounds), &text).unwrap();
            let error = side.endless("run");
            assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow), "{locals} {bounds}: {error:?}");
            let backtrace = error.downcast_ref::<NativeBacktrace>().unwrap();
            let functions = &backtrace.functions;
            assert!((1..=NATIVE_FRAMES_MAX).contains(&functions.len()), "{backtrace}");
            // Where frames are small enough, as many as are kept.
            assert!(locals > 100 || functions.len() == NATIVE_FRAMES_MAX, "{locals} {bounds}: {backtrace}");
            assert!(!backtrace.is_whole, "{backtrace}");
            assert!(functions.iter().all(|function| function.number == 0), "{backtrace}");
        }
    }
}

/// A store is given up while native code waits for its host: what it stood on is used again.
#[test]
fn what_is_given_up_leaves_nothing_behind() {
    const WAITS: &str = r#"(module
        (import "host" "wait" (func $wait (param i32)))
        (memory (export "memory") 1)
        (func (export "run") (param i32) (result i32)
            (i32.store (i32.const 0) (local.get 0))
            (call $wait (local.get 0))
            (i32.load (i32.const 0))))"#;
    let engine = engine(&["codegen=native", "pool=4"], |_| {});
    let program = engine.load(WAITS.as_bytes(), None).unwrap();
    let Compiled::Module(module) = program.compiled() else { panic!("a component") };
    let mut linker = Linker::<Meter>::new(engine.wasmtime());
    program.link_native(&mut linker).unwrap();
    linker
        .func_wrap_async("host", "wait", |_: Caller<'_, Meter>, (value,): (i32,)| {
            Box::new(async move {
                if value < 0 {
                    std::future::pending::<()>().await;
                }
            })
        })
        .unwrap();
    for turn in 0..500 {
        let mut store = engine.store(engine.meter());
        let value = if turn % 2 == 0 { -1 } else { turn };
        let call = async {
            let instance = linker.instantiate_async(&mut store, module).await?;
            assert_eq!(instance.get_memory(&mut store, "memory").unwrap().data(&store)[..4], [0; 4]);
            let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
            run.call_async(&mut store, value).await
        };
        let mut call = pin!(call);
        let mut context = Context::from_waker(Waker::noop());
        let polled = call.as_mut().poll(&mut context);
        match value {
            -1 => assert!(polled.is_pending()),
            _ => assert!(matches!(polled, std::task::Poll::Ready(Ok(result)) if result == turn)),
        }
    }
}

#[test]
fn limits_hold_for_native_code() {
    let small = |settings: &mut Settings| settings.limits.memory_bytes_max = 4 << 20;
    let engine = engine(&["codegen=native"], small);
    let program = engine
        .load(
            b"(module (memory (export \"memory\") 1)
                (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))",
            None,
        )
        .unwrap();
    let mut side = Side::of(&engine, &program).unwrap();
    assert_eq!(side.call("grow", &[Val::I32(10)]), "[I32(1)]");
    let grow = side.instance.get_typed_func::<i32, i32>(&mut side.store, "grow").unwrap();
    let error = grow.call(&mut side.store, 100).unwrap_err();
    assert!(matches!(engine.limit_in(&error), Some(Limit::Memory { .. })), "{error:?}");
}

/// Tables are not Wasmtime's, and count all the same.
#[test]
fn tables_of_native_code_count_as_memory() {
    let small = |settings: &mut Settings| settings.limits.memory_bytes_max = 4 << 20;
    let engine = engine(&["codegen=native"], small);
    let mut side = Side::new(
        &engine,
        "(module (memory 1) (table 1 funcref)
            (func (export \"table\") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
            (func (export \"memory\") (param i32) (result i32) (memory.grow (local.get 0))))",
    )
    .unwrap();
    assert_eq!(side.call("table", &[Val::I32(1 << 20)]), "[I32(-1)]");
    assert_eq!(side.call("table", &[Val::I32(400_000)]), "[I32(1)]");
    // Three of the four MiB are the table's.
    assert_eq!(side.call("memory", &[Val::I32(8)]), "[I32(1)]");
    let grow = side.instance.get_typed_func::<i32, i32>(&mut side.store, "memory").unwrap();
    let error = grow.call(&mut side.store, 16).unwrap_err();
    assert!(matches!(engine.limit_in(&error), Some(Limit::Memory { .. })), "{error:?}");
}

/// What a module has that only Wasmtime's own code can share.
const REFUSED: [(&str, &str); 9] = [
    ("(table (export \"t\") 1 funcref)", "exports a table"),
    ("(import \"a\" \"t\" (table 1 funcref))", "imports a table"),
    ("(import \"a\" \"g\" (global i32))", "imports a global"),
    ("(global (export \"g\") (mut i32) (i32.const 0))", "exports a global that changes"),
    ("(import \"a\" \"f\" (func (param externref)))", "takes or gives references"),
    ("(func (export \"f\") (result funcref) (ref.null func))", "takes or gives references"),
    ("(func (export \"sampan:x\"))", "kept for the host"),
    ("(import \"sampan:native\" \"make\" (func (param i32)))", "kept for the host"),
    ("(type (struct (field i32)))", "garbage collection"),
];

#[test]
fn what_cannot_be_native_is_refused_by_name() {
    let engine = native("guarded");
    for (field, reason) in REFUSED {
        let refused = engine.load(format!("(module {field})").as_bytes(), None);
        match refused {
            Err(Error::NotNative(why)) => assert!(why.contains(reason), "{field}: {why}"),
            Err(error) => panic!("{field}: {error:?}"),
            Ok(_) => panic!("{field} became native code"),
        }
    }
    let component = "(component (core module $m) (core instance (instantiate $m)))";
    assert!(matches!(engine.load(component.as_bytes(), None), Err(Error::NotNative(_))));
    // One that would reach into its shim.
    let component = "(component
        (core module $m (memory (export \"memory\") 1))
        (core instance $i (instantiate $m))
        (alias core export $i \"sampan:exchange\" (core memory $x)))";
    assert!(
        matches!(engine.load(component.as_bytes(), None), Err(Error::NotNative(why)) if why.contains("kept"))
    );
}

#[test]
fn native_code_is_kept_and_no_compiler_needed_again() {
    let directory = tempfile::tempdir().unwrap();
    let seal = || Seal::new([7; 32]);
    let cache = CodeCache::open(directory.path().to_owned(), seal(), 1 << 30).unwrap();
    let engine_without = engine(&["codegen=native"], |settings| settings.tools = "/nowhere".into());
    assert!(matches!(engine_without.load(TEXT.as_bytes(), Some(&cache)), Err(Error::NoClang { .. })));
    native("guarded").load(TEXT.as_bytes(), Some(&cache)).unwrap();
    let program = engine_without.load(TEXT.as_bytes(), Some(&cache)).unwrap();
    assert_eq!(Side::of(&engine_without, &program).unwrap().call("begun", &[]), "[I32(1)]");
    // Code with other bounds is other code.
    let other = engine(&["codegen=native", "bounds=checked"], |settings| settings.tools = "/nowhere".into());
    assert!(matches!(other.load(TEXT.as_bytes(), Some(&cache)), Err(Error::NoClang { .. })));

    let built = directory.path().join("built");
    native("guarded").build(&wat::parse_str(TEXT).unwrap(), &built, &seal()).unwrap();
    let program = engine_without.load_file(&built, None, || Some(seal())).unwrap();
    assert_eq!(Side::of(&engine_without, &program).unwrap().call("begun", &[]), "[I32(1)]");
    let stranger = engine_without.load_file(&built, None, || Some(Seal::new([8; 32])));
    assert!(matches!(stranger, Err(Error::Unsealed)));
}

#[test]
fn a_compiler_that_takes_too_long_is_ended_and_not_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = CodeCache::open(directory.path().join("cache"), Seal::new([7; 32]), 1 << 30).unwrap();
    let slow = directory.path().join("clang-22");
    std::fs::write(&slow, "#!/bin/sh\nwhile :; do :; done\n").unwrap();
    std::fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
    let engine = |seconds: &str, tools: &Path| {
        let options = ["codegen=native", &format!("compile-seconds={seconds}")];
        engine(&options, |settings| settings.tools = tools.into())
    };
    let load = |seconds, tools: &Path| engine(seconds, tools).load(TEXT.as_bytes(), Some(&cache)).map(drop);
    assert!(matches!(load("1", directory.path()), Err(Error::Late(1))));
    // What is known needs no compiler. If it may take longer, one is asked for.
    let nowhere = Path::new("/nowhere");
    assert!(matches!(load("1", nowhere), Err(Error::Late(1))));
    assert!(matches!(load("2", nowhere), Err(Error::NoClang { .. })));
    assert!(matches!(engine("1", nowhere).load_at_hand(TEXT.as_bytes(), Some(&cache)), Err(Error::Late(1))));
    assert!(matches!(engine("2", nowhere).load_at_hand(TEXT.as_bytes(), Some(&cache)), Ok(None)));
    // What would take too long by far is not begun.
    let functions: String = (0..20_000).map(|number| format!("(func (export \"f{number}\"))")).collect();
    let large = engine("1", nowhere).load(format!("(module {functions})").as_bytes(), None);
    assert!(matches!(large, Err(Error::Late(1))));
}

/// Whoever is as large and as old is taken for the same clang: so it shows whether one was run.
#[test]
fn a_compiler_that_fails_is_not_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = CodeCache::open(directory.path().join("cache"), Seal::new([7; 32]), 1 << 30).unwrap();
    let clang = directory.path().join("clang-22");
    // By another process: what is open for writing here is so in children of other tests, and is not run meanwhile.
    let write = |script: &str, age: u64| {
        let lines = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0" && touch -d "@$2" "$0""#;
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", lines]).arg(&clang).args([script, &age.to_string()]);
        assert!(shell.status().unwrap().success());
    };
    let load = |seconds: u32| {
        let options = ["codegen=native", &format!("compile-seconds={seconds}")];
        let engine = engine(&options, |settings| settings.tools = directory.path().into());
        match engine.load(TEXT.as_bytes(), Some(&cache)).map(drop) {
            Err(Error::Clang(words)) => words.split_once("failed: ").unwrap().1.trim().to_owned(),
            Err(Error::Native(error)) => format!("{:?}", error.source().unwrap().to_string()),
            other => panic!("{other:?}"),
        }
    };
    // One that was ended by somebody may do it the next time.
    write("kill -9 $$       ", 1);
    assert!(load(60).contains("signal 9"));
    write("echo one>&2;false", 1);
    assert_eq!(load(60), "one");
    write("echo two>&2;false", 1);
    assert_eq!(load(60), "one");
    assert_eq!(load(59), "one");
    // Another clang is asked, and so is one that may take longer.
    write("echo two>&2;false", 2);
    assert_eq!(load(60), "two");
    write("echo ten>&2;false", 2);
    assert_eq!(load(60), "two");
    assert_eq!(load(61), "ten");
}
