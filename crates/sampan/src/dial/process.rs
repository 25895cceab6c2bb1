//! A process as its parent and the kernel see it: what a run took, and what it holds while it waits.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use sha2::{Digest, Sha256};
use wait4::Wait4;

/// A process that runs longer is ended, and not measured.
pub(crate) const RUN_TIME_MAX: Duration = Duration::from_secs(120);

/// How long a process whose input has ended may take to end too.
const END_TIME_MAX: Duration = Duration::from_secs(10);

/// Between two looks at a process that may run too long, or print too much.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// A process that prints more is ended, and not measured.
const PRINTED_BYTES_MAX: u64 = 1 << 30;

/// Between two looks at a process that may be waiting.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The part of the time that a process at rest may use a processor: for its clock.
const REST: f64 = 0.05;

/// Bytes that are kept of what a process says on standard error.
const TALK_BYTES_MAX: u64 = 64 << 10;

/// One run, from its start to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) result: RunResult,
    /// What it said on standard error.
    pub(crate) talk: String,
}

/// What a run came to: two contestants that do the same have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunResult {
    /// 128 and its number for a signal, as a shell has it.
    pub(crate) code: i32,
    pub(crate) printed_bytes: u64,
    pub(crate) digest: String,
}

/// Runs a command to its end, with `input` on standard input.
pub(crate) fn run(command: &mut Command, input: Stdio) -> io::Result<Ended> {
    let (mut printed, mut talk) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(input).stdout(printed.try_clone()?).stderr(talk.try_clone()?);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    while !ends_within(&child, CHECK_EVERY)? {
        let why = if begun.elapsed() > RUN_TIME_MAX {
            format!("it ran for more than {}", humantime::format_duration(RUN_TIME_MAX))
        } else if printed.metadata()?.len() + talk.metadata()?.len() > PRINTED_BYTES_MAX {
            format!("it printed more than {} MiB", PRINTED_BYTES_MAX >> 20)
        } else {
            continue;
        };
        child.kill()?;
        child.wait()?;
        return Err(io::Error::other(why));
    }
    let used = child.wait4()?;
    let wall = begun.elapsed();
    Ok(Ended {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        result: RunResult::new(code(used.status), &mut printed)?,
        talk: said(&mut talk)?,
    })
}

impl RunResult {
    fn new(code: i32, printed: &mut File) -> io::Result<Self> {
        let mut digest = Digested(Sha256::new());
        let printed_bytes = io::copy(rewound(printed)?, &mut digest)?;
        Ok(Self { code, printed_bytes, digest: format!("{:x}", digest.0.finalize()) })
    }
}

struct Digested(Sha256);

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn said(talk: &mut File) -> io::Result<String> {
    let mut text = Vec::new();
    rewound(talk)?.take(TALK_BYTES_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn rewound(file: &mut File) -> io::Result<&mut File> {
    io::Seek::rewind(file)?;
    Ok(file)
}

fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Waits for the end of a process, and not too long.
fn ends_within(child: &Child, time: Duration) -> io::Result<bool> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut ends = [PollFd::new(&process, PollFlags::IN)];
    let limit = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    Ok(poll(&mut ends, Some(&limit))? > 0)
}

/// The most memory that was seen of a run, with `input` or nothing on standard input. `None` where it was over too soon.
pub(crate) fn peak_bytes(command: &mut Command, input: Option<&Path>) -> io::Result<Option<f64>> {
    command.stdin(standard_input(input)?).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let late = Instant::now() + RUN_TIME_MAX;
    let mut peak = None;
    while child.try_wait()?.is_none() {
        if Instant::now() > late {
            child.kill()?;
            break;
        }
        // What ends just now has none any more.
        peak = tree_bytes(child.id()).ok().into_iter().chain(peak).reduce(f64::max);
        thread::sleep(LOOK_EVERY / 10);
    }
    child.wait()?;
    Ok(peak)
}

/// Bytes of memory that a process holds, and those below it.
pub(crate) fn tree_bytes(pid: u32) -> io::Result<f64> {
    Tree::now()?.below(pid).into_iter().map(memory_bytes).sum()
}

/// A file as standard input, or nothing.
pub(crate) fn standard_input(input: Option<&Path>) -> io::Result<Stdio> {
    input.map_or_else(|| Ok(Stdio::null()), |input| File::open(input).map(Stdio::from))
}

/// Processes of one command that wait together, because nothing comes on their standard input.
pub(crate) struct Waiting {
    children: Vec<Child>,
    /// Closed, it ends the input of all.
    open: Option<io::PipeWriter>,
}

impl Waiting {
    /// Starts as many as there are commands. `None` if one of them ended rather than wait.
    pub(crate) fn begin(commands: impl IntoIterator<Item = Command>) -> io::Result<Option<Self>> {
        let (input, open) = io::pipe()?;
        let mut waiting = Self { children: Vec::new(), open: Some(open) };
        for mut command in commands {
            command.stdin(input.try_clone()?).stdout(Stdio::null()).stderr(Stdio::null());
            waiting.children.push(command.spawn()?);
        }
        drop(input);
        let begun = Instant::now();
        let mut before: Option<(Instant, Vec<Duration>)> = None;
        loop {
            thread::sleep(LOOK_EVERY);
            let tree = Tree::now()?;
            let used: Option<Vec<Duration>> = waiting.pids().map(|pid| tree.used_by_sleepers(pid)).collect();
            let now = used.map(|used| (Instant::now(), used));
            if let (Some((then, before)), Some((now, used))) = (&before, &now)
                && used.iter().zip(before).all(|(now_used, used)| {
                    now_used.saturating_sub(*used) <= now.duration_since(*then).mul_f64(REST)
                })
            {
                return Ok(Some(waiting));
            }
            before = now;
            for child in &mut waiting.children {
                if child.try_wait()?.is_some() {
                    return Ok(None);
                }
            }
            if begun.elapsed() > RUN_TIME_MAX {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it is never at rest"));
            }
        }
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        self.children.iter().map(Child::id)
    }

    /// Bytes of memory that all of them hold, with those that they started; what several processes share is counted once.
    pub(crate) fn memory_bytes(&self) -> io::Result<f64> {
        let tree = Tree::now()?;
        self.pids().flat_map(|pid| tree.below(pid)).map(memory_bytes).sum()
    }

    /// The process in which the program is, of the first of them: the last one in the chain of those that started each other.
    pub(crate) fn innermost(&self) -> io::Result<u32> {
        let tree = Tree::now()?;
        let pid = self.pids().next().and_then(|pid| tree.below(pid).last().copied());
        pid.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Waiting {
    /// They are asked to end, then their input ends; who then does not is ended.
    fn drop(&mut self) {
        for child in &self.children {
            if let Some(pid) = Pid::from_raw(child.id() as i32) {
                // One that has ended is there until it is waited for.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        self.open.take();
        for child in &mut self.children {
            if !matches!(ends_within(child, END_TIME_MAX), Ok(true)) {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}

/// Bytes that a process holds: its own, and its part of what it shares. Of one that may not be looked into, all that is
/// resident.
fn memory_bytes(pid: u32) -> io::Result<f64> {
    let find = |text: &str, name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1024.0)
    };
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let exact = exact.ok().and_then(|text| find(&text, "Pss:"));
    match exact {
        Some(bytes) => Ok(bytes),
        None => {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            find(&status, "VmRSS:").ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }
}

/// Who started whom.
struct Tree(HashMap<u32, Vec<u32>>);

impl Tree {
    fn now() -> io::Result<Self> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // It may be gone by now.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            // The name of the program, in parentheses, may hold anything.
            let parent =
                stat.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(1)?.parse().ok());
            children.entry(parent.unwrap_or_default()).or_default().push(pid);
        }
        Ok(Self(children))
    }

    /// A process and all below it, those that were started later behind those that started them.
    fn below(&self, pid: u32) -> Vec<u32> {
        let mut found = vec![pid];
        let mut at = 0;
        while let Some(children) = found.get(at).map(|pid| self.0.get(pid)) {
            found.extend(children.into_iter().flatten());
            at += 1;
        }
        found
    }

    /// Processor time that a process and those below it have used. `None` while one of their threads is not asleep.
    fn used_by_sleepers(&self, pid: u32) -> Option<Duration> {
        let mut used_ns = 0;
        for pid in self.below(pid) {
            for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
                let thread = thread.ok()?.path();
                let stat = fs::read_to_string(thread.join("stat")).ok()?;
                if !stat.rsplit(')').next()?.trim_start().starts_with('S') {
                    return None;
                }
                let used = fs::read_to_string(thread.join("schedstat")).ok()?;
                used_ns += used.split(' ').next()?.parse::<u64>().ok()?;
            }
        }
        Some(Duration::from_nanos(used_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_run_is_measured() {
        let ended = run(&mut sh("echo one; echo two >&2; exit 3"), Stdio::null()).expect("a shell is there");
        assert_eq!((ended.result.code, ended.result.printed_bytes, &*ended.talk), (3, 4, "two\n"));
        assert!(ended.wall > Duration::ZERO);
        let other = run(&mut sh("echo six; exit 3"), Stdio::null()).expect("a shell is there");
        assert_ne!(ended.result, other.result);
    }

    #[test]
    fn processes_wait_and_are_looked_at() {
        let waiting =
            Waiting::begin([sh("cat; true"), sh("cat; true")]).expect("they start").expect("they wait");
        assert!(waiting.memory_bytes().expect("they are there") > 1e5);
        let innermost = waiting.innermost().expect("it is there");
        let name = fs::read_to_string(format!("/proc/{innermost}/comm")).expect("it is there");
        assert_eq!(name, "cat\n");
    }

    #[test]
    fn who_does_not_wait_is_told() {
        assert!(Waiting::begin([sh("exit 0")]).expect("it starts").is_none());
    }
}
