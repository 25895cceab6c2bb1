//! The zygote: a process with one thread of which sealed processes are copies, so that none has to begin from nothing.
//!
//! It has what all of them begin with, and nothing that is one's own: what a process is to run, that process is told itself,
//! when it is there. So the zygote is asked for one without a word, and has nothing that one of its copies could read of
//! another. The copies are not its children but its node's, which is their supervisor: they outlive it, and it is replaced
//! when it has died.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libc::c_void;

use super::cgroup::{self, Entrance};
use super::channel::{Channel, Message, Tag, receive_descriptor, send_descriptor};
use super::layer::plain;
use super::namespaces::Ids;
use super::supervisor::Outside;
use super::system::{checked, file_in_memory, pair, pidfd, send_signal, wait_for};
use super::{Birth, Error, Newborn, Plan, bear, leave, threads};
use crate::limits::ZYGOTE_ANSWER_MAX;

/// Standard streams.
const STREAMS: i32 = 3;

/// A zygote, as its node sees it. It is ended when this is dropped.
pub struct Zygote {
    socket: OwnedFd,
    process: OwnedFd,
}

impl Zygote {
    /// Has `command` run, which is to call [`be_zygote`] with its standard input. Whoever starts it waits for the end of the
    /// child, too.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(mut command: Command) -> io::Result<(Self, Child)> {
        let (socket, theirs) = pair()?;
        // What stops the node from a terminal lets requests come to their end first.
        let child = command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).process_group(0).spawn()?;
        let process = pidfd(child.id() as i32).inspect_err(|_| give_up(child.id() as i32))?;
        Ok((Self { socket, process }, child))
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        let ended = wait_for([self.process.as_raw_fd(), -1], Some(Duration::ZERO));
        ended.is_ok_and(|[has_ended, _]| has_ended)
    }

    /// Ends it.
    pub fn end(&self) {
        // One that has ended is not sent anything.
        let _ = send_signal(&self.process, libc::SIGKILL);
    }

    /// Has a process made, which takes its place and waits to be told what it is to run. It ends with the thread that started
    /// the zygote.
    ///
    /// # Errors
    /// As [`split`](super::split), and [`Error::Zygote`] when another zygote is needed.
    pub fn bear(&self, limits_processors: bool) -> Result<Blank, Error> {
        let (outside, inside) = Channel::pair()?;
        outside.tell_senders(true)?;
        send_descriptor(self.socket.as_fd(), inside.as_fd()).map_err(|_| Error::Zygote)?;
        drop(inside);
        // While it is being made.
        let cgroup = cgroup::create(limits_processors);
        let [answers, _] = wait_for([outside.as_raw_fd(), -1], Some(ZYGOTE_ANSWER_MAX))?;
        if !answers {
            return Err(Error::Zygote);
        }
        // Both tell of it: either may die before it has, and who is born must be waited for.
        let pid = match outside.receive_first() {
            Ok(Some((pid, Message { tag: Tag::Born, .. }))) => pid,
            Ok(Some((_, Message { tag: Tag::Bore, content, .. }))) => {
                let pid = content.try_into().map_err(|_| io::ErrorKind::InvalidData);
                i32::from_le_bytes(pid.map_err(io::Error::from)?)
            }
            Ok(Some((_, Message { tag: Tag::Unborn, content, .. }))) => {
                return Err(io::Error::other(String::from_utf8_lossy(&content).into_owned()).into());
            }
            _ => return Err(Error::Zygote),
        };
        // A number that is none would mean many processes, or all.
        if pid <= 0 {
            return Err(Error::Zygote);
        }
        // Its number is its own until this process, whose child it is, has waited for its end.
        let process = pidfd(pid).inspect_err(|_| give_up(pid))?;
        let entrance = cgroup.entrance();
        let outside = Outside::new(pid, process, outside, cgroup);
        outside.channel().send(Tag::Groups, &entrance.to_bytes(), None)?;
        Ok(Blank(outside))
    }
}

/// Ends a child that nobody can be told of, and waits for its end.
fn give_up(child: i32) {
    // SAFETY: it takes numbers, and a place for a status that nobody asks for; nobody else waits for this child.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process that is there, and was told nothing yet. It ends when this is dropped.
pub struct Blank(Outside);

impl Blank {
    /// Its number.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Its end, for whoever waits for it.
    ///
    /// # Errors
    /// When this process has no descriptor to give.
    pub fn death(&self) -> io::Result<Death> {
        self.0.process().map(Death)
    }

    /// Tells it what it is to run, with these standard streams, and has it seal itself; `meanwhile` is done while it does.
    ///
    /// # Errors
    /// As [`split`](super::split).
    pub fn tell(
        self,
        plan: &Plan,
        order: &[u8],
        streams: [BorrowedFd<'_>; 3],
        meanwhile: impl FnOnce(),
    ) -> Result<Outside, Error> {
        let Self(mut outside) = self;
        let order = file_in_memory(c"order", order)?;
        outside.limit(plan);
        let channel = outside.channel();
        channel.send(Tag::Order, &[], Some(order.as_fd()))?;
        for stream in streams {
            channel.send(Tag::Stream, &[], Some(stream))?;
        }
        meanwhile();
        outside.admit(plan)
    }
}

/// The end of a [`Blank`].
pub struct Death(OwnedFd);

impl Death {
    /// Waits until it has come, or the other end of `leash` is closed: whether it has come, and nobody let go of it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn wait(&self, leash: BorrowedFd<'_>) -> io::Result<bool> {
        loop {
            let [has_come, let_go] = wait_for([self.0.as_raw_fd(), leash.as_raw_fd()], None)?;
            if has_come || let_go {
                return Ok(has_come && !let_go);
            }
        }
    }
}

/// Makes processes for the node at the other end of this socket. Returns in each of them, with what it is to run; and in
/// the zygote, with nothing, when the node is gone.
///
/// # Errors
/// In the zygote only.
pub fn be_zygote(node: BorrowedFd<'_>) -> Result<Option<(Newborn, Vec<u8>)>, Error> {
    if threads()? != 1 {
        return Err(Error::Threads);
    }
    let user = Ids::current();
    let name = rename(UNTOLD)?;
    while let Ok(inside) = receive_descriptor(node) {
        let channel = Channel::from_fd(inside);
        match bear(libc::CLONE_PARENT) {
            Ok(Birth { process: Some((pid, _)), .. }) => {
                // Who asked may be gone by now.
                let _ = channel.send(Tag::Bore, &pid.to_le_bytes(), None);
            }
            Ok(birth) => {
                // Else the zygote could die, and its node would wait for its answer as long as its copy stands by.
                let begun = let_go(node).and_then(|()| begin(channel, &birth, user, &name));
                return Ok(Some(begun.unwrap_or_else(|_| leave())));
            }
            Err(error) => {
                // Who asked may be gone by now.
                let _ = channel.send(Tag::Unborn, plain(&error).as_bytes(), None);
            }
        }
    }
    Ok(None)
}

/// Has nothing stand behind a descriptor any more, which keeps its number.
fn let_go(of: BorrowedFd<'_>) -> io::Result<()> {
    let nothing = File::open("/dev/null")?;
    // SAFETY: the number is that of a descriptor which this process, a copy, has no more use for.
    checked(unsafe { libc::dup2(nothing.as_raw_fd(), of.as_raw_fd()) }).map(drop)
}

/// What a process does first: it takes its place, and what it is told.
fn begin(channel: Channel, birth: &Birth, user: Ids, name: &Name) -> io::Result<(Newborn, Vec<u8>)> {
    channel.send(Tag::Born, &[], None)?;
    let groups = channel.expect(Tag::Groups)?;
    let entrance = Entrance::from_bytes(&groups.content).ok_or(io::ErrorKind::InvalidData)?;
    let newborn = Newborn::new(channel, birth, user, &entrance);
    // What fails only takes longer later.
    let _ = map_code(&newborn.channel);
    let file = |message: Message| message.file.ok_or(io::ErrorKind::InvalidData);
    let mut order = File::from(file(newborn.channel.expect(Tag::Order)?)?);
    rename(name)?;
    let mut told = Vec::new();
    order.rewind()?;
    order.read_to_end(&mut told)?;
    for stream in 0..STREAMS {
        let given = file(newborn.channel.expect(Tag::Stream)?)?;
        // SAFETY: the numbers are those of this process's own streams, which it has no more use for.
        checked(unsafe { libc::dup2(given.as_raw_fd(), stream) })?;
    }
    Ok((newborn, told))
}

/// Has code that is in memory mapped into this process, which would else be done piece by piece when it runs; until it is told
/// something.
fn map_code(channel: &Channel) -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    for line in maps.lines().filter(|line| line.contains(" r-xp ") && line.contains('/')) {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let ends = range.map(|(begins, ends)| [begins, ends].map(|end| usize::from_str_radix(end, 16)));
        let Some([Ok(begins), Ok(ends)]) = ends else { continue };
        for at in (begins..ends).step_by(CODE_PIECE_BYTES) {
            let [is_told, _] = wait_for([channel.as_raw_fd(), -1], Some(Duration::ZERO))?;
            if is_told {
                return Ok(());
            }
            let bytes = CODE_PIECE_BYTES.min(ends - at);
            // SAFETY: what is mapped there stays as it is.
            checked(unsafe { libc::madvise(at as *mut c_void, bytes, libc::MADV_POPULATE_READ) })?;
        }
    }
    Ok(())
}

/// Bytes of code that are mapped at a time.
const CODE_PIECE_BYTES: usize = 2 << 20;

/// What the zygote is called, and each of its copies until it is told what it is to run.
const UNTOLD: &Name = b"zygote\0\0\0\0\0\0\0\0\0\0";

/// As the kernel has it of each thread.
type Name = [u8; 16];

/// Gives this process another name. The one that it had.
fn rename(name: &Name) -> io::Result<Name> {
    let mut before = [0; size_of::<Name>()];
    // SAFETY: both names have room for what the kernel writes and reads, and the last byte is a zero.
    unsafe {
        checked(libc::prctl(libc::PR_GET_NAME, before.as_mut_ptr()))?;
        checked(libc::prctl(libc::PR_SET_NAME, name.as_ptr()))?;
    }
    Ok(before)
}
