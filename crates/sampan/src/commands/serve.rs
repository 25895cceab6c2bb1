//! `sampan serve`: serves the app of a manifest, or a program, until it is told to stop.

mod watch;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueHint};
use host::Authorities;
use node::sealed::Zygote;
use node::{App, Console, Current, Error, Exporting, Line, Machine, Node, Server, Telemetry};
use state::{Embedded, Memory, Store};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::commands;
use crate::commands::build::build_missing;
use crate::commands::run::local_address;
use crate::registry::{self, Entry};
use crate::report::Report;
use crate::table::printable;
use crate::{authorities, collector, home, manifest, trust_list};

/// Serve an app: the functions, routes and buckets of a `sampan.toml`, or a program
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan serve                                serve the app of this directory
  sampan serve examples/shop                  serve another
  sampan serve hello.wasm                     serve a program, which may touch nothing
  sampan serve --watch                        build and load again what changes
  sampan serve --listen 0.0.0.0:80 shop.toml  let others reach it")]
pub(crate) struct Serve {
    /// The app: a directory with a `sampan.toml`, a manifest, or a program that answers all requests
    #[arg(default_value = ".", value_hint = ValueHint::AnyPath)]
    app: PathBuf,

    /// Answer requests on this address
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = local_address)]
    listen: SocketAddr,

    /// Show the node on this address, or not at all with `off` [default: 127.0.0.1:8081, or another port where that
    /// is taken]
    #[arg(long, value_name = "ADDR:PORT")]
    console: Option<ConsoleAddress>,

    /// Keep buckets in this directory [default: `.sampan` beside the manifest]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state: Option<PathBuf>,

    /// Build and load again what changes: functions, and the manifest
    #[arg(long)]
    watch: bool,

    /// Encrypt: the certificates of the server and its authorities, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    tls_cert: Option<PathBuf>,

    /// The private key of the first certificate, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    tls_key: Option<PathBuf>,
}

/// Where the console listens, if it does.
#[derive(Clone, Copy)]
struct ConsoleAddress(Option<SocketAddr>);

impl FromStr for ConsoleAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self(None)),
            text => local_address(text).map(|address| Self(Some(address))),
        }
    }
}

/// Where the console listens unless told otherwise.
const CONSOLE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

const TOKEN_BYTES: usize = 32;

/// The signal for a file that becomes larger than it may, as Linux and macOS number it.
const SIGXFSZ: i32 = 25;

/// Bytes of the log after which what follows is shown by itself.
const SHOWN_BYTES: usize = 64 << 10;

/// How long an app may take to load before its user is told why.
const SILENT: Duration = Duration::from_secs(2);

/// How long the last lines of the log may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Serve {
    pub(crate) fn execute(self) -> Result<i32, Report> {
        let found = manifest::read_or_program(&self.app)?;
        let encryption = self.encryption()?;
        build_missing(&found)?;
        // Dropped last: who waits for the node's end may open its store.
        let mut _registered = None;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            // Functions that use up their time slices must not keep others' requests from being read.
            .event_interval(node::limits::POLLS_BETWEEN_EVENTS)
            // While the app is loaded, and not with the first request.
            .on_thread_start(engine::wasmtime::Engine::tls_eager_initialize)
            .build()
            .map_err(|error| Report::failure("cannot start").cause(error))?;
        outlive_full_files(&runtime)?;
        let (path, dir) = (found.path.clone(), found.dir().to_owned());
        let state = self.state.clone().unwrap_or_else(|| found.state());
        let now = || Arc::new(SystemTime::now);
        let store: Arc<dyn Store> = match found.is_program {
            // It has no buckets.
            true => Arc::new(Memory::new(now())),
            false => Arc::new(Embedded::open(&state, now()).map_err(|error| unstored(&error, &path))?),
        };
        let zygote = Zygote::new(commands::worker::command)
            .map_err(|error| Report::failure("cannot start").cause(error))?;
        let (telemetry, exporter) = collector::from_environment()?.map(Telemetry::new).unzip();
        // Reading hundreds of certificates takes as long as much of the rest.
        let mut grants = found.manifest.functions.values().map(|function| &function.grants);
        let connects = self.watch || grants.any(|grants| !grants.http.is_empty() || !grants.net.is_empty());
        let machine = Machine {
            dir,
            store,
            sql: state.join("sql"),
            cache: home::cache().ok().map(Arc::new),
            seal: home::seal().ok(),
            trust: || trust_list::read().map_err(|report| report.to_string()),
            zygote: Some(zygote),
            within: None,
            variable: |name| std::env::var(name).ok(),
            authorities: if connects { authorities::trusted()? } else { Authorities::default() },
            telemetry,
        };
        runtime.block_on(async {
            let app = patiently(App::load(found.manifest.clone(), machine)).await.map_err(unserved)?;
            let current = Current::new(app);
            let server = Server::bind(Arc::clone(&current), self.listen, encryption.clone());
            let server = server.await.map_err(unserved)?;
            let address = server.address().unwrap_or(self.listen);
            let scheme = if encryption.is_some() { "https" } else { "http" };
            let console = self.console().await.map_err(unserved)?;
            let node = match &console {
                None => None,
                Some(console) => {
                    let shown = console.address().unwrap_or(CONSOLE);
                    Some(Arc::new(Node::new(Arc::clone(&current), token()?, address, shown)))
                }
            };
            let _watching = if self.watch { Some(watch::watch(found, Arc::clone(&current))?) } else { None };
            let url = format!("{scheme}://{address}");
            // Before anybody knows of the node: a signal that nobody waits for would end it on the spot.
            let signals = signals().map_err(|error| Report::failure("cannot start").cause(error))?;
            let begun = entry(&path, &current.app(), &url, node.as_deref());
            _registered = registry::announce(&begun);
            let stopped = stopped(node.clone(), signals);
            // Where connections are served, so that no thread has to wake another one for each; and before anybody is told.
            let serving = tokio::spawn(server.serve(stopped));
            let mut told = format!("sampan: {} {} on {url}\n", begun.app, begun.version);
            if let (Some(console), Some(node)) = (console, &node) {
                told += &format!("sampan: console on {}\n", login(node));
                tokio::spawn(console.serve(Arc::clone(node)));
            }
            // Before anybody is told: what is logged from then on is sent.
            let exporting = exporter.map(|exporter| exporter.begin(Arc::clone(&current)));
            eprint!("{told}");
            let showing = Showing::begin(&current.app());
            serving.await.map_err(|error| Report::failure("cannot serve any more").cause(error))?;
            showing.finish().await;
            finish(exporting).await;
            Ok(0)
        })
    }

    /// How the server encrypts, if it does.
    fn encryption(&self) -> Result<Option<Arc<node::ServerConfig>>, Report> {
        let (Some(certificates), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| Report::usage(format!("cannot read `{}`", path.display())).cause(error))
        };
        let encryption = node::encryption(&read(certificates)?, &read(key)?);
        encryption.map(Some).map_err(|error| {
            let shown = format!("cannot encrypt with `{}` and `{}`", certificates.display(), key.display());
            Report::usage(shown).cause(error)
        })
    }

    /// The console, listening; `None` where none is wanted.
    async fn console(&self) -> Result<Option<Console>, Error> {
        match self.console {
            Some(ConsoleAddress(None)) => Ok(None),
            Some(ConsoleAddress(Some(address))) => Console::bind(address).await.map(Some),
            None => match Console::bind(CONSOLE).await {
                Ok(console) => Ok(Some(console)),
                Err(_) => Console::bind(SocketAddr::new(CONSOLE.ip(), 0)).await.map(Some),
            },
        }
    }
}

/// What others of this user are told of the node.
fn entry(manifest: &Path, app: &App, url: &str, node: Option<&Node>) -> Entry {
    let begun = node.map_or_else(SystemTime::now, |node| node.begun);
    let since = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Entry {
        pid: std::process::id(),
        app: app.name().to_owned(),
        version: app.version().to_owned(),
        manifest: manifest.canonicalize().unwrap_or_else(|_| manifest.to_owned()),
        url: url.to_owned(),
        console: node.map(|node| node.console),
        token: node.map(|node| node.token.clone()).unwrap_or_default(),
        begun_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
    }
}

/// Sends what is left of the telemetry.
async fn finish(exporting: Option<Exporting>) {
    if let Some(exporting) = exporting {
        exporting.finish().await;
    }
}

/// A new token, which nobody can guess.
fn token() -> Result<String, Report> {
    let mut bytes = [0; TOKEN_BYTES];
    let failed = |error| Report::failure("cannot make the token of the console").cause(error);
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The address of the console, as a person opens it.
fn login(node: &Node) -> String {
    match node.console.ip().is_loopback() {
        true => format!("http://{}", node.console),
        false => format!("http://{}/login?token={}", node.console, node.token),
    }
}

fn unserved(error: Error) -> Report {
    let report = Report::from_error(&error);
    match error.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

fn unstored(error: &state::Error, manifest: &Path) -> Report {
    let report = Report::from_error(error);
    if let (state::Error::InUse { .. }, Ok(Some(running))) = (error, registry::of(manifest)) {
        let Entry { app, pid, url, .. } = running.entry;
        return report.hint(format!(
            "`{app}` is served already, by process {pid} at {url}: `sampan stop {app}` stops it"
        ));
    }
    match error.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

/// Has a write that `ulimit -f` forbids fail, as on a full disk. Without a handler the system ends the process instead.
fn outlive_full_files(runtime: &Runtime) -> Result<(), Report> {
    let _in_runtime = runtime.enter();
    let handled = signal(SignalKind::from_raw(SIGXFSZ));
    handled.map(drop).map_err(|error| Report::failure("cannot start").cause(error))
}

/// Waits for an app to be loaded, and says so where that takes a while.
async fn patiently<T>(loading: impl Future<Output = T>) -> T {
    let mut loading = pin!(loading);
    match tokio::time::timeout(SILENT, &mut loading).await {
        Ok(loaded) => loaded,
        Err(_) => {
            eprintln!("sampan: compiling programs that were not served here before");
            loading.await
        }
    }
}

/// The signals by which somebody wants the node to stop, from now on.
fn signals() -> io::Result<[Signal; 2]> {
    Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?])
}

/// Comes when the node is to stop.
async fn stopped(node: Option<Arc<Node>>, signals: [Signal; 2]) {
    let asked = async {
        match &node {
            Some(node) => node.stopped().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signalled(signals) => {}
        () = asked => {}
    }
}

/// Comes when one of them has.
async fn signalled([mut interrupt, mut terminate]: [Signal; 2]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Each line has its name in front: what one function says must not look like another's words.
fn show(line: &Line, shown: &mut String) {
    let Line { function, text, .. } = line;
    text.lines().for_each(|line| shown.push_str(&format!("{function} | {}\n", printable(line))));
}

/// Shows what functions say, as they say it.
struct Showing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Showing {
    /// Nothing is missed, nor what was said while the app was loaded.
    fn begin(app: &App) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let (kept, mut lines) = app.logs().kept_and_live();
        let mut before = String::new();
        kept.iter().for_each(|line| show(line, &mut before));
        eprint!("{before}");
        let task = tokio::spawn(async move {
            loop {
                let mut line = tokio::select! {
                    // What was said goes before the end.
                    biased;
                    line = lines.recv() => line,
                    _ = &mut stopped => return,
                };
                // What came meanwhile is shown with it: in one piece, for many lines may come.
                let mut shown = String::new();
                loop {
                    match line {
                        Ok(line) => show(&line, &mut shown),
                        Err(RecvError::Lagged(missed)) => {
                            shown.push_str(&format!("sampan: {missed} lines of log are not shown\n"));
                        }
                        Err(RecvError::Closed) => break,
                    }
                    if shown.len() >= SHOWN_BYTES {
                        break;
                    }
                    line = match lines.try_recv() {
                        Ok(line) => Ok(line),
                        Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    };
                }
                // Whoever reads it may be slow, and functions are not to wait for that.
                let _ = tokio::task::spawn_blocking(move || eprint!("{shown}")).await;
            }
        });
        Self { stop, task }
    }

    /// Shows what was said until now, unless that is without end.
    async fn finish(self) {
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(LAST_WORDS, self.task).await;
    }
}
