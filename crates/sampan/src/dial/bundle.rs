//! A container for a native program: the bundle that `runc` takes, as strict as programs commonly bear.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Where programs and their libraries are.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];

const MEMORY_BYTES_MAX: u64 = 4 << 30;

const PROCESSES_MAX: u32 = 64;

const DESCRIPTORS_MAX: u64 = 1024;

/// System calls that containers are commonly refused: those that change, look into or load something into the kernel.
const REFUSED: [&str; 24] = [
    "acct",
    "add_key",
    "bpf",
    "delete_module",
    "finit_module",
    "fsopen",
    "init_module",
    "kexec_load",
    "keyctl",
    "mount",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "ptrace",
    "reboot",
    "request_key",
    "setns",
    "swapon",
    "umount2",
    "unshare",
    "userfaultfd",
];

/// What a contained program sees of the files of this machine: the system's programs and libraries, and itself.
pub(crate) fn visible(program: &Path) -> BTreeSet<PathBuf> {
    let system = SYSTEM.map(PathBuf::from).into_iter().filter(|path| path.is_dir());
    let mut paths: BTreeSet<PathBuf> = system.collect();
    if !SYSTEM.iter().any(|directory| program.starts_with(directory)) {
        paths.insert(program.to_owned());
    }
    paths
}

/// Writes a bundle into a new directory.
pub(crate) fn write(dir: &Path, program: &Path, args: &[OsString]) -> io::Result<()> {
    fs::create_dir_all(dir.join("rootfs"))?;
    let uid = fs::metadata("/proc/self")?.uid();
    let gid = fs::metadata("/proc/self")?.gid();
    fs::write(dir.join("config.json"), config(program, args, uid, gid).to_string())
}

fn config(program: &Path, args: &[OsString], uid: u32, gid: u32) -> Value {
    let is_root = uid == 0;
    let args: Vec<String> = [program.as_os_str()]
        .into_iter()
        .chain(args.iter().map(OsString::as_os_str))
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let bind = |path: PathBuf| json!({ "destination": path, "source": path, "type": "bind", "options": ["rbind", "ro", "nosuid", "nodev"] });
    let mut mounts = vec![json!({ "destination": "/proc", "type": "proc", "source": "proc" })];
    mounts.extend(visible(program).into_iter().map(bind));
    let mut namespaces: Vec<Value> =
        ["pid", "network", "ipc", "uts", "mount"].iter().map(|kind| json!({ "type": kind })).collect();
    let mut linux = json!({
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": REFUSED, "action": "SCMP_ACT_ERRNO" }],
        },
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    if is_root {
        // Control groups are root's, where nobody delegated them.
        linux["resources"] =
            json!({ "memory": { "limit": MEMORY_BYTES_MAX }, "pids": { "limit": PROCESSES_MAX } });
    } else {
        namespaces.push(json!({ "type": "user" }));
        linux["uidMappings"] = json!([{ "containerID": 0, "hostID": uid, "size": 1 }]);
        linux["gidMappings"] = json!([{ "containerID": 0, "hostID": gid, "size": 1 }]);
    }
    linux["namespaces"] = json!(namespaces);
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "contained",
        "mounts": mounts,
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "cwd": "/",
            "env": ["PATH=/usr/bin:/bin"],
            "capabilities": { "bounding": [], "effective": [], "permitted": [] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": DESCRIPTORS_MAX, "hard": DESCRIPTORS_MAX },
                        { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }],
            "noNewPrivileges": true,
        },
        "linux": linux,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_is_not_root_has_a_namespace_of_users_instead_of_control_groups() {
        let args = ["--fast".into()];
        let (root, user) =
            (config(Path::new("/opt/x"), &args, 0, 0), config(Path::new("/opt/x"), &args, 7, 8));
        assert_eq!(user["linux"]["uidMappings"][0]["hostID"], 7);
        assert_eq!(user["linux"]["gidMappings"][0]["hostID"], 8);
        assert!(user["linux"]["resources"].is_null() && root["linux"]["uidMappings"].is_null());
        assert_eq!(user["linux"]["namespaces"].as_array().map(Vec::len), Some(6));
        assert_eq!(root["process"]["args"], json!(["/opt/x", "--fast"]));
    }

    #[test]
    fn a_program_sees_the_system_and_itself() {
        assert!(visible(Path::new("/opt/x")).contains(Path::new("/opt/x")));
        assert!(!visible(Path::new("/usr/bin/x")).contains(Path::new("/usr/bin/x")));
    }
}
