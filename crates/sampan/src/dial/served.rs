//! The contest of a program that answers requests over HTTP: each contestant serves it, and is asked.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::contest::{Absent, Contest, Measured, Outcome, Times, Unrunnable, progress, reason};
use super::contestant::{Contestant, Ground, Kind, Task};
use super::isolation;
use super::memory::Memory;
use super::process::{RUN_TIME_MAX, RunResult, tree_bytes};
use super::stats::Spread;

/// Requests that each server answers in each round, one after the other on one connection.
const REQUESTS: u32 = 200;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Bytes of a line that are read, and of what a server says before it listens.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What is measured of one contestant.
#[derive(Default)]
struct Samples {
    cold: Vec<f64>,
    cached: Vec<f64>,
    call: Vec<f64>,
    memory_bytes: Vec<f64>,
}

impl Contest {
    /// Serves the program with each that can.
    pub(crate) fn serve(self) -> Result<Outcome, Unrunnable> {
        let (mut present, mut absent): (Vec<Contestant>, Vec<Absent>) = (Vec::new(), Vec::new());
        let mut expected: Option<RunResult> = None;
        for &contestant in &self.contestants {
            progress(&format!("{}: trial", contestant.name));
            let answer = match contestant.absence(&self.task) {
                _ if !contestant.is_wasm() => Err("it serves no WebAssembly".to_owned()),
                Some(why) => Err(why),
                None => self.answer(contestant).map_err(|error| error.to_string()),
            };
            match answer {
                Ok(answer) if expected.as_ref().is_none_or(|expected| *expected == answer) => {
                    expected = Some(answer);
                    present.push(contestant);
                }
                Ok(_) => {
                    absent.push(Absent { name: contestant.name, why: "wrong: another answer".to_owned() })
                }
                Err(why) => absent.push(Absent { name: contestant.name, why }),
            }
        }
        if present.is_empty() {
            return Err(Unrunnable::by_first(&absent));
        }
        let mut samples: Vec<Samples> = present.iter().map(|_| Samples::default()).collect();
        for round in 0..self.rounds {
            for turn in 0..present.len() {
                let index = (turn + round as usize) % present.len();
                progress(&format!("round {} of {}: {}", round + 1, self.rounds, present[index].name));
                // One that fails now and then has fewer samples.
                let _ = self.sample(present[index], &mut samples[index]);
            }
        }
        let mut measured = Vec::new();
        for (contestant, samples) in present.into_iter().zip(samples) {
            progress(&format!("{}: isolation", contestant.name));
            match isolation::look(contestant, &self.probes, &self.ground) {
                Err(error) => absent.push(Absent { name: contestant.name, why: error.to_string() }),
                Ok(layers) => measured.push(Measured {
                    name: contestant.name,
                    // Each has a server of its own.
                    shares: false,
                    start: Times {
                        cold: Spread::of(samples.cold),
                        cached: Spread::of(samples.cached),
                        ..Times::default()
                    },
                    run: Times::default(),
                    memory: vec![Memory {
                        instances: 1,
                        bytes_each: Spread::of(samples.memory_bytes).map(|bytes| bytes.median),
                        how: format!("the whole server, after {REQUESTS} answers"),
                    }],
                    call: Spread::of(samples.call),
                    layers,
                }),
            }
        }
        progress("");
        Ok(Outcome { measured, absent })
    }

    /// The first answer, as a result that can be compared. Fills the cache.
    fn answer(&self, contestant: Contestant) -> io::Result<RunResult> {
        let mut server = Server::start(contestant, &self.task, &self.ground.cache(), &self.ground)?;
        let answer = server.ask()?;
        if let Kind::Ours { flags, .. } = contestant.kind
            && flags.iter().any(|flag| ["-Ocodegen=native", "trusted"].contains(flag))
        {
            // Native code is made while other code answers, and kept.
            server.settled.recv_timeout(RUN_TIME_MAX).map_err(|_| io::ErrorKind::TimedOut)?;
        }
        Ok(answer)
    }

    fn sample(&self, contestant: Contestant, samples: &mut Samples) -> io::Result<()> {
        let cold = self.ground.path(&self.ground.fresh("cold"));
        let begun = Instant::now();
        Server::start(contestant, &self.task, &cold, &self.ground)?.ask()?;
        samples.cold.push(begun.elapsed().as_secs_f64());
        fs::remove_dir_all(cold)?;
        let begun = Instant::now();
        let mut server = Server::start(contestant, &self.task, &self.ground.cache(), &self.ground)?;
        server.ask()?;
        samples.cached.push(begun.elapsed().as_secs_f64());
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            server.ask()?;
            times.push(begun.elapsed().as_secs_f64());
        }
        samples.call.extend(Spread::of(times).map(|times| times.median));
        samples.memory_bytes.push(tree_bytes(server.child.id())?);
        Ok(())
    }
}

/// A server that runs, and a connection to it. Dropped, it is ended.
struct Server {
    child: Child,
    connection: BufReader<TcpStream>,
    /// Told when it has said of its function what code that runs as.
    settled: mpsc::Receiver<()>,
}

impl Server {
    /// Starts one, and waits until it says where it listens.
    fn start(contestant: Contestant, task: &Task, cache: &Path, ground: &Ground) -> io::Result<Self> {
        let mut command = match contestant.kind {
            Kind::Ours { flags, .. } => {
                let dir = ground.path(&ground.fresh("app"));
                fs::create_dir(&dir)?;
                fs::write(dir.join("sampan.toml"), manifest(flags, task)?)?;
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("serve").arg(dir).args(["--listen", "127.0.0.1:0", "--console", "off"]);
                command
            }
            _ => {
                let mut command = Command::new("wasmtime");
                command.args(["serve", "--addr", "127.0.0.1:0", "-S", "cli=y"]).arg(&task.program);
                command
            }
        };
        command
            .env("XDG_CACHE_HOME", cache)
            .env("XDG_RUNTIME_DIR", ground.path("runtime"))
            .env("RUST_BACKTRACE", "0");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let connected = match child.stderr.take() {
            Some(talk) => connect(BufReader::new(talk)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match connected {
            Ok((connection, settled)) => Ok(Self { child, connection: BufReader::new(connection), settled }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Asks once, and waits for all of the answer.
    fn ask(&mut self) -> io::Result<RunResult> {
        self.connection.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
        let (mut length, mut is_chunked) = (None, false);
        loop {
            match self.line()?.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", bytes)) => length = bytes.parse().ok(),
                Some(("transfer-encoding", how)) => is_chunked = how.ends_with("chunked"),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => drop(self.take(length, &mut body)?),
            None if is_chunked => while self.chunk(&mut body)? {},
            None => return Err(io::Error::other("the answer has no length")),
        }
        let digest = format!("{:x}", Sha256::digest(&body));
        Ok(RunResult { code: status, printed_bytes: body.len() as u64, digest })
    }

    /// Whether there was another piece.
    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let length = u64::from_str_radix(self.line()?.trim_end(), 16).map_err(io::Error::other)?;
        self.take(length, body)?;
        self.line()?;
        Ok(length > 0)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.connection.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    fn take(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        if body.len() as u64 + length > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is too long"));
        }
        match self.connection.by_ref().take(length).read_to_end(body)? as u64 == length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// The app that serves the program as these flags of `sampan run` say.
fn manifest(flags: &[&str], task: &Task) -> io::Result<String> {
    let program = task.program.canonicalize()?;
    let profile = flags.iter().skip_while(|flag| **flag != "--profile").nth(1).unwrap_or(&"dense");
    let options = flags.iter().filter_map(|flag| flag.strip_prefix("-O")?.split_once('='));
    let options: Vec<String> = options.map(|(key, value)| format!("{key} = {value:?}")).collect();
    Ok(format!(
        "[app]\nname = \"bench\"\nversion = \"0.1.0\"\n\n[functions.it]\nprogram = {:?}\nprofile = {profile:?}\n\
         options = {{ {} }}\n\n[[routes]]\npath = \"/{{*rest}}\"\nfunction = \"it\"\n",
        program.display().to_string(),
        options.join(", ")
    ))
}

/// A connection to a server that says, in a line of its talk, where it listens; and what is told when it says what code its
/// function runs as.
fn connect(mut talk: BufReader<ChildStderr>) -> io::Result<(TcpStream, mpsc::Receiver<()>)> {
    let (sender, address) = mpsc::channel();
    let (settle, settled) = mpsc::channel();
    // It goes on to listen: what the server says later must not fill the pipe.
    thread::spawn(move || {
        let (mut said, mut line) = (String::new(), String::new());
        while talk.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if line.starts_with("it | runs ") {
                let _ = settle.send(());
            }
            let address =
                line.split_once("http://").map(|(_, address)| address.trim_end().trim_end_matches('/'));
            match address {
                // Nobody waits any more once it is known.
                Some(address) => drop(sender.send(Ok(address.to_owned()))),
                None if said.len() < LINE_BYTES_MAX as usize => said += &line,
                None => {}
            }
            line.clear();
        }
        let _ = sender.send(Err(io::Error::other(reason(&said))));
    });
    let address = address.recv_timeout(RUN_TIME_MAX).map_err(|_| io::ErrorKind::TimedOut)??;
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    Ok((connection, settled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_flags_say() {
        let program = std::env::current_exe().expect("it runs");
        let task = Task { program, ..Task::default() };
        let text = manifest(&["--profile", "dense", "-Ocodegen=native"], &task).expect("it is there");
        assert!(text.contains("profile = \"dense\"\noptions = { codegen = \"native\" }"), "{text}");
        image::Manifest::parse(&text, "sampan.toml").expect("a manifest");
    }
}
