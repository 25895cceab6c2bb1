//! What it costs to answer requests: the processor time of the server, and how long the slowest of a hundred waits.

use std::cell::OnceCell;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::contest::{Benchmark, Contestant, NATIVE, Sample, WASMTIME};
use crate::peers::Peers;

/// Ticks of the clock that `/proc` counts processor time in, for each second. The same on every Linux (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// A server, started at its first use and ended with its last.
struct Server {
    command: Box<dyn Fn() -> Result<Command>>,
    path: &'static str,
    running: OnceCell<Running>,
}

struct Running {
    child: Child,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a server and waits until it says where it listens.
    fn start(mut command: Command) -> Result<Self> {
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        let port = loop {
            let mut line = String::new();
            ensure!(lines.read_line(&mut line)? > 0, "the server ended: {said}");
            let port = line.split("127.0.0.1:").nth(1).map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<u16>()
            });
            if let Some(Ok(port)) = port {
                break port;
            }
            said += &line;
        };
        // What it goes on to say must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self { child, port })
    }

    /// Seconds of processor time used so far.
    fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in parentheses, may hold anything.
        let fields = stat.rsplit(')').next().context("a line of `/proc`")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut ticks = || -> Result<f64> { Ok(times.next().context("a time")?.parse::<f64>()?) };
        Ok((ticks()? + ticks()?) / TICKS)
    }

    /// The body of the answer to one request.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let length = body.len();
        write!(
            stream,
            // Of the older version, whose answers come in one piece.
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.split(' ').nth(1) == Some("200"), "`{path}` was answered with {answer}");
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

/// What a load came to.
struct Load {
    cpu_ns_per_request: f64,
    p99_ns: f64,
}

impl Server {
    fn running(&self) -> Result<&Running> {
        if self.running.get().is_none() {
            let running = Running::start((self.command)()?)?;
            // `OnceCell` has no fallible way; there is one thread here.
            let _ = self.running.set(running);
        }
        self.running.get().context("a running server")
    }

    fn load(&self, connections: u32, seconds: u32) -> Result<Load> {
        let running = self.running()?;
        let before = running.cpu_seconds()?;
        let output = Command::new("wrk")
            .args(["--latency", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
            .arg(format!("http://127.0.0.1:{}{}", running.port, self.path))
            .output()
            .context("cannot start `wrk`")?;
        let spent = running.cpu_seconds()? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(!text.contains("Non-2xx"), "`{}` failed: {text}", self.path);
        let number =
            |line: Option<&str>| line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        let requests = number(text.lines().find(|line| line.contains(" requests in ")));
        let requests = requests.with_context(|| format!("`wrk` said {text}"))?;
        let p99 = text.lines().find_map(|line| line.trim().strip_prefix("99%"));
        let p99_ns = p99.and_then(nanoseconds).with_context(|| format!("`wrk` said {text}"))?;
        Ok(Load { cpu_ns_per_request: spent * 1e9 / requests, p99_ns })
    }
}

/// A time as `wrk` writes it.
fn nanoseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// Every contestant with its server.
fn servers(peers: &Peers, manifest: &Path) -> Vec<(&'static str, Rc<Server>)> {
    let server = |path, command: Box<dyn Fn() -> Result<Command>>| {
        Rc::new(Server { command, path, running: OnceCell::new() })
    };
    let sampan = |path| {
        let (program, manifest, state) =
            (peers.sampan.clone(), manifest.to_owned(), peers.state().join("serve"));
        let command = move || {
            let mut command = Command::new(&program);
            command.args(["serve", "--listen", "127.0.0.1:0", "--console", "off", "--state"]);
            // Servers that run at the same time must not share a store.
            let state = state.join(path_name(path));
            fs::create_dir_all(&state)?;
            command.arg(state).arg(&manifest);
            Ok(command)
        };
        server(path, Box::new(command))
    };
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
        ("sampan dense", sampan("/hello")),
        ("sampan dense, reused", sampan("/warm")),
        ("sampan dense, WASI 0.3", sampan("/hello3")),
        ("sampan dense, WASI 0.3, reused", sampan("/warm3")),
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
            server("/", Box::new(command))
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
    servers
}

const NODE: &str =
    "const server = require('http').createServer((request, response) => response.end('hello\\n'));
server.listen(0, '127.0.0.1', () => console.error('http://127.0.0.1:' + server.address().port));";

fn path_name(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// The app that is served: each path has a function of its own.
fn manifest(peers: &Peers) -> Result<std::path::PathBuf> {
    let function = |name: &str, program: &str, more: &str| {
        let program = peers.guest(program);
        format!(
            "[functions.{name}]\nprogram = {:?}\n{more}\n[[routes]]\npath = \"/{name}\"\nfunction = \"{name}\"\n",
            program.display().to_string()
        )
    };
    let text = [
        "[app]\nname = \"bench\"\nversion = \"0.1.0\"\n".to_owned(),
        function("hello", "app/hello.wasm", "limits = { queue = 1000 }"),
        function("warm", "app/hello.wasm", "reuse = 64\nlimits = { queue = 1000 }"),
        function("hello3", "app/hello3.wasm", "limits = { queue = 1000 }"),
        function("warm3", "app/hello3.wasm", "reuse = 64\nlimits = { queue = 1000 }"),
        function("counter", "app/counter.wasm", "grants = { buckets = [\"counts\"] }"),
        "[[routes]]\npath = \"/counter/{what}\"\nfunction = \"counter\"\n[buckets.counts]\n".to_owned(),
        function("step", "app/step.wasm", "reuse = 8\ngrants = { calls = [\"step\"] }"),
        "[[routes]]\npath = \"/chain\"\nchain = \"one\"\n".to_owned(),
        "[chains.one]\n[[chains.one.steps]]\nname = \"one\"\ncall = \"step\"\n".to_owned(),
    ];
    let path = peers.state().join("serve.toml");
    fs::write(&path, text.concat())?;
    Ok(path)
}

/// What is measured of a server.
type Measure = Rc<dyn Fn(&Server) -> Result<f64>>;

/// Everything about serving.
pub(crate) fn benchmarks(peers: &Peers, check: bool) -> Result<Vec<Benchmark>> {
    let manifest = manifest(peers)?;
    let seconds = if check { 1 } else { 3 };
    let mut benchmarks = Vec::new();
    let contest = |name: &str, measure: Measure| Benchmark {
        name: name.to_owned(),
        contestants: servers(peers, &manifest)
            .into_iter()
            .map(|(name, server)| {
                let measure = Rc::clone(&measure);
                contestant(name, move || measure(&server))
            })
            .collect(),
    };
    benchmarks.push(contest(
        "HTTP hello, 32 connections: server CPU a request",
        Rc::new(move |server| Ok(server.load(32, seconds)?.cpu_ns_per_request)),
    ));
    benchmarks.push(contest(
        "HTTP hello, 32 connections: p99",
        Rc::new(move |server| Ok(server.load(32, seconds)?.p99_ns)),
    ));
    benchmarks.push(contest(
        "HTTP hello, 256 connections: p99",
        Rc::new(move |server| Ok(server.load(256, seconds)?.p99_ns)),
    ));
    benchmarks.push(contest(
        "HTTP hello: from the start of the process to the first answer",
        Rc::new(|server| {
            let begun = Instant::now();
            let running = Running::start((server.command)()?)?;
            running.ask("GET", server.path, "")?;
            Ok(begun.elapsed().as_nanos() as f64)
        }),
    ));
    let ours = |name: &str,
                method: &'static str,
                path: &'static str,
                body: &'static str,
                read: fn(&str) -> Option<f64>| {
        let servers = servers(peers, &manifest);
        let server = servers.into_iter().find(|(name, _)| *name == "sampan dense").map(|(_, server)| server);
        let ask = move || {
            let answer = server.as_ref().context("a server")?.running()?.ask(method, path, body)?;
            read(&answer).with_context(|| format!("`{path}` was answered with {answer}"))
        };
        Benchmark { name: name.to_owned(), contestants: vec![contestant("sampan dense", ask)] }
    };
    benchmarks.push(ours(
        "sampan:chain call, in the guest's eyes",
        "POST",
        "/chain",
        "{\"hop\":1000}",
        |answer| {
            let digits: String = answer.chars().filter(char::is_ascii_digit).collect();
            // Microseconds of a thousand calls are nanoseconds of one.
            digits.parse::<f64>().ok()
        },
    ));
    benchmarks.push(ours(
        "wasi:keyvalue get, in the guest's eyes",
        "GET",
        "/counter/get?10000",
        "",
        |answer| answer.split(' ').next()?.parse().ok(),
    ));
    Ok(benchmarks)
}

fn contestant(name: &'static str, mut measure: impl FnMut() -> Result<f64> + 'static) -> Contestant {
    let run = move || Ok(Sample { time_ns: measure()?, cpu_ns: None, memory_bytes: None });
    Contestant { name, run: Box::new(run) }
}
