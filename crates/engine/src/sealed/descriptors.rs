//! What the process inherited: descriptors and environment. It keeps its standard streams and the channel.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::c_char;

use super::channel::Channel;
use super::layer::Layer;
use super::system::{check, checked};

/// The channel's number inside.
pub(super) const CHANNEL: i32 = 3;

/// Variables that say how to speak to the user, and nothing else.
const KEPT: [&[u8]; 3] = [b"NO_COLOR", b"TERM", b"RUST_BACKTRACE"];

/// Closes everything but the standard streams and the channel, which comes back under its own number.
pub(super) fn close(channel: Channel) -> io::Result<(Channel, Layer)> {
    let channel = if channel.as_raw_fd() == CHANNEL {
        channel
    } else {
        // SAFETY: the number is that of the channel from here on; whatever else had it was to be closed.
        unsafe {
            checked(libc::dup3(channel.as_raw_fd(), CHANNEL, libc::O_CLOEXEC))?;
            mem::forget(channel);
            Channel::from_fd(OwnedFd::from_raw_fd(CHANNEL))
        }
    };
    let closed = close_rest().and_then(|()| (0..CHANNEL).try_for_each(no_directory));
    Ok((channel, Layer::from_result("descriptors", closed)))
}

fn close_rest() -> io::Result<()> {
    // SAFETY: nothing in this process, a moment old, uses a descriptor with a higher number.
    check(unsafe { libc::syscall(libc::SYS_close_range, CHANNEL as u32 + 1, u32::MAX, 0) }).map(drop)
}

/// A standard stream that is a directory would be a way to all that is below it, and one that is closed would be the
/// number of the next file that is opened.
fn no_directory(stream: i32) -> io::Result<()> {
    // SAFETY: the structure is plain data for which zero is a value, and lives until the call returns.
    let is_stream = unsafe {
        let mut status: libc::stat = mem::zeroed();
        libc::fstat(stream, &mut status) == 0 && status.st_mode & libc::S_IFMT != libc::S_IFDIR
    };
    if is_stream {
        return Ok(());
    }
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: the number is nobody's, or a directory's that nobody has opened in this process.
    checked(unsafe { libc::dup2(null.as_raw_fd(), stream) })?;
    if null.as_raw_fd() == stream {
        mem::forget(null);
    }
    Ok(())
}

/// Overwrites the variables of the environment, which a program reads from the memory of its process if it can read
/// anything there.
pub(super) fn forget_environment() -> Layer {
    // SAFETY: the process has one thread, so nobody reads the environment meanwhile. The list ends in a null, and each
    // of its entries in a zero; they are this process's own, and may be written.
    unsafe {
        let mut kept = 0;
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            let variable = *at;
            let text = CStr::from_ptr(variable).to_bytes();
            let len = text.len();
            let name = text.split(|byte| *byte == b'=').next().unwrap_or_default();
            if KEPT.contains(&name) {
                *environ.add(kept) = variable;
                kept += 1;
            } else {
                std::ptr::write_bytes(variable, 0, len);
            }
            at = at.add(1);
        }
        if !environ.is_null() {
            *environ.add(kept) = std::ptr::null_mut();
        }
    }
    Layer::from_result("environment", Ok(()))
}

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}
