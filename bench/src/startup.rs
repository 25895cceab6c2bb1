//! What it costs to start a program: the least one there is, and very large ones.

use anyhow::Result;

use crate::contest::Benchmark;
use crate::peers::{Peers, Program};

/// A program that prints one word, as a module and as a component, compiled anew and from the cache.
pub(crate) fn hello(peers: &Peers) -> Vec<Benchmark> {
    let hello = |path| Program { path: peers.guest(path), args: Vec::new(), expected: "hello".to_owned() };
    let native = || peers.native(&peers.guest("bench/hello.native"), &[], "hello");
    let module = hello("bench/hello.wasm");
    let component = hello("p2/hello.wasm");
    let benchmark = |name: &str, contestants| Benchmark { name: name.to_owned(), contestants };

    let mut cached = vec![native()];
    cached.extend(peers.cached(&module));
    cached.extend(peers.node_wasi(&module));
    cached.extend(peers.node_script("hello.mjs", "hello"));
    let mut cached_component = vec![native()];
    cached_component.extend(peers.cached(&component));
    vec![
        benchmark("hello, cached", cached),
        benchmark("hello, cold", peers.cold(&module)),
        benchmark("hello component, cached", cached_component),
        benchmark("hello component, cold", peers.cold(&component)),
    ]
}

/// Programs of 26 and 75 MB, from the cache.
pub(crate) fn large(peers: &Peers) -> Result<Vec<Benchmark>> {
    let program = |name, args: &[&str], expected: &str| -> Result<Program> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Ok(Program { path: peers.program(name)?, args, expected: expected.to_owned() })
    };
    let python = program("python.wasm", &["-c", "print(6 * 7)"], "42")?;
    let llvm = program("llvm.wasm", &["clang", "--version"], "clang version")?;
    let mut python_contestants = peers.cached(&python);
    python_contestants.extend(peers.node_wasi(&python));
    Ok(vec![
        Benchmark { name: "CPython (26 MB), cached".to_owned(), contestants: python_contestants },
        Benchmark { name: "LLVM (75 MB), cached".to_owned(), contestants: peers.cached(&llvm) },
    ])
}
