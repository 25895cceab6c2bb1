//! How long a well-behaved function takes while others do what they should not.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};

use crate::contest::Benchmark;
use crate::peers::Peers;
use crate::server::{Running, Server};
use crate::serving::{Function, app, contestant, serve};

/// What they do, as often and as long as they may: twice as many at once as there are processors here.
const NEIGHBOURS: [&str; 4] = ["/loop", "/allocate", "/trap", "/loop"];

/// One that loops asks for each path.
pub(crate) fn benchmark(peers: &Peers, seconds: u32) -> Result<Benchmark> {
    const BAD: &str = "limits = { deadline = \"1s\", memory = \"64M\" }";
    let bad = |name, path| Function { name, path, program: "app/lab.wasm", more: BAD };
    let hello = Function {
        name: "hello",
        path: "/hello",
        program: "app/hello.wasm",
        more: "limits = { queue = 1000 }",
    };
    let functions = [hello, bad("loops", "/loop"), bad("allocates", "/allocate"), bad("traps", "/trap")];
    let manifest = app(peers, "neighbours", &functions, "")?;
    let command = Box::new(serve(peers, manifest));
    let server = Server { command, path: "/hello", may_fail: false, running: OnceCell::new() };
    let measure = move || {
        let running = server.running()?;
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for path in NEIGHBOURS {
                scope.spawn(|| misbehave(running, path, &done));
            }
            let load = server.load(server.path, 32, seconds);
            done.store(true, Ordering::Relaxed);
            Ok(load.context("beside bad neighbours")?.p99_ns)
        })
    };
    Ok(Benchmark {
        name: "HTTP hello, 32 connections, beside bad neighbours: p99".to_owned(),
        contestants: vec![contestant("sampan dense", measure)],
    })
}

/// Every answer is a failure, which is what is wanted.
fn misbehave(running: &Running, path: &str, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let _ = running.ask("GET", path, "");
    }
}
