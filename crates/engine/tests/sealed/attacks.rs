//! The attacks: what each tries, and what must happen.

use std::ffi::CStr;
use std::io;
use std::sync::atomic::Ordering;

use libc::{c_int, c_long};

use crate::attempt::{Host, LEFT_OPEN, VARIABLE_AT};
use crate::egress;
use crate::rate;
use crate::scene::SECRET;

/// The attack on a supervisor that only waits for the process to end.
pub(crate) const OUTLAST: &str = "outlast its supervisor";

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What it tries.
    pub(crate) tries: &'static str,
    pub(crate) grant: Grant,
    pub(crate) phases: &'static [Phase],
    /// What it comes to, in the attacker's words, or, where it did not live to tell, in its supervisor's.
    pub(crate) attempt: fn(&Host) -> String,
    /// What may happen: one of these.
    pub(crate) must: &'static [&'static str],
}

/// What the process was granted.
pub(crate) enum Grant {
    Nothing,
    /// A directory, and one to read from.
    Dirs,
    /// To connect and send to one port of the host.
    OnePeer,
    /// The same, at a [rate](crate::rate::RATE).
    OnePeerSlowly,
}

/// What was taken over.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    /// The compiler, before the program begins.
    SettingUp,
    /// The program, or what runs it.
    Running,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::SettingUp => "setting up",
            Phase::Running => "running",
        }
    }
}

const BOTH: &[Phase] = &[Phase::SettingUp, Phase::Running];
const SETTING_UP: &[Phase] = &[Phase::SettingUp];
const RUNNING: &[Phase] = &[Phase::Running];

const fn attack(
    name: &'static str,
    tries: &'static str,
    grant: Grant,
    attempt: fn(&Host) -> String,
    must: &'static [&'static str],
) -> Attack {
    Attack { name, tries, grant, phases: BOTH, attempt, must }
}

/// An attack on the rate at which it may send: its supervisor says how fast it was.
const fn at_rate(name: &'static str, tries: &'static str, attempt: fn(&Host) -> String) -> Attack {
    Attack { phases: RUNNING, ..attack(name, tries, OnePeerSlowly, attempt, &[rate::KEPT]) }
}

/// A system call that no such process makes, with these arguments.
macro_rules! call {
    ($name:literal, $tries:literal, $number:ident $(, $argument:expr)*) => {
        attack($name, $tries, Grant::Nothing, |_| {
            // SAFETY: the call is not made; if it were, the test would fail before anything comes of it.
            told(unsafe { libc::syscall(libc::$number $(, $argument)*) })
        }, &[concat!("ended: ", $name)])
    };
}

/// A question to the kernel, which it answers only while the process is set up.
macro_rules! ask {
    ($name:literal, $question:ident, $answer:literal) => {
        Attack {
            phases: SETTING_UP,
            ..attack($name, "asks the kernel", Nothing, |_| ask(libc::$question), &[$answer])
        }
    };
}

/// No path leads anywhere.
const NO_PATH: &[&str] = &["failed: ENOENT", "failed: EACCES"];
const NO_WRITE: &[&str] = &["failed: EROFS", "failed: EACCES"];

use Grant::{Dirs, Nothing, OnePeer, OnePeerSlowly};

#[rustfmt::skip]
pub(crate) const ATTACKS: &[Attack] = &[
    // Files.
    attack("read /etc/passwd", "reads a file of the host", Nothing, |_| read(c"/etc/passwd"), NO_PATH),
    attack("read the supervisor's environment", "reads secrets of the host's processes", Nothing,
        |host| read(&text(format!("/proc/{}/environ", host.supervisor))), NO_PATH),
    attack("read /proc/1/environ", "reads secrets of a process of the host", Dirs, |_| read(c"/proc/1/environ"), NO_PATH),
    attack("read /proc/self/root", "leaves by the root of a process", Dirs, |_| read(c"/proc/self/root"), NO_PATH),
    attack("open a device", "reads the memory of the machine", Dirs, |_| read(c"/dev/mem"), NO_PATH),
    attack("open a control group", "changes its own limits", Dirs, |_| read(c"/sys/fs/cgroup/cgroup.procs"), NO_PATH),
    attack("read with a grant", "what was granted must work, or nothing here proves anything", Dirs,
        |_| read(c"/0/own"), &["reached: its own"]),
    attack("leave by ..", "climbs out of a granted directory", Dirs, |_| read(c"/0/../../../../etc/passwd"), NO_PATH),
    attack("leave by a relative link", "follows a link that points up", Dirs, |_| read(c"/0/up"), NO_PATH),
    attack("leave by an absolute link", "follows a link to the host's file", Dirs, |_| read(c"/0/absolute"), NO_PATH),
    attack("leave by a race of links", "swaps a directory for a link while it is opened", Dirs, |_| race(), &["never"]),
    attack("write with a grant for reading", "changes a file", Dirs, |_| write(c"/1/own"), NO_WRITE),
    attack("write by a link with a grant for reading", "changes the host's file", Dirs, |_| write(c"/1/up"),
        NO_WRITE),
    attack("make a file in the root", "fills the memory of the host", Dirs, |_| write(c"/new"), NO_WRITE),
    attack("make a device", "makes a device of its own", Dirs, |_| {
        // SAFETY: the path ends in a zero.
        told(unsafe { libc::syscall(libc::SYS_mknodat, libc::AT_FDCWD, c"/0/mem".as_ptr(), libc::S_IFCHR | 0o600, 0x101) })
    }, &["ended: mknodat"]),
    attack("execute with a grant", "runs a program that it wrote", Dirs, |_| execute(), &["ended: execve"]),

    attack("read what only the mighty may", "reads a file whose mode lets nobody, as root can", Dirs,
        |_| read(c"/0/closed"), &["failed: EACCES"]),

    // What is left of its rights, as the kernel tells.
    ask!("has capabilities to gain", PR_CAPBSET_READ, "reached: 0"),
    ask!("may gain rights by a program", PR_GET_NO_NEW_PRIVS, "reached: 1"),
    ask!("can be looked into", PR_GET_DUMPABLE, "reached: 0"),
    attack("sees the host's processes", "asks for its own number", Nothing, |_| std::process::id().to_string(), &["1"]),

    // What was inherited.
    attack("read a descriptor that was left open", "reads what the host had open", Nothing, |_| read_from(LEFT_OPEN),
        &["failed: EBADF"]),
    attack("open from a standard stream", "its standard input is the host's root directory", Nothing, |_| {
        // SAFETY: the path ends in a zero.
        opened(unsafe { libc::syscall(libc::SYS_openat, 0, c"etc/passwd".as_ptr(), libc::O_RDONLY, 0) })
    }, &["failed: ENOTDIR", "failed: EACCES"]),
    attack("read the environment", "looks for the host's variables in its own memory", Nothing, |_| environment(),
        &["nothing"]),
    attack("ioctl", "types on the terminal of its user, with `TIOCSTI`", Nothing, |_| {
        // SAFETY: the byte lives until the call returns.
        told(unsafe { libc::ioctl(0, libc::TIOCSTI, c"!".as_ptr()) }.into())
    }, &["ended: ioctl"]),

    // Processes.
    call!("kill", "ends all processes that it can", SYS_kill, -1, libc::SIGKILL),
    call!("tkill", "ends a thread", SYS_tkill, 2, libc::SIGKILL),
    attack("tgkill", "ends a process by its number", Nothing, |host| {
        let (pid, signal) = (host.supervisor, libc::SIGKILL);
        // SAFETY: it takes numbers only.
        told(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, signal) })
    }, &["ended: tgkill"]),
    attack("ptrace", "takes over its supervisor", Nothing, |host| {
        // SAFETY: it takes numbers only here.
        told(unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, host.supervisor, 0, 0) })
    }, &["ended: ptrace"]),
    call!("process_vm_readv", "reads the memory of another process", SYS_process_vm_readv, 1, 0, 0, 0, 0, 0),
    call!("process_vm_writev", "writes to the memory of another process", SYS_process_vm_writev, 1, 0, 0, 0, 0, 0),
    call!("pidfd_open", "holds a process", SYS_pidfd_open, 1, 0),
    call!("pidfd_getfd", "takes a descriptor of another process", SYS_pidfd_getfd, 3, 0, 0),
    call!("kcmp", "compares itself with another process", SYS_kcmp, 1, 1, 0, 0, 0),
    attack("prlimit64", "takes away its supervisor's limits", Nothing, |host| {
        // SAFETY: no address is given.
        told(unsafe { libc::syscall(libc::SYS_prlimit64, host.supervisor, libc::RLIMIT_CPU, 0, 0) })
    }, &["ended: prlimit64"]),
    call!("execve", "becomes another program", SYS_execve, c"/bin/sh".as_ptr(), 0, 0),
    attack("execveat", "becomes a program that it made in memory", Nothing, |_| {
        // SAFETY: the strings end in zeros.
        told(unsafe {
            let file = libc::memfd_create(c"program".as_ptr(), 0);
            libc::syscall(libc::SYS_execveat, file, c"".as_ptr(), 0, 0, libc::AT_EMPTY_PATH)
        })
    }, &["ended: execveat"]),
    attack("clone", "makes another process", Nothing, |_| {
        // SAFETY: a copy of this process would do what this one does.
        told(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })
    }, &["ended: clone"]),
    attack("clone into namespaces", "makes a thread with a mount namespace", Nothing, |_| {
        let flags = libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VM | libc::CLONE_NEWNS;
        // SAFETY: it is refused.
        told(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })
    }, &["ended: clone"]),
    attack("clone3", "makes another process in the new way", Nothing, |_| {
        // SAFETY: no structure is given.
        told(unsafe { libc::syscall(libc::SYS_clone3, 0, 0) })
    }, &["failed: ENOSYS"]),
    attack("threads without end", "uses up the processes of the machine", Nothing, |_| threads(),
        &["failed: EAGAIN"]),
    attack("memory without end", "uses up the memory of the machine", Nothing, |_| memory(),
        &["ended: memory", "failed: ENOMEM"]),
    Attack { phases: RUNNING, ..attack("descriptors without end", "uses up the machine's open files", Nothing,
        |_| descriptors(), &["failed: EMFILE"]) },

    // The network.
    attack("connect", "reaches a server on the host", Nothing, |host| connect([127, 0, 0, 1], host.port),
        &["failed: ENETUNREACH", "failed: ECONNREFUSED", "failed: EACCES"]),
    attack("send", "sends a datagram to the host", Nothing, |host| send(host.port), &["failed: ENETUNREACH"]),
    attack("connect to the cloud", "reaches the server that gives keys to machines", Nothing,
        |_| connect([169, 254, 169, 254], 80), &["failed: ENETUNREACH", "failed: EACCES"]),
    attack("connect past a grant", "reaches a port that was not granted", OnePeer,
        |host| connect([127, 0, 0, 1], host.port), &["failed: EACCES"]),
    attack("connect with a grant", "what was granted must work, or nothing here proves anything", OnePeer,
        |host| connect([127, 0, 0, 1], host.granted), &["reached: 0"]),
    attack("send with a grant", "the same for datagrams", OnePeer, |host| egress::datagram(host.granted),
        &["reached: 1"]),
    attack("send past a grant", "sends a datagram elsewhere", OnePeer, |host| egress::datagram(host.port),
        &["failed: EACCES"]),
    attack("send past a connection", "sends elsewhere from a socket that is connected", OnePeer,
        |host| egress::past_connection(host.granted, host.port), &["failed: EACCES"]),
    attack("send a message past a grant", "says an address where nobody looks", OnePeer,
        |host| egress::message(host.port, false), &["failed: EPERM"]),
    attack("send messages past a grant", "the same for several at once", OnePeer,
        |host| egress::message(host.port, true), &["failed: EPERM"]),
    attack("send before it is connected", "connects by sending", OnePeer, |host| egress::fast_open(host.port),
        &["failed: EISCONN"]),
    attack("swap an address", "changes an address after it was looked at", OnePeer,
        |host| egress::swap(host.granted, host.port), &["never"]),
    attack("swap sockets", "has one socket checked, and uses another", OnePeer,
        |host| egress::swap_numbers(host.granted), &["failed: EDESTADDRREQ"]),
    attack("route by another host", "has packets go where their address does not say", OnePeer,
        |_| egress::option(libc::IPPROTO_IP, libc::IP_OPTIONS), &["failed: EPERM"]),
    attack("choose an interface", "leaves by another network", OnePeer,
        |_| egress::option(libc::SOL_SOCKET, libc::SO_BINDTODEVICE), &["failed: EPERM"]),
    attack("listen", "lets others come", OnePeer, |_| egress::listen(None), &["failed: EACCES"]),
    attack("listen at a free port", "lets others come", OnePeer, |_| egress::listen(Some(0)), &["failed: EACCES"]),
    attack("take a port", "takes the place of a service", OnePeer, |host| egress::listen(Some(host.port ^ 1)),
        &["failed: EACCES"]),
    attack("sockets without end", "uses up the descriptors of its supervisor", OnePeer, |_| egress::sockets(),
        &["failed: EMFILE"]),
    at_rate("send all it can", "sends faster than it may", |host| rate::one_connection(host.granted)),
    at_rate("send by many connections", "has a rate for each", |host| rate::many_connections(host.granted)),
    at_rate("connect again and again", "sends before its connection has a rate", |host| rate::again_and_again(host.granted)),
    at_rate("close and go on", "sends on what the supervisor believes to be closed", |host| rate::closed(host.granted)),
    at_rate("send datagrams without end", "has them sent faster than it may", |host| rate::datagrams(host.granted, false)),
    at_rate("send datagrams without an address", "sends past who counts them",
        |host| rate::datagrams(host.granted, true)),
    Attack {
        phases: RUNNING,
        ..attack("set its own rate", "sends faster than it may", OnePeerSlowly, |_| rate::raise(), &["failed: EPERM"])
    },
    attack("ping", "sends what is neither TCP nor UDP", OnePeer,
        |_| egress::protocol(libc::SOCK_DGRAM, libc::IPPROTO_ICMP), &["failed: EPROTONOSUPPORT"]),
    attack("TCP by several paths", "adds addresses to a connection", OnePeer,
        |_| egress::protocol(libc::SOCK_STREAM, libc::IPPROTO_MPTCP), &["failed: EPROTONOSUPPORT"]),
    attack("a socket as the channel", "sends messages with addresses by the channel's number", OnePeer,
        |_| egress::take_channel(), &["failed: EPERM"]),
    attack("close the channel", "frees the channel's number", OnePeer, |_| egress::close_channel(),
        &["failed: EPERM"]),
    Attack { phases: SETTING_UP, ..attack("answer its own calls", "takes the supervisor's place", OnePeer,
        |_| egress::answer_itself(), &["failed: EBUSY"]) },
    attack("addresses that are none", "has the supervisor read what is not there", OnePeer, |_| egress::nonsense(),
        &["refused"]),
    attack("connect to the cloud past a grant", "reaches the server that gives keys to machines", OnePeer,
        |_| connect([169, 254, 169, 254], 80), &["failed: EACCES"]),
    attack("a local socket", "speaks to a service of the host", OnePeer, |_| socket(libc::AF_UNIX, libc::SOCK_STREAM),
        &["failed: EAFNOSUPPORT"]),
    attack("netlink", "changes the network of the host", OnePeer, |_| socket(libc::AF_NETLINK, libc::SOCK_RAW),
        &["failed: EAFNOSUPPORT"]),
    attack("packets", "sees all that passes the network", OnePeer, |_| socket(libc::AF_PACKET, libc::SOCK_RAW),
        &["failed: EAFNOSUPPORT"]),
    attack("raw sockets", "sends in another's name", OnePeer, |_| socket(libc::AF_INET, libc::SOCK_RAW),
        &["failed: EAFNOSUPPORT"]),
    attack("a virtual machine's socket", "speaks to what the machine runs in", OnePeer,
        |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM), &["failed: EAFNOSUPPORT"]),

    // The kernel.
    call!("mount", "mounts a file system", SYS_mount, 0, 0, 0, 0, 0),
    call!("umount2", "uncovers what is below its root", SYS_umount2, c"/".as_ptr(), libc::MNT_DETACH),
    call!("pivot_root", "takes another root", SYS_pivot_root, 0, 0),
    call!("chroot", "takes another root", SYS_chroot, c"/".as_ptr()),
    call!("open_tree", "takes a mount along", SYS_open_tree, -1, 0, 0),
    call!("fsopen", "makes a file system", SYS_fsopen, c"proc".as_ptr(), 0),
    call!("unshare", "takes a user namespace, where it may do everything", SYS_unshare, libc::CLONE_NEWUSER),
    call!("setns", "enters the namespaces of another", SYS_setns, 3, 0),
    call!("bpf", "loads a program into the kernel", SYS_bpf, 0, 0, 0),
    call!("perf_event_open", "watches the machine", SYS_perf_event_open, 0, 0, -1, -1, 0),
    call!("io_uring_setup", "has the kernel make calls that nobody filters", SYS_io_uring_setup, 1, 0),
    call!("userfaultfd", "makes the kernel wait", SYS_userfaultfd, 0),
    call!("keyctl", "reads keys that the kernel keeps", SYS_keyctl, 0, -3, 0),
    call!("add_key", "fills the memory of the kernel", SYS_add_key, 0, 0, 0, 0, 0),
    call!("init_module", "becomes a part of the kernel", SYS_init_module, 0, 0, 0),
    call!("kexec_load", "becomes the kernel", SYS_kexec_load, 0, 0, 0, 0),
    call!("open_by_handle_at", "opens a file by its number", SYS_open_by_handle_at, -1, 0, 0),
    call!("name_to_handle_at", "learns the number of a file", SYS_name_to_handle_at, -1, 0, 0, 0, 0),
    call!("capset", "takes rights", SYS_capset, 0, 0),
    call!("setresuid", "becomes somebody else", SYS_setresuid, 0, 0, 0),
    call!("setgroups", "joins a group", SYS_setgroups, 0, 0),
    call!("personality", "makes all its memory executable", SYS_personality, 0x0040_0000),
    call!("shmget", "shares memory with others", SYS_shmget, 1, 4096, 0),
    call!("msgget", "sends messages to others", SYS_msgget, 1, 0),
    call!("mq_open", "opens a queue of others", SYS_mq_open, c"/a".as_ptr(), 0, 0, 0),
    call!("sethostname", "renames the machine", SYS_sethostname, c"a".as_ptr(), 1),
    call!("clock_settime", "sets the machine's clock", SYS_clock_settime, 0, 0),
    call!("reboot", "ends the machine", SYS_reboot, 0, 0, 0, 0),
    call!("sched_setaffinity", "takes a processor for itself", SYS_sched_setaffinity, 0, 0, 0),
    Attack { phases: RUNNING, ..call!("seccomp", "filters its own calls anew", SYS_seccomp, 1, 0, 0) },
    Attack { phases: RUNNING, ..call!("prctl", "lets others look into it", SYS_prctl, libc::PR_SET_DUMPABLE, 1) },
    Attack { phases: RUNNING, ..call!("mmap", "makes memory that can be executed", SYS_mmap, 0, 4096,
        libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) },
    Attack { phases: RUNNING, ..call!("mprotect", "makes its memory executable", SYS_mprotect, 0, 4096, libc::PROT_EXEC) },
    attack("fcntl", "has the kernel signal another process", Nothing, |host| {
        // SAFETY: it takes numbers only.
        told(unsafe { libc::fcntl(0, libc::F_SETOWN, host.supervisor) }.into())
    }, &["ended: fcntl"]),
    #[cfg(target_arch = "x86_64")]
    attack("calls of another kind", "makes a system call as a program of 32 bits does", Nothing, |_| old_call(),
        &["ended: signal 31"]),
    #[cfg(target_arch = "x86_64")]
    attack("calls with another number", "makes a system call as a program with short pointers does", Nothing, |_| {
        // SAFETY: it takes numbers only.
        told(unsafe { libc::syscall(0x4000_0000 | libc::SYS_kill, -1, 0) })
    }, &["ended: number 1073741886"]),

    // The supervisor.
    attack("flood the supervisor", "sends it messages without end", Nothing, |_| flood(b"W"), &["ended: Nonsense"]),
    attack("send nonsense", "sends what is no message", Nothing, |_| flood(b"?"), &["ended: Nonsense"]),
    attack(OUTLAST, "talks to a supervisor that waits for its end, and does not end", Nothing, |_| flood(b"?"),
        &["ended: signal 9"]),
    attack("send code that nobody wants", "has the supervisor keep code of another program", Nothing, |_| flood(b"M"),
        &["ended: Nonsense"]),
];

/// What a system call came to.
pub(crate) fn told(returned: c_long) -> String {
    if returned >= 0 {
        return format!("reached: {returned}");
    }
    failed()
}

pub(crate) fn failed() -> String {
    let number = io::Error::last_os_error().raw_os_error().unwrap_or_default();
    let name = match number {
        libc::EACCES => "EACCES",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EAGAIN => "EAGAIN",
        libc::EBADF => "EBADF",
        libc::EBUSY => "EBUSY",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::EDESTADDRREQ => "EDESTADDRREQ",
        libc::EISCONN => "EISCONN",
        libc::EMFILE => "EMFILE",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ENOENT => "ENOENT",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSYS => "ENOSYS",
        libc::ENOTDIR => "ENOTDIR",
        libc::EPERM => "EPERM",
        libc::EPROTONOSUPPORT => "EPROTONOSUPPORT",
        libc::EROFS => "EROFS",
        number => return format!("failed: {number}"),
    };
    format!("failed: {name}")
}

fn ask(question: c_int) -> String {
    // SAFETY: the questions take numbers only.
    told(unsafe { libc::prctl(question, 0, 0, 0, 0) }.into())
}

fn text(path: String) -> std::ffi::CString {
    std::ffi::CString::new(path).expect("a path")
}

fn open(path: &CStr, flags: c_int) -> c_long {
    // SAFETY: the path ends in a zero.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) }
}

fn opened(file: c_long) -> String {
    if file < 0 { failed() } else { read_from(file as c_int) }
}

fn read(path: &CStr) -> String {
    opened(open(path, libc::O_RDONLY))
}

fn read_from(file: c_int) -> String {
    let mut bytes = [0; 64];
    // SAFETY: there is room for as many bytes.
    let read = unsafe { libc::read(file, bytes.as_mut_ptr().cast(), bytes.len()) };
    match usize::try_from(read) {
        Ok(read) => format!("reached: {}", String::from_utf8_lossy(&bytes[..read])),
        Err(_) => failed(),
    }
}

fn write(path: &CStr) -> String {
    let file = open(path, libc::O_WRONLY | libc::O_CREAT);
    if file < 0 {
        return failed();
    }
    // SAFETY: the bytes are there.
    told(unsafe { libc::write(file as c_int, b"!".as_ptr().cast(), 1) } as c_long)
}

/// Opens a file in a directory that another thread swaps for a link which leads out.
fn race() -> String {
    let own = |path: &CStr, other: &CStr| {
        // SAFETY: the paths end in zeros.
        unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                libc::AT_FDCWD,
                path.as_ptr(),
                libc::AT_FDCWD,
                other.as_ptr(),
                2,
            )
        }
    };
    // SAFETY: the paths end in zeros.
    unsafe {
        libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, c"/0/a".as_ptr(), 0o700);
        libc::syscall(libc::SYS_symlinkat, c"../..".as_ptr(), libc::AT_FDCWD, c"/0/b".as_ptr());
    }
    let swaps = std::thread::spawn(move || (0..20_000).filter(|_| own(c"/0/a", c"/0/b") == 0).count());
    for _ in 0..20_000 {
        for path in [c"/0/a/secret", c"/0/a/etc/passwd"] {
            if open(path, libc::O_RDONLY) >= 0 {
                return "reached".to_owned();
            }
        }
    }
    match swaps.join() {
        Ok(0) => "the race never was".to_owned(),
        Ok(_) => "never".to_owned(),
        Err(_) => "panicked".to_owned(),
    }
}

fn execute() -> String {
    let file = open(c"/0/program", libc::O_WRONLY | libc::O_CREAT);
    // SAFETY: the strings and the bytes are there.
    told(unsafe {
        libc::write(file as c_int, b"#!/bin/sh\n".as_ptr().cast(), 10);
        libc::fchmod(file as c_int, 0o700);
        libc::syscall(libc::SYS_execve, c"/0/program".as_ptr(), 0, 0)
    })
}

fn environment() -> String {
    let at = VARIABLE_AT.load(Ordering::Relaxed) as *const u8;
    // SAFETY: the variable was there, on a stack that is still mapped.
    let found = unsafe { std::slice::from_raw_parts(at, SECRET.len()) };
    match (found == SECRET.as_bytes(), std::env::vars_os().any(|(_, value)| value == SECRET)) {
        (false, false) => "nothing".to_owned(),
        _ => "reached".to_owned(),
    }
}

fn threads() -> String {
    loop {
        let wait = || {
            loop {
                std::thread::park();
            }
        };
        if let Err(error) = std::thread::Builder::new().stack_size(64 << 10).spawn(wait) {
            return match error.raw_os_error() {
                Some(libc::EAGAIN) => "failed: EAGAIN".to_owned(),
                _ => error.to_string(),
            };
        }
    }
}

fn memory() -> String {
    const STEP: usize = 64 << 20;
    for _ in 0..1_000 {
        // SAFETY: the memory is new, and as large as what is written.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let at = libc::mmap(std::ptr::null_mut(), STEP, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if at == libc::MAP_FAILED {
                return failed();
            }
            std::ptr::write_bytes(at.cast::<u8>(), 1, STEP);
        }
    }
    "reached: 62 GiB".to_owned()
}

fn descriptors() -> String {
    for _ in 0..1_000_000 {
        // SAFETY: it takes a number only.
        if unsafe { libc::dup(0) } < 0 {
            return failed();
        }
    }
    "reached: a million".to_owned()
}

fn socket(family: c_int, kind: c_int) -> String {
    // SAFETY: it takes numbers only.
    told(unsafe { libc::socket(family, kind, 0) }.into())
}

fn send(port: u16) -> String {
    let to = at([127, 0, 0, 1], port);
    // SAFETY: the byte and the address live until the call returns.
    told(unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        libc::sendto(socket, b"!".as_ptr().cast(), 1, 0, (&raw const to).cast(), size_of_val(&to) as u32)
    } as c_long)
}

pub(crate) fn at(address: [u8; 4], port: u16) -> libc::sockaddr_in {
    // SAFETY: a plain structure for which zero is a value.
    let mut at: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    at.sin_family = libc::AF_INET as u16;
    at.sin_port = port.to_be();
    at.sin_addr.s_addr = u32::from_ne_bytes(address);
    at
}

fn connect(address: [u8; 4], port: u16) -> String {
    let to = at(address, port);
    // SAFETY: the address lives until the call returns, and is as long as it says.
    told(
        unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
            libc::connect(socket, (&raw const to).cast(), size_of_val(&to) as u32)
        }
        .into(),
    )
}

/// The call that ends a process, by the gate of programs of 32 bits, which has other numbers.
#[cfg(target_arch = "x86_64")]
fn old_call() -> String {
    let returned: i32;
    // SAFETY: the number is that of `getpid` there, which does nothing.
    unsafe { std::arch::asm!("int 0x80", inlateout("eax") 20 => returned, options(nostack)) };
    format!("reached: {returned}")
}

/// Sends the same message until the supervisor has enough.
fn flood(message: &[u8]) -> String {
    for _ in 0..1_000_000 {
        // SAFETY: the bytes are there.
        if unsafe { libc::write(3, message.as_ptr().cast(), message.len()) } < 0 {
            return failed();
        }
    }
    "reached: a million".to_owned()
}
