//! The supervisor: it gives a sealed process what it needs, holds its time, and tells how it ended.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::exit;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libc::c_int;

use super::broker::Broker;
use super::cgroup::Cgroup;
use super::channel::{Channel, Message, Tag};
use super::code::Supplier;
use super::egress::{self, Egress};
use super::freezer::Freezer;
use super::layer::{self, Layer};
use super::system::{checked, made, wait_for};
use super::{Error, Network, Plan, calls, limits};
use crate::options::Seal;

/// Given beyond the limit to a program that is interrupted inside, to end with a backtrace of its own.
const GRACE: Duration = Duration::from_millis(500);

/// Messages that a process may send. One that is what it should be sends a dozen.
const MESSAGES_MAX: u32 = 64;

/// Signals that end the supervisor, and the process with it; and the one that stops both for a while.
const SIGNALS: [c_int; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP];

/// A sealed process, as its supervisor sees it. It ends when this is dropped.
pub struct Outside {
    pid: i32,
    process: OwnedFd,
    channel: Channel,
    cgroup: Cgroup,
    layers: Vec<Layer>,
    process_bytes_max: u64,
    /// Messages that came.
    messages: u32,
    /// Whether the process has closed its end of the channel.
    is_closed: bool,
    /// What it said of why it ends.
    last_words: Option<Message>,
    reaped: bool,
}

/// What a message means to who waits for it.
enum Heard {
    /// It has been seen to.
    Nothing,
    /// The program begins; whether it ends by itself in time.
    Begins(bool),
    /// No such process sends that.
    Nonsense,
}

/// How a sealed process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Exited(i32),
    /// The kernel ended it, since it held more memory than it may: so many bytes.
    Memory(u64),
    /// It made a system call that it may not make: this one.
    Violation(String),
    /// It sent what no such process sends.
    Nonsense,
    /// Nobody reads what it writes.
    BrokenPipe,
    /// Whoever had it run is gone.
    LetGo,
    /// The time was over, and it did not end by itself.
    Time,
    /// A signal ended it.
    Signal(i32),
    /// A signal was to end the supervisor, and so ended it.
    Interrupted(i32),
}

impl Ending {
    /// The signal that should end the supervisor too.
    pub fn signal(&self) -> Option<i32> {
        match self {
            Ending::BrokenPipe => Some(libc::SIGPIPE),
            Ending::Interrupted(signal) => Some(*signal),
            _ => None,
        }
    }
}

impl Outside {
    pub(super) fn new(pid: i32, process: OwnedFd, channel: Channel, cgroup: Cgroup) -> Self {
        Self {
            pid,
            process,
            channel,
            cgroup,
            layers: Vec::new(),
            process_bytes_max: 0,
            messages: 0,
            is_closed: false,
            last_words: None,
            reaped: false,
        }
    }

    /// Has its control groups hold what is planned.
    pub(super) fn limit(&mut self, plan: &Plan) {
        self.layers = self.cgroup.limit(plan);
        self.process_bytes_max = plan.process_bytes_max();
    }

    /// Waits until the process has sealed itself, and lets it go on if all is as it must be.
    pub(super) fn admit(mut self, plan: &Plan) -> Result<Self, Error> {
        let inside = self.expect(Tag::Layers)?;
        let inside =
            layer::from_bytes(&inside.content).ok_or(io::ErrorKind::InvalidData).map_err(io::Error::from)?;
        self.layers.splice(0..0, inside);
        if plan.seal == Seal::Required && self.layers.iter().any(Layer::is_refused) {
            return Err(Error::Refused(mem::take(&mut self.layers)));
        }
        if let Network::Granted(egress) = &plan.network
            && !self.layers.iter().any(|layer| layer.name == egress::LAYER && layer.is_refused())
        {
            self.broker((Arc::clone(egress), plan.egress_rate))?;
        }
        if !self.cgroup.holds_memory() {
            limits::limit_data(self.pid, self.process_bytes_max)?;
        }
        // It may have ended by now, which is told when it is supervised.
        let _ = self.channel.send(Tag::Go, &[], None);
        Ok(self)
    }

    /// The next message of a process that seals itself, past those that tell of its birth.
    fn expect(&self, tag: Tag) -> io::Result<Message> {
        loop {
            match self.channel.receive()? {
                Some(Message { tag: Tag::Born | Tag::Bore, .. }) => {}
                Some(message) if message.tag == tag => return Ok(message),
                Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Makes the connections of the process from now on, as they are granted, and at this rate.
    fn broker(&self, granted: (Arc<dyn Egress>, Option<u64>)) -> io::Result<()> {
        let (memory, calls) = (self.expect(Tag::Memory)?, self.expect(Tag::Calls)?);
        match (memory.content.try_into(), memory.file, calls.file) {
            (Ok(first), Some(memory), Some(calls)) => {
                Broker::start(calls, memory, u32::from_le_bytes(first), granted)
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// What stops the process and lets it go on.
    ///
    /// # Errors
    /// When this process has no descriptor to give.
    pub fn freezer(&self) -> io::Result<Freezer> {
        Ok(Freezer::new(self.pid, self.process()?))
    }

    pub(super) fn process(&self) -> io::Result<OwnedFd> {
        self.process.try_clone()
    }

    /// The process's number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What became of each layer.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Gives the process what it asks for until it has ended. It is ended when `limit` is over, which counts from now, and
    /// again from when the program begins where that ends by itself; and when the other end of `leash` is closed.
    ///
    /// # Errors
    /// Those of the program that it is to be given.
    pub fn supervise(
        mut self,
        mut supplier: Option<Supplier<'_>>,
        limit: Option<Duration>,
        leash: Option<BorrowedFd<'_>>,
    ) -> Result<Ending, crate::Error> {
        let failed = |error: io::Error| crate::Error::Setup(error.into());
        let signals = Signals::block().map_err(failed)?;
        let after = |limit: Duration| Instant::now().checked_add(limit);
        let mut ends_at = limit.and_then(after);
        loop {
            let left = ends_at.map(|end| end.saturating_duration_since(Instant::now()));
            let leash = leash.map_or(-1, |leash| leash.as_raw_fd());
            let watched = [self.process.as_raw_fd(), self.speaks(), signals.fd.as_raw_fd(), leash];
            let [ended, said, signalled, let_go] = wait_for(watched, left).map_err(failed)?;
            if said {
                match self.hear(supplier.as_mut())? {
                    Heard::Nothing => {}
                    Heard::Begins(ends_itself) => {
                        if ends_itself {
                            ends_at = limit.and_then(|limit| after(limit.saturating_add(GRACE)));
                        }
                        supplier = None;
                    }
                    Heard::Nonsense => return self.end(Ending::Nonsense).map_err(failed),
                }
            } else if ended {
                return self.reap().map_err(failed);
            } else if signalled && let Some(signal) = signals.next() {
                match signal {
                    libc::SIGTSTP => self.pause(),
                    signal => return self.end(Ending::Interrupted(signal)).map_err(failed),
                }
            } else if let_go {
                return self.end(Ending::LetGo).map_err(failed);
            } else if left == Some(Duration::ZERO) {
                return self.end(Ending::Time).map_err(failed);
            }
        }
    }

    /// Gives the process what it asks for until its program begins, which it must do in time; or how it ended before that.
    ///
    /// # Errors
    /// Those of the program that it is to be given.
    pub fn attend(
        mut self,
        mut supplier: Supplier<'_>,
        limit: Duration,
    ) -> Result<Result<Self, Ending>, crate::Error> {
        let failed = |error: io::Error| crate::Error::Setup(error.into());
        let ends_at = Instant::now().checked_add(limit);
        loop {
            let left = ends_at.map(|end| end.saturating_duration_since(Instant::now()));
            let watched = [self.process.as_raw_fd(), self.speaks(), -1];
            let [ended, said, _] = wait_for(watched, left).map_err(failed)?;
            if said {
                match self.hear(Some(&mut supplier))? {
                    Heard::Nothing => {}
                    Heard::Begins(_) => return Ok(Ok(self)),
                    Heard::Nonsense => return self.end(Ending::Nonsense).map(Err).map_err(failed),
                }
            } else if ended {
                return self.reap().map(Err).map_err(failed);
            } else if left == Some(Duration::ZERO) {
                return self.end(Ending::Time).map(Err).map_err(failed);
            }
        }
    }

    /// Waits so long for the process's end, and then ends it: how it ended.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn finish(mut self, patience: Duration) -> io::Result<Ending> {
        let ends_at = Instant::now() + patience;
        loop {
            let left = ends_at.saturating_duration_since(Instant::now());
            let [ended, said, _] = wait_for([self.process.as_raw_fd(), self.speaks(), -1], Some(left))?;
            if said && self.messages < MESSAGES_MAX {
                // Nobody is asked for anything any more, and who talks nonsense is not heard any more.
                self.is_closed |= !matches!(self.hear(None), Ok(Heard::Nothing | Heard::Begins(_)));
            } else if ended {
                return self.reap();
            } else if said {
                self.is_closed = true;
            } else if left.is_zero() {
                self.kill(libc::SIGKILL);
                return self.reap();
            }
        }
    }

    /// Where to listen to it, if it can say anything yet.
    fn speaks(&self) -> RawFd {
        if self.is_closed { -1 } else { self.channel.as_raw_fd() }
    }

    fn hear(&mut self, supplier: Option<&mut Supplier<'_>>) -> Result<Heard, crate::Error> {
        match self.channel.receive() {
            Ok(None) => self.is_closed = true,
            // It ended before it read everything. What it said comes next.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Ok(Some(message)) if self.messages < MESSAGES_MAX => {
                self.messages += 1;
                match message.tag {
                    Tag::Begins => return Ok(Heard::Begins(message.content == [1])),
                    Tag::Violation | Tag::BrokenPipe => self.last_words = Some(message),
                    _ => self.supply(supplier, message)?,
                }
            }
            _ => return Ok(Heard::Nonsense),
        }
        Ok(Heard::Nothing)
    }

    fn supply(&self, supplier: Option<&mut Supplier<'_>>, message: Message) -> Result<(), crate::Error> {
        match (supplier, message) {
            (Some(supplier), wanted @ Message { tag: Tag::Want, .. }) => {
                supplier.answer(&wanted, &self.channel)
            }
            (Some(supplier), Message { tag: Tag::Made, file: Some(code), .. }) => {
                supplier.keep(code);
                Ok(())
            }
            (Some(supplier), Message { tag: Tag::Text, file: Some(text), .. }) if supplier.is_native() => {
                supplier.make(text, &self.channel)
            }
            // Out of turn: it is not answered.
            _ => Ok(()),
        }
    }

    fn kill(&self, signal: c_int) {
        // SAFETY: it takes numbers only; the process is this one's child, and was not waited for yet.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Stops it and this process, until somebody lets this one go on.
    fn pause(&self) {
        self.kill(libc::SIGSTOP);
        // SAFETY: it takes a number only.
        unsafe { libc::raise(libc::SIGSTOP) };
        self.kill(libc::SIGCONT);
    }

    fn end(mut self, ending: Ending) -> io::Result<Ending> {
        self.kill(libc::SIGKILL);
        self.wait().map(|_| ending)
    }

    fn wait(&mut self) -> io::Result<c_int> {
        let mut status = 0;
        // SAFETY: the status lives until the call returns.
        while let Err(error) = checked(unsafe { libc::waitpid(self.pid, &mut status, 0) }) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        self.reaped = true;
        Ok(status)
    }

    fn reap(mut self) -> io::Result<Ending> {
        let status = self.wait()?;
        if let Some(Message { tag, content, .. }) = self.last_words.take() {
            let number = content.try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX);
            return Ok(match tag {
                Tag::BrokenPipe => Ending::BrokenPipe,
                _ => Ending::Violation(calls::name(number)),
            });
        }
        Ok(match libc::WTERMSIG(status) {
            _ if libc::WIFEXITED(status) => Ending::Exited(libc::WEXITSTATUS(status)),
            libc::SIGKILL if self.cgroup.is_out_of_memory() => Ending::Memory(self.process_bytes_max),
            signal => Ending::Signal(signal),
        })
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill(libc::SIGKILL);
            // It is gone then, whatever this returns.
            let _ = self.wait();
        }
    }
}

/// Signals that come through a descriptor, as long as it lives.
struct Signals {
    fd: File,
    before: libc::sigset_t,
}

impl Signals {
    fn block() -> io::Result<Self> {
        // SAFETY: the sets are plain data, and live until the calls return.
        unsafe {
            let (mut set, mut before) = (mem::zeroed(), mem::zeroed());
            libc::sigemptyset(&mut set);
            for signal in SIGNALS {
                libc::sigaddset(&mut set, signal);
            }
            checked(libc::sigprocmask(libc::SIG_BLOCK, &set, &mut before))?;
            let fd = made(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
            Ok(Self { fd: File::from(fd), before })
        }
    }

    fn next(&self) -> Option<c_int> {
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        (&self.fd).read_exact(&mut bytes).ok()?;
        Some(c_int::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was there before.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

/// Ends this process as a signal ends one that does not expect it.
pub fn end_by_signal(signal: i32) -> ! {
    // SAFETY: the calls take numbers, and a set that lives until they return.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::signal(signal, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
        libc::raise(signal);
    }
    exit(128 + signal)
}
