//! A socket of a sealed process: its supervisor's copy.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::{c_int, c_void, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage};

use super::egress::Protocol;
use super::system::{checked, made};

/// What a call comes to: what it returns, or the number of an error.
pub(super) type Answer = Result<i64, c_int>;

/// Bytes of `struct tcp_info` (linux/tcp.h) until the end of `tcpi_bytes_sent`, which it has since 4.19.
const INFORMATION_BYTES: usize = 208;

/// `TCP_CLOSE`, of `tcpi_state`.
const CLOSED: u8 = 7;

pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) protocol: Protocol,
    /// Whether it is at an address to which others may come.
    listens: AtomicBool,
    /// Where its datagrams go, where the kernel is not told.
    peer: Mutex<Option<SocketAddr>>,
    /// Bytes sent that were counted.
    counted: AtomicU64,
}

impl Socket {
    /// Of this family, `AF_INET` or `AF_INET6`; `flags` as for `socket(2)`.
    pub(super) fn new(family: c_int, protocol: Protocol, flags: c_int) -> io::Result<Self> {
        let kind = match protocol {
            Protocol::Tcp => libc::SOCK_STREAM,
            Protocol::Udp => libc::SOCK_DGRAM,
        };
        // SAFETY: it takes numbers only.
        let fd = made(unsafe { libc::socket(family, kind | flags | libc::SOCK_CLOEXEC, 0) }.into())?;
        let (listens, peer, counted) = (AtomicBool::new(false), Mutex::default(), AtomicU64::new(0));
        Ok(Self { fd, protocol, listens, peer, counted })
    }

    pub(super) fn connect(&self, to: SocketAddr) -> Answer {
        let (address, len) = raw(to);
        self.connect_raw(ptr(&address), len)
    }

    /// Has datagrams go nowhere by themselves any more; a connection is at its end, with all that it has not sent, whoever
    /// else has the socket.
    pub(super) fn disconnect(&self) -> Answer {
        let nowhere = sockaddr { sa_family: libc::AF_UNSPEC as sa_family_t, sa_data: [0; 14] };
        self.connect_raw(&raw const nowhere, size_of::<sockaddr>())
    }

    fn connect_raw(&self, address: *const sockaddr, len: usize) -> Answer {
        // SAFETY: whoever calls this has an address that is so long.
        let connected = checked(unsafe { libc::connect(self.fd.as_raw_fd(), address, len as u32) });
        connected.map(|_| 0).map_err(number_of)
    }

    /// Where its datagrams go; nowhere by themselves, where it is `None`.
    pub(super) fn set_peer(&self, peer: Option<SocketAddr>) {
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = peer;
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether others may come from now on, `listens` says.
    pub(super) fn bind(&self, at: SocketAddr, listens: bool) -> Answer {
        let (address, len) = raw(at);
        // SAFETY: the address is as long as it says.
        let bound = checked(unsafe { libc::bind(self.fd.as_raw_fd(), ptr(&address), len as u32) });
        bound.map_err(number_of)?;
        self.listens.store(listens, Ordering::Relaxed);
        Ok(0)
    }

    pub(super) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// A socket that was bound to nothing would be bound to any address by it.
    pub(super) fn listen(&self, backlog: c_int) -> Answer {
        if self.protocol != Protocol::Tcp || !self.listens() {
            return Err(libc::EACCES);
        }
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::listen(self.fd.as_raw_fd(), backlog) }).map(|_| 0).map_err(number_of)
    }

    /// Sends a datagram.
    pub(super) fn send(&self, datagram: &[u8], flags: c_int, to: SocketAddr) -> Answer {
        let (address, address_len) = raw(to);
        // SAFETY: the datagram and the address are as long as they say.
        let sent = unsafe {
            let (at, len) = (datagram.as_ptr().cast(), datagram.len());
            libc::sendto(self.fd.as_raw_fd(), at, len, flags, ptr(&address), address_len as u32)
        };
        if sent < 0 { Err(number_of(io::Error::last_os_error())) } else { Ok(sent as i64) }
    }

    fn flags(&self) -> Result<c_int, c_int> {
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_GETFL) }).map_err(number_of)
    }

    pub(super) fn is_nonblocking(&self) -> Result<bool, c_int> {
        self.flags().map(|flags| flags & libc::O_NONBLOCK != 0)
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> Result<(), c_int> {
        let others = self.flags()? & !libc::O_NONBLOCK;
        let flags = if nonblocking { others | libc::O_NONBLOCK } else { others };
        // SAFETY: it takes numbers only.
        checked(unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_SETFL, flags) })
            .map(drop)
            .map_err(number_of)
    }

    /// What became of a connection.
    pub(super) fn error(&self) -> Answer {
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

    /// Has the kernel send no more than so many bytes a second of this connection.
    pub(super) fn set_rate(&self, bytes_per_second: u64) -> io::Result<()> {
        self.set_option(libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, &bytes_per_second)
    }

    /// Has the packets of this connection have no more bytes than that, on whichever network.
    pub(super) fn set_packet_bytes(&self, bytes: c_int) -> io::Result<()> {
        self.set_option(libc::IPPROTO_TCP, libc::TCP_MAXSEG, &bytes)
    }

    /// Whether bytes wait to be sent on, or to be acknowledged by, this connection.
    pub(super) fn has_unsent(&self) -> bool {
        let mut bytes: c_int = 0;
        // SAFETY: the number lives until the call returns.
        let asked = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        // Of a connection that is at its end, the kernel still tells what was left.
        asked == 0 && bytes > 0 && self.information().is_some_and(|information| information[0] != CLOSED)
    }

    /// Bytes that this connection has sent since this was last asked: also those that it sent again.
    pub(super) fn newly_sent(&self) -> u64 {
        let information = self.information();
        let sent = information.and_then(|information| information.last_chunk().copied());
        let sent = sent.map_or(0, u64::from_ne_bytes);
        sent.saturating_sub(self.counted.fetch_max(sent, Ordering::Relaxed))
    }

    /// What the kernel knows of a connection: its state first, and last what it has sent.
    fn information(&self) -> Option<[u8; INFORMATION_BYTES]> {
        let (mut information, mut len) = ([0; INFORMATION_BYTES], INFORMATION_BYTES as u32);
        // SAFETY: the information and its length live until the call returns.
        let asked = unsafe {
            let into = information.as_mut_ptr().cast();
            libc::getsockopt(self.fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut len)
        };
        (asked == 0).then_some(information)
    }

    /// Takes nothing more to send, whoever else has the socket.
    pub(super) fn shut(&self) {
        // SAFETY: it takes numbers only. It fails where there is no connection.
        unsafe { libc::shutdown(self.fd.as_raw_fd(), libc::SHUT_WR) };
    }

    fn set_option<T>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let (at, len) = ((&raw const *value).cast::<c_void>(), size_of::<T>() as u32);
        // SAFETY: the value is as long as it says, and lives until the call returns.
        checked(unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, option, at, len) }).map(drop)
    }
}

pub(super) fn number_of(error: io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
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

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn what_a_connection_sends_is_known_and_ends_with_it() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let socket = Socket::new(libc::AF_INET, Protocol::Tcp, 0).expect("a socket");
        assert_eq!(socket.newly_sent(), 0);
        assert_eq!(socket.connect(server.local_addr().expect("an address")), Ok(0));
        socket.set_nonblocking(true).expect("it can be");
        let other = socket.fd.try_clone().expect("it can be had twice");
        let send = || {
            let filler = [7_u8; 60_000];
            // SAFETY: the bytes are there.
            unsafe { libc::send(other.as_raw_fd(), filler.as_ptr().cast(), filler.len(), libc::MSG_NOSIGNAL) }
        };
        let (mut peer, _) = server.accept().expect("it connects");
        // Nobody reads.
        while send() > 0 {}
        assert!(socket.has_unsent() && socket.newly_sent() > 0);
        socket.shut();
        assert!(send() < 0 && socket.has_unsent());
        socket.disconnect().expect("there is a connection");
        assert!(send() < 0 && !socket.has_unsent());
        let ended = peer.read_to_end(&mut Vec::new()).expect_err("not all has arrived");
        assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
        // One that was refused waits for nothing.
        let nobody = server.local_addr().expect("an address");
        drop(server);
        let refused = Socket::new(libc::AF_INET, Protocol::Tcp, 0).expect("a socket");
        assert_eq!(refused.connect(nobody), Err(libc::ECONNREFUSED));
        assert!(!refused.has_unsent());
    }
}
