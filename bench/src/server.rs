//! A server as a client and its processor see it: what an answer is, and what it costs.

use std::cell::OnceCell;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Ticks of the clock that `/proc` counts processor time in, for each second. The same on every Linux (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// The error of a file of a process that has ended (`ESRCH`).
const NO_SUCH_PROCESS: i32 = 3;

/// How long a server has to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server, started at its first use and ended with its last.
pub(crate) struct Server {
    pub(crate) command: Box<dyn Fn() -> Result<Command>>,
    /// Where it says hello.
    pub(crate) path: &'static str,
    /// Whether it may fail to answer some requests under load, as a peer may.
    pub(crate) may_fail: bool,
    pub(crate) running: OnceCell<Running>,
}

/// A process that serves. Dropped, it is asked to end, and killed if it does not.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a server and waits until it says where it listens.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        let port = loop {
            let mut line = String::new();
            ensure!(lines.read_line(&mut line)? > 0, "the server ended: {said}");
            // workerd says it in JSON.
            let port = ["127.0.0.1:", "\"port\":"].iter().find_map(|before| line.split(before).nth(1));
            let port = port.map(|rest| {
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

    /// Bytes of memory that are its own; of those that it shares with others, its part.
    pub(crate) fn memory_bytes(&self) -> Result<f64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("its memory")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
    }

    /// The processes that it started, in that order, and then those that they did.
    pub(crate) fn below(&self) -> Result<Vec<u32>> {
        let mut all = vec![self.child.id()];
        let mut next = 0;
        while let Some(process) = all.get(next) {
            for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
                let children = of_process(&thread.path().join("children"))?;
                all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
            next += 1;
        }
        all.remove(0);
        Ok(all)
    }

    /// Bytes of memory that are nobody else's, of all processes below it: what they wrote. What they read of files is the
    /// kernel's, whoever is the only one to read it.
    pub(crate) fn private_bytes_below(&self) -> Result<f64> {
        let mut kilobytes = 0.0;
        for process in self.below()? {
            let rollup = of_process(Path::new(&format!("/proc/{process}/smaps_rollup")))?;
            let private = rollup.lines().filter(|line| line.starts_with("Private_Dirty:"));
            kilobytes +=
                private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum::<f64>();
        }
        Ok(kilobytes * 1024.0)
    }

    /// Asks for this as most clients do, on a connection that stays open, and waits for all of the answer.
    pub(crate) fn get(&self, path: &str) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())?;
        let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
        while !is_whole(&answer) {
            let read = stream.read(&mut piece)?;
            ensure!(read > 0, "`{path}`: the connection was closed");
            answer.extend_from_slice(&piece[..read]);
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 200"),
            "`{path}` was answered with {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }

    /// The body of the answer to one request.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let length = body.len();
        // Of the older version, whose answers come in one piece; and all at once, as clients send it.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.split(' ').nth(1) == Some("200"), "`{path}` was answered with {answer}");
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

/// Whether an answer of HTTP/1.1 has arrived with all of its body.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match length.and_then(|length| length.trim().parse().ok()) {
        Some(length) => body.len() >= length,
        // It comes in chunks, of which the last one has no bytes.
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// What a file of `/proc` says of a process; nothing if that has ended meanwhile, as one that stands by does when another one
/// was as quick.
fn of_process(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error)
            if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS) =>
        {
            Ok(String::new())
        }
        read => read.with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// What a load came to.
pub(crate) struct Load {
    pub(crate) cpu_ns_per_request: f64,
    pub(crate) p99_ns: f64,
}

impl Server {
    pub(crate) fn running(&self) -> Result<&Running> {
        if self.running.get().is_none() {
            let running = Running::start((self.command)()?)?;
            // `OnceCell` has no fallible way; there is one thread here.
            let _ = self.running.set(running);
        }
        self.running.get().context("a running server")
    }

    /// Loads it with so many connections at once, each of which asks for `path` again as soon as it is answered.
    pub(crate) fn load(&self, path: &str, connections: u32, seconds: u32) -> Result<Load> {
        let running = self.running()?;
        let before = running.cpu_seconds()?;
        let output = Command::new("wrk")
            .args(["--latency", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
            .arg(format!("http://127.0.0.1:{}{}", running.port, path))
            .output()
            .context("cannot start `wrk`")?;
        let spent = running.cpu_seconds()? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        let failed = text.contains("Non-2xx") || text.contains("Socket errors");
        ensure!(!failed || self.may_fail, "`{path}` failed: {text}");
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

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let parts = |answer: &str| (0..answer.len()).find(|end| is_whole(&answer.as_bytes()[..*end]));
        assert_eq!(parts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!"), Some(40));
        assert_eq!(parts("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok"), None);
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        assert!(parts(chunked).is_none() && is_whole(chunked.as_bytes()));
    }
}
