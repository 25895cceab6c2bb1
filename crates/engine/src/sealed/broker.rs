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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use libc::{c_int, sockaddr_in, sockaddr_storage};

use super::egress::{Egress, Protocol, SOCKETS_MAX};
use super::notify::{Call, Listener};
use super::pace::{PERIOD, Pace};
use super::socket::{Answer, Socket, number_of};
use super::system::checked;
use crate::limits::{SEALED_CONNECT_MS_MAX, SEALED_DATAGRAM_BYTES_MAX};

/// Threads that answer the calls of one process: some may wait for a name server, or a connection.
const THREADS: usize = 4;

/// What stands between a process and the network.
pub(super) struct Broker {
    calls: Listener,
    /// Of the process.
    memory: File,
    egress: Arc<dyn Egress>,
    /// How fast the process may send, if that is limited.
    pace: Option<Pace>,
    /// The first number that a socket has in the process: one of TCP, and [`SOCKETS_MAX`] after it one of UDP.
    first: u32,
    /// By their numbers in the process, as far as it is honest about them.
    sockets: Mutex<BTreeMap<u32, Arc<Socket>>>,
}

impl Broker {
    /// Answers until the process has ended.
    pub(super) fn start(
        calls: OwnedFd,
        memory: OwnedFd,
        first: u32,
        (egress, bytes_per_second): (Arc<dyn Egress>, Option<u64>),
    ) -> io::Result<()> {
        let (calls, memory) = (Listener::new(calls), File::from(memory));
        let (pace, sockets) = (bytes_per_second.map(Pace::new), Mutex::default());
        let broker = Arc::new(Self { calls, memory, egress, pace, first, sockets });
        for _ in 0..THREADS {
            let broker = Arc::clone(&broker);
            thread::Builder::new().name("egress".to_owned()).spawn(move || {
                leave_signals_to_others();
                while let Some(call) = broker.calls.next() {
                    broker.see_to(&call);
                }
                broker.end();
            })?;
        }
        Ok(())
    }

    fn see_to(self: &Arc<Self>, call: &Call) {
        match call.number {
            // It says so itself when it succeeds.
            libc::SYS_socket => self.socket(call).unwrap_or_else(|error| self.calls.answer(call, Err(error))),
            libc::SYS_close => {
                // Before the process does: only then is the connection at its end.
                let closed = self.sockets().remove(&(call.arguments[0] as u32));
                if let (Some(pace), Some(socket)) = (&self.pace, closed) {
                    pace.close(socket);
                }
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
    fn socket(self: &Arc<Self>, call: &Call) -> Result<(), c_int> {
        let [family, kind, protocol, ..] = call.arguments.map(|argument| argument as c_int);
        if ![libc::AF_INET, libc::AF_INET6].contains(&family) {
            return Err(libc::EAFNOSUPPORT);
        }
        let flags = kind & (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
        let (protocol, first) = match (kind & !flags, protocol) {
            (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => (Protocol::Tcp, self.first),
            (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => {
                (Protocol::Udp, self.first.saturating_add(SOCKETS_MAX))
            }
            _ => return Err(libc::EPROTONOSUPPORT),
        };
        let mut sockets = self.sockets();
        let closing = match (&self.pace, protocol) {
            (Some(pace), Protocol::Tcp) => pace.closing_count() as u32,
            _ => 0,
        };
        let mut numbers = first..first.saturating_add(SOCKETS_MAX.saturating_sub(closing));
        let number = numbers.find(|number| !sockets.contains_key(number)).ok_or(libc::EMFILE)?;
        let socket = Arc::new(Socket::new(family, protocol, flags).map_err(number_of)?);
        if let (Some(pace), Protocol::Tcp) = (&self.pace, protocol) {
            let others = sockets.range(first..first.saturating_add(SOCKETS_MAX)).count();
            pace.hold(&socket, others).map_err(number_of)?;
            self.keep_pace(pace).map_err(number_of)?;
        }
        self.calls.give(call, socket.fd.as_fd(), number).map_err(number_of)?;
        sockets.insert(number, socket);
        Ok(())
    }

    /// Has the rate shared anew, again and again, as long as there is a connection.
    fn keep_pace(self: &Arc<Self>, pace: &Pace) -> io::Result<()> {
        if pace.set_shared(true) {
            return Ok(());
        }
        let broker = Arc::clone(self);
        let shared = thread::Builder::new().name("egress rate".to_owned()).spawn(move || {
            leave_signals_to_others();
            while let Some(pace) = &broker.pace {
                thread::sleep(PERIOD);
                let sockets = broker.sockets();
                if !pace.share(sockets.values()) {
                    // Whoever opens another one waits for what is known of sockets.
                    pace.set_shared(false);
                    return;
                }
            }
        });
        shared.map(drop).inspect_err(|_| {
            pace.set_shared(false);
        })
    }

    /// The process has ended: nothing is kept for it.
    fn end(&self) {
        self.sockets().clear();
        self.pace.iter().for_each(Pace::end);
    }

    fn connect(&self, socket: &Socket, call: &Call) -> Answer {
        let peer = self.address(call.arguments[1], call.arguments[2])?;
        if peer.is_some_and(|to| !self.egress.reaches(to, socket.protocol)) {
            return Err(libc::EACCES);
        }
        match (socket.protocol, peer, &self.pace) {
            // The kernel would send without a word to anybody.
            (Protocol::Udp, peer, Some(_)) => {
                socket.set_peer(peer);
                Ok(0)
            }
            (Protocol::Udp, Some(to), None) => socket.connect(to),
            // An address of no family: datagrams go nowhere by themselves any more.
            (Protocol::Udp, None, None) => socket.disconnect(),
            (Protocol::Tcp, None, _) => Err(libc::EACCES),
            (Protocol::Tcp, Some(to), pace) => {
                pace.as_ref().map_or(Ok(()), |pace| self.wait_until_paid(pace))?;
                if socket.is_nonblocking()? { socket.connect(to) } else { self.wait_for(socket, to) }
            }
        }
    }

    /// Waits until not too much was sent, but no longer than the process lives.
    fn wait_until_paid(&self, pace: &Pace) -> Result<(), c_int> {
        let begun = Instant::now();
        loop {
            let wait = pace.wait(self.sockets().values());
            if wait.is_zero() {
                return Ok(());
            }
            let left = Duration::from_millis(SEALED_CONNECT_MS_MAX as u64).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(libc::ETIMEDOUT);
            }
            let wait = wait.min(left).as_millis() as c_int + 1;
            // Of the calls only their end is looked at.
            let mut calls = libc::pollfd { fd: self.calls.as_raw_fd(), events: 0, revents: 0 };
            // SAFETY: there is one entry.
            if checked(unsafe { libc::poll(&mut calls, 1, wait) }).map_err(number_of)? > 0 {
                return Err(libc::ECONNABORTED);
            }
        }
    }

    /// Connects for a process that waits for it, but no longer than it lives.
    fn wait_for(&self, socket: &Socket, to: SocketAddr) -> Answer {
        socket.set_nonblocking(true)?;
        let mut connected = socket.connect(to);
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
        // Who comes would have connections that nobody counts.
        if listens && self.pace.is_some() {
            return Err(libc::EACCES);
        }
        socket.bind(at, listens)
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
        let to = match at {
            0 => socket.peer().ok_or(libc::EDESTADDRREQ)?,
            at => self.address(at, at_len)?.ok_or(libc::EAFNOSUPPORT)?,
        };
        if !socket.listens() && !self.egress.reaches(to, Protocol::Udp) {
            return Err(libc::EACCES);
        }
        let mut datagram = vec![0; len];
        self.read(bytes, &mut datagram)?;
        if self.pace.as_ref().is_some_and(|pace| !pace.lets(len)) {
            return Ok(len as i64);
        }
        socket.send(&datagram, flags as c_int & libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL, to)
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

/// The supervisor waits for signals; one that came to a thread that does not would end it on the spot.
fn leave_signals_to_others() {
    // SAFETY: the set is plain data, and lives until the calls return.
    unsafe {
        let mut all = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

/// Bytes that are as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}
