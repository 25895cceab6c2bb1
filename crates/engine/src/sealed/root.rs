//! The root: an empty file system that cannot be written, with the granted directories bound into it.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use libc::{c_int, c_ulong};

use super::layer::Layer;
use super::system::{check, checked, made};
use super::{Dir, Network, Plan};

/// Where the new root is put together: a directory that is everywhere, and that nothing here needs later.
const BUILT_AT: &CStr = c"/proc";

/// What looks up names, for a process that may.
const RESOLVER: [&str; 6] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
];

/// Bytes of the new root: it has names only.
const OPTIONS: &CStr = c"mode=0755,size=64k,nr_inodes=4096";

const ATTRIBUTES: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;

/// Moves the process to its root. The directories of the plan are then where they are there.
pub(super) fn enter(plan: &mut Plan) -> Layer {
    let entered = build(plan).and_then(|()| replace());
    if entered.is_ok() {
        for (index, dir) in plan.dirs.iter_mut().enumerate() {
            dir.path = Path::new("/").join(index.to_string());
        }
    }
    Layer::from_result("root", entered)
}

fn build(plan: &Plan) -> io::Result<()> {
    // Nothing of what follows may reach the mounts of others.
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
    let dirs = plan.dirs.iter().map(|dir| tree(dir).map_err(|error| named(error, &dir.path)));
    let dirs: Vec<OwnedFd> = dirs.collect::<io::Result<_>>()?;
    let files: Vec<(&str, OwnedFd)> = match plan.network {
        Network::None => Vec::new(),
        Network::Granted(_) => {
            let read_only = |path: &&str| Dir { path: PathBuf::from(path), read_only: true };
            // Machines have some of these.
            RESOLVER.iter().filter_map(|path| Some((*path, tree(&read_only(path)).ok()?))).collect()
        }
    };
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(Some(c"sampan"), BUILT_AT, Some(c"tmpfs"), flags, Some(OPTIONS))?;
    std::env::set_current_dir(Path::new("/proc"))?;
    for (index, dir) in dirs.into_iter().enumerate() {
        let place = index.to_string();
        fs::create_dir(&place)?;
        attach(&dir, &place)?;
    }
    if !files.is_empty() {
        fs::create_dir("etc")?;
    }
    for (path, file) in files {
        let place = path.trim_start_matches('/');
        File::create(place)?;
        attach(&file, place)?;
    }
    Ok(())
}

/// Makes the file system that was built the root, and lets go of the old one.
fn replace() -> io::Result<()> {
    // SAFETY: the paths end in zeros.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        checked(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
    }
    std::env::set_current_dir("/")?;
    let flags = libc::MS_REMOUNT
        | libc::MS_BIND
        | libc::MS_RDONLY
        | libc::MS_NOSUID
        | libc::MS_NODEV
        | libc::MS_NOEXEC;
    mount(None, c"/", None, flags, None)
}

/// A copy of the mounts at and below a path, in no place yet.
fn tree(dir: &Dir) -> io::Result<OwnedFd> {
    let path = CString::new(dir.path.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
    // SAFETY: the path ends in a zero.
    let tree = made(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    let read_only = if dir.read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let attributes =
        libc::mount_attr { attr_set: ATTRIBUTES | read_only, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path ends in a zero, and the structure has the size that is told.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(tree)
}

fn attach(tree: &OwnedFd, place: &str) -> io::Result<()> {
    let place = CString::new(place)?;
    // SAFETY: the paths end in zeros.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            place.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the strings end in zeros, and the kernel takes null for those that are not given.
    let returned: c_int = unsafe {
        libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(options).cast())
    };
    checked(returned).map(drop)
}

fn named(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}
