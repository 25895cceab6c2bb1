//! What a sealed process and its supervisor say to each other: short messages, some with a descriptor.
//!
//! The supervisor reads each message as one from an enemy: it is bounded, and carries at most one descriptor.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_SPACE, c_int, c_void, iovec, msghdr, pid_t, ucred};

use super::system::{check, checked, pair};

/// Bytes of a message.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// What a message is about: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// From inside, first of all: the process is there.
    Born = b'b',
    /// From the zygote, before or after that: its number.
    Bore = b'z',
    /// From the zygote instead: why it is not.
    Unborn = b'u',
    /// To the inside, in this order: which control groups it belongs to; what it is to run; its standard streams.
    Groups = b'g',
    /// See [`Tag::Groups`].
    Order = b'o',
    /// See [`Tag::Groups`].
    Stream = b's',
    /// From inside: what became of each layer.
    Layers = b'L',
    /// From inside: its memory, and the first number of its sockets; where its calls about the network come.
    Memory = b'R',
    /// See [`Tag::Memory`].
    Calls = b'N',
    /// To the inside: go on.
    Go = b'G',
    /// From inside: which code is wanted.
    Want = b'W',
    /// To the inside: the code, or what it can be made from.
    Code = b'C',
    /// See [`Tag::Code`].
    Source = b'S',
    /// To the inside: why there is neither.
    Unsealed = b'U',
    /// From inside: the code that was made.
    Made = b'M',
    /// From inside: the text of native code, which is compiled outside.
    Text = b'T',
    /// To the inside: the object that was made of it.
    Object = b'O',
    /// To the inside: why there is none; nothing where its compiler did not come to an end.
    Failed = b'F',
    /// From inside: the program begins.
    Begins = b'B',
    /// From inside, by handlers: a system call was refused, with its number; nobody reads what is written.
    Violation = b'V',
    /// See [`Tag::Violation`].
    BrokenPipe = b'P',
}

const TAGS: [Tag; 21] = [
    Tag::Born,
    Tag::Bore,
    Tag::Unborn,
    Tag::Groups,
    Tag::Order,
    Tag::Stream,
    Tag::Layers,
    Tag::Memory,
    Tag::Calls,
    Tag::Go,
    Tag::Want,
    Tag::Code,
    Tag::Source,
    Tag::Unsealed,
    Tag::Made,
    Tag::Text,
    Tag::Object,
    Tag::Failed,
    Tag::Begins,
    Tag::Violation,
    Tag::BrokenPipe,
];

/// One end.
pub(super) struct Channel(OwnedFd);

/// What came.
pub(super) struct Message {
    pub(super) tag: Tag,
    pub(super) content: Vec<u8>,
    pub(super) file: Option<OwnedFd>,
}

/// Room for the header and the number of one descriptor.
// SAFETY: it computes a length.
const CONTROL_BYTES: usize = unsafe { CMSG_SPACE(size_of::<RawFd>() as u32) } as usize;

/// Room for the header and who sent a message.
// SAFETY: it computes a length.
const SENDER_BYTES: usize = unsafe { CMSG_SPACE(size_of::<ucred>() as u32) } as usize;

/// As aligned as the header of a control message must be.
#[repr(align(8))]
struct Control<const BYTES: usize>([u8; BYTES]);

impl Channel {
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        pair().map(|(one, other)| (Self(one), Self(other)))
    }

    pub(super) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(super) fn send(&self, tag: Tag, content: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        send(self.0.as_fd(), &[&[tag as u8], content].concat(), file)
    }

    /// Waits for a message. `None` where the other end is closed.
    ///
    /// # Errors
    /// Also for what is no message.
    pub(super) fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let (is_whole, file) = receive(self.0.as_fd(), &mut bytes)?;
        let Some(first) = bytes.first() else { return Ok(None) };
        let tag = TAGS.into_iter().find(|tag| *tag as u8 == *first);
        let tag = tag.filter(|_| is_whole);
        let tag = tag.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no message"))?;
        Ok(Some(Message { tag, content: bytes.split_off(1), file }))
    }

    /// As [`receive`](Self::receive), with the number of the process that sent it, which the kernel
    /// [tells](Self::tell_senders). For the first message, which has no descriptor.
    pub(super) fn receive_first(&self) -> io::Result<Option<(pid_t, Message)>> {
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let mut control = Control([0; SENDER_BYTES]);
        let mut part = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let mut message = header(&mut part);
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = SENDER_BYTES;
        // SAFETY: everything that the header points to lives until the call returns, and the kernel wrote what it says.
        let (len, pid) = unsafe {
            let received = libc::recvmsg(self.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC);
            let first = CMSG_FIRSTHDR(&message);
            let is_sender = !first.is_null() && (*first).cmsg_type == libc::SCM_CREDENTIALS;
            let sender = is_sender.then(|| CMSG_DATA(first).cast::<ucred>().read_unaligned().pid);
            (check(received as i64)? as usize, sender)
        };
        self.tell_senders(false)?;
        bytes.truncate(len);
        let Some(first) = bytes.first() else { return Ok(None) };
        let tag = TAGS.into_iter().find(|tag| *tag as u8 == *first).zip(pid);
        let (tag, pid) = tag.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no message"))?;
        Ok(Some((pid, Message { tag, content: bytes.split_off(1), file: None })))
    }

    /// Has the kernel tell who sends what comes from now on, or not.
    pub(super) fn tell_senders(&self, tell: bool) -> io::Result<()> {
        let on = c_int::from(tell);
        // SAFETY: the number lives until the call returns, and has the size that is told.
        checked(unsafe {
            let size = size_of::<c_int>() as u32;
            libc::setsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PASSCRED,
                (&raw const on).cast(),
                size,
            )
        })
        .map(drop)
    }

    /// As [`receive`](Self::receive), for a message of this kind.
    pub(super) fn expect(&self, tag: Tag) -> io::Result<Message> {
        match self.receive()? {
            Some(message) if message.tag == tag => Ok(message),
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a message out of turn")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Sends a descriptor through a socket, with one byte of its stream.
///
/// # Errors
/// When the socket takes no more, or its other end is closed.
pub fn send_descriptor(through: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    send(through, &[0], Some(descriptor))
}

/// Waits for a descriptor that [`send_descriptor`] sent.
///
/// # Errors
/// When something else comes, or nothing any more.
pub fn receive_descriptor(through: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (_, descriptor) = receive(through, &mut vec![0])?;
    descriptor.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no descriptor"))
}

fn send(through: BorrowedFd<'_>, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut part = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL_BYTES]);
    let mut message = header(&mut part);
    // SAFETY: everything that the header points to lives until the call returns; the room for control messages is
    // as large as one with a descriptor.
    unsafe {
        if let Some(file) = file {
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = CONTROL_BYTES;
            let first = CMSG_FIRSTHDR(&message);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = CMSG_LEN(size_of::<RawFd>() as u32) as usize;
            CMSG_DATA(first).cast::<RawFd>().write_unaligned(file.as_raw_fd());
        }
        check(libc::sendmsg(through.as_raw_fd(), &message, libc::MSG_NOSIGNAL) as i64).map(drop)
    }
}

/// Fills `bytes`, which then are as many as came: whether that is all of the message, and what came with it.
fn receive(through: BorrowedFd<'_>, bytes: &mut Vec<u8>) -> io::Result<(bool, Option<OwnedFd>)> {
    let mut part = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL_BYTES]);
    let mut message = header(&mut part);
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES;
    // SAFETY: as in `send`; a descriptor that came is owned by nobody else.
    let (len, file) = unsafe {
        let flags = libc::MSG_CMSG_CLOEXEC;
        let len = check(libc::recvmsg(through.as_raw_fd(), &mut message, flags) as i64)? as usize;
        let first = CMSG_FIRSTHDR(&message);
        let file = (!first.is_null()
            && (*first).cmsg_type == libc::SCM_RIGHTS
            && (*first).cmsg_len == CMSG_LEN(size_of::<RawFd>() as u32) as usize)
            .then(|| OwnedFd::from_raw_fd(CMSG_DATA(first).cast::<RawFd>().read_unaligned()));
        (len, file)
    };
    bytes.truncate(len);
    Ok((message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) == 0, file))
}

/// Sends what a handler of a signal has to say. Everything here may be done in one.
pub(super) fn send_from_handler(channel: RawFd, tag: Tag, number: u32) {
    let [a, b, c, d] = number.to_le_bytes();
    let bytes = [tag as u8, a, b, c, d];
    // SAFETY: the bytes are there. Nobody is left to tell that it cannot be written.
    unsafe { libc::write(channel, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
}

fn header(part: &mut iovec) -> msghdr {
    // SAFETY: a plain structure for which zero is a value.
    let mut message: msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr::null_mut();
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
