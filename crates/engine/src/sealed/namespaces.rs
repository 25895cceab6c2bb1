//! Namespaces: the process has processes, mounts, a network, a host name and so on of its own.
//!
//! User and process namespaces belong to a process from its first moment; the others it takes by itself.

use std::fs;
use std::io;

use libc::c_int;

use super::layer::{Layer, State};
use super::system::checked;

/// The namespaces that a process takes by itself.
const TAKEN: [(c_int, &str); 5] = [
    (libc::CLONE_NEWNS, "mount namespace"),
    (libc::CLONE_NEWIPC, "ipc namespace"),
    (libc::CLONE_NEWUTS, "uts namespace"),
    (libc::CLONE_NEWCGROUP, "cgroup namespace"),
    (libc::CLONE_NEWNET, "network namespace"),
];

/// The namespaces that the process begins in, as flags of `clone`: the first that the kernel grants. Root needs no user
/// namespace to have the others.
pub(super) const AT_BIRTH: [c_int; 2] = [libc::CLONE_NEWPID, libc::CLONE_NEWPID | libc::CLONE_NEWUSER];

/// Reports what the process was born into, and takes the rest.
pub(super) fn enter(born_in: c_int, refused: Option<&str>, user: Ids) -> Vec<Layer> {
    let mut layers = Vec::new();
    let refusal = || State::Refused(refused.unwrap_or_default().to_owned());
    if born_in & libc::CLONE_NEWUSER != 0 {
        layers.push(Layer::from_result("user namespace", map(user)));
    }
    layers.push(match born_in & libc::CLONE_NEWPID {
        0 => Layer::new("pid namespace", refusal()),
        _ => Layer::new("pid namespace", State::Held(String::new())),
    });
    layers.extend(TAKEN.map(|(flag, name)| Layer::from_result(name, take(flag))));
    layers
}

fn take(flag: c_int) -> io::Result<()> {
    // SAFETY: the process has one thread.
    checked(unsafe { libc::unshare(flag) }).map(drop)
}

/// Who the process is to the rest of the machine.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    user: u32,
    group: u32,
}

impl Ids {
    pub(super) fn current() -> Self {
        // SAFETY: these calls cannot fail.
        unsafe { Self { user: libc::geteuid(), group: libc::getegid() } }
    }
}

/// Gives the process the same numbers inside its user namespace, and no others.
fn map(ids: Ids) -> io::Result<()> {
    let same = |id: u32| format!("{id} {id} 1");
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", same(ids.user))?;
    fs::write("/proc/self/gid_map", same(ids.group))
}
