//! What it costs to make native code, beside what clang takes for the same text.

use std::path::PathBuf;

use anyhow::{Context, Result};
use aot::{Assembly, Clang, Precision, Target};
use rt::Policy;

use crate::compute::{processor_time, work};
use crate::contest::Benchmark;
use crate::peers::{Peers, Program};

/// A small program, and a library of some size.
const PROGRAMS: [&str; 2] = ["integer", "zlib"];

/// What clang makes of text in IR when nobody asks for more.
const CLANG: [&str; 8] =
    ["-O3", "-march=x86-64", "-fPIC", "-shared", "-nostartfiles", "-Wno-override-module", "-x", "ir"];

/// One benchmark per program. `little`: only the first one.
pub(crate) fn benchmarks(peers: &Peers, little: bool) -> Result<Vec<Benchmark>> {
    let count = if little { 1 } else { PROGRAMS.len() };
    PROGRAMS[..count].iter().map(|name| benchmark(peers, name)).collect()
}

fn benchmark(peers: &Peers, name: &str) -> Result<Benchmark> {
    let path = peers.guest(&format!("bench/{name}.wasm"));
    let target = Target::host().context("native code is not made for this machine")?;
    let mut assembly = Assembly::new(target);
    assembly.add_guest("program", &std::fs::read(&path)?, Policy::Guarded, Precision::Precise)?;
    let [text, object] = ["ll", "so"].map(|extension| peers.state().join(format!("{name}.{extension}")));
    std::fs::write(&text, assembly.finish())?;

    let clang = Clang::find(&std::env::var_os("PATH").unwrap_or_default())?;
    let args = CLANG.iter().map(PathBuf::from).chain([text, "-o".into(), object]).collect();
    let program = Program { path, args: vec!["0".to_owned()], expected: String::new() };
    let ours = |flags: &[&str]| {
        let flags = [&["-O", "codegen=native", "-O", "cpu=x86-64"], flags].concat();
        peers.ours("sampan native code", &flags, &program)
    };
    Ok(Benchmark {
        name: format!("compile {name}"),
        contestants: vec![
            processor_time(peers.contestant("clang -O3, the same IR", clang.program(), args, "")),
            work((ours(&["--no-cache"]), ours(&[]))),
        ],
    })
}
