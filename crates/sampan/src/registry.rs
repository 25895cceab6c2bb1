//! Which nodes of this user run: a file for each, which its node keeps locked as long as it lives.
//!
//! So a file that nobody holds is left over from a node that was killed, whatever process has its number now, and to
//! wait for a node's end is to wait for its lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::home;
use crate::report::Report;

/// Bytes of a node's file.
const ENTRY_BYTES_MAX: u64 = 64 << 10;

/// What is known of a node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Entry {
    pub(crate) pid: u32,
    pub(crate) app: String,
    pub(crate) version: String,
    /// Absolute.
    pub(crate) manifest: PathBuf,
    /// Where requests are answered.
    pub(crate) url: String,
    /// Where it is managed; `None` where it cannot be.
    pub(crate) console: Option<SocketAddr>,
    /// Who shows it may manage the node.
    pub(crate) token: String,
    /// Microseconds since 1970.
    pub(crate) begun_us: u64,
}

/// This process among the nodes that run, until it is dropped.
pub(crate) struct Registered {
    path: PathBuf,
    _lock: File,
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) entry: Entry,
    file: File,
}

/// Tells others of this user of a node, as long as what it returns lives. A node goes on without that.
pub(crate) fn announce(entry: &Entry) -> Option<Registered> {
    match register(entry) {
        Ok(registered) => Some(registered),
        Err(error) => {
            eprintln!("sampan: `sampan ps` will not list this app: {error}");
            None
        }
    }
}

fn register(entry: &Entry) -> io::Result<Registered> {
    let directory = home::nodes()?;
    let path = directory.join(format!("{}.json", entry.pid));
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.lock()?;
    file.write_all(serde_json::to_string(entry)?.as_bytes())?;
    fs::rename(beside, &path)?;
    Ok(Registered { path, _lock: file })
}

/// The nodes that run, in the order of their apps' names; what others left behind is removed.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn running() -> Result<Vec<Running>, Report> {
    let unreadable = |error: io::Error| Report::usage("cannot list the running apps").cause(error);
    let directory = home::nodes().map_err(unreadable)?;
    let mut all = Vec::new();
    for file in fs::read_dir(&directory).map_err(unreadable)? {
        let path = file.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            all.extend(read(&path));
        }
    }
    all.sort_by(|a, b| (&a.entry.app, a.entry.pid).cmp(&(&b.entry.app, b.entry.pid)));
    Ok(all)
}

/// The node that serves the app of this manifest, if one runs.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn of(manifest: &Path) -> Result<Option<Running>, Report> {
    let canonical = manifest.canonicalize().ok();
    Ok(running()?.into_iter().find(|running| Some(&running.entry.manifest) == canonical.as_ref()))
}

/// The running app with this name or process number, or the only one.
///
/// # Errors
/// When there is none, or more than one.
pub(crate) fn find(named: Option<&str>) -> Result<Running, Report> {
    let mut all = running()?;
    if let Some(name) = named {
        let is_named = |running: &Running| running.entry.app == name || running.entry.pid.to_string() == name;
        if !all.iter().any(is_named) {
            let report = Report::usage(format!("no running app is called `{name}`"));
            return Err(list(report, &all));
        }
        all.retain(is_named);
    }
    match (all.len(), named) {
        (1, _) => Ok(all.remove(0)),
        (0, _) => {
            Err(Report::usage("no app is running").hint("`sampan serve DIR` serves the app of a directory"))
        }
        (_, None) => Err(list(Report::usage("several apps are running, and none is named"), &all)),
        (count, Some(name)) => {
            let report = Report::usage(format!("{count} running apps are called `{name}`"));
            Err(list(report, &all))
        }
    }
}

/// Adds the apps that run, and how one of them is named.
fn list(report: Report, all: &[Running]) -> Report {
    let report = all.iter().fold(report, |report, running| {
        let Entry { app, pid, manifest, .. } = &running.entry;
        report.note(format!("running: {app}, process {pid}, of `{}`", manifest.display()))
    });
    report.hint("`sampan ps` lists the apps that run; name one, or its process number")
}

/// The node of a file; `None`, and no file any more, where it has ended.
fn read(path: &Path) -> Option<Running> {
    let file = File::open(path).ok()?;
    if file.try_lock_shared().is_ok() {
        // Another may have removed it first.
        let _ = fs::remove_file(path);
        return None;
    }
    let mut text = String::new();
    (&file).take(ENTRY_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(Running { entry: serde_json::from_str(&text).ok()?, file })
}

impl Running {
    /// Waits until the node has ended, but not longer than `limit`. Says whether it has.
    pub(crate) fn wait(self, limit: Duration) -> bool {
        let (ended, wait) = mpsc::channel();
        thread::spawn(move || {
            // An error is the end too: the file system knows of no lock any more.
            let _ = self.file.lock_shared();
            let _ = ended.send(());
        });
        wait.recv_timeout(limit).is_ok()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // Whoever looks next removes it otherwise.
        let _ = fs::remove_file(&self.path);
    }
}
