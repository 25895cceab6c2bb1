//! Clang as a process that is shut in: what it reads was made from a program, which may be hostile.

use std::io::{self, ErrorKind};
use std::mem;
use std::num::NonZero;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use aot::{Clang, Output, Run, Target};
use landlock::{Access, AccessFs, PathBeneath, PathFd, RulesetCreatedAttr};

use crate::limits::{
    COMPILER_BYTES_MAX, COMPILER_BYTES_MIN, COMPILER_BYTES_PER_SECOND, COMPILER_FILE_BYTES_MAX,
    COMPILER_WAIT_FACTOR,
};
use crate::sealed::landlock::{NEWEST, nothing};
use crate::shim::refused;
use crate::{Error, Profile, Settings};

/// Where compilers and what they need are installed. All of it is for everybody to read.
const INSTALLED: [&str; 9] = [
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
];

/// Optimizing as much as clang can.
const LEVEL: u8 = 3;

/// The kernel counts the time of a processor by ticks of its clock, of which the first may be short.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// The compiler of native code, held to the time that the settings give it.
pub(crate) fn clang(settings: &Settings) -> Result<Clang, Error> {
    let run: Run = if settings.profile == Profile::Sealed { run_in_any_case_shut_in } else { run };
    let clang = Clang::find(&settings.tools).map_err(refused)?;
    Ok(clang.held(Duration::from_secs(settings.options.compile_seconds.into()), jobs(), run))
}

/// The object that clang makes of text for this machine. It takes long, and is not begun where it would take too long on
/// any machine.
pub(crate) fn object(text: &str, settings: &Settings) -> Result<Vec<u8>, Error> {
    let seconds = settings.options.compile_seconds;
    if text.len() as u64 > u64::from(seconds) * COMPILER_BYTES_PER_SECOND {
        return Err(Error::Late(seconds));
    }
    let target = Target::host().ok_or_else(|| Error::NotNative("this machine is not known".to_owned()))?;
    clang(settings)?.compile(text, &target, &settings.options.cpu, LEVEL, Output::Shared).map_err(refused)
}

/// Tells the clang that there is from any other, also of the same version: no two were written at the same time, as large
/// and to the same place.
pub(crate) fn identity(settings: &Settings) -> Option<[u8; 32]> {
    let program = clang(settings).ok()?.program().canonicalize().ok()?;
    let file = program.metadata().ok()?;
    let mut hasher = blake3::Hasher::new();
    for number in [file.len(), file.mtime() as u64, file.mtime_nsec() as u64] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(program.as_os_str().as_bytes());
    Some(hasher.finalize().into())
}

/// Has this thread, and the compilers that it starts, take the processor when nobody else wants it much.
pub fn give_way() {
    // SAFETY: the call takes numbers only; 0 is the thread that calls. Where it fails, nothing is lost but some time.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// Runs a command to its end. It may use so much time of a processor, and take a few times longer where it has to wait; so
/// much memory and room on disk. Where the kernel has Landlock, it reads what is installed, writes to its streams and in
/// its directory, if it was given one, and reaches no network. It ends with the thread that waits for it here. A process
/// that it starts itself, as the linker is, is shut in likewise.
fn run(command: &mut Command, time: Duration) -> io::Result<(ExitStatus, Duration)> {
    let rules = rules(Path::new(command.get_program()), command.get_current_dir());
    run_within(rules.map_err(io::Error::other)?, command, time)
}

/// The same, for text by whoever may have taken over a sealed process: where the kernel has no Landlock it is not run.
fn run_in_any_case_shut_in(command: &mut Command, time: Duration) -> io::Result<(ExitStatus, Duration)> {
    match rules(Path::new(command.get_program()), command.get_current_dir()).map_err(io::Error::other)? {
        None => Err(io::Error::other("this kernel has no Landlock to shut it in")),
        rules => run_within(rules, command, time),
    }
}

fn run_within(
    rules: Option<OwnedFd>,
    command: &mut Command,
    time: Duration,
) -> io::Result<(ExitStatus, Duration)> {
    let seconds = time.as_secs().max(1);
    let wait = u32::try_from(seconds.saturating_mul(COMPILER_WAIT_FACTOR)).unwrap_or(u32::MAX);
    let parent = std::process::id();
    let limits = [
        (libc::RLIMIT_CPU, seconds),
        (libc::RLIMIT_AS, memory_bytes() / jobs() as u64),
        (libc::RLIMIT_FSIZE, COMPILER_FILE_BYTES_MAX),
        (libc::RLIMIT_CORE, 0),
    ];
    let shut_in = move || {
        limits.into_iter().try_for_each(|(what, most)| lower(what, most))?;
        // SAFETY: the calls take numbers only, one of them that of a descriptor which is open.
        unsafe {
            // It keeps the clock when it becomes clang, and leaves the signal to end it.
            libc::alarm(wait);
            done(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            // It may have ended before that was said.
            if libc::getppid() as u32 != parent {
                return Err(ErrorKind::NotConnected.into());
            }
            done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            if let Some(rules) = &rules {
                done(libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) as i32)?;
            }
        }
        Ok(())
    };
    // SAFETY: between the process and the program that it becomes, there are system calls only, and nothing is allocated.
    unsafe { command.pre_exec(shut_in) };
    let begun = Instant::now();
    let (ended, took) = waited(command.spawn()?)?;
    match ended.signal() {
        Some(libc::SIGALRM) => Err(ErrorKind::TimedOut.into()),
        // So a limit ends it, and so does the kernel when it is out of memory.
        Some(libc::SIGKILL) if begun.elapsed() + CLOCK_TICK >= Duration::from_secs(seconds) => {
            Err(ErrorKind::TimedOut.into())
        }
        // It was asked to end, and has not failed by itself.
        Some(signal @ (libc::SIGHUP | libc::SIGINT | libc::SIGQUIT | libc::SIGTERM | libc::SIGKILL)) => {
            Err(io::Error::other(format!("it was ended by signal {signal}")))
        }
        _ => Ok((ended, took)),
    }
}

/// How a process ended, and what time of a processor it took.
fn waited(child: Child) -> io::Result<(ExitStatus, Duration)> {
    let mut status = 0;
    // SAFETY: plain data for which zero is a value.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: both are written to; the process is a child of this one for which nobody else waits.
    while unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |of: libc::timeval| Duration::new(of.tv_sec as u64, of.tv_usec as u32 * 1_000);
    Ok((ExitStatus::from_raw(status), time(usage.ru_utime) + time(usage.ru_stime)))
}

/// What a program may touch that writes in `directory`; nothing where the kernel cannot hold it to that.
fn rules(
    program: &Path,
    directory: Option<&Path>,
) -> Result<Option<OwnedFd>, Box<dyn std::error::Error + Send + Sync>> {
    let mut rules = nothing()?;
    let program = program.canonicalize()?;
    let own = program.ancestors().nth(1);
    let own = own.map(|own| if own.ends_with("bin") { own.parent().unwrap_or(own) } else { own });
    let read = INSTALLED.iter().map(Path::new).chain(own).map(|path| (path, AccessFs::from_read(NEWEST)));
    let null = (Path::new("/dev/null"), AccessFs::from_file(NEWEST));
    for (path, access) in read.chain([null]).chain(directory.map(|path| (path, AccessFs::from_all(NEWEST)))) {
        // What is not there cannot be touched.
        if let Ok(opened) = PathFd::new(path) {
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    Ok(rules.into())
}

/// Sets a limit of this process, but never above the one that there is.
fn lower(what: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives until the calls return.
    unsafe {
        done(libc::getrlimit(what, &mut limit))?;
        let most = most.min(limit.rlim_max);
        limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        done(libc::setrlimit(what, &limit))
    }
}

fn done(returned: i32) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How many compilers may run at the same time for one program.
fn jobs() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let have_memory = usize::try_from(memory_bytes() / COMPILER_BYTES_MIN).unwrap_or(usize::MAX);
    processors.min(have_memory).max(1)
}

/// Half of what the machine has, and no more than [`COMPILER_BYTES_MAX`].
fn memory_bytes() -> u64 {
    // SAFETY: the calls take numbers only.
    let [pages, page] = [libc::_SC_PHYS_PAGES, libc::_SC_PAGESIZE].map(|name| unsafe { libc::sysconf(name) });
    let machine = u64::try_from(pages).unwrap_or(0).saturating_mul(u64::try_from(page).unwrap_or(0));
    if machine == 0 { COMPILER_BYTES_MAX } else { COMPILER_BYTES_MAX.min(machine / 2) }
}
