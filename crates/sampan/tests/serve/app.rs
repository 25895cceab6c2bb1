//! An app in a directory, and a process that serves it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::WAIT;
use crate::client::{Answer, Connection, Request};

/// An app that was never served has its programs compiled first; the engines of JavaScript and Python are large.
const START: Duration = Duration::from_secs(600);

/// An app that can be served, again and again.
pub(crate) struct App {
    dir: TempDir,
    /// What is served, in the directory.
    what: PathBuf,
    env: Vec<(String, String)>,
    flags: Vec<String>,
}

/// A process that serves an app. Dropped, it is killed.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Said>,
}

/// What a process has said on standard error, and whether it goes on.
#[derive(Default)]
struct Said {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

impl App {
    /// The app `tested` of this manifest, in which `$GUESTS` stands for the directory of built guests.
    pub(crate) fn new(manifest: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory is made");
        let app = Self::at(dir);
        app.change("0.1.0", manifest);
        app
    }

    fn at(dir: TempDir) -> Self {
        let flags = ["--console", "off"].map(str::to_owned).to_vec();
        Self { dir, what: PathBuf::new(), env: Vec::new(), flags }
    }

    /// Gives it another manifest, of this version.
    pub(crate) fn change(&self, version: &str, manifest: &str) {
        let guests = std::env::var("SAMPAN_GUESTS").expect("$SAMPAN_GUESTS is set: run `cargo xtask test`");
        let mut manifest = manifest.replace("$GUESTS", &guests);
        // The second time that these tests are run, as `xtask/src/test.rs` says.
        let thread = thread::current();
        let is_open = || OPEN.iter().any(|(test, _)| thread.name() == Some(test));
        if std::env::var_os("SAMPAN_SEALED").is_some() && !is_open() {
            manifest = sealed(&manifest);
        }
        let manifest = format!("[app]\nname = \"tested\"\nversion = \"{version}\"\n{manifest}");
        // In one step: half a manifest is another one.
        std::fs::write(self.path("new.toml"), manifest).expect("a file is written");
        std::fs::rename(self.path("new.toml"), self.path("sampan.toml")).expect("it is renamed");
    }

    /// An example of the repository, as it was built, with nothing in its buckets yet.
    pub(crate) fn example(name: &str) -> Self {
        let guests = std::env::var("SAMPAN_GUESTS").expect("$SAMPAN_GUESTS is set: run `cargo xtask test`");
        let built = Path::new(&guests).join("../examples").join(name);
        let built = built.canonicalize().expect("the example was built: run `cargo xtask examples`");
        let dir = tempfile::tempdir().expect("a directory is made");
        for entry in built.read_dir().expect("a directory") {
            let name = entry.expect("an entry").file_name();
            if name != ".sampan" {
                std::os::unix::fs::symlink(built.join(&name), dir.path().join(&name))
                    .expect("a link is made");
            }
        }
        Self::at(dir)
    }

    /// A program without a manifest, called so.
    pub(crate) fn of_program(built: &str, name: &str) -> Self {
        let guests = std::env::var("SAMPAN_GUESTS").expect("$SAMPAN_GUESTS is set: run `cargo xtask test`");
        let app = Self::at(tempfile::tempdir().expect("a directory is made"));
        std::fs::copy(Path::new(&guests).join(built), app.path(name)).expect("it was built");
        Self { what: name.into(), ..app }
    }

    /// With a file in its directory.
    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory is made");
        std::fs::write(path, content).expect("a file is written");
        self
    }

    /// With an environment variable of the process that serves it.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With these flags instead of those that keep the console away.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    /// A path in its directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Serves it, and returns when it listens.
    #[track_caller]
    pub(crate) fn serve(&self) -> Served {
        let mut child = self.command().spawn().expect("the binary starts");
        let said = Said::listen(&mut child);
        let words = said.within(START, |text| {
            let (scheme, rest) = text.split_once(" on ")?.1.split_once("://")?;
            ["http", "https"].contains(&scheme).then_some(rest.split_once('\n')?.0.to_owned())
        });
        let Some(address) = words else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the app is not served:\n{}", said.now());
        };
        Served { child, address: address.parse().expect("an address"), said }
    }

    /// Tries to serve it and fails: the exit code, and what it said.
    #[track_caller]
    pub(crate) fn refused(&self) -> (Option<i32>, String) {
        let mut child = self.command().spawn().expect("the binary starts");
        let said = Said::listen(&mut child);
        said.until(|text| text.contains(" on http://").then_some(()));
        if !said.ended() {
            let _ = child.kill();
        }
        let status = child.wait().expect("it is waited for");
        (status.code(), said.now())
    }

    fn command(&self) -> Command {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
        let elsewhere = self.flags.iter().any(|flag| flag == "--listen");
        command
            .arg("serve")
            .arg(self.dir.path().join(&self.what))
            .args(if elsewhere { &[][..] } else { &["--listen", "127.0.0.1:0"] })
            .args(&self.flags)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env_remove("XDG_RUNTIME_DIR")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// Tests whose functions stay open where all others are sealed, and why.
const OPEN: &[(&str, &str)] = &[
    ("manifest::what_a_new_manifest_replaced_is_given_up", "warm instances are counted where they are"),
    ("manifest::a_manifest_that_cannot_be_meant_changes_nothing", "the error has other words"),
    ("endurance::processes_die_at_random_and_nothing_is_lost_or_left_behind", "it seals what it wants to"),
    ("native::other_code_answers_until_native_code_is_made", "sealed functions wait for it"),
    ("native::a_compiler_that_fails_is_told_of", "the same"),
    ("native::no_compiler_outlives_its_node", "the same"),
    ("sealed::a_process_that_dies_is_told_of_and_replaced", "it seals what it wants to"),
    ("sealed::a_process_that_hangs_is_told_of_and_replaced", "the same"),
    ("sealed::what_processes_are_copies_of_may_die", "the same"),
    ("sealed::the_process_that_stands_by_for_all_may_die", "the same"),
    ("sealed::no_process_outlives_its_node", "the same"),
    ("sealed::what_makes_processes_is_replaced_though_nobody_asks", "the same"),
    ("sealed::what_makes_processes_and_does_not_answer_is_replaced", "the same"),
    ("sealed::what_dies_each_time_is_replaced_ever_more_seldom", "the same"),
    ("sealed::the_next_node_puts_away_what_one_left_that_was_killed", "the same"),
];

/// The manifest with each function under profile `sealed` that names no other.
fn sealed(manifest: &str) -> String {
    let parts: Vec<_> = manifest.split("[functions.").collect();
    let declared = |part: &str| part.split("\n    [").next().is_some_and(|own| own.contains("profile ="));
    let sealed = parts.iter().enumerate().map(|(index, part)| match part.split_once(']') {
        Some((name, rest)) if index > 0 && !name.contains('.') && !declared(part) => {
            format!("[functions.{name}]\n    profile = \"sealed\"{rest}")
        }
        _ if index > 0 => format!("[functions.{part}"),
        _ => (*part).to_owned(),
    });
    sealed.collect()
}

impl Served {
    /// A new connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Answers one request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Request<'_>) -> Answer {
        self.connect().ask(request)
    }

    /// The answer to a GET.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&Request::new("GET", path))
    }

    /// The body of the answer to a GET, which must be well.
    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> String {
        self.get(path).well()
    }

    /// What it has said until now.
    pub(crate) fn said(&self) -> String {
        self.said.now()
    }

    /// Waits until it has said `part`.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        let found = self.said.until(|text| text.contains(part).then_some(()));
        assert!(found.is_some(), "it did not say `{part}`, but:\n{}", self.said());
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("`kill` runs").success());
    }

    /// Gives it another limit of the operating system, as an option of `prlimit`.
    pub(crate) fn limit(&self, limit: &str) {
        let set = Command::new("prlimit").args(["--pid", &self.child.id().to_string(), limit]).status();
        assert!(set.expect("`prlimit` runs").success());
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that it started, and those that they did, but for one that stands by and was told nothing yet.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        self.all_descendants().into_iter().filter(|pid| !(is_untold(*pid) && is_copy(*pid))).collect()
    }

    /// The zygote, and the process that stands by for all, if both live and are the only ones.
    pub(crate) fn makers(&self) -> Option<(u32, u32)> {
        let untold = self.all_descendants().into_iter().filter(|pid| is_untold(*pid));
        match untold.partition::<Vec<_>, _>(|pid| is_copy(*pid)) {
            (copies, zygotes) if copies.len() == 1 && zygotes.len() == 1 => Some((zygotes[0], copies[0])),
            _ => None,
        }
    }

    /// As [`descendants`](Self::descendants), with that one.
    pub(crate) fn all_descendants(&self) -> Vec<u32> {
        let children = |pid: u32| -> Vec<u32> {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            // A thread that has ended has no children.
            let of =
                threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
            of.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
                .collect()
        };
        let mut all = children(self.child.id());
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            all.extend(children(*pid));
            next += 1;
        }
        all
    }

    /// Bytes of its memory that are resident now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Whether it has the file or directory at `path` open now.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let path = path.canonicalize().expect("it is there");
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
        // What is closed meanwhile has no link to read.
        open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).any(|file| file == path)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + WAIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is waited for") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end; it said:\n{}", self.said());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it as an operator does, and waits for its end.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{status}: {}", self.said());
        self.said()
    }

    /// Ends it as no program can prevent, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.signal("KILL");
        self.ended();
    }
}

/// Whether a process is a zygote, or a copy of one that was told nothing yet.
fn is_untold(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "zygote\n")
}

/// Whether it is in a namespace of its own, where it has another number: copies of the zygote are.
fn is_copy(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().count() > 1)
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.said.now();
        // Not while another failure is reported: what it said is of use then.
        if thread::panicking() {
            eprintln!("--- the app said:\n{said}");
        } else {
            assert!(!said.contains("panicked"), "{said}");
        }
    }
}

impl Said {
    fn listen(child: &mut Child) -> Arc<Self> {
        let said = Arc::new(Self::default());
        let mut stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let hears = Arc::clone(&said);
        thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                hears.text().0.push_str(&String::from_utf8_lossy(&line));
                hears.more.notify_all();
                line.clear();
            }
            hears.text().1 = true;
            hears.more.notify_all();
        });
        said
    }

    fn text(&self) -> MutexGuard<'_, (String, bool)> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> String {
        self.text().0.clone()
    }

    fn ended(&self) -> bool {
        self.text().1
    }

    /// Waits until what was said has what `find` finds, or nothing more will come.
    fn until<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.within(WAIT, find)
    }

    fn within<T>(&self, wait: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + wait;
        let mut text = self.text();
        loop {
            if let Some(found) = find(&text.0) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if text.1 || left.is_zero() {
                return None;
            }
            text = self.more.wait_timeout(text, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
