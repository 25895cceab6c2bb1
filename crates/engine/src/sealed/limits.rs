//! Limits of the process: what it holds at most, whatever becomes of the engine in it.

use std::io;

use libc::{__rlimit_resource_t, rlimit64};

use super::egress::SOCKETS_MAX;
use super::layer::Layer;
use super::system::checked;
use super::{Plan, THREADS_MAX};

/// Descriptors beside those of the program: streams, timers, events, files of code.
const DESCRIPTORS_OWN: u64 = 64;

/// Sets what holds from the beginning. The supervisor's sockets get numbers above all others: from which one on.
pub(super) fn set(plan: &Plan) -> (Layer, u32) {
    let sockets = if plan.network.is_granted() { u64::from(SOCKETS_MAX) * 2 } else { 0 };
    let descriptors = plan.descriptors_max.saturating_add(DESCRIPTORS_OWN).saturating_add(sockets);
    let descriptors = descriptors.min(most_descriptors());
    let sockets_at = u32::try_from(descriptors - sockets.min(descriptors / 2)).unwrap_or(u32::MAX);
    let limits = [
        // A core would hold what the program had in memory, in a place that somebody else chose.
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_NOFILE, descriptors),
        (libc::RLIMIT_NPROC, THREADS_MAX),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_RTPRIO, 0),
    ];
    let set = limits.into_iter().try_for_each(|(what, most)| lower(what, most));
    (Layer::from_result("limits", set), sockets_at)
}

/// How many descriptors this process may have as it is.
fn most_descriptors() -> u64 {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives until the call returns, which cannot fail.
    unsafe { libc::prlimit64(0, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit) };
    limit.rlim_max
}

/// Sets a limit, but never above the one that there is.
fn lower(what: __rlimit_resource_t, most: u64) -> io::Result<()> {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structures live until the calls return.
    unsafe {
        checked(libc::prlimit64(0, what, std::ptr::null(), &mut limit))?;
        let most = most.min(limit.rlim_max);
        limit = rlimit64 { rlim_cur: most, rlim_max: most };
        checked(libc::prlimit64(0, what, &limit, std::ptr::null_mut())).map(drop)
    }
}

/// Limits what another process may still map to write to it. By its supervisor, since it depends on what it has.
pub(super) fn limit_data(pid: i32, more_bytes: u64) -> io::Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    let kibibytes = kibibytes.ok_or_else(|| io::Error::other("its memory is unknown"))?;
    let most = (kibibytes << 10).saturating_add(more_bytes);
    let limit = rlimit64 { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure lives until the call returns.
    checked(unsafe { libc::prlimit64(pid, libc::RLIMIT_DATA, &limit, std::ptr::null_mut()) }).map(drop)
}
