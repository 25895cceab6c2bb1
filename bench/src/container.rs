//! What a container of the common kind takes to begin: `runc`, which needs root, with its own defaults.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::contest::Contestant;
use crate::peers::Peers;
use crate::serving::contestant;

/// Where the system's programs and their libraries are.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];

/// From the request to run it until a program of the system tells the time, if this machine has `runc` and this user may use it.
pub(crate) fn begun(peers: &Peers) -> Result<Option<Contestant>> {
    let is_root = std::fs::metadata("/proc/self")?.uid() == 0;
    let Some(runc) = peers.runc.clone().filter(|_| is_root) else { return Ok(None) };
    let dir = bundle(&runc, &peers.state().join("bundle"))?;
    let state = peers.state().join("runc");
    let mut runs = 0_u64;
    Ok(Some(contestant("runc, `date`", move || {
        runs += 1;
        let name = format!("sampan-bench-{}-{runs}", std::process::id());
        let asked = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut command = Command::new(&runc);
        command.arg("--root").arg(&state).args(["run", "--bundle"]).arg(&dir).arg(name);
        let told = command.output().context("`runc` starts")?;
        ensure!(told.status.success(), "`runc`: {}", String::from_utf8_lossy(&told.stderr));
        let first: u64 =
            String::from_utf8_lossy(&told.stdout).trim().parse().context("the time in nanoseconds")?;
        Ok((i128::from(first) - asked.as_nanos() as i128) as f64)
    })))
}

/// What `runc spec` writes, of which the program, and the files that it sees, are changed.
fn bundle(runc: &Path, dir: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(dir.join("rootfs"))?;
    let config = dir.join("config.json");
    if config.exists() {
        std::fs::remove_file(&config)?;
    }
    let made = Command::new(runc).arg("spec").arg("--bundle").arg(dir).status()?;
    ensure!(made.success(), "`runc spec`: {made}");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&config)?)?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["date", "+%s%N"]);
    let mounts = spec["mounts"].as_array_mut().context("mounts")?;
    mounts.extend(SYSTEM.iter().filter(|path| Path::new(path).is_dir()).map(|path| {
        json!({ "destination": path, "source": path, "type": "bind", "options": ["rbind", "ro", "nosuid", "nodev"] })
    }));
    std::fs::write(&config, spec.to_string())?;
    Ok(dir.to_owned())
}
