//! The benchmarks cannot rot: each one runs with everybody who is here, and computes what it should.

use std::process::Command;

use serde_json::Value;

/// Every benchmark of `--check`, and who must take part in it on any machine.
const EXPECTED: [(&str, &[&str]); 51] = [
    ("hello, cached", &["native", "sampan dense", "sampan portable", "sampan sealed"]),
    ("hello, cold", &["sampan dense", "sampan portable"]),
    ("hello component, cached", &["native", "sampan dense", "sampan portable"]),
    ("hello component, cold", &["sampan dense", "sampan portable"]),
    ("set up an engine", IN_PROCESS_SET_UP),
    ("instantiate, no memory", IN_PROCESS),
    ("instantiate, 1 MiB of data, 16 pages written", IN_PROCESS),
    ("call host → guest", IN_PROCESS),
    ("call guest → host", IN_PROCESS),
    (
        "a durable put of 100 bytes: time and processor time of each",
        &["1 writer", "64 writers", "256 writers"],
    ),
    ("HTTP hello, 32 connections: server CPU a request", SERVERS),
    ("HTTP hello, 32 connections: p99", SERVERS),
    ("HTTP hello, 256 connections: p99", SERVERS),
    ("HTTP hello: from the start of the process to the first answer", SERVERS),
    ("HTTP hello: the first answer, after it listens", SERVERS),
    ("sampan:chain call, in the guest's eyes", &["sampan dense"]),
    ("a chain of 100 stages, past one of one", &["sampan dense"]),
    ("wasi:http to a function of the app: CPU of both, past that of one", &["sampan dense"]),
    ("wasi:keyvalue get, in the guest's eyes", &["sampan dense"]),
    ("HTTP hello, 32 connections, beside bad neighbours: p99", &["sampan dense"]),
    ("10,000 live instances: time and warm memory of each", &["sampan dense"]),
    ("a call of another function, warm, in the caller's eyes", APART),
    ("a read of a key, in the guest's eyes", APART),
    ("HTTP hello, warm, one connection: p50", APART),
    (
        "from a request to the first instruction of its program, on a node that is awake",
        &[
            "sampan dense",
            "sampan sealed",
            "sampan sealed, its process died, one stands by",
            "sampan sealed, its process died",
        ],
    ),
    (
        "the next answer of a sealed function whose process died, after a pause",
        &[
            "sampan dense, nothing died",
            "sampan sealed, nothing died",
            "sampan sealed",
            "sampan sealed, one stands by",
        ],
    ),
    ("a sealed function that nobody asks: start and private memory of each", &["sampan sealed"]),
    ("compute integer", &["native", "sampan dense", "sampan portable", "sampan sealed"]),
    ("compute gemm", &["native", "sampan dense", "sampan portable", "sampan sealed"]),
    ("compute lu", COMPUTE),
    ("compute jacobi-2d", COMPUTE),
    ("compute nussinov", COMPUTE),
    ("compute 2mm", COMPUTE),
    ("compute cholesky", COMPUTE),
    ("compute correlation", COMPUTE),
    ("compute doitgen", COMPUTE),
    ("compute durbin", COMPUTE),
    ("compute fdtd-2d", COMPUTE),
    ("compute floyd-warshall", COMPUTE),
    ("compute gramschmidt", COMPUTE),
    ("compute heat-3d", COMPUTE),
    ("compute mvt", COMPUTE),
    ("compute seidel-2d", COMPUTE),
    ("compute syrk", COMPUTE),
    ("compute matrix-simd", COMPUTE),
    ("compute zlib", COMPUTE),
    ("compile integer", &["clang -O3, the same IR", "sampan native code"]),
    ("interruption, gemm", INTERRUPTS),
    ("interruption, lu", INTERRUPTS),
    ("interruption, integer", INTERRUPTS),
    ("how late a program is stopped, p99 of 200", &["a loop", "calls of the host", "fills of 1 MiB"]),
];
const COMPUTE: &[&str] = &["native", "native, this cpu", "sampan dense"];
const APART: &[&str] = &["sampan dense", "sampan sealed"];
const SERVERS: &[&str] = &[
    "native",
    "sampan dense",
    "sampan dense, reused",
    "sampan dense, WASI 0.3",
    "sampan dense, WASI 0.3, reused",
];
const INTERRUPTS: &[&str] = &["interrupt=none", "interrupt=signal", "interrupt=epoch", "interrupt=fuel"];
const IN_PROCESS_SET_UP: &[&str] = &["sampan dense", "sampan portable", "Wasmtime", "Wasmtime, defaults"];
const IN_PROCESS: &[&str] =
    &["sampan dense", "sampan dense, pool=off", "sampan portable", "Wasmtime", "Wasmtime, defaults"];

#[test]
fn every_benchmark_runs_and_computes_what_it_should() {
    let directory = tempfile::tempdir().expect("a place for the results");
    let json = directory.path().join("results.json");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = bench.args(["--check", "--json"]).arg(&json).env("RUST_BACKTRACE", "0").output();
    let output = output.expect("the benchmarks start");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let json = std::fs::read_to_string(json).expect("the results are written");
    let results: Value = serde_json::from_str(&json).expect("they are JSON");
    let benchmarks = results["benchmarks"].as_array().expect("a list");
    let found: Vec<&str> = benchmarks.iter().filter_map(|benchmark| benchmark["name"].as_str()).collect();
    assert_eq!(found, EXPECTED.map(|(name, _)| name));
    for ((name, expected), benchmark) in EXPECTED.iter().zip(benchmarks) {
        let rows = benchmark["rows"].as_array().expect("a list");
        let ran: Vec<&str> = rows.iter().filter_map(|row| row["contestant"].as_str()).collect();
        assert!(expected.iter().all(|contestant| ran.contains(contestant)), "`{name}` ran only {ran:?}");
        assert!(rows.iter().all(|row| row["time_ns"].as_f64().is_some_and(|ns| ns > 0.0)), "{name}");
    }
    // Said where it is seen: who is not on this machine was not checked.
    for peer in ["Wasmtime", "Node"] {
        println!("{peer}: {}", results["machine"][peer].as_str().expect("the header names the peer"));
    }
}

#[test]
fn a_slow_environment_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).env("RUST_BACKTRACE", "1").output();
    let output = output.expect("the benchmarks start");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("RUST_BACKTRACE"));
}
