//! The network as an attacker uses it: sockets that its supervisor made for it, of which it may connect to one peer.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engine::sealed::{Egress, Protocol};
use libc::{c_int, c_long, sockaddr_in};

use crate::attacks::{at, failed, told};

/// One peer on the host, and no address to listen at.
#[derive(Debug)]
pub(crate) struct OnePeer(pub(crate) u16);

impl Egress for OnePeer {
    fn reaches(&self, to: SocketAddr, _by: Protocol) -> bool {
        to == (Ipv4Addr::LOCALHOST, self.0).into()
    }

    fn listens(&self, _at: SocketAddr) -> bool {
        false
    }
}

pub(crate) const HERE: [u8; 4] = [127, 0, 0, 1];

/// The number of the channel to the supervisor.
const CHANNEL: c_int = 3;

pub(crate) fn made(kind: c_int) -> c_int {
    // SAFETY: it takes numbers only.
    unsafe { libc::socket(libc::AF_INET, kind, 0) }
}

pub(crate) fn connect(socket: c_int, to: &sockaddr_in) -> c_long {
    // SAFETY: the address is as long as it says.
    unsafe { libc::connect(socket, (&raw const *to).cast(), size_of_val(to) as u32) }.into()
}

/// Sends a byte to `port`, with these flags.
pub(crate) fn send_from(socket: c_int, port: u16, flags: c_int) -> String {
    let to = at(HERE, port);
    // SAFETY: the byte and the address live until the call returns.
    told(unsafe {
        libc::sendto(socket, b"!".as_ptr().cast(), 1, flags, (&raw const to).cast(), size_of_val(&to) as u32)
    } as c_long)
}

/// A datagram to `port` from a socket that is connected to where it may.
pub(crate) fn past_connection(granted: u16, port: u16) -> String {
    let socket = made(libc::SOCK_DGRAM);
    if connect(socket, &at(HERE, granted)) < 0 {
        return failed();
    }
    send_from(socket, port, 0)
}

pub(crate) fn datagram(port: u16) -> String {
    send_from(made(libc::SOCK_DGRAM), port, 0)
}

pub(crate) fn fast_open(port: u16) -> String {
    send_from(made(libc::SOCK_STREAM), port, libc::MSG_FASTOPEN)
}

/// A message with an address, by itself or as one of several.
pub(crate) fn message(port: u16, of_several: bool) -> String {
    let mut to = at(HERE, port);
    let mut part = libc::iovec { iov_base: b"!".as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: plain structures for which zero is a value, and that live until the calls return.
    told(unsafe {
        let mut message: libc::mmsghdr = mem::zeroed();
        message.msg_hdr.msg_name = (&raw mut to).cast();
        message.msg_hdr.msg_namelen = size_of_val(&to) as u32;
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
        let socket = made(libc::SOCK_DGRAM);
        match of_several {
            true => c_long::from(libc::sendmmsg(socket, &mut message, 1, 0)),
            false => libc::sendmsg(socket, &message.msg_hdr, 0) as c_long,
        }
    })
}

/// Sets an option that sends packets another way than their address says.
pub(crate) fn option(level: c_int, name: c_int) -> String {
    // A loose source route by way of another host (RFC 791, 3.1), or the name of an interface: both begin so.
    let value = [0x83_u8, 7, 4, 127, 0, 0, 2, 0];
    // SAFETY: the value is as long as it says.
    told(
        unsafe {
            let socket = made(libc::SOCK_DGRAM);
            libc::setsockopt(socket, level, name, value.as_ptr().cast(), value.len() as u32)
        }
        .into(),
    )
}

/// Connects again and again to an address that another thread changes meanwhile.
pub(crate) fn swap(granted: u16, port: u16) -> String {
    let to = Box::leak(Box::new(at(HERE, granted)));
    let place = (&raw mut to.sin_port).expose_provenance();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let place: *mut u16 = std::ptr::with_exposed_provenance_mut(place);
            while !is_over.load(Ordering::Relaxed) {
                for port in [granted, port] {
                    // SAFETY: the place is there for ever.
                    unsafe { place.write_volatile(port.to_be()) };
                }
            }
        });
        let mut connected = 0;
        let mut reached = false;
        for _ in 0..2_000 {
            let socket = made(libc::SOCK_DGRAM);
            let mut peer = at([0; 4], 0);
            let mut len = size_of_val(&peer) as u32;
            // SAFETY: the addresses are there, and as long as they say.
            unsafe {
                if libc::connect(socket, (&raw const *to).cast(), len) == 0 {
                    connected += 1;
                    libc::getpeername(socket, (&raw mut peer).cast(), &mut len);
                    reached |= peer.sin_port != granted.to_be();
                }
                libc::close(socket);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        match (connected, reached) {
            (_, true) => "reached".to_owned(),
            (0, _) => "the race never was".to_owned(),
            _ => "never".to_owned(),
        }
    })
}

/// Has the supervisor connect what it knows by a number, which has become another socket's.
pub(crate) fn swap_numbers(granted: u16) -> String {
    let (one, other) = (made(libc::SOCK_DGRAM), made(libc::SOCK_DGRAM));
    // SAFETY: they take numbers, and a byte that is there.
    unsafe {
        if libc::syscall(libc::SYS_dup3, one, other, 0) < 0 || connect(other, &at(HERE, granted)) < 0 {
            return failed();
        }
        told(libc::send(other, b"!".as_ptr().cast(), 1, 0) as c_long)
    }
}

pub(crate) fn sockets() -> String {
    for _ in 0..100_000 {
        if made(libc::SOCK_STREAM) < 0 {
            return failed();
        }
    }
    "reached: a hundred thousand".to_owned()
}

/// Lets others come, at a port of its own choice, or of the kernel's.
pub(crate) fn listen(port: Option<u16>) -> String {
    let socket = made(libc::SOCK_STREAM);
    if let Some(port) = port {
        let at = at(HERE, port);
        // SAFETY: the address is as long as it says.
        if unsafe { libc::bind(socket, (&raw const at).cast(), size_of_val(&at) as u32) } < 0 {
            return failed();
        }
    }
    // SAFETY: it takes numbers only.
    told(unsafe { libc::listen(socket, 1) }.into())
}

pub(crate) fn protocol(kind: c_int, protocol: c_int) -> String {
    // SAFETY: it takes numbers only.
    told(unsafe { libc::socket(libc::AF_INET, kind, protocol) }.into())
}

/// Puts a socket where messages to the supervisor go, which may have addresses.
pub(crate) fn take_channel() -> String {
    // SAFETY: it takes numbers only.
    told(unsafe { libc::syscall(libc::SYS_dup3, made(libc::SOCK_DGRAM), CHANNEL, 0) })
}

pub(crate) fn close_channel() -> String {
    // SAFETY: it takes a number only, and nothing here uses the channel.
    told(unsafe { libc::syscall(libc::SYS_close, CHANNEL) })
}

/// Becomes who answers its own calls.
pub(crate) fn answer_itself() -> String {
    let mut all = libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &mut all };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the program is as long as it says.
    told(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })
}

/// Addresses that are none, at places that are none.
pub(crate) fn nonsense() -> String {
    let socket = made(libc::SOCK_STREAM);
    let long = [2_u8; 200];
    let calls: [(*const u8, u32); 7] = [
        (std::ptr::without_provenance(1), 16),
        (std::ptr::without_provenance(usize::MAX - 7), 16),
        (std::ptr::without_provenance(1 << 47), 16),
        (long.as_ptr(), 200),
        (long.as_ptr(), u32::MAX),
        (long.as_ptr(), 1),
        (std::ptr::null(), 0),
    ];
    for (at, len) in calls {
        // SAFETY: the kernel, or who answers for it, refuses what is no address.
        if unsafe { libc::connect(socket, at.cast(), len) } == 0 {
            return "reached".to_owned();
        }
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOSYS) => "the supervisor is gone".to_owned(),
        _ => "refused".to_owned(),
    }
}
