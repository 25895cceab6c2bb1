//! What it costs that a program can be stopped, and how late it is stopped.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use engine::wasmtime::Linker;
use engine::{Compiled, Engine, Limit, Limits, Meter, Profile, Settings};

use crate::compute::work;
use crate::contest::{Benchmark, Contestant, Sample};
use crate::peers::{Peers, Program};

/// The kernels that checks slow most, and one that they slow least.
const KERNELS: [&str; 3] = ["gemm", "lu", "integer"];

/// How a program is made stoppable, and with what flags.
const WAYS: [(&str, &[&str]); 4] = [
    ("interrupt=none", &["-O", "interrupt=none"]),
    ("interrupt=signal", &["--timeout", "1h", "-O", "interrupt=signal"]),
    ("interrupt=epoch", &["--timeout", "1h", "-O", "interrupt=epoch"]),
    ("interrupt=fuel", &["--timeout", "1h", "-O", "interrupt=fuel"]),
];

/// Programs without an end: in WebAssembly itself, in calls of the host, in what the host does for an instruction.
const ENDLESS: [(&str, &str); 3] = [
    ("a loop", r#"(module (func (export "run") (loop $l (br $l))))"#),
    (
        "calls of the host",
        r#"(module (import "" "nothing" (func $nothing)) (func (export "run") (loop $l call $nothing (br $l))))"#,
    ),
    (
        "fills of 1 MiB",
        r#"(module (memory 16) (func (export "run")
            (loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x100000)) (br $l))))"#,
    ),
];

/// Time that an endless program is given, and how often.
const GIVEN: Duration = Duration::from_millis(5);
const STOPS: usize = 200;

/// All benchmarks of this file. `little`: just enough to see that they run.
pub(crate) fn benchmarks(peers: &Peers, little: bool) -> Result<Vec<Benchmark>> {
    let mut benchmarks = Vec::new();
    for kernel in KERNELS {
        let args: Vec<String> = if little { vec!["1".to_owned()] } else { Vec::new() };
        let expected = peers.printed_by(&peers.guest(&format!("bench/{kernel}.native")), &args)?;
        let program =
            |args, expected| Program { path: peers.guest(&format!("bench/{kernel}.wasm")), args, expected };
        let (whole, start) = (program(args, expected), program(vec!["0".to_owned()], String::new()));
        let contestant = |(name, flags)| match little {
            true => peers.ours(name, flags, &whole),
            false => work((peers.ours(name, flags, &whole), peers.ours(name, flags, &start))),
        };
        let contestants = WAYS.map(contestant).into();
        benchmarks.push(Benchmark { name: format!("interruption, {kernel}"), contestants });
    }
    let stops = if little { 2 } else { STOPS };
    let contestants =
        ENDLESS.map(|(name, text)| late(name, text, stops)).into_iter().collect::<Result<_>>()?;
    benchmarks
        .push(Benchmark { name: format!("how late a program is stopped, p99 of {STOPS}"), contestants });
    Ok(benchmarks)
}

/// How long past its time an endless program runs, at worst but for one in a hundred.
fn late(name: &'static str, text: &'static str, stops: usize) -> Result<Contestant> {
    let limits = Limits { time_max: Some(GIVEN), ..Limits::default() };
    let mut settings = Settings { limits, ..Settings::new(Profile::Dense) };
    settings.options.prefer_signals();
    let engine = Engine::new(settings)?;
    let program = engine.load(text.as_bytes(), None)?;
    let Some(interrupts) = engine.interrupts::<Meter>(&program, None).transpose()? else {
        bail!("signals interrupt nothing here");
    };
    let Compiled::Module(module) = program.into_compiled() else { bail!("not a module") };
    let mut linker = Linker::<Meter>::new(engine.wasmtime());
    linker.func_wrap("", "nothing", || ())?;
    let linked = linker.instantiate_pre(&module)?;
    let run = move || {
        let mut late = Vec::new();
        for _ in 0..stops {
            let mut store = engine.store(engine.meter());
            let ends_at = store.data().ends_at();
            let ended = polled(async {
                let interruptible = interrupts.arm(&mut store).await?;
                let instance = linked.instantiate_async(&mut store).await?;
                let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
                interruptible.watch(run.call_async(&mut store, ())).await
            });
            late.push(ends_at.map_or(Duration::ZERO, |end| Instant::now().saturating_duration_since(end)));
            let limit = ended.err().and_then(|error| engine.limit_in(&error));
            ensure!(limit == Some(Limit::Time(GIVEN)), "an endless program came to another end");
        }
        late.sort_unstable();
        let time_ns = late[late.len() * 99 / 100].as_nanos() as f64;
        Ok(Sample { time_ns, cpu_ns: None, memory_bytes: None })
    };
    Ok(Contestant { name, run: Box::new(run) })
}

/// Polls to the end.
fn polled<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
