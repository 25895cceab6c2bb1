//! Interruption by signals: a program that does not end is ended, wherever it is; one that ends is as if nothing had been.

mod exact;
mod specification;

use std::future::Future;
use std::hint;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use engine::options::Interrupt;
use engine::wasmtime::{self, Instance, Linker, Module};
use engine::{Compiled, Engine, Error, Interrupts, Limit, Limits, Meter, Profile, Settings};

fn engine(time_max: Option<Duration>) -> Engine {
    let limits = Limits { time_max, ..Limits::default() };
    let mut settings = Settings { limits, ..Settings::new(Profile::Dense) };
    settings.options.prefer_signals();
    let engine = Engine::new(settings).unwrap();
    assert_eq!(engine.settings().options.interrupt, Interrupt::Signal);
    engine
}

fn module(engine: &Engine, text: &str) -> (Module, Interrupts<Meter>) {
    let program = engine.load(text.as_bytes(), None).unwrap();
    let interrupts = engine.interrupts(&program, None).unwrap().unwrap();
    let Compiled::Module(module) = program.into_compiled() else { panic!("a component") };
    (module, interrupts)
}

/// Polls to the end; how often it gave way.
fn run<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut given_way = 0;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return (output, given_way),
            Poll::Pending => given_way += 1,
        }
    }
}

/// Calls export `run` of `text` in a store of its own; imports are a host function that does nothing.
fn call(engine: &Engine, text: &str) -> (wasmtime::Result<i64>, usize) {
    let (module, interrupts) = module(engine, text);
    let mut linker = Linker::new(engine.wasmtime());
    linker.func_wrap("", "nothing", || ()).unwrap();
    let mut store = engine.store(engine.meter());
    run(async {
        let interruptible = interrupts.arm(&mut store).await?;
        let instance: Instance = linker.instantiate_async(&mut store, &module).await?;
        let run = instance.get_typed_func::<(), i64>(&mut store, "run")?;
        interruptible.watch(run.call_async(&mut store, ())).await
    })
}

/// Loops without end, of every kind that a signal meets.
const ENDLESS: [(&str, &str); 6] = [
    ("tight", r#"(module (func (export "run") (result i64) (loop $l (br $l)) i64.const 0))"#),
    (
        "host",
        r#"(module (import "" "nothing" (func $nothing))
            (func (export "run") (result i64) (loop $l call $nothing (br $l)) i64.const 0))"#,
    ),
    (
        "fill",
        r#"(module (memory 256) (func (export "run") (result i64)
            (loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x1000000)) (br $l)) i64.const 0))"#,
    ),
    (
        "copy",
        r#"(module (memory 256) (func (export "run") (result i64)
            (loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x800000)) (br $l)) i64.const 0))"#,
    ),
    (
        "grow",
        r#"(module (memory 1) (func (export "run") (result i64)
            (loop $l (drop (memory.grow (i32.const 0))) (br $l)) i64.const 0))"#,
    ),
    (
        "deep",
        r#"(module (func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "run") (result i64) (loop $l (call $f (i32.const 9000)) (br $l)) i64.const 0))"#,
    ),
];

#[test]
fn a_program_without_end_is_ended_in_time() {
    let engine = engine(Some(Duration::from_millis(20)));
    for (name, text) in ENDLESS {
        let (ended, given_way) = call(&engine, text);
        let error = ended.expect_err(name);
        assert_eq!(
            engine.limit_in(&error),
            Some(Limit::Time(Duration::from_millis(20))),
            "{name}: {error:?}"
        );
        println!("{name}: gave way {given_way} times\n{error:?}");
    }
}

#[test]
fn others_are_refused_by_name() {
    let engine = engine(None);
    for text in [
        "(module (func $f (return_call $f)))",
        "(module (type (struct)) (func (drop (struct.new 0))))",
        "(module (tag) (func (throw 0)))",
        "(module (func (param externref)))",
    ] {
        assert!(matches!(engine.load(text.as_bytes(), None), Err(Error::Unstoppable)), "{text}");
        let other = engine.with_interrupt(Interrupt::None).unwrap();
        assert!(other.load(text.as_bytes(), None).is_ok(), "{text}");
        assert!(other.interrupts::<Meter>(&other.load(text.as_bytes(), None).unwrap(), None).is_none());
    }
}

/// What a program that was ended leaves behind reaches nobody: its slot of the pool is as new.
#[test]
fn a_slot_is_clean_after_its_program_was_ended() {
    let limits = Limits { time_max: Some(Duration::from_micros(300)), ..Limits::default() };
    let mut settings = Settings { limits, ..Settings::new(Profile::Dense) };
    settings.set("pool=2").unwrap();
    settings.set("interrupt=signal").unwrap();
    let engine = Engine::new(settings).unwrap();
    let (module, interrupts) = module(
        &engine,
        r#"(module (memory (export "memory") 64) (func (export "dirty") (local i32) (loop $l
            (i32.store (local.get 0) (i32.const -1))
            (local.set 0 (i32.and (i32.add (local.get 0) (i32.const 4100)) (i32.const 0x3ffff0))) (br $l))))"#,
    );
    for round in 0..500 {
        let mut store = engine.store(engine.meter());
        let (ended, _) = run(async {
            let interruptible = interrupts.arm(&mut store).await?;
            let instance = Instance::new_async(&mut store, &module, &[]).await?;
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            assert!(memory.data(&store).iter().all(|byte| *byte == 0), "round {round}");
            let dirty = instance.get_typed_func::<(), ()>(&mut store, "dirty")?;
            interruptible.watch(dirty.call_async(&mut store, ())).await
        });
        assert!(ended.is_err());
    }
}

/// Threads come and go while their timers run; what was meant for one program never ends the next.
#[test]
fn late_signals_reach_nobody() {
    let short = r#"(module (func (export "run") (result i64) (local $n i64)
        (loop $l (br_if $l (i64.lt_u (local.tee $n (i64.add (local.get $n) (i64.const 1))) (i64.const 50000))))
        local.get $n))"#;
    let (hurried, patient) = (engine(Some(Duration::from_micros(40))), engine(None));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert!(call(&hurried, ENDLESS[0].1).0.is_err());
                    assert_eq!(call(&patient, short).0.unwrap(), 50_000);
                }
            });
        }
    });
}

/// When its programs have ended, a thread is left to sleep.
#[test]
fn nobody_wakes_a_thread_without_a_program() {
    let short = r#"(module (func (export "run") (result i64) i64.const 1))"#;
    assert_eq!(call(&engine(None), short).0.unwrap(), 1);
    let slept = || -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    let before = slept();
    std::thread::sleep(Duration::from_millis(200));
    // Once for the sleep, and once for the tick after the last program; a few times it may wait for memory. A timer would
    // wake it fifty times at the least.
    let times = slept() - before;
    assert!(times <= 10, "it fell asleep {times} times");
}

/// A program that waits for another one in the same thread: each is interrupted for itself.
#[test]
fn programs_inside_programs() {
    let inner = r#"(module (func (export "run") (result i64) (local $n i64)
        (loop $l (br_if $l (i64.lt_u (local.tee $n (i64.add (local.get $n) (i64.const 1))) (i64.const 3000000))))
        local.get $n))"#;
    let outer = r#"(module (import "" "inner" (func $inner (result i64)))
        (func (export "run") (result i64) (local $n i64) (local $sum i64)
        (loop $l
            (if (i64.eqz (i64.rem_u (local.get $n) (i64.const 1000000)))
                (then (local.set $sum (i64.add (local.get $sum) (call $inner)))))
            (br_if $l (i64.lt_u (local.tee $n (i64.add (local.get $n) (i64.const 1))) (i64.const 4000000))))
        (i64.add (local.get $n) (local.get $sum))))"#;
    let (result, given_way) = nested(inner, outer);
    assert_eq!(result, 4_000_000 + 4 * 3_000_000);
    assert!(given_way > 3, "{given_way}");
}

/// Where all turns were short for a while there are few signals, until a turn is long.
#[test]
fn after_many_short_calls_a_long_one_gives_way() {
    let engine = engine(None);
    let text = r#"(module (func (export "run") (param $to i64) (result i64) (local $n i64)
        (loop $l (br_if $l (i64.lt_u (local.tee $n (i64.add (local.get $n) (i64.const 1))) (local.get $to))))
        local.get $n))"#;
    let (module, interrupts) = module(&engine, text);
    let mut store = engine.store(engine.meter());
    let (ready, _): (wasmtime::Result<_>, _) = run(async {
        let interruptible = interrupts.arm(&mut store).await?;
        let instance = Instance::new_async(&mut store, &module, &[]).await?;
        Ok((interruptible, instance.get_typed_func::<i64, i64>(&mut store, "run")?))
    });
    let (interruptible, count) = ready.unwrap();
    let mut call = |to: i64| {
        let (counted, given_way) = run(interruptible.watch(count.call_async(&mut store, to)));
        assert_eq!(counted.unwrap(), to);
        given_way
    };
    for _ in 0..5_000 {
        call(20_000);
    }
    // Hundreds of slices, of which busy machines may take some; a quarter of them at the most if signals stayed few.
    let given_way = call(600_000_000);
    assert!(given_way > 60, "{given_way}");
}

/// A host function that fails does not return, and so not where a signal made it return to.
#[test]
fn after_a_failure_of_the_host_others_return_by_way_of_a_signal_again() {
    let engine = engine(None);
    let (module, interrupts) = module(
        &engine,
        r#"(module (import "" "work" (func $work (param i32)))
            (func (export "fail") (call $work (i32.const 1)))
            (func (export "run") (local $n i32)
                (loop $l
                    (call $work (i32.const 0))
                    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20))))))"#,
    );
    let mut linker = Linker::new(engine.wasmtime());
    // Long enough for several signals, at all of which the thread is here.
    let work = |fails: i32| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {
            hint::spin_loop();
        }
        if fails == 1 { Err(wasmtime::Error::msg("as it should")) } else { Ok(()) }
    };
    linker.func_wrap("", "work", work).unwrap();
    let mut store = engine.store(engine.meter());
    let (given_way, _) = run(async {
        let interruptible = interrupts.arm(&mut store).await.unwrap();
        let instance: Instance = linker.instantiate_async(&mut store, &module).await.unwrap();
        let mut call = |name: &str| {
            let function = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
            run(interruptible.watch(function.call_async(&mut store, ())))
        };
        assert!(call("fail").0.is_err());
        let (ended, given_way) = call("run");
        ended.unwrap();
        given_way
    });
    // Twenty calls, of which a busy machine may take some.
    assert!(given_way > 5, "{given_way}");
}

/// Short calls of others do not begin a new turn for their caller.
#[test]
fn who_calls_others_all_the_time_gives_way_too() {
    let inner = r#"(module (func (export "run") (result i64) i64.const 1))"#;
    let outer = r#"(module (import "" "inner" (func $inner (result i64)))
        (func (export "run") (result i64) (local $sum i64)
        (loop $l
            (local.set $sum (i64.add (local.get $sum) (call $inner)))
            (br_if $l (i64.lt_u (local.get $sum) (i64.const 20000))))
        local.get $sum))"#;
    let (result, given_way) = nested(inner, outer);
    assert_eq!(result, 20_000);
    // Much longer than twenty slices, of which busy machines may take some.
    assert!(given_way > 20, "{given_way}");
}

/// Calls `run` of `outer`, whose import runs `inner` in a store of its own: what it returned, and how often it gave way.
fn nested(inner: &str, outer: &str) -> (i64, usize) {
    let engine = engine(None);
    let (inner, inner_interrupts) = module(&engine, inner);
    let (outer, outer_interrupts) = module(&engine, outer);
    let mut linker = Linker::<Meter>::new(engine.wasmtime());
    let prepared = std::sync::Arc::new((engine, inner, inner_interrupts));
    let shared = std::sync::Arc::clone(&prepared);
    linker
        .func_wrap_async("", "inner", move |_, ()| {
            let shared = std::sync::Arc::clone(&shared);
            Box::new(async move {
                let (engine, inner, interrupts) = &*shared;
                let mut store = engine.store(engine.meter());
                let interruptible = interrupts.arm(&mut store).await?;
                let instance = Instance::new_async(&mut store, inner, &[]).await?;
                let run = instance.get_typed_func::<(), i64>(&mut store, "run")?;
                interruptible.watch(run.call_async(&mut store, ())).await
            })
        })
        .unwrap();
    let mut store = prepared.0.store(prepared.0.meter());
    let (ended, given_way) = run(async {
        let interruptible = outer_interrupts.arm(&mut store).await?;
        let instance = linker.instantiate_async(&mut store, &outer).await?;
        let run = instance.get_typed_func::<(), i64>(&mut store, "run")?;
        interruptible.watch(run.call_async(&mut store, ())).await
    });
    (ended.unwrap(), given_way)
}
