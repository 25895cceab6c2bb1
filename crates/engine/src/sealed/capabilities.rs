//! Capabilities: none, now or ever again; and no way to gain any by running another program.

use std::io;

use libc::{c_int, c_ulong};

use super::layer::Layer;
use super::system::{check, checked, control};

/// Root is nobody, nothing keeps capabilities over a change of user, nothing passes them on, and none of it can be
/// changed: `SECBIT_NOROOT`, `NO_SETUID_FIXUP`, `KEEP_CAPS_LOCKED`, `NO_CAP_AMBIENT_RAISE`, and their locks.
const SECURE_BITS: u64 = 0xef;

/// More than any kernel has.
const CAPABILITIES_MAX: u64 = 64;

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: c_int,
}

/// Effective, permitted and inheritable, the low half and the high one.
type Sets = [[u32; 3]; 2];

const NONE: Sets = [[0; 3]; 2];

/// Gives all of them up.
pub(super) fn drop_all() -> Layer {
    Layer::from_result("capabilities", give_up())
}

/// Nothing that is executed has more rights than the process itself.
pub(super) fn no_new_privileges() -> Layer {
    Layer::from_result("no_new_privs", control(libc::PR_SET_NO_NEW_PRIVS, 1))
}

fn give_up() -> io::Result<()> {
    // Who has none may change nothing here, and has nothing to lose.
    if sets()? != NONE {
        for capability in 0..CAPABILITIES_MAX {
            match control(libc::PR_CAPBSET_DROP, capability) {
                // There are no more.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
                dropped => dropped?,
            };
        }
        control(libc::PR_SET_SECUREBITS, SECURE_BITS)?;
    }
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong;
    // SAFETY: no argument is an address.
    checked(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, 0, 0, 0) })?;
    set(&NONE)
}

fn set(sets: &Sets) -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: the structures are as the version says.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) }).map(drop)
}

fn sets() -> io::Result<Sets> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut sets = NONE;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    Ok(sets)
}
