//! Programs that compute: `guests/bench/*.c`, native and Wasm. Their checksums must agree.

use anyhow::Result;

use crate::contest::Benchmark;
use crate::peers::{Peers, Program};

/// An integer mix in the spirit of CoreMark, and four kernels from the set that PolyBench made known.
const PROGRAMS: [&str; 5] = ["integer", "gemm", "lu", "jacobi-2d", "nussinov"];

/// Our native code: with the checks that WebAssembly asks for, with as much of the processor as there is, and by policy.
const NATIVE_CODE: [(&str, &[&str]); 4] = [
    ("sampan native code", &["-O", "codegen=native", "-O", "cpu=x86-64"]),
    ("sampan native code, relaxed, this cpu", &["-O", "codegen=native", "-O", "traps=relaxed"]),
    ("sampan native code, checked", &["-O", "codegen=native", "-O", "cpu=x86-64", "-O", "bounds=checked"]),
    ("sampan native code, masked", &["-O", "codegen=native", "-O", "cpu=x86-64", "-O", "bounds=masked"]),
];

/// One benchmark per program. `little`: each repeats its work once, to see that it is right.
pub(crate) fn benchmarks(peers: &Peers, little: bool) -> Result<Vec<Benchmark>> {
    let args: Vec<String> = if little { vec!["1".to_owned()] } else { Vec::new() };
    let benchmark = |name: &str| -> Result<Benchmark> {
        let native = peers.guest(&format!("bench/{name}.native"));
        let expected = peers.printed_by(&native, &args)?;
        let mut contestants = vec![peers.native(&native, &args, &expected)];
        let path = peers.guest(&format!("bench/{name}.wasm"));
        let program = Program { path, args: args.clone(), expected };
        contestants.extend(peers.cached(&program));
        contestants.extend(NATIVE_CODE.map(|(name, flags)| peers.ours(name, flags, &program)));
        contestants.extend(peers.node_wasi(&program));
        Ok(Benchmark { name: format!("compute {name}"), contestants })
    };
    PROGRAMS.into_iter().map(benchmark).collect()
}
