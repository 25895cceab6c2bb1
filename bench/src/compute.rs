//! Programs that compute: `guests/bench/*.c` and `guests/large/*.c`, native and Wasm. Their checksums must agree.
//!
//! What is measured is the work alone: the processor time of a process, less that of one that is told to repeat its work
//! no times, and so starts, makes its input and ends.

use anyhow::{Context, Result};

use crate::contest::{Benchmark, Contestant, NATIVE, Sample, WASMTIME};
use crate::peers::{Peers, Program};

/// Compiled for this very processor.
const NATIVE_CPU: &str = "native, this cpu";

/// An integer mix in the spirit of CoreMark, a product of matrices in vectors written by hand, a library that compresses, and
/// sixteen kernels from the set that PolyBench made known.
const PROGRAMS: [&str; 19] = [
    "integer",
    "gemm",
    "lu",
    "jacobi-2d",
    "nussinov",
    "2mm",
    "cholesky",
    "correlation",
    "doitgen",
    "durbin",
    "fdtd-2d",
    "floyd-warshall",
    "gramschmidt",
    "heat-3d",
    "mvt",
    "seidel-2d",
    "syrk",
    "matrix-simd",
    "zlib",
];

/// A database and a regular-expression engine, which take long to compile.
const LARGE: [&str; 2] = ["sqlite", "regex"];

/// Those that show what an interpreter, a process of its own and another engine cost: one is like the other.
const FOR_ALL: [&str; 2] = ["integer", "gemm"];

/// Our native code: with the checks that WebAssembly asks for, with as much of the processor as there is, the same of a program
/// that was built for it, and by policy.
const NATIVE_CODE: [(&str, &str, &[&str]); 5] = [
    ("sampan native code", "wasm", &["-O", "codegen=native", "-O", "cpu=x86-64"]),
    ("sampan native code, relaxed, this cpu", "wasm", RELAXED),
    ("sampan native code, relaxed, this cpu, canonical", "canonical", RELAXED),
    (
        "sampan native code, checked",
        "wasm",
        &["-O", "codegen=native", "-O", "cpu=x86-64", "-O", "bounds=checked"],
    ),
    (
        "sampan native code, masked",
        "wasm",
        &["-O", "codegen=native", "-O", "cpu=x86-64", "-O", "bounds=masked"],
    ),
];

const RELAXED: &[&str] = &["-O", "codegen=native", "-O", "traps=relaxed"];

/// One benchmark per program that is wanted by name. `little`: each does its work once, to see that it is right, under one
/// policy after the other.
pub(crate) fn benchmarks(
    peers: &Peers,
    little: bool,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Benchmark>> {
    let programs = PROGRAMS.map(|name| ("bench", name)).into_iter();
    let programs = programs.chain(LARGE.map(|name| ("large", name)).into_iter().filter(|_| !little));
    let named = programs.map(|(kind, program)| (kind, program, format!("compute {program}")));
    let wanted = named.filter(|(.., name)| is_wanted(name)).enumerate();
    wanted.map(|(index, program)| benchmark(peers, program, little.then_some(index))).collect()
}

fn benchmark(
    peers: &Peers,
    (kind, name, benchmark): (&str, &str, String),
    little: Option<usize>,
) -> Result<Benchmark> {
    let path = |form: &str| peers.guest(&format!("{kind}/{name}.{form}"));
    let contestants = |args: &[String], expected: &str| {
        let program = |form| Program { path: path(form), args: args.to_vec(), expected: expected.to_owned() };
        let native = |form| peers.native(&path(form), args, expected);
        let mut contestants = vec![native("native"), Contestant { name: NATIVE_CPU, ..native("cpu") }];
        let wasm = program("wasm");
        contestants.extend(peers.cached(&wasm).into_iter().chain(peers.node_wasi(&wasm)));
        if !FOR_ALL.contains(&name) {
            contestants.retain(|who| [NATIVE, NATIVE_CPU, "sampan dense", WASMTIME].contains(&who.name));
        }
        let policies = NATIVE_CODE.iter().enumerate();
        let policies =
            policies.filter(|(policy, _)| little.is_none_or(|index| index % NATIVE_CODE.len() == *policy));
        contestants.extend(policies.map(|(_, (name, form, flags))| peers.ours(name, flags, &program(form))));
        contestants
    };
    let args = if little.is_some() { vec!["1".to_owned()] } else { Vec::new() };
    let whole = contestants(&args, &peers.printed_by(&path("native"), &args)?);
    let contestants = match little {
        Some(_) => whole,
        None => whole.into_iter().zip(contestants(&["0".to_owned()], "")).map(work).collect(),
    };
    Ok(Benchmark { name: benchmark, contestants })
}

/// What the whole takes, past what the start takes.
pub(crate) fn work((whole, start): (Contestant, Contestant)) -> Contestant {
    let (mut whole, mut start) = (processor_time(whole), processor_time(start));
    let run = move || {
        let (start, whole) = ((start.run)()?, (whole.run)()?);
        let time_ns = whole.time_ns - start.time_ns;
        Ok(Sample { time_ns, cpu_ns: Some(time_ns), ..whole })
    };
    Contestant { name: whole.name, run: Box::new(run) }
}

/// Takes the processor time of a process for its time.
pub(crate) fn processor_time(mut who: Contestant) -> Contestant {
    let run = move || {
        let sample = (who.run)()?;
        let time_ns = sample.cpu_ns.context("a process has a processor time")?;
        Ok(Sample { time_ns, ..sample })
    };
    Contestant { name: who.name, run: Box::new(run) }
}
