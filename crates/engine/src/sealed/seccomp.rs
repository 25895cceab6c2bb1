//! System calls, by allow list: a wide one until the program begins, a strict one from then on.
//!
//! What is on no list ends the process, which says which call it was. A few calls that libraries try, and do without, fail
//! with an error instead. From the moment the program begins no memory becomes executable that was not before.

use std::collections::BTreeMap;
use std::io;
use std::mem;

use libc::{c_int, c_long, c_void, siginfo_t};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::channel::{Tag, send_from_handler};
use super::descriptors::CHANNEL;
use super::layer::Layer;
use super::system::checked;

/// Calls that are allowed with any arguments: they reach only what the process has.
const ALWAYS: &[c_long] = &[
    // Streams, files and sockets that are open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
    libc::SYS_getdents64,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_pipe2,
    libc::SYS_flock,
    libc::SYS_fstatfs,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_memfd_create,
    libc::SYS_membarrier,
    // Waiting, time and threads.
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_delete,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    // Of itself.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Sockets: of which kinds, another filter says; where to, the network that there is.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Fails, by another filter: the C library then starts threads in a way that can be looked into.
    libc::SYS_clone3,
];

#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_time];
#[cfg(target_arch = "aarch64")]
const OLD: &[c_long] = &[];

/// Calls that take a path. They reach the root of the process, which has the granted directories.
const PATHS: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_utimensat,
    libc::SYS_fchmodat,
    libc::SYS_fchmod,
    libc::SYS_getcwd,
];

#[cfg(target_arch = "x86_64")]
const OLD_PATHS: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_renameat,
];
#[cfg(target_arch = "aarch64")]
const OLD_PATHS: &[c_long] = &[libc::SYS_renameat];

/// Until the program begins, also: a second filter is put on, limits are lowered, sockets are made for the event loop.
const SETTING_UP: &[c_long] = &[libc::SYS_seccomp, libc::SYS_socketpair];

/// Packets below the protocols of the Internet, in a way that is older than the family for them.
const SOCK_PACKET: c_int = 10;

/// `PAGEMAP_SCAN`, with which a pool finds what an instance wrote to.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// `PR_SET_VMA`, with which memory is named.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Namespaces, and whatever else a new thread could bring with it.
const CLONE_FORBIDDEN: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_VFORK
    | libc::CLONE_PTRACE
    | libc::CLONE_PARENT;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Options of sockets that programs may set. Others choose where to something goes, whatever its address is.
const OPTIONS: [(c_int, &[c_int]); 4] = [
    (
        libc::SOL_SOCKET,
        &[
            libc::SO_REUSEADDR,
            libc::SO_KEEPALIVE,
            libc::SO_LINGER,
            libc::SO_RCVBUF,
            libc::SO_SNDBUF,
            libc::SO_RCVTIMEO,
            libc::SO_SNDTIMEO,
        ],
    ),
    (
        libc::IPPROTO_TCP,
        &[
            libc::TCP_NODELAY,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_USER_TIMEOUT,
        ],
    ),
    (libc::IPPROTO_IP, &[libc::IP_TTL, libc::IP_RECVERR]),
    (libc::IPPROTO_IPV6, &[libc::IPV6_V6ONLY, libc::IPV6_UNICAST_HOPS, libc::IPV6_RECVERR]),
];

/// Puts on the wide filter, and what reports a call that is on no list. With `egress` the process gets sockets of the
/// host's network.
pub(super) fn set_up(egress: bool) -> Layer {
    let put_on = || {
        report_violations()?;
        if egress {
            apply(past_supervisor()?, false)?;
        }
        apply(Errno(libc::ENOSYS).program([libc::SYS_clone3])?, false)?;
        apply(sockets()?, false)?;
        apply(allow(rules(true)?)?, false)
    };
    Layer::from_result("seccomp", put_on())
}

/// Puts on the strict filter, for all threads. Without `paths` calls with a path fail.
pub(super) fn lock(paths: bool) -> io::Result<()> {
    if !paths {
        apply(Errno(libc::EACCES).program(PATHS.iter().chain(OLD_PATHS).copied())?, true)?;
    }
    apply(allow(rules(false)?)?, true)
}

fn rules(setting_up: bool) -> io::Result<Rules> {
    let known = ALWAYS.iter().chain(OLD).chain(PATHS).chain(OLD_PATHS);
    let more = SETTING_UP.iter().filter(|_| setting_up);
    let mut rules: Rules = known.chain(more).map(|call| (*call, Vec::new())).collect();
    if setting_up {
        rules.extend([libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_prctl].map(|call| (call, Vec::new())));
    } else {
        let executable = libc::PROT_EXEC as u64;
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            rules.insert(call, vec![rule([(2, SeccompCmpOp::MaskedEq(executable), 0)])?]);
        }
        let names = [libc::PR_SET_NAME as u64, PR_SET_VMA];
        rules.insert(libc::SYS_prctl, one_of(0, &names)?);
    }
    // Limits are read, and lowered while nothing has begun, of this process only.
    let of_itself = (0, SeccompCmpOp::Eq, 0);
    let limits = if setting_up { rule([of_itself])? } else { rule([of_itself, (2, SeccompCmpOp::Eq, 0)])? };
    rules.insert(libc::SYS_prlimit64, vec![limits]);
    // Threads, and nothing but threads.
    let mask = (CLONE_FORBIDDEN | libc::CLONE_THREAD) as u64;
    let thread = rule([(0, SeccompCmpOp::MaskedEq(mask), libc::CLONE_THREAD as u64)])?;
    rules.insert(libc::SYS_clone, vec![thread]);
    let itself = rule([(0, SeccompCmpOp::Eq, std::process::id().into())])?;
    rules.insert(libc::SYS_tgkill, vec![itself]);
    let asks = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, PAGEMAP_SCAN];
    rules.insert(libc::SYS_ioctl, one_of(1, &asks)?);
    let asks = [
        libc::F_DUPFD,
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_ADD_SEALS,
        libc::F_GET_SEALS,
    ];
    rules.insert(libc::SYS_fcntl, one_of(1, &asks.map(|ask| ask as u64))?);
    Ok(rules)
}

/// Sockets that are not of the Internet, or reach below TCP and UDP, are not made.
fn sockets() -> io::Result<BpfProgram> {
    let kind = SeccompCmpOp::MaskedEq(0xf);
    let foreign =
        rule([(0, SeccompCmpOp::Ne, libc::AF_INET as u64), (0, SeccompCmpOp::Ne, libc::AF_INET6 as u64)])?;
    let kinds = [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET];
    let mut refused = vec![foreign];
    for other in kinds {
        refused.push(rule([(1, kind.clone(), other as u64)])?);
    }
    let rules = BTreeMap::from([(libc::SYS_socket, refused)]);
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EAFNOSUPPORT as u32))
}

/// Ways to say an address on a socket of the host's network without the supervisor fail. Messages, which may have
/// addresses, go through the channel only, so nothing else may have its number.
fn past_supervisor() -> io::Result<BpfProgram> {
    let channel = CHANNEL as u64;
    let mut options = vec![rule(OPTIONS.map(|(level, _)| (1, SeccompCmpOp::Ne, level as u64)))?];
    for (level, allowed) in OPTIONS {
        let others = allowed.iter().map(|option| (2, SeccompCmpOp::Ne, *option as u64));
        options.push(rule([(1, SeccompCmpOp::Eq, level as u64)].into_iter().chain(others))?);
    }
    let rules = BTreeMap::from([
        (libc::SYS_setsockopt, options),
        (libc::SYS_sendmsg, vec![rule([(0, SeccompCmpOp::Ne, channel)])?]),
        (libc::SYS_sendmmsg, Vec::new()),
        (libc::SYS_close, vec![rule([(0, SeccompCmpOp::Eq, channel)])?]),
        (libc::SYS_dup3, vec![rule([(1, SeccompCmpOp::Eq, channel)])?]),
    ]);
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
}

/// Calls that fail with this error.
struct Errno(c_int);

impl Errno {
    fn program(&self, calls: impl IntoIterator<Item = c_long>) -> io::Result<BpfProgram> {
        let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
        compile(rules, SeccompAction::Allow, SeccompAction::Errno(self.0 as u32))
    }
}

fn allow(rules: Rules) -> io::Result<BpfProgram> {
    compile(rules, SeccompAction::Trap, SeccompAction::Allow)
}

fn compile(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> io::Result<BpfProgram> {
    let here = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    SeccompFilter::new(rules, otherwise, matched, here)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

fn apply(program: BpfProgram, to_all_threads: bool) -> io::Result<()> {
    match to_all_threads {
        true => seccompiler::apply_filter_all_threads(&program),
        false => seccompiler::apply_filter(&program),
    }
    .map_err(io::Error::other)
}

/// A rule that holds where every argument compares so.
fn rule(of: impl IntoIterator<Item = (u8, SeccompCmpOp, u64)>) -> io::Result<SeccompRule> {
    let compare = |(argument, with, value)| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, with, value).map_err(io::Error::other)
    };
    let conditions: Vec<SeccompCondition> = of.into_iter().map(compare).collect::<io::Result<_>>()?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}

fn one_of(argument: u8, values: &[u64]) -> io::Result<Vec<SeccompRule>> {
    values.iter().map(|value| rule([(argument, SeccompCmpOp::Eq, *value)])).collect()
}

/// Has a refused call told to the supervisor, by its number; and a write that nobody reads, which would end any other
/// process, but not the first of its namespace.
fn report_violations() -> io::Result<()> {
    install(libc::SIGSYS, on_violation)?;
    install(libc::SIGPIPE, on_broken_pipe)
}

fn install(signal: c_int, handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void)) -> io::Result<()> {
    // SAFETY: the structure is plain data for which zero is a value, and the handlers keep to what one may do.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        checked(libc::sigaction(signal, &action, std::ptr::null_mut())).map(drop)
    }
}

extern "C" fn on_violation(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // The number of the call, behind the address from which it was made.
    // SAFETY: the kernel gives the handler what it knows of the signal.
    let number = unsafe { info.cast::<u32>().byte_add(24).read() };
    send_from_handler(CHANNEL, Tag::Violation, number);
    // SAFETY: it does not return.
    unsafe { libc::_exit(128 + libc::SIGSYS) }
}

extern "C" fn on_broken_pipe(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    send_from_handler(CHANNEL, Tag::BrokenPipe, 0);
    // SAFETY: as above.
    unsafe { libc::_exit(128 + libc::SIGPIPE) }
}
