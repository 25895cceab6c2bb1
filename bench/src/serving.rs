//! What it costs to answer requests: the processor time of the server, and how long the slowest of a hundred waits.

use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::contest::{Benchmark, Contestant, NATIVE, Sample, WASMTIME};
use crate::peers::{Peers, peer_script};
use crate::server::{Running, Server};
use crate::stats::median;
use crate::{crowd, neighbours};

/// Every contestant with its server.
fn servers(peers: &Peers) -> Result<Vec<(&'static str, Server)>> {
    let server = |path, command: Box<dyn Fn() -> Result<Command>>| Server {
        command,
        path,
        may_fail: false,
        running: OnceCell::new(),
    };
    let sampan = |function: &Function| -> Result<_> {
        let manifest = app(peers, function.name, std::slice::from_ref(function), "")?;
        Ok(server("/", Box::new(serve(peers, manifest))))
    };
    let hello = |name, program, more| Function { name, program, more, path: "/" };
    const QUEUE: &str = "limits = { queue = 1000 }";
    const WARM: &str = "reuse = 64\nlimits = { queue = 1000 }";
    const SHARED: &str = "reuse = 64\nshare = 16\nlimits = { queue = 1000 }";
    let mut servers = vec![
        (
            NATIVE,
            server(
                "/",
                Box::new(|| {
                    let mut command = Command::new(std::env::current_exe()?);
                    command.arg("--hyper");
                    Ok(command)
                }),
            ),
        ),
        ("sampan dense", sampan(&hello("hello", "app/hello.wasm", QUEUE))?),
        ("sampan dense, reused", sampan(&hello("warm", "app/hello.wasm", WARM))?),
        ("sampan dense, WASI 0.3", sampan(&hello("hello3", "app/hello3.wasm", QUEUE))?),
        ("sampan dense, WASI 0.3, reused", sampan(&hello("warm3", "app/hello3.wasm", WARM))?),
        // As `wasmtime serve` does it: one instance answers up to 16 requests at the same time.
        ("sampan dense, WASI 0.3, shared", sampan(&hello("shared3", "app/hello3.wasm", SHARED))?),
    ];
    if let Some(wasmtime) = &peers.wasmtime {
        let wasmtime_serve = |guest: &str, flags: &'static [&'static str]| {
            let (program, guest) = (wasmtime.clone(), peers.guest(guest));
            let command = move || {
                let mut command = Command::new(&program);
                command.args(["serve", "--addr", "127.0.0.1:0", "-S", "cli=y", "-O", "pooling-allocator=y"]);
                command.args(["-O", "pooling-memory-keep-resident=1048576"]);
                command.args(["-O", "pooling-table-keep-resident=65536", "-O", "pooling-pagemap-scan=y"]);
                command.args(flags).arg(&guest);
                Ok(command)
            };
            Server { may_fail: true, ..server("/", Box::new(command)) }
        };
        const FRESH: &[&str] = &["--max-instance-reuse-count", "1"];
        const REUSED: &[&str] = &["--max-instance-reuse-count", "1000000"];
        servers.push((WASMTIME, wasmtime_serve("app/hello.wasm", FRESH)));
        servers.push(("Wasmtime, reused", wasmtime_serve("app/hello.wasm", REUSED)));
        servers.push(("Wasmtime, WASI 0.3", wasmtime_serve("app/hello3.wasm", FRESH)));
        servers.push(("Wasmtime, WASI 0.3, reused", wasmtime_serve("app/hello3.wasm", REUSED)));
    }
    if let Some(node) = &peers.node {
        let node = node.clone();
        servers.push((
            "Node, JavaScript",
            server(
                "/",
                Box::new(move || {
                    let mut command = Command::new(&node);
                    command.args(["-e", NODE]);
                    Ok(command)
                }),
            ),
        ));
    }
    if let Some(workerd) = &peers.workerd {
        let workerd = workerd.clone();
        let command = move || {
            let mut command = Command::new(&workerd);
            command.args(["serve", "--control-fd=2"]).arg(peer_script("workerd.capnp"));
            Ok(command)
        };
        servers.push(("workerd, JavaScript", Server { may_fail: true, ..server("/", Box::new(command)) }));
    }
    Ok(servers)
}

const NODE: &str =
    "const server = require('http').createServer((request, response) => response.end('hello\\n'));
server.listen(0, '127.0.0.1', () => console.error('http://127.0.0.1:' + server.address().port));";

/// A function of an app that is served: where it answers, which guest it is, and what more is said of it.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) program: &'static str,
    pub(crate) more: &'static str,
}

/// The manifest of an app of these functions, written.
pub(crate) fn app(peers: &Peers, name: &str, functions: &[Function], more: &str) -> Result<PathBuf> {
    let mut text = format!("[app]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
    for Function { name, path, program, more } in functions {
        let program = peers.guest(program).display().to_string();
        text += &format!("[functions.{name}]\nprogram = {program:?}\n{more}\n");
        text += &format!("[[routes]]\npath = {path:?}\nfunction = \"{name}\"\n");
    }
    let path = peers.state().join(format!("{name}.toml"));
    fs::write(&path, text + more)?;
    Ok(path)
}

/// Serves the app of a manifest, on a port that it finds.
pub(crate) fn serve(peers: &Peers, manifest: PathBuf) -> impl Fn() -> Result<Command> + 'static {
    let program = peers.sampan.clone();
    move || {
        let mut command = Command::new(&program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--console", "off", "--state"]);
        // Servers that run at the same time must not share a store.
        command.arg(manifest.with_extension("state")).arg(&manifest);
        Ok(command)
    }
}

/// Requests for a chain in each round.
const CHAINS: usize = 31;

/// What is measured of a server.
type Measure = Rc<dyn Fn(&Server) -> Result<f64>>;

/// Everything about serving.
pub(crate) fn benchmarks(peers: &Peers, check: bool) -> Result<Vec<Benchmark>> {
    let seconds = if check { 1 } else { 3 };
    let mut benchmarks = Vec::new();
    let contest = |name: &str, measure: Measure| -> Result<Benchmark> {
        // Servers of its own, which end with it.
        let compete = |(name, server): (&'static str, Server)| {
            let measure = Rc::clone(&measure);
            contestant(name, move || measure(&server))
        };
        let contestants = servers(peers)?.into_iter().map(compete).collect();
        Ok(Benchmark { name: name.to_owned(), contestants })
    };
    benchmarks.push(contest(
        "HTTP hello, 32 connections: server CPU a request",
        Rc::new(move |server| Ok(server.load(server.path, 32, seconds)?.cpu_ns_per_request)),
    )?);
    benchmarks.push(contest(
        "HTTP hello, 32 connections: p99",
        Rc::new(move |server| Ok(server.load(server.path, 32, seconds)?.p99_ns)),
    )?);
    benchmarks.push(contest(
        "HTTP hello, 256 connections: p99",
        Rc::new(move |server| Ok(server.load(server.path, 256, seconds)?.p99_ns)),
    )?);
    benchmarks.push(contest(
        "HTTP hello: from the start of the process to the first answer",
        Rc::new(|server| {
            let begun = Instant::now();
            let running = Running::start((server.command)()?)?;
            running.get(server.path)?;
            Ok(begun.elapsed().as_nanos() as f64)
        }),
    )?);
    benchmarks.push(contest(
        "HTTP hello: the first answer, after it listens",
        Rc::new(|server| {
            let running = Running::start((server.command)()?)?;
            let begun = Instant::now();
            running.get(server.path)?;
            Ok(begun.elapsed().as_nanos() as f64)
        }),
    )?);
    benchmarks.extend(within(peers, seconds)?);
    benchmarks.push(neighbours::benchmark(peers, seconds)?);
    benchmarks.push(crowd::benchmark(peers, check)?);
    Ok(benchmarks)
}

/// State and calls beside the code: what nobody else measures in the same way.
fn within(peers: &Peers, seconds: u32) -> Result<Vec<Benchmark>> {
    let function = |name, path, program, more| Function { name, path, program, more };
    let functions = [
        function("counter", "/counter/{what}", "app/counter.wasm", "grants = { buckets = [\"counts\"] }"),
        function("step", "/step", "app/step.wasm", "reuse = 8\ngrants = { calls = [\"step\"] }"),
        function("hello", "/hello", "app/hello.wasm", "reuse = 64\nlimits = { queue = 1000 }"),
        function(
            "caller",
            "/caller",
            "app/caller.wasm",
            "reuse = 64\nlimits = { queue = 1000 }\ngrants = { calls = [\"hello\"] }",
        ),
    ];
    let chain = |name: &str, stages: usize| {
        let steps = (0..stages).map(|stage| format!("{{ name = \"s{stage}\", call = \"step\" }}"));
        let steps = steps.collect::<Vec<_>>().join(", ");
        let route = format!("[[routes]]\npath = \"/{name}\"\nchain = \"{name}\"\n");
        format!("{route}[chains.{name}]\nsteps = [{steps}]\n")
    };
    let more = ["[buckets.counts]\n", &chain("one", 1), &chain("hundred", 100)].concat();
    let manifest = app(peers, "within", &functions, &more)?;
    let command = Box::new(serve(peers, manifest));
    let server = Rc::new(Server { command, path: "/hello", may_fail: false, running: OnceCell::new() });
    let ours = |name: &str, measure: fn(&Server, u32) -> Result<f64>| {
        let server = Rc::clone(&server);
        let contestants = vec![contestant("sampan dense", move || measure(&server, seconds))];
        Benchmark { name: name.to_owned(), contestants }
    };
    Ok(vec![
        ours("sampan:chain call, in the guest's eyes", |server, _| {
            let answer = server.running()?.ask("POST", "/one", "{\"hop\":1000}")?;
            let digits: String = answer.chars().filter(char::is_ascii_digit).collect();
            // Microseconds of a thousand calls are nanoseconds of one.
            digits.parse().with_context(|| format!("it was answered with {answer}"))
        }),
        ours("a chain of 100 stages, past one of one", |server, _| {
            let time_ns = |path| -> Result<f64> {
                let begun = Instant::now();
                server.running()?.ask("POST", path, "[1,2]")?;
                Ok(begun.elapsed().as_nanos() as f64)
            };
            // One request varies by as much as the chain takes.
            let pairs = (0..CHAINS).map(|_| Ok((time_ns("/one")?, time_ns("/hundred")?)));
            let (one, hundred): (Vec<_>, Vec<_>) = pairs.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            median(hundred).zip(median(one)).map(|(hundred, one)| hundred - one).context("a sample")
        }),
        ours("wasi:http to a function of the app: CPU of both, past that of one", |server, seconds| {
            let there = server.load("/caller?http://hello.sampan.internal/", 32, seconds)?;
            Ok(there.cpu_ns_per_request - server.load("/hello", 32, seconds)?.cpu_ns_per_request)
        }),
        ours("wasi:keyvalue get, in the guest's eyes", |server, _| {
            let answer = server.running()?.ask("GET", "/counter/get?10000", "")?;
            let number = answer.split(' ').next().and_then(|number| number.parse().ok());
            number.with_context(|| format!("it was answered with {answer}"))
        }),
    ])
}

pub(crate) fn contestant(
    name: &'static str,
    mut measure: impl FnMut() -> Result<f64> + 'static,
) -> Contestant {
    let run = move || Ok(Sample { time_ns: measure()?, cpu_ns: None, memory_bytes: None });
    Contestant { name, run: Box::new(run) }
}
