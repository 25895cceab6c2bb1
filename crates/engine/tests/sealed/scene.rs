//! Sets the scene for each attack, runs it in a process of its own, and compares what happened with what must.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

use crate::attacks::{ATTACKS, Attack, Phase};
use crate::calls;

/// A user without any rights.
const NOBODY: u32 = 65_534;

/// What no sealed process may come to know.
pub(crate) const SECRET: &str = "a secret of the host";

/// The variable with a secret that the sealed process's supervisor has.
pub(crate) const VARIABLE: &str = "SAMPAN_TEST_SECRET";

/// Attacks that there are at least: a suite that vanished must not pass.
const ATTACKS_MIN: usize = 60;

/// Who attacks.
#[derive(Clone, Copy)]
struct User {
    name: &'static str,
    id: Option<u32>,
}

/// Runs every attack whose name contains `wanted`.
pub(crate) fn run_all(wanted: &str) {
    assert!(ATTACKS.len() >= ATTACKS_MIN, "only {} attacks were found", ATTACKS.len());
    let place = tempfile::tempdir().expect("a directory for the scene");
    let program = place.path().join("attacker");
    // Where anybody may run it.
    fs::copy(std::env::current_exe().expect("this program has a file"), &program)
        .expect("a copy of this program");
    for path in [place.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("anybody may run it");
    }
    let mut failed = 0;
    let mut held = 0;
    let mut judge = |title: String, result: Result<(), String>| match result {
        Ok(()) => held += 1,
        Err(reason) => {
            failed += 1;
            eprintln!("{title}: {reason}");
        }
    };
    for user in users() {
        for attack in ATTACKS.iter().filter(|attack| attack.name.contains(wanted)) {
            for phase in attack.phases {
                let title = format!("{} as {}, {}", attack.name, user.name, phase.name());
                judge(title, run(attack, *phase, user, &program));
            }
        }
    }
    if "every system call".contains(wanted) {
        judge("every system call".to_owned(), calls::check(&program));
    }
    println!("sealed: {held} attacks held off, {failed} not");
    if failed > 0 {
        exit(1);
    }
}

fn users() -> Vec<User> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
    let here = User { name: if is_root { "root" } else { "this user" }, id: None };
    let nobody = User { name: "nobody", id: Some(NOBODY) };
    if is_root { vec![here, nobody] } else { vec![here] }
}

fn run(attack: &Attack, phase: Phase, user: User, program: &Path) -> Result<(), String> {
    let scene = set(user).map_err(|error| format!("cannot set the scene: {error}"))?;
    let mut command = Command::new(program);
    command.args(["attempt", attack.name, phase.name()]).arg(scene.path()).env(VARIABLE, SECRET);
    if let Some(id) = user.id {
        command.uid(id).gid(id);
    }
    let directory = fs::File::open("/").map_err(|error| error.to_string())?;
    command.stdin(if attack.name.contains("standard stream") {
        Stdio::from(directory)
    } else {
        Stdio::null()
    });
    let output = command.output().map_err(|error| format!("cannot run it: {error}"))?;
    let happened = String::from_utf8_lossy(&output.stdout);
    let happened = happened.trim();
    if !fs::read_to_string(scene.path().join("secret")).is_ok_and(|secret| secret == SECRET) {
        return Err("the host's file was changed".to_owned());
    }
    match attack.must.contains(&happened) {
        true => Ok(()),
        false => Err(format!(
            "{}\n  must: {}\n  happened: {happened}\n  {}",
            attack.tries,
            attack.must.join(", or "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// A directory that is granted, one that is granted for reading, and a secret beside them.
fn set(user: User) -> std::io::Result<tempfile::TempDir> {
    let scene = tempfile::tempdir()?;
    let at = |name: &str| scene.path().join(name);
    fs::File::create(at("secret"))?.write_all(SECRET.as_bytes())?;
    for name in ["granted", "read-only"] {
        fs::create_dir(at(name))?;
        fs::write(at(name).join("own"), "its own")?;
        fs::write(at(name).join("closed"), SECRET)?;
        fs::set_permissions(at(name).join("closed"), fs::Permissions::from_mode(0o000))?;
        std::os::unix::fs::symlink("../secret", at(name).join("up"))?;
        std::os::unix::fs::symlink(at("secret"), at(name).join("absolute"))?;
    }
    let all: [PathBuf; 6] = ["", "secret", "granted", "granted/own", "read-only", "read-only/own"].map(at);
    for path in all {
        if let Some(id) = user.id {
            chown(&path, Some(id), Some(id))?;
        }
    }
    Ok(scene)
}
