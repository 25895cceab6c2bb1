//! Runs one case and compares what came of it with what its guest says.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::Profile;
use crate::actions::{self, Host, kill};
use crate::case::{Case, End, SIGNALS};
use crate::scene::{SECRET, Scene};

/// No case takes nearly as long, on the slowest machine: one that does hangs, and is ended.
const BOUND: Duration = Duration::from_secs(100);

/// What the process left behind.
pub(crate) struct Left {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Plays `case` under a profile; the error shows everything that differs.
pub(crate) fn run(case: &Case, profile: &Profile) -> Result<(), String> {
    let host = Host::named(case.host.as_deref())?;
    let port = host.serve().map_err(|error| format!("cannot start the server: {error}"))?;
    let scene = Scene::set(case, port).map_err(|error| format!("cannot set the scene: {error}"))?;
    let stdin = match case.stdin_bytes {
        Some(count) => noise(count),
        None => scene.fill(&case.stdin).into_bytes(),
    };
    set_up(case, profile, &scene)?;
    let mut child = spawn(case, profile, &scene).map_err(|error| format!("cannot start sampan: {error}"))?;
    let alive = watch(child.id());
    let played = actions::play(host, &mut child, &stdin, &scene);
    let status = child.wait().map_err(|error| format!("cannot wait: {error}"))?;
    drop(alive);
    let (left, complaint) = match played {
        Ok(left) => (left, None),
        Err(failed) => (failed.left, Some(failed.reason)),
    };
    let mut wrong: Vec<String> = complaint.into_iter().collect();
    compare(case, &scene, &stdin, status, &left, &mut wrong);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\n  all of stderr:\n{}",
        wrong.join("\n"),
        indented(&String::from_utf8_lossy(&left.stderr))
    ))
}

/// Does what must be done before the run.
fn set_up(case: &Case, profile: &Profile, scene: &Scene) -> Result<(), String> {
    trust(case, profile, scene, &case.program)?;
    for script in &case.setup {
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(scene.fill(script));
        shell.env("PROGRAM", &case.program).env("FLAGS", profile.flags.join(" "));
        told(&mut shell, case, scene).map_err(|error| format!("  `{script}`: {error}"))?;
    }
    case.instead.as_deref().map_or(Ok(()), |program| trust(case, profile, scene, program))
}

/// Puts a program on the trust list, where only such may run.
fn trust(case: &Case, profile: &Profile, scene: &Scene, program: &Path) -> Result<(), String> {
    static LIST: Mutex<()> = Mutex::new(());
    if profile.name != "trusted" {
        return Ok(());
    }
    let _turn = LIST.lock();
    let mut trust = Command::new(env!("CARGO_BIN_EXE_sampan"));
    told(trust.args(["trust", "add"]).arg(program), case, scene)
        .map_err(|error| format!("  cannot trust it: {error}"))
}

/// Runs a command; what it says is of interest only where it fails.
fn told(command: &mut Command, case: &Case, scene: &Scene) -> Result<(), String> {
    let output = surround(command, case, scene).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

fn spawn(case: &Case, profile: &Profile, scene: &Scene) -> io::Result<Child> {
    let fill = |words: &[String]| words.iter().map(|word| scene.fill(word)).collect::<Vec<_>>();
    let sampan = env!("CARGO_BIN_EXE_sampan");
    let mut command = match &case.through {
        None => Command::new(sampan),
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(scene.fill(script)).arg("sh").arg(sampan);
            shell
        }
    };
    command.arg("run").args(profile.flags).args(fill(&case.flags)).arg(case.runs()).args(fill(&case.args));
    surround(&mut command, case, scene)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Where a command runs: in the scene, with a cache, a key and a trust list of the tests.
fn surround<'a>(command: &'a mut Command, case: &Case, scene: &Scene) -> &'a mut Command {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasi");
    let bin = Path::new(env!("CARGO_BIN_EXE_sampan")).parent().expect("a binary lies in a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{}:{path}", bin.display()))
        // Kept between runs, so that each guest is compiled once.
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("FROM_OUTSIDE", "passed on")
        .envs(case.env.iter().map(|(name, value)| (name, scene.fill(value))))
        .current_dir(&scene.dir)
}

/// Ends the process with this id after [`BOUND`], unless the result is dropped before.
fn watch(process: u32) -> mpsc::Sender<()> {
    let (alive, ended) = mpsc::channel();
    thread::spawn(move || {
        if ended.recv_timeout(BOUND) == Err(RecvTimeoutError::Timeout) {
            kill(process, "KILL");
        }
    });
    alive
}

fn compare(
    case: &Case,
    scene: &Scene,
    stdin: &[u8],
    status: ExitStatus,
    left: &Left,
    wrong: &mut Vec<String>,
) {
    let stderr = String::from_utf8_lossy(&left.stderr);
    if case.end != Some(end_of(status)) {
        let expected = case.end.map_or_else(String::new, shown);
        wrong.push(format!("  ended: {}, expected: {expected}", shown(end_of(status))));
    }
    if case.stdout_is_stdin && left.stdout != stdin {
        let same = left.stdout.iter().zip(stdin).take_while(|(out, input)| out == input).count();
        let (out, input) = (left.stdout.len(), stdin.len());
        wrong.push(format!("  stdout is not stdin: {out} bytes of {input}, the first {same} alike"));
    } else if !case.stdout_is_stdin {
        compare_stdout(case, scene, &String::from_utf8_lossy(&left.stdout), wrong);
    }
    if case.stderr_parts.is_empty() && !stderr.is_empty() {
        wrong.push("  stderr: not empty, and no line says what is expected there".to_owned());
    }
    for part in case.stderr_parts.iter().map(|part| scene.fill(part)).filter(|part| !stderr.contains(part)) {
        wrong.push(format!("  stderr lacks: {part}"));
    }
    let expected = |line: &str| case.stderr_parts.iter().any(|part| line.contains(part.as_str()));
    if stderr.lines().any(|line| line.contains("panicked") && !expected(line)) {
        wrong.push("  stderr: sampan panicked".to_owned());
    }
    if stderr.matches("hint:").count() > 1 {
        wrong.push("  stderr: more than one hint".to_owned());
    }
    for (path, expected) in &case.after {
        let content = fs::read_to_string(scene.dir.join(path)).unwrap_or_else(|error| error.to_string());
        if content != *expected {
            wrong.push(format!("  afterwards `{path}` holds {content:?}, expected: {expected:?}"));
        }
    }
    let escaped = |text: &[u8]| String::from_utf8_lossy(text).contains(SECRET);
    if escaped(&left.stdout) || escaped(&left.stderr) {
        wrong.push("  the guest read the secret outside of its directory".to_owned());
    }
    wrong.extend(scene.trespass().map(|trespass| format!("  {trespass}")));
}

fn compare_stdout(case: &Case, scene: &Scene, stdout: &str, wrong: &mut Vec<String>) {
    let expected = scene.fill(&case.stdout);
    if case.stdout_parts.is_empty() && *stdout != expected {
        wrong.push(format!("  stdout:\n{}  expected:\n{}", indented(stdout), indented(&expected)));
    }
    for part in case.stdout_parts.iter().map(|part| scene.fill(part)).filter(|part| !stdout.contains(part)) {
        wrong.push(format!("  stdout lacks: {part}\n  all of it:\n{}", indented(stdout)));
    }
}

fn end_of(status: ExitStatus) -> End {
    match status.signal() {
        Some(signal) => End::Signal(signal),
        None => End::Exit(status.code().unwrap_or_default()),
    }
}

fn shown(end: End) -> String {
    match end {
        End::Exit(code) => format!("exit {code}"),
        End::Signal(signal) => match SIGNALS.iter().find(|(_, number)| *number == signal) {
            Some((name, _)) => format!("signal {name}"),
            None => format!("signal {signal}"),
        },
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Bytes of every value, without a period that a buffer's length could hide; the same ones every time.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes = Vec::new();
    bytes.resize_with(count, &mut next);
    bytes
}

/// Writes to a guest that may not want to read all of it.
pub(crate) fn feed(mut to: impl Write, bytes: &[u8]) {
    if let Err(error) = to.write_all(bytes) {
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "cannot write to the guest: {error}");
    }
}
