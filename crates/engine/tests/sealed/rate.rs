//! The rate at which a process may send, as an attacker breaks it, and as its peer sees it.

use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libc::c_int;

use crate::attacks::{at, told};
use crate::egress::{HERE, connect, made};

/// Bytes a second that may be sent.
pub(crate) const RATE: u64 = 1 << 20;

/// What must happen: also that it was not held to nothing at all.
pub(crate) const KEPT: &str = "as fast as it may";

/// How long each attack goes on.
const TIME: Duration = Duration::from_millis(1_500);

/// Bytes of a packet: as in most networks, not as on this machine.
const PACKET_BYTES: c_int = 1_400;

/// What connections have sent before anybody could look, what is there when nothing was sent, and what may be to pay.
const AT_FIRST: u64 = (256 << 10) + RATE / 2;

/// Who is sent to.
pub(crate) struct Peer {
    connections: TcpListener,
    datagrams: UdpSocket,
}

/// What arrives, counted by a thread.
pub(crate) struct Counting {
    is_over: Arc<AtomicBool>,
    counted: JoinHandle<io::Result<(u64, Duration)>>,
}

impl Peer {
    /// At the same port for both protocols.
    pub(crate) fn new(connections: TcpListener) -> io::Result<Self> {
        let port = connections.local_addr()?.port();
        let (at, bytes) = (connections.as_raw_fd(), PACKET_BYTES);
        let (value, len) = ((&raw const bytes).cast(), size_of_val(&bytes) as u32);
        // SAFETY: the value is as long as it says.
        unsafe { libc::setsockopt(at, libc::IPPROTO_TCP, libc::TCP_MAXSEG, value, len) };
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        connections.set_nonblocking(true)?;
        datagrams.set_nonblocking(true)?;
        Ok(Self { connections, datagrams })
    }

    pub(crate) fn count(self) -> Counting {
        let is_over = Arc::<AtomicBool>::default();
        let stop = Arc::clone(&is_over);
        Counting { is_over, counted: thread::spawn(move || self.count_until(&stop)) }
    }

    fn count_until(&self, is_over: &AtomicBool) -> io::Result<(u64, Duration)> {
        let (mut streams, mut bytes, mut first) = (Vec::<TcpStream>::new(), 0, None);
        let mut buffer = vec![0; 1 << 20];
        while !is_over.load(Ordering::Relaxed) {
            let before = bytes;
            while let Some((stream, _)) = there(self.connections.accept())? {
                stream.set_nonblocking(true)?;
                streams.push(stream);
            }
            while let Some(count) = there(self.datagrams.recv(&mut buffer))? {
                bytes += count as u64;
            }
            streams.retain_mut(|stream| match there(stream.read(&mut buffer)) {
                Ok(Some(count)) => {
                    bytes += count as u64;
                    count > 0
                }
                Ok(None) => true,
                Err(_) => false,
            });
            if bytes == before {
                thread::sleep(Duration::from_millis(1));
            }
            first = first.or((bytes > 0).then(Instant::now));
        }
        Ok((bytes, first.map_or(Duration::ZERO, |first| first.elapsed())))
    }
}

/// What is there; nothing, if nothing is.
fn there<T>(tried: io::Result<T>) -> io::Result<Option<T>> {
    match tried {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

impl Counting {
    pub(crate) fn verdict(self) -> String {
        self.is_over.store(true, Ordering::Relaxed);
        match self.counted.join().expect("it counts to the end") {
            Err(error) => format!("nothing was counted: {error}"),
            Ok((bytes, time)) => {
                let may = RATE * time.as_millis() as u64 / 1_000;
                match bytes {
                    // Loaded machines send less.
                    _ if bytes < may / 4 => format!("held to nothing: {bytes} bytes in {time:?}"),
                    _ if bytes > may + may / 10 + AT_FIRST => format!("sent {bytes} bytes in {time:?}"),
                    _ => KEPT.to_owned(),
                }
            }
        }
    }
}

/// Runs this again and again.
fn meanwhile(mut attack: impl FnMut()) -> String {
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        attack();
    }
    String::new()
}

/// Sends what there is room for, without waiting; whether there was any.
fn send(socket: c_int, bytes: usize) -> bool {
    let filler = [0_u8; 60_000];
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the bytes are there.
    unsafe { libc::send(socket, filler.as_ptr().cast(), bytes.min(filler.len()), flags) > 0 }
}

fn connected(port: u16, kind: c_int) -> c_int {
    let socket = made(kind);
    connect(socket, &at(HERE, port));
    socket
}

fn close(socket: c_int) {
    // SAFETY: it takes a number, and nobody uses it again.
    unsafe { libc::close(socket) };
}

fn rest() {
    thread::sleep(Duration::from_millis(1));
}

pub(crate) fn one_connection(port: u16) -> String {
    let socket = connected(port, libc::SOCK_STREAM);
    meanwhile(|| {
        if !send(socket, usize::MAX) {
            rest();
        }
    })
}

pub(crate) fn many_connections(port: u16) -> String {
    let sockets = [(); 16].map(|()| connected(port, libc::SOCK_STREAM));
    meanwhile(|| {
        // Each of them, whatever becomes of the others.
        if sockets.iter().filter(|socket| send(**socket, usize::MAX)).count() == 0 {
            rest();
        }
    })
}

/// Sends what goes out before anything is answered, and takes a new connection.
pub(crate) fn again_and_again(port: u16) -> String {
    meanwhile(|| {
        let socket = connected(port, libc::SOCK_STREAM);
        send(socket, 10 * PACKET_BYTES as usize);
        close(socket);
    })
}

/// Has each connection under two numbers, and closes one of them.
pub(crate) fn closed(port: u16) -> String {
    let mut kept = Vec::new();
    meanwhile(|| {
        let socket = connected(port, libc::SOCK_STREAM);
        // SAFETY: it takes a number only.
        kept.push(unsafe { libc::dup(socket) });
        close(socket);
        kept.retain(|socket| {
            let sent = send(*socket, usize::MAX);
            if !sent {
                close(*socket);
            }
            sent
        });
        let other = connected(port, libc::SOCK_STREAM);
        send(other, usize::MAX);
        close(other);
    })
}

pub(crate) fn datagrams(port: u16, is_connected: bool) -> String {
    let socket = if is_connected { connected(port, libc::SOCK_DGRAM) } else { made(libc::SOCK_DGRAM) };
    // SAFETY: it takes a number only.
    let other = unsafe { libc::dup(socket) };
    let (to, filler) = (at(HERE, port), [0_u8; 1_400]);
    meanwhile(|| {
        if is_connected {
            send(socket, filler.len());
            send(other, filler.len());
        } else {
            let (at, len) = ((&raw const to).cast(), size_of_val(&to) as u32);
            // SAFETY: the bytes and the address are there.
            unsafe { libc::sendto(socket, filler.as_ptr().cast(), filler.len(), 0, at, len) };
        }
    })
}

pub(crate) fn raise() -> String {
    let (socket, rate) = (made(libc::SOCK_STREAM), u64::MAX);
    let (value, len) = ((&raw const rate).cast(), size_of_val(&rate) as u32);
    // SAFETY: the value is as long as it says.
    told(unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, value, len) }.into())
}
