//! What it costs that a function runs in a process of its own.

use std::cell::OnceCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::container;
use crate::contest::{Benchmark, Contestant, Sample};
use crate::peers::Peers;
use crate::server::{Running, Server};
use crate::serving::{Function, app, contestant, serve};
use crate::stats::median;

/// Requests of one connection in each round, one after the other.
const REQUESTS: usize = 2_000;

/// Functions that nobody asks.
const IDLE: usize = 16;

/// Longer than a node takes from one start of a process to the next, and to have another one stand by.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a node is asked for something else before: its threads are awake then, and its code in caches.
const AWAKE: Duration = Duration::from_millis(20);

/// The same functions, open and sealed; `hopper` calls `step`.
fn functions(is_sealed: bool) -> Result<[Function; 3]> {
    let function = |name, path, program, more| Function { name, path, program, more };
    let [step, hello, counter] = match is_sealed {
        false => ["reuse = 8", "reuse = 8", "grants = { buckets = [\"counts\"] }"],
        true => [
            "profile = \"sealed\"\nreuse = 8",
            "profile = \"sealed\"\nreuse = 8",
            "profile = \"sealed\"\ngrants = { buckets = [\"counts\"] }",
        ],
    };
    Ok([
        function("step", "/step", "app/step.wasm", step),
        function("hello", "/hello", "app/hello.wasm", hello),
        function("counter", "/counter/{what}", "app/counter.wasm", counter),
    ])
}

/// Everything about sealed processes.
pub(crate) fn benchmarks(peers: &Peers, check: bool) -> Result<Vec<Benchmark>> {
    let hop = "[chains.hop]\nsteps = [{ name = \"hop\", call = \"hopper\" }]\n\
        [[routes]]\npath = \"/hop\"\nchain = \"hop\"\n[buckets.counts]\ndurability = \"memory\"\n";
    let hopper = || Function {
        name: "hopper",
        path: "/hopper",
        program: "app/step.wasm",
        more: "reuse = 8\ngrants = { calls = [\"step\"] }",
    };
    let served = |name: &str, is_sealed| -> Result<Rc<Server>> {
        let functions: Vec<_> = functions(is_sealed)?.into_iter().chain([hopper()]).collect();
        let command = Box::new(serve(peers, app(peers, name, &functions, hop)?));
        Ok(Rc::new(Server { command, path: "/hello", may_fail: false, running: OnceCell::new() }))
    };
    let servers = [("sampan dense", served("open", false)?), ("sampan sealed", served("sealed", true)?)];
    let contest = |name: &str, measure: fn(&Server) -> Result<f64>| {
        let compete = |(name, server): &(&'static str, Rc<Server>)| {
            let server = Rc::clone(server);
            contestant(name, move || measure(&server))
        };
        Benchmark { name: name.to_owned(), contestants: servers.iter().map(compete).collect() }
    };
    let mut benchmarks = vec![
        contest("a call of another function, warm, in the caller's eyes", |server| {
            // Microseconds of a thousand calls are nanoseconds of one.
            number(&server.running()?.ask("POST", "/hop", "{\"hop\":1000}")?)
        }),
        contest("a read of a key, in the guest's eyes", |server| {
            number(&server.running()?.ask("GET", "/counter/get?10000", "")?)
        }),
        contest("HTTP hello, warm, one connection: p50", latency_ns),
    ];
    benchmarks.push(Benchmark {
        name: "from a request to the first instruction of its program, on a node that is awake".to_owned(),
        contestants: vec![
            begun(peers, "sampan dense", "", false)?,
            begun(peers, "sampan sealed", "profile = \"sealed\"", false)?,
            begun(
                peers,
                "sampan sealed, its process died, one stands by",
                "profile = \"sealed\"\nspare = 1",
                true,
            )?,
            begun(peers, "sampan sealed, its process died", "profile = \"sealed\"\n", true)?,
        ]
        .into_iter()
        .chain(container::begun(peers)?)
        .collect(),
    });
    benchmarks.push(Benchmark {
        name: "the next answer of a sealed function whose process died, after a pause".to_owned(),
        contestants: vec![
            // What the pause alone costs: processors fall asleep, and caches forget.
            after_pause(peers, "sampan dense, nothing died", "", false)?,
            after_pause(peers, "sampan sealed, nothing died", "profile = \"sealed\"", false)?,
            after_pause(peers, "sampan sealed", "profile = \"sealed\"\n", true)?,
            after_pause(peers, "sampan sealed, one stands by", "profile = \"sealed\"\nspare = 1", true)?,
        ],
    });
    benchmarks.push(idle(peers, if check { 2 } else { IDLE })?);
    Ok(benchmarks)
}

/// The median of requests on one connection.
fn latency_ns(server: &Server) -> Result<f64> {
    let mut connection = Connection::open(server.running()?.port)?;
    let times = (0..REQUESTS).map(|_| {
        let begun = Instant::now();
        connection.hello()?;
        Ok(begun.elapsed().as_nanos() as f64)
    });
    median(times.collect::<Result<_>>()?).context("a sample")
}

/// A connection on which requests follow each other.
struct Connection(TcpStream);

impl Connection {
    fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    fn hello(&mut self) -> Result<()> {
        self.ask("/hello").map(|_| ())
    }

    /// An answer, which comes in one piece.
    fn ask(&mut self, path: &str) -> Result<String> {
        let mut answer = [0; 4_096];
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())?;
        let read = self.0.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(answer)
    }
}

/// How long it takes from a request to its answer, the first for a while, where the process of the function was killed or not.
fn after_pause(peers: &Peers, name: &'static str, more: &'static str, is_killed: bool) -> Result<Contestant> {
    let hello = Function { name: "hello", path: "/hello", program: "app/hello.wasm", more };
    let server = revived(peers, &[hello], more)?;
    Ok(contestant(name, move || {
        let mut connection = pause(&server, is_killed)?;
        let begun = Instant::now();
        connection.hello()?;
        Ok(begun.elapsed().as_nanos() as f64)
    }))
}

/// The time of the first instruction of a program, less that of its request, where its process was killed or not.
fn begun(peers: &Peers, name: &'static str, more: &'static str, is_killed: bool) -> Result<Contestant> {
    let clock = Function { name: "clock", path: "/clock", program: "app/clock.wasm", more };
    let hello = Function { name: "hello", path: "/hello", program: "app/hello.wasm", more: "" };
    let server = revived(peers, &[clock, hello], more)?;
    Ok(contestant(name, move || {
        let mut connection = pause(&server, is_killed)?;
        let woken = Instant::now();
        while woken.elapsed() < AWAKE {
            connection.hello()?;
        }
        let asked = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let answer = connection.ask("/clock")?;
        // No other number in it is as long.
        let digits = answer.split(|c: char| !c.is_ascii_digit()).max_by_key(|digits| digits.len());
        let first: u64 = digits.unwrap_or_default().parse().context("the time in an answer")?;
        Ok((i128::from(first) - asked.as_nanos() as i128) as f64)
    }))
}

/// A server of these functions, one of which has more said of it.
fn revived(peers: &Peers, functions: &[Function], more: &str) -> Result<Server> {
    let manifest = app(peers, &format!("revived{}-{}", functions.len(), more.len()), functions, "")?;
    let command = Box::new(serve(peers, manifest));
    Ok(Server { command, path: "/hello", may_fail: false, running: OnceCell::new() })
}

/// Kills the process that works, where that is wanted, lets time pass and connects.
fn pause(server: &Server, is_killed: bool) -> Result<Connection> {
    let running = server.running()?;
    sleep(PAUSE);
    if is_killed {
        // What the others are copies of comes first, then the one that works.
        let working = *running.below()?.get(1).context("a sealed process")?;
        ensure!(Command::new("kill").args(["-KILL", &working.to_string()]).status()?.success(), "`kill`");
        while Path::new(&format!("/proc/{working}")).exists() {
            sleep(Duration::from_millis(1));
        }
    }
    sleep(PAUSE);
    Connection::open(running.port)
}

/// Functions in processes that nobody asks: what each adds to the start of the node, and holds of memory that nobody else has.
fn idle(peers: &Peers, count: usize) -> Result<Benchmark> {
    let names: Vec<&'static str> = (0..count).map(|index| &*format!("idle{index}").leak()).collect();
    let functions = names.iter().map(|name| Function {
        name,
        path: format!("/{name}").leak(),
        program: "app/hello.wasm",
        more: "profile = \"sealed\"",
    });
    let command = serve(peers, app(peers, "idle", &functions.collect::<Vec<_>>(), "")?);
    let run = move || {
        let begun = Instant::now();
        let running = Running::start(command()?)?;
        let time_ns = begun.elapsed().as_nanos() as f64 / count as f64;
        sleep(PAUSE);
        let memory_bytes = Some(running.private_bytes_below()? / count as f64);
        Ok(Sample { time_ns, cpu_ns: None, memory_bytes })
    };
    Ok(Benchmark {
        name: "a sealed function that nobody asks: start and private memory of each".to_owned(),
        contestants: vec![Contestant { name: "sampan sealed", run: Box::new(run) }],
    })
}

/// The first number in an answer.
fn number(answer: &str) -> Result<f64> {
    let digits = answer.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty());
    digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("it was answered with {answer}"))
}
