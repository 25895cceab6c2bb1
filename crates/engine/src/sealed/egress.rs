//! The way out: a sealed process has no network, and its supervisor makes each socket and each connection for it, if it is
//! granted.
//!
//! A few system calls are taken out of the process's hands. The supervisor makes the socket, in the network of the host,
//! keeps a copy, and gives it to the process; what has an address it does itself, on its copy, with an address that it has
//! copied and looked at. So nothing can be changed after it was looked at, and what number a socket has in the process is
//! the process's own affair. Whatever else could send somewhere on such a socket is refused by a filter.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use libc::{c_long, seccomp_data, sock_filter};

use super::channel::{Channel, Tag};
use super::layer::Layer;
use super::notify;

/// What this layer is called.
pub(super) const LAYER: &str = "egress";

/// Sockets of TCP that a process may have at once, and of UDP as many. Its supervisor has a copy of each.
pub(super) const SOCKETS_MAX: u32 = 256;

/// What a sealed process may use of the host's network. It is asked by its supervisor, and may take its time.
pub trait Egress: Debug + Send + Sync {
    /// Whether the process may connect or send to this address.
    fn reaches(&self, to: SocketAddr, by: Protocol) -> bool;
    /// Whether others may come to the process at this address of the host.
    fn listens(&self, at: SocketAddr) -> bool;
}

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Before the process has a root of its own: its memory, where the supervisor reads addresses. It cannot be opened later,
/// nor by anybody else.
pub(super) fn memory() -> io::Result<File> {
    File::open("/proc/self/mem")
}

/// What the supervisor needs to make connections.
pub(super) struct WayOut {
    memory: File,
    calls: OwnedFd,
    /// The first number of the process's sockets.
    first: u32,
}

impl WayOut {
    /// Has the calls of this process that concern the network answered, and says so in `layers`. Where its rate is limited,
    /// those by which it sends datagrams, too.
    pub(super) fn open(
        memory: io::Result<File>,
        first: u32,
        is_limited: bool,
        layers: &mut Vec<Layer>,
    ) -> Option<Self> {
        // Two questions in one message would be a message with an address for each, which nobody takes.
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var("RES_OPTIONS", "single-request") };
        let opened = memory.and_then(|memory| {
            // Of UDP, by the numbers that they have; a connection keeps its rate by itself.
            let datagrams = if is_limited { first.saturating_add(SOCKETS_MAX) } else { u32::MAX };
            let calls = notify::intercept(&mut filter(first, datagrams))?;
            Ok(Self { memory, calls, first })
        });
        let (held, way_out) = match opened {
            Ok(way_out) => (Ok(()), Some(way_out)),
            Err(error) => (Err(error), None),
        };
        layers.push(Layer::from_result(LAYER, held));
        way_out
    }

    /// Gives it to the supervisor, and keeps nothing.
    pub(super) fn hand_over(self, channel: &Channel) -> io::Result<()> {
        channel.send(Tag::Memory, &self.first.to_le_bytes(), Some(self.memory.as_fd()))?;
        channel.send(Tag::Calls, &[], Some(self.calls.as_fd()))
    }
}

/// Picks out the calls that the supervisor answers: all that make a socket or say an address, those that close one, and those
/// that send without an address on sockets from `datagrams` on. The kernel does the others. What this compares are halves of
/// arguments, since such a program has 32 bits.
fn filter(first: u32, datagrams: u32) -> Vec<sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    // Places in the program.
    const SAYS_ADDRESS: u8 = 7;
    const SAYS_NONE: u8 = 11;
    const CLOSES: u8 = 13;
    const LET: u8 = 15;
    const ASK: u8 = 16;
    let load = |at: usize| sock_filter { code: LOAD, jt: 0, jf: 0, k: at as u32 };
    let argument = |index: usize| offset_of!(seccomp_data, args) + index * size_of::<u64>();
    // A jump says how many places it leaves out.
    let jump = |at: u8, code, k, then: u8, otherwise: u8| sock_filter {
        code,
        jt: then - at - 1,
        jf: otherwise - at - 1,
        k,
    };
    let is = |at: u8, call: c_long, then| jump(at, EQUAL, call as u32, then, at + 1);
    let result = |k| sock_filter { code: RETURN, jt: 0, jf: 0, k };
    vec![
        load(offset_of!(seccomp_data, nr)),
        is(1, libc::SYS_socket, ASK),
        is(2, libc::SYS_connect, ASK),
        is(3, libc::SYS_bind, ASK),
        is(4, libc::SYS_listen, ASK),
        is(5, libc::SYS_close, CLOSES),
        jump(6, EQUAL, libc::SYS_sendto as u32, SAYS_ADDRESS, LET),
        // The low half lies first: these processors are little-endian.
        load(argument(4)),
        jump(8, EQUAL, 0, 9, ASK),
        load(argument(4) + size_of::<u32>()),
        jump(10, EQUAL, 0, SAYS_NONE, ASK),
        // Of a descriptor the kernel, too, looks at the low half only.
        load(argument(0)),
        jump(12, AT_LEAST, datagrams, ASK, LET),
        load(argument(0)),
        jump(14, AT_LEAST, first, ASK, LET),
        result(libc::SECCOMP_RET_ALLOW),
        result(libc::SECCOMP_RET_USER_NOTIF),
    ]
}
