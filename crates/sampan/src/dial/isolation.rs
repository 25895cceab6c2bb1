//! What stands between a program and the machine: looked for in a process that runs, not believed.
//!
//! Layers of WebAssembly are tried by small programs that misbehave; layers of the kernel are read in `/proc`, and where
//! that cannot be, taken from what `sampan run --verbose` tells of a sealed process.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use serde::Serialize;

use super::contestant::{Contestant, Ground, Kind, Task};
use super::process::{self, Waiting};

/// One layer, and whether it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    pub(crate) stands: bool,
    pub(crate) seen: String,
}

/// How many layers there are.
pub(crate) const COUNT: usize = 15;

/// What is run to look.
pub(crate) struct Probes {
    /// Waits for standard input, as WebAssembly and as native code.
    pub(crate) waiting: Task,
    /// Reads outside of its memory, and comes to a good end if nothing stops it.
    pub(crate) stray: Task,
    /// Comes to a good end if it finds nothing that it was not granted.
    pub(crate) ungranted: Task,
}

/// Looks for every layer.
pub(crate) fn look(contestant: Contestant, probes: &Probes, ground: &Ground) -> io::Result<Vec<Layer>> {
    let mut layers = of_wasm(contestant, probes, ground)?;
    let command = contestant.command(&probes.waiting, &ground.cache(), ground)?;
    let waiting = Waiting::begin([command])?.ok_or_else(|| io::Error::other("the probe did not wait"))?;
    let told = told(contestant, probes, ground)?;
    layers.extend(of_kernel(waiting.innermost()?, contestant.is_wasm(), &told)?);
    debug_assert_eq!(layers.len(), COUNT);
    Ok(layers)
}

fn layer(name: &'static str, stands: bool, seen: impl Into<String>) -> Layer {
    Layer { name, stands, seen: seen.into() }
}

fn of_wasm(contestant: Contestant, probes: &Probes, ground: &Ground) -> io::Result<Vec<Layer>> {
    if !contestant.is_wasm() {
        return Ok(["memory", "traps", "grants"].map(|name| layer(name, false, "machine code")).into());
    }
    let ends_well = |task: &Task| -> io::Result<bool> {
        let ended = process::run(&mut contestant.command(task, &ground.cache(), ground)?, Stdio::null())?;
        Ok(ended.result.code == 0)
    };
    let (strays, is_denied) = (ends_well(&probes.stray)?, ends_well(&probes.ungranted)?);
    Ok(vec![
        layer("memory", true, "WebAssembly: all that it can name is its own"),
        layer("traps", !strays, if strays { "a stray access goes on" } else { "a stray access ends it" }),
        layer(
            "grants",
            is_denied,
            if is_denied { "nothing was found" } else { "found what was not granted" },
        ),
    ])
}

/// The names of layers that a sealed process says it has.
fn told(contestant: Contestant, probes: &Probes, ground: &Ground) -> io::Result<HashSet<String>> {
    if !matches!(contestant.kind, Kind::Ours { shares: false, .. }) {
        return Ok(HashSet::new());
    }
    let verbose = contestant.command(&probes.ungranted, &ground.cache(), ground)?;
    let mut command = std::process::Command::new(verbose.get_program());
    for (name, value) in verbose.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let args: Vec<_> = verbose.get_args().collect();
    let (run, rest) = args.split_at(1);
    let ended = process::run(command.args(run).arg("--verbose").args(rest), Stdio::null())?;
    let held = |line: &str| {
        let (name, state) = line.strip_prefix("sampan: ")?.split_once(": ")?;
        state.starts_with("held").then(|| name.to_owned())
    };
    Ok(ended.talk.lines().filter_map(held).collect())
}

fn of_kernel(pid: u32, is_wasm: bool, told: &HashSet<String>) -> io::Result<Vec<Layer>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let none_of = |sets: &[&str]| sets.iter().all(|set| field(set).chars().all(|digit| digit == '0'));
    let namespace = |name, kind: &str, told_as: &str| {
        let link = |process: &str| fs::read_link(format!("/proc/{process}/ns/{kind}"));
        match (link("self"), link(&pid.to_string())) {
            (Ok(ours), Ok(its)) => layer(name, ours != its, its.display().to_string()),
            _ => told_of(name, told, told_as),
        }
    };
    Ok(vec![
        interpreted(pid, is_wasm, told),
        namespace("processes", "pid", "pid namespace"),
        files(pid, told),
        namespace("network", "net", "network namespace"),
        namespace("messages", "ipc", "ipc namespace"),
        namespace("users", "user", "user namespace"),
        layer(
            "capabilities",
            // What is not bounded may come back, by way of a program that root marked.
            none_of(&["CapEff", "CapPrm", "CapBnd"]),
            format!("CapBnd: {}", field("CapBnd")),
        ),
        layer("no_new_privs", field("NoNewPrivs") == "1", format!("NoNewPrivs: {}", field("NoNewPrivs"))),
        layer("seccomp", field("Seccomp") == "2", format!("Seccomp: {}", field("Seccomp"))),
        told_of("Landlock", told, "Landlock"),
        limits(pid)?,
        cgroup(pid)?,
    ])
}

/// What cannot be seen from outside.
fn told_of(name: &'static str, told: &HashSet<String>, told_as: &str) -> Layer {
    match told.contains(told_as) {
        true => layer(name, true, "as `--verbose` tells"),
        false => layer(name, false, "not told of"),
    }
}

/// Whether nothing is executable in it but what came in files: then no machine code was made for the program. Of native
/// programs, which are machine code, it says nothing.
fn interpreted(pid: u32, is_wasm: bool, told: &HashSet<String>) -> Layer {
    const NAME: &str = "interpreted";
    // The last are the kernel's own.
    const LIBRARIES: [&str; 3] = ["/usr/lib", "/lib", "[v"];
    if !is_wasm {
        return layer(NAME, false, "machine code");
    }
    let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) else {
        return told_of(NAME, told, NAME);
    };
    let own = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let is_code = |line: &str| {
        let mut fields = line.split_whitespace();
        let executable = fields.nth(1).is_some_and(|access| access.contains('x'));
        let path = fields.nth(3).unwrap_or_default();
        let came = own.as_os_str() == path || LIBRARIES.iter().any(|start| path.starts_with(start));
        executable && !came
    };
    match maps.lines().find(|line| is_code(line)) {
        Some(_) => layer(NAME, false, "machine code was made for it"),
        None => layer(NAME, true, "no machine code was made for it"),
    }
}

/// Whether it has a root of its own: other mounts of the same files are no wall.
fn files(pid: u32, told: &HashSet<String>) -> Layer {
    // With nothing behind it, a path ends in a slash, and means what a link leads to.
    let identity = |path: &str| fs::metadata(Path::new(path).join("")).map(|root| (root.dev(), root.ino()));
    match (identity("/"), identity(&format!("/proc/{pid}/root"))) {
        (Ok(ours), Ok(its)) if ours == its => layer("files", false, "the root of this machine"),
        (Ok(_), Ok(_)) => layer("files", true, "another root"),
        _ => told_of("files", told, "root"),
    }
}

/// Whether it may use less than we may of anything that processes are limited in.
fn limits(pid: u32) -> io::Result<Layer> {
    const KINDS: [&str; 4] = ["Max open files", "Max processes", "Max core file size", "Max locked memory"];
    let soft = |process: &str| -> io::Result<[u64; 4]> {
        let text = fs::read_to_string(format!("/proc/{process}/limits"))?;
        Ok(KINDS.map(|kind| {
            let line = text.lines().find_map(|line| line.strip_prefix(kind)).unwrap_or_default();
            line.split_whitespace().next().and_then(|limit| limit.parse().ok()).unwrap_or(u64::MAX)
        }))
    };
    let (ours, its) = (soft("self")?, soft(&pid.to_string())?);
    let lower: Vec<&str> =
        (0..KINDS.len()).filter(|kind| its[*kind] < ours[*kind]).map(|kind| KINDS[kind]).collect();
    Ok(match lower.is_empty() {
        true => layer("limits", false, "those of everybody"),
        false => layer("limits", true, format!("less: {}", lower.join(", "))),
    })
}

fn cgroup(pid: u32) -> io::Result<Layer> {
    let groups = |process: &str| fs::read_to_string(format!("/proc/{process}/cgroup"));
    let (ours, its) = (groups("self")?, groups(&pid.to_string())?);
    let own = its
        .lines()
        .filter(|line| !ours.contains(line))
        .map(|line| line.rsplit(':').next().unwrap_or_default());
    Ok(match own.max() {
        None => layer("cgroup", false, "the group of its starter"),
        Some(path) => layer("cgroup", true, path),
    })
}
