//! What an instance costs that only waits: memory, for ten thousand of them at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::contest::{Benchmark, Contestant, Sample};
use crate::peers::Peers;
use crate::server::Running;
use crate::serving::{Function, app, serve};

const CROWD: usize = 10_000;

/// Instances that begin an answer and wait for the rest of the request, and the same ones when they are warm and wait for
/// the next.
pub(crate) fn benchmark(peers: &Peers, check: bool) -> Result<Benchmark> {
    let count = if check { 50 } else { CROWD };
    const MANY: &str = "reuse = 10000\nlimits = { concurrency = 10000, deadline = \"10m\" }";
    let functions = [Function { name: "many", path: "/{*rest}", program: "app/lab.wasm", more: MANY }];
    let command = serve(peers, app(peers, "many", &functions, "")?);
    let run = move || {
        let running = Running::start(command()?)?;
        // The first one warms what all share.
        running.ask("POST", "/echo", "x")?;
        let empty_bytes = running.memory_bytes()?;
        let begun = Instant::now();
        let mut waiting = (0..count).map(|_| wait(running.port)).collect::<Result<Vec<_>>>()?;
        let time_ns = begun.elapsed().as_nanos() as f64 / count as f64;
        let live_bytes = running.memory_bytes()? - empty_bytes;
        waiting.iter_mut().try_for_each(finish)?;
        drop(waiting);
        let warm_bytes = running.memory_bytes()? - empty_bytes;
        eprintln!(
            "  of {count} instances, each takes {:.0} KB live, with its connection, and {:.0} KB warm",
            live_bytes / 1e3 / count as f64,
            warm_bytes / 1e3 / count as f64
        );
        Ok(Sample { time_ns, cpu_ns: None, memory_bytes: Some(warm_bytes / count as f64) })
    };
    Ok(Benchmark {
        name: "10,000 live instances: time and warm memory of each".to_owned(),
        contestants: vec![Contestant { name: "sampan dense", run: Box::new(run) }],
    })
}

/// A request whose body is still to come, when its answer has begun.
fn wait(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(
        b"POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 1\r\n\r\n",
    )?;
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).context("the answer does not begin")?;
    ensure!(&begun == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&begun));
    Ok(stream)
}

fn finish(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"x")?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    ensure!(rest.ends_with(b"x\r\n0\r\n\r\n") || rest.ends_with(b"\r\n\r\nx"), "an answer was cut");
    Ok(())
}
