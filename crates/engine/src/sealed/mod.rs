//! Profile `sealed`: the program in an operating-system process of its own, which has given up all it does not need.
//!
//! [`split`] makes that process, a copy of the one that calls it, before there is a second thread. The copy gives up what
//! it can before it touches the program: each file here is one layer of it. From then on it can only use what it has: what
//! was granted, its standard streams, and a channel to its supervisor, which gives it the program's code and keeps the code
//! that it makes. Just before the program begins it gives up the rest with [`Inside::begin`].
//!
//! Who needs many has a [`Zygote`] make them.
//!
//! The supervisor is the enemy's neighbour: it believes nothing that comes through the channel, holds the limits of time,
//! and tells how the process ended.

mod broker;
mod calls;
mod capabilities;
mod cgroup;
mod channel;
mod code;
mod descriptors;
mod egress;
mod freezer;
pub(crate) mod landlock;
mod layer;
mod limits;
pub(crate) mod mapped;
mod namespaces;
mod notify;
mod pace;
mod root;
mod seccomp;
mod shared;
mod socket;
mod supervisor;
mod system;
mod zygote;

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use libc::{c_int, c_long};

use crate::Settings;
use crate::options::Seal;
use cgroup::Entrance;
use channel::{Channel, Tag};
pub use channel::{receive_descriptor, send_descriptor};
pub use code::{Fit, Source, Supplier};
use egress::WayOut;
pub use egress::{Egress, Protocol};
pub use freezer::Freezer;
use layer::plain;
pub use layer::{Layer, State};
use namespaces::Ids;
pub use shared::Shared;
pub use supervisor::{Ending, Outside, end_by_signal};
use system::{check, control};
pub use zygote::{Blank, Death, Zygote, be_zygote};

/// Threads of one sealed process: as many as wait for files at once, and some.
pub const THREADS_MAX: u64 = 640;

/// Bytes of memory that a sealed process may have beside the program's own: the engine, code, stacks, what is compiled.
pub const PROCESS_BYTES: u64 = 1 << 30;

/// What a sealed process keeps.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether all layers must hold.
    pub seal: Seal,
    /// Directories that the program was granted.
    pub dirs: Vec<Dir>,
    /// What it was granted of the network.
    pub network: Network,
    /// Bytes that the program may hold; the process may hold [`PROCESS_BYTES`] more.
    pub memory_bytes_max: u64,
    /// Processors whose time it may use; any number where there is none.
    pub processors: Option<f64>,
    /// Bytes a second that it may send to the network; any number where there is none.
    pub egress_rate: Option<u64>,
    /// Descriptors that the program may hold open.
    pub descriptors_max: u64,
}

/// A directory that is granted.
#[derive(Clone, Debug)]
pub struct Dir {
    /// Where it is.
    pub path: PathBuf,
    /// Whether nothing in it may be changed.
    pub read_only: bool,
}

/// What is granted of the network. The process itself has none: its network is empty.
#[derive(Clone, Debug)]
pub enum Network {
    /// Nothing.
    None,
    /// What this says; the supervisor makes each connection.
    Granted(Arc<dyn Egress>),
}

impl Network {
    fn is_granted(&self) -> bool {
        matches!(self, Network::Granted(_))
    }
}

impl Plan {
    /// A plan with these settings, and no grants.
    pub fn new(settings: &Settings) -> Self {
        Self {
            seal: settings.options.seal,
            dirs: Vec::new(),
            network: Network::None,
            memory_bytes_max: settings.limits.memory_bytes_max as u64,
            processors: settings.options.processors,
            egress_rate: settings.options.egress_rate,
            descriptors_max: settings.limits.handles_max as u64,
        }
    }

    fn process_bytes_max(&self) -> u64 {
        self.memory_bytes_max.saturating_add(PROCESS_BYTES)
    }
}

/// Why there is no sealed process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process that is to be copied has more than one thread.
    #[error("a process with several threads cannot be sealed")]
    Threads,
    /// The zygote is gone.
    #[error("the process that others are copies of has ended")]
    Zygote,
    /// Layers were refused, and all of them are required.
    #[error("the kernel refuses what a sealed process needs")]
    Refused(Vec<Layer>),
    /// The process could not be made, or ended before it was sealed.
    #[error("no process can be sealed")]
    Process(#[from] io::Error),
}

/// Where one finds oneself after [`split`].
pub enum Side {
    /// In the process that was there before.
    Outside(Outside),
    /// In the sealed one.
    Inside(Inside),
}

/// The sealed process, as it sees itself.
pub struct Inside {
    channel: Channel,
    plan: Plan,
    admitted: OnceLock<()>,
}

/// Makes a sealed process, and returns in both.
///
/// # Errors
/// Outside only.
pub fn split(plan: Plan) -> Result<Side, Error> {
    if threads()? != 1 {
        return Err(Error::Threads);
    }
    let (outside, inside) = Channel::pair()?;
    let cgroup = cgroup::create(plan.processors.is_some());
    let user = Ids::current();
    let birth = bear(0)?;
    match birth.process {
        Some((pid, process)) => {
            drop(inside);
            let mut outside = Outside::new(pid, process, outside, cgroup);
            outside.limit(&plan);
            // While the process seals itself.
            sweep();
            outside.admit(&plan).map(Side::Outside)
        }
        None => {
            drop(outside);
            let entrance = cgroup.entrance();
            // The groups are the supervisor's.
            mem::forget(cgroup);
            Ok(Side::Inside(Newborn::new(inside, &birth, user, &entrance).seal(plan)))
        }
    }
}

/// Removes what supervisors left behind which were killed, so that they could not put it away themselves: control groups that
/// are nobody's and have no process in them. Whether there are others in which some have not ended yet.
pub fn sweep() -> bool {
    cgroup::sweep()
}

/// A process that was made, and is to be sealed.
pub struct Newborn {
    channel: Channel,
    /// What became of its control groups, where they refuse it, and of its namespaces.
    layers: Vec<Layer>,
    is_limited: bool,
}

impl Newborn {
    /// In the process: takes its place, whatever it is to run.
    fn new(channel: Channel, birth: &Birth, user: Ids, entrance: &Entrance) -> Self {
        if control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64).is_err() {
            leave();
        }
        let entered = Layer::from_result("cgroups", entrance.enter());
        let mut layers: Vec<_> = Some(entered).into_iter().filter(Layer::is_refused).collect();
        layers.extend(namespaces::enter(birth.namespaces, birth.refused.as_deref(), user));
        Self { channel, layers, is_limited: entrance.holds_memory }
    }

    /// Whether a control group limits its memory, all of it.
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Gives up everything that is not in the plan.
    pub fn seal(self, plan: Plan) -> Inside {
        let Self { channel, layers, is_limited } = self;
        let sealed = Inside::seal(plan, channel, layers).unwrap_or_else(|_| leave());
        // The other limit on memory counts what is mapped from when it is set, and an engine maps much beforehand.
        if !is_limited {
            sealed.admitted();
        }
        sealed
    }
}

impl Inside {
    fn seal(mut plan: Plan, channel: Channel, placed: Vec<Layer>) -> io::Result<Self> {
        let (channel, descriptors) = descriptors::close(channel)?;
        let memory = plan.network.is_granted().then(egress::memory);
        let mut layers = vec![descriptors, descriptors::forget_environment()];
        layers.extend(placed);
        layers.push(root::enter(&mut plan));
        layers.push(capabilities::drop_all());
        layers.push(capabilities::no_new_privileges());
        let (limited, sockets_at) = limits::set(&plan);
        layers.push(limited);
        layers.push(landlock::restrict(&plan));
        layers.push(Layer::from_result("no dumps", control(libc::PR_SET_DUMPABLE, 0)));
        layers.push(seccomp::set_up(plan.network.is_granted()));
        let way_out = memory
            .and_then(|memory| WayOut::open(memory, sockets_at, plan.egress_rate.is_some(), &mut layers));
        // A change of capabilities may have made it forget.
        control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)?;
        channel.send(Tag::Layers, &layer::to_bytes(&layers), None)?;
        way_out.map_or(Ok(()), |way_out| way_out.hand_over(&channel))?;
        Ok(Self { channel, plan, admitted: OnceLock::new() })
    }

    /// Waits until the supervisor has seen that all is as it must be: before that, nothing of the program is touched.
    fn admitted(&self) {
        self.admitted.get_or_init(|| {
            if self.channel.expect(Tag::Go).is_err() {
                leave();
            }
        });
    }

    /// Where a granted directory is, by its number in the plan.
    pub fn dir(&self, index: usize) -> Option<PathBuf> {
        self.plan.dirs.get(index).map(|dir| dir.path.clone())
    }

    /// Gives up what only setting up needs, in all threads. The program begins now; whether it ends by itself when its time
    /// is over, `ends_itself` says.
    ///
    /// # Errors
    /// When the kernel refuses, or the supervisor is gone.
    pub fn begin(&self, ends_itself: bool) -> io::Result<()> {
        self.admitted();
        self.channel.send(Tag::Begins, &[u8::from(ends_itself)], None)?;
        let has_paths = !self.plan.dirs.is_empty() || self.plan.network.is_granted();
        match seccomp::lock(has_paths) {
            Err(error) if self.plan.seal == Seal::Required => Err(error),
            _ => Ok(()),
        }
    }
}

/// Gives memory back to the system that was needed only to get here.
pub fn give_back() {
    // SAFETY: it changes nothing that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// The end of a process of which nobody waits for a word.
fn leave() -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(1) }
}

fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// How a process was made.
struct Birth {
    /// Its number and a descriptor of it; `None` in the process itself.
    process: Option<(i32, OwnedFd)>,
    /// What it was made with, as flags of `clone`.
    namespaces: c_int,
    /// Why it has no namespaces, if it has none.
    refused: Option<String>,
}

/// Makes a process in namespaces that the kernel grants, or in none; as this one's child, or, with `CLONE_PARENT`, as
/// that of this one's parent.
fn bear(whose: c_int) -> io::Result<Birth> {
    let mut refused = None;
    for namespaces in namespaces::AT_BIRTH {
        match fork(whose | namespaces) {
            Ok(process) => return Ok(Birth { process, namespaces, refused: None }),
            Err(error) => refused = Some(plain(&error)),
        }
    }
    Ok(Birth { process: fork(whose)?, namespaces: 0, refused })
}

/// As the C library's `fork`, but into new namespaces: the number and a descriptor of the new process, or nothing in it.
fn fork(flags: c_int) -> io::Result<Option<(i32, OwnedFd)>> {
    let mut process: c_int = -1;
    let flags = flags | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: this process has one thread, so its copy finds every lock free; without a new stack it goes on with a copy of
    // this one. The kernel writes a descriptor to the address that it is given. That the C library does not see it
    // happen has one effect: it remembers the old number of the thread, with which it compares owners of locks.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone, c_long::from(flags), 0, &raw mut process, 0, 0) })?;
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some((pid as i32, system::made(process.into())?)))
}
