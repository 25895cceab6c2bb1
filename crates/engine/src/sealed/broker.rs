//! The supervisor's side of the way out: it makes sockets and connections for a sealed process, if they are granted.
//!
//! Everything here comes from an enemy: numbers, addresses, and what they point to. Nothing is done on what the process
//! has, only on the supervisor's own copies of sockets that it made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use libc::{c_int, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage};

use super::egress::{Egress, Protocol, SOCKETS_MAX};
use super::notify::{Call, Listener};
use super::system::{check, checked, made};
use crate::limits::{SEALED_CONNECT_MS_MAX, SEALED_DATAGRAM_BYTES_MAX};

/// Threads that answer the calls of one process: some may wait for a name server, or a connection.
const THREADS: usize = 4;

/// What stands between a process and the network.
pub(super) struct Broker {
    calls: Listener,
    /// Of the process.
    memory: File,
    egress: Arc<dyn Egress>,
    /// The first number that a socket has in the process.
    first: u32,
    /// By their numbers in the process, as far as it is honest about them.
    sockets: Mutex<BTreeMap<u32, Arc<Socket>>>,
}

/// A socket of the process: the supervisor's copy.
struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    /// Whether it is at an address to which others may come.
    listens: AtomicBool,
}

/// What a call comes to: what it returns, or the number of an error.
type Answer = Result<i64, c_int>;

impl Broker {
    /// Answers until the process has ended.
    pub(super) fn start(
        calls: OwnedFd,
        memory: OwnedFd,
        first: u32,
        egress: Arc<dyn Egress>,
    ) -> io::Result<()> {
        let (calls, memory) = (Listener::new(calls), File::from(memory));
        let broker = Arc::new(Self { calls, memory, egress, first, sockets: Mutex::default() });
        for _ in 0..THREADS {
            let broker = Arc::clone(&broker);
            thread::Builder::new().name("egress".to_owned()).spawn(move || {
                leave_signals_to_others();
                while let Some(call) = broker.calls.next() {
                    broker.see_to(&call);
                }
            })?;
        }
        Ok(())
    }

    fn see_to(&self, call: &Call) {
        match call.number {
            // It says so itself when it succeeds.
            libc::SYS_socket => self.socket(call).unwrap_or_else(|error| self.calls.answer(call, Err(error))),
            libc::SYS_close => {
                // Before the process does: only then is the connection at its end.
                self.sockets().remove(&(call.arguments[0] as u32));
                self.calls.go_on(call);
            }
            _ => self.calls.answer(call, self.known(call).and_then(|socket| self.act(&socket, call))),
        }
    }

    fn act(&self, socket: &Socket, call: &Call) -> Answer {
        match call.number {
            libc::SYS_connect => self.connect(socket, call),
            libc::SYS_bind => self.bind(socket, call),
            libc::SYS_listen => socket.listen(call.arguments[1] as c_int),
            libc::SYS_sendto => self.send(socket, call),
            _ => Err(libc::EPERM),
        }
    }

    fn sockets(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy of what the process calls so.
    fn known(&self, call: &Call) -> Result<Arc<Socket>, c_int> {
        self.sockets().get(&(call.arguments[0] as u32)).cloned().ok_or(libc::EACCES)
    }

    /// Makes a socket of TCP or UDP, and gives it to the process.
    fn socket(&self, call: &Call) -> Result<(), c_int> {
        let [family, kind, protocol, ..] = call.arguments.map(|argument| argument as c_int);
        if ![libc::AF_INET, libc::AF_INET6].contains(&family) {
            return Err(libc::EAFNOSUPPORT);
        }
        let flags = kind & (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
        let (protocol, kind) = match (kind & !flags, protocol) {
            (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => (Protocol::Tcp, libc::SOCK_STREAM),
            (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => (Protocol::Udp, libc::SOCK_DGRAM),
            _ => return Err(libc::EPROTONOSUPPORT),
        };
        let mut sockets = self.sockets();
        let mut numbers = self.first..self.first.saturating_add(SOCKETS_MAX);
        let number = numbers.find(|number| !sockets.contains_key(number)).ok_or(libc::EMFILE)?;
        let kind = kind | flags | libc::SOCK_CLOEXEC;
        // SAFETY: it takes numbers only.
        let fd = made(unsafe { libc::socket(family, kind, 0) }.into()).map_err(number_of)?;
        self.calls.give(call, fd.as_fd(), number).map_err(number_of)?;
        sockets.insert(number, Arc::new(Socket { fd, protocol, listens: AtomicBool::new(false) }));
        Ok(())
    }

    fn connect(&self, socket: &Socket, call: &Call) -> Answer {
        let Some(to) = self.address(call.arguments[1], call.arguments[2])? else {
            // An address of no family: datagrams go nowhere by themselves any more.
            let nowhere = sockaddr { sa_family: libc::AF_UNSPEC as sa_family_t, sa_data: [0; 14] };
            return match socket.protocol {
                Protocol::Udp => socket.connect(&raw const nowhere, size_of::<sockaddr>()),
                Protocol::Tcp => Err(libc::EACCES),
            };
        };
        if !self.egress.reaches(to, socket.protocol) {
            return Err(libc::EACCES);
        }
        let (address, len) = raw(to);
        match socket.protocol {
            Protocol::Tcp if !socket.is_nonblocking()? => self.wait_for(socket, &address, len),
            _ => socket.connect((&raw const address).cast(), len),
        }
    }

    /// Connects for a process that waits for it, but no longer than it lives.
    fn wait_for(&self, socket: &Socket, address: &sockaddr_storage, len: usize) -> Answer {
        socket.set_nonblocking(true)?;
        let mut connected = socket.connect(ptr(address), len);
        if connected == Err(libc::EINPROGRESS) {
            let wait = |fd, events| libc::pollfd { fd, events, revents: 0 };
            // Of the calls only their end is looked at.
            let mut polled = [wait(socket.fd.as_raw_fd(), libc::POLLOUT), wait(self.calls.as_raw_fd(), 0)];
            // SAFETY: there are two entries.
            let came = checked(unsafe { libc::poll(polled.as_mut_ptr(), 2, SEALED_CONNECT_MS_MAX) });
            connected = match came.map_err(number_of)? {
                0 => Err(libc::ETIMEDOUT),
                _ => socket.error(),
            };
        }
        socket.set_nonblocking(false)?;
        connected
    }

    fn bind(&self, socket: &Socket, call: &Call) -> Answer {
        let at = self.address(call.arguments[1], call.arguments[2])?.ok_or(libc::EAFNOSUPPORT)?;
        let listens = self.egress.listens(at);
        // A client takes any port, so that nobody is replaced.
        if !listens && at.port() != 0 {
            return Err(libc::EACCES);
        }
        let (address, len) = raw(at);
        // SAFETY: the address is as long as it says.
        let bound = checked(unsafe { libc::bind(socket.fd.as_raw_fd(), ptr(&address), len as u32) });
        bound.map_err(number_of)?;
        socket.listens.store(listens, Ordering::Relaxed);
        Ok(0)
    }

    /// Sends a datagram. Where others may come, they are answered, whoever they are: the process has their addresses.
    fn send(&self, socket: &Socket, call: &Call) -> Answer {
        let [_, bytes, len, flags, at, at_len] = call.arguments;
        if socket.protocol != Protocol::Udp {
            return Err(libc::EISCONN);
        }
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= SEALED_DATAGRAM_BYTES_MAX)
            .ok_or(libc::EMSGSIZE)?;
        let to = self.address(at, at_len)?.ok_or(libc::EAFNOSUPPORT)?;
        if !socket.listens.load(Ordering::Relaxed) && !self.egress.reaches(to, Protocol::Udp) {
            return Err(libc::EACCES);
        }
        let mut datagram = vec![0; len];
        self.read(bytes, &mut datagram)?;
        let (address, address_len) = raw(to);
        let flags = flags as c_int & libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the datagram and the address are as long as they say.
        let sent = check(unsafe {
            let (at, len) = (datagram.as_ptr().cast(), datagram.len());
            libc::sendto(socket.fd.as_raw_fd(), at, len, flags, ptr(&address), address_len as u32)
        } as i64);
        sent.map_err(number_of)
    }

    /// Copies an address out of the process. `None` for one of no family.
    fn address(&self, at: u64, len: u64) -> Result<Option<SocketAddr>, c_int> {
        let len = usize::try_from(len).ok().filter(|len| *len <= size_of::<sockaddr_storage>());
        let mut bytes = vec![0; len.ok_or(libc::EINVAL)?];
        self.read(at, &mut bytes)?;
        let part = |at: usize, len: usize| bytes.get(at..at + len).ok_or(libc::EINVAL);
        let family = c_int::from(u16::from_ne_bytes(array(part(0, 2)?)));
        let port = || -> Result<u16, c_int> { Ok(u16::from_be_bytes(array(part(2, 2)?))) };
        match family {
            libc::AF_UNSPEC => Ok(None),
            libc::AF_INET => {
                let ip = Ipv4Addr::from(array::<4>(part(4, 4)?));
                part(0, size_of::<sockaddr_in>())?;
                Ok(Some(SocketAddrV4::new(ip, port()?).into()))
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(array::<16>(part(8, 16)?));
                let scope = u32::from_ne_bytes(array(part(24, 4)?));
                Ok(Some(SocketAddrV6::new(ip, port()?, 0, scope).into()))
            }
            _ => Err(libc::EAFNOSUPPORT),
        }
    }

    /// Copies memory of the process.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), c_int> {
        self.memory.read_exact_at(into, at).map_err(|_| libc::EFAULT)
    }
}

impl Socket {
    fn connect(&self, address: *const sockaddr, len: usize) -> Answer {
        // SAFETY: whoever calls this has an address that is so long.
        let connected = checked(unsafe { libc::connect(self.fd.as_raw_fd(), address, len as u32) });
        connected.map(|_| 0).map_err(number_of)
    }

    /// A socket that was bound to nothing would be bound to any address by it.
    fn listen(&self, backlog: c_int) -> Answer {
        if self.protocol != Protocol::Tcp || !self.listens.load(Ordering::Relaxed) {
            return Err(libc::EACCES);
        }
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::listen(self.fd.as_raw_fd(), backlog) }).map(|_| 0).map_err(number_of)
    }

    fn flags(&self) -> Result<c_int, c_int> {
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_GETFL) }).map_err(number_of)
    }

    fn is_nonblocking(&self) -> Result<bool, c_int> {
        self.flags().map(|flags| flags & libc::O_NONBLOCK != 0)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> Result<(), c_int> {
        let others = self.flags()? & !libc::O_NONBLOCK;
        let flags = if nonblocking { others | libc::O_NONBLOCK } else { others };
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_SETFL, flags) })
            .map(drop)
            .map_err(number_of)
    }

    /// What became of a connection.
    fn error(&self) -> Answer {
        let (mut error, mut len) = (0, size_of::<c_int>() as u32);
        // SAFETY: the number and its length live until the call returns.
        let asked = checked(unsafe {
            let into = (&raw mut error).cast();
            libc::getsockopt(self.fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, into, &mut len)
        });
        match (asked.map_err(number_of)?, error) {
            (_, 0) => Ok(0),
            (_, error) => Err(error),
        }
    }
}

/// The supervisor waits for signals; one that came to a thread that does not would end it on the spot.
fn leave_signals_to_others() {
    // SAFETY: the set is plain data, and lives until the calls return.
    unsafe {
        let mut all = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

fn number_of(error: io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Bytes that are as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn ptr(address: &sockaddr_storage) -> *const sockaddr {
    (&raw const *address).cast()
}

/// An address as the kernel takes it, and its length.
fn raw(address: SocketAddr) -> (sockaddr_storage, usize) {
    // SAFETY: plain data for which zero is a value, and room for addresses of any family.
    unsafe {
        let mut storage: sockaddr_storage = mem::zeroed();
        let len = match address {
            SocketAddr::V4(address) => {
                let raw = &mut *(&raw mut storage).cast::<sockaddr_in>();
                raw.sin_family = libc::AF_INET as sa_family_t;
                raw.sin_port = address.port().to_be();
                raw.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                size_of::<sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                let raw = &mut *(&raw mut storage).cast::<sockaddr_in6>();
                raw.sin6_family = libc::AF_INET6 as sa_family_t;
                raw.sin6_port = address.port().to_be();
                raw.sin6_addr.s6_addr = address.ip().octets();
                raw.sin6_scope_id = address.scope_id();
                size_of::<sockaddr_in6>()
            }
        };
        (storage, len)
    }
}
