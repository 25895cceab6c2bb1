//! On what, and between whom, the numbers were measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::peers::Peers;

/// What stands above the table: pairs of a label and what it says.
pub(crate) fn header(peers: &Peers) -> Result<Vec<(&'static str, String)>> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = processor(&read("/proc/cpuinfo"));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg").split(' ').take(2).collect::<Vec<_>>().join(" ");
    let version = |peer: Option<&Path>| match peer {
        Some(program) => version(program),
        None => Ok("not on this machine: takes no part".to_owned()),
    };
    Ok(vec![
        ("processor", format!("{processor}, {processors} of them")),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load", format!("{load} (1 and 5 minutes, itself included)")),
        ("sampan", version(Some(&peers.sampan))?),
        ("Wasmtime", version(peers.wasmtime.as_deref())?),
        ("Node", version(peers.node.as_deref())?),
        ("workerd", version(peers.workerd.as_deref())?),
        ("runc", version(peers.runc.as_deref())?),
    ])
}

/// The processor's name, family and model: the name alone says little on rented machines.
fn processor(cpuinfo: &str) -> String {
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or("?").trim().to_owned()
    };
    format!("{} (family {} model {})", field("model name"), field("cpu family"), field("model"))
}

fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start `{}`", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_processor_is_named() {
        let cpuinfo = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n";
        assert_eq!(super::processor(cpuinfo), "AMD EPYC (family 26 model 2)");
    }
}
