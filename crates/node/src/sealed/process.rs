//! The node's side of a worker: starts it, asks it, hears what it says, and replaces it.

use std::ffi::OsString;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use engine::wasmtime;
use host::bindings::{Level, Log};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::READY;
use super::failure::in_response;
use crate::instance::Failure;
use crate::limits::{WORKER_PAUSE, WORKER_SILENCE_MAX, WORKER_START_MAX, WORKER_WORDS_BYTES_MAX};
use crate::log::LEVELS;

/// What a worker is started with.
pub(crate) struct Starting {
    /// The command, and its arguments.
    pub(crate) command: Vec<OsString>,
    /// The manifest of its one function.
    pub(crate) task: String,
    /// The function's log.
    pub(crate) log: Arc<dyn Log>,
}

/// A function that runs in a process of its own.
pub(crate) struct Apart {
    starting: Starting,
    worker: Mutex<Worker>,
}

/// The worker that there is, if there is one, and when it was begun.
struct Worker {
    asking: Option<SendRequest<WasiBody>>,
    begun: Instant,
}

impl Apart {
    /// Starts the first worker.
    ///
    /// # Errors
    /// What the worker says, where it does not come to work.
    pub(crate) async fn start(starting: Starting) -> Result<Self, String> {
        let asking = Some(start(&starting).await?);
        Ok(Self { starting, worker: Mutex::new(Worker { asking, begun: Instant::now() }) })
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request<WasiBody>) -> Result<Response<WasiBody>, Failure> {
        let failed = |text: String| Failure::Trapped(wasmtime::Error::msg(text));
        let mut asking = self.asking().await.map_err(failed)?;
        let answered = asking.send_request(request).await;
        let response = answered.map_err(|error| failed(format!("its process did not answer: {error}")))?;
        match in_response(&response) {
            Some(failure) => Err(failure),
            None => Ok(response.map(|body| WasiBody::new(body.map_err(HttpError::from)))),
        }
    }

    /// A way to the worker, which is started where there is none.
    async fn asking(&self) -> Result<SendRequest<WasiBody>, String> {
        let mut worker = self.worker.lock().await;
        if let Some(asking) = worker.asking.as_ref().filter(|asking| !asking.is_closed()) {
            return Ok(asking.clone());
        }
        // One that ends as soon as it begins is not begun all the time.
        sleep_until(worker.begun + WORKER_PAUSE).await;
        worker.begun = Instant::now();
        worker.asking = None;
        let asking =
            start(&self.starting).await.inspect_err(|error| self.starting.log.line(Level::Error, error))?;
        worker.asking = Some(asking.clone());
        Ok(asking)
    }
}

/// Starts a worker, and waits until it can be asked.
async fn start(starting: &Starting) -> Result<SendRequest<WasiBody>, String> {
    let said = |error: std::io::Error| error.to_string();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(said)?;
    let [program, arguments @ ..] = &starting.command[..] else {
        return Err("this node starts no processes".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What stops the node from a terminal lets requests come to their end first. The worker ends, and tidies up, when
        // the other end of its socket is closed.
        .process_group(0)
        .spawn()
        .map_err(said)?;
    let length = (starting.task.len() as u32).to_le_bytes();
    // It fits into the socket, or waits for a process that reads it at once.
    (&ours).write_all(&length).and_then(|()| (&ours).write_all(starting.task.as_bytes())).map_err(said)?;
    ours.set_nonblocking(true).map_err(said)?;
    let ours = UnixStream::from_std(ours).map_err(said)?;
    let (ready, is_ready) = oneshot::channel();
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(hear(stdout, Arc::clone(&starting.log), ready));
    }
    match timeout(WORKER_START_MAX, is_ready).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(last_words(&mut child).await),
        Err(_) => return Err("its process does not come to work".to_owned()),
    }
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(WORKER_SILENCE_MAX / 2)
        .keep_alive_timeout(WORKER_SILENCE_MAX)
        .keep_alive_while_idle(true);
    let (asking, connection) = http.handshake(TokioIo::new(ours)).await.map_err(|error| error.to_string())?;
    let log = Arc::clone(&starting.log);
    tokio::spawn(async move {
        let ended = connection.await;
        let status = timeout(WORKER_PAUSE, child.wait()).await;
        // Where nobody asks any more, it is let go of, which is not worth a word.
        if ended.is_ok() && matches!(status, Ok(Ok(status)) if status.success()) {
            return;
        }
        let words = last_words(&mut child).await;
        match ended {
            Err(error) if error.is_timeout() => {
                let text = format!("its process said nothing for {WORKER_SILENCE_MAX:?}, and is ended");
                log.line(Level::Error, &text);
            }
            _ => log.line(Level::Error, &words),
        }
    });
    Ok(asking)
}

/// Ends a worker, and returns why it ended, in its own words.
async fn last_words(child: &mut Child) -> String {
    // It has ended by itself, most of the time.
    let _ = timeout(WORKER_PAUSE, child.wait()).await;
    let _ = child.start_kill();
    let status = child.wait().await;
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = stderr.take(WORKER_WORDS_BYTES_MAX);
        let _ = timeout(WORKER_PAUSE, stderr.read_to_end(&mut words)).await;
    }
    match (String::from_utf8_lossy(&words).trim(), status) {
        ("", Ok(status)) => format!("its process ended: {status}"),
        ("", Err(error)) => format!("its process ended: {error}"),
        (words, _) => words.to_owned(),
    }
}

/// Takes what a worker says, line by line, each no longer than it may be.
async fn hear(mut from: impl AsyncRead + Unpin, log: Arc<dyn Log>, ready: oneshot::Sender<()>) {
    let mut ready = Some(ready);
    let (mut line, mut bytes) = (Vec::new(), [0; 4_096]);
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        for byte in &bytes[..read] {
            match byte {
                b'\n' => {
                    let text = String::from_utf8_lossy(&line);
                    let (word, text) = text.split_once(' ').unwrap_or((&text, ""));
                    match LEVELS.iter().position(|level| *level == word) {
                        Some(level) => log.line(LEVEL[level], text),
                        None if word == READY => drop(ready.take().map(|ready| ready.send(()))),
                        // It is not what it was.
                        None => return,
                    }
                    line.clear();
                }
                byte if (line.len() as u64) < WORKER_WORDS_BYTES_MAX => line.push(*byte),
                _ => {}
            }
        }
    }
}

/// As [`LEVELS`].
const LEVEL: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
