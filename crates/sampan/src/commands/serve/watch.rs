//! `serve --watch`: rebuilds a function when its sources change, reads the manifest again when that changes, and serves
//! them from then on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::{Function, Name};
use node::{App, Current};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::unserved;
use crate::commands::build::{build_function, build_missing};
use crate::manifest::{self, Found};
use crate::report::Report;

/// Changes that come so soon after each other are one.
const PAUSE: Duration = Duration::from_millis(150);

/// Changes that may wait.
const CHANGES_MAX: usize = 1_024;

/// What tools write beside the sources, and a change of which is none.
const MADE: [&str; 5] = [".git", ".sampan", "node_modules", "target", "__pycache__"];

/// The files that an app is made from, watched.
struct Sources {
    found: Arc<Found>,
    manifest: PathBuf,
    functions: Vec<Watched>,
    _watcher: RecommendedWatcher,
}

/// What is watched for one function.
struct Watched {
    name: Name,
    program: PathBuf,
    paths: Vec<PathBuf>,
}

/// Watches the manifest and the sources of an app as long as the result lives.
///
/// # Errors
/// When they cannot be watched.
pub(crate) fn watch(found: Found, current: Arc<Current>) -> Result<JoinSet<()>, Report> {
    let (changed, changes) = mpsc::channel(CHANGES_MAX);
    let sources = Sources::watch(found, changed.clone())?;
    let mut watching = JoinSet::new();
    watching.spawn(follow(sources, current, changed, changes));
    Ok(watching)
}

impl Sources {
    /// Tells of each change by its path.
    fn watch(found: Found, changed: mpsc::Sender<PathBuf>) -> Result<Self, Report> {
        let failed =
            |error: notify::Error| Report::failure("cannot watch the sources of the app").cause(error);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Ok(event) = event
                && matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_))
            {
                for path in event.paths {
                    // More changes than can wait will be seen with those that do.
                    let _ = changed.try_send(path);
                }
            }
        })
        .map_err(failed)?;
        let functions: Vec<_> = found
            .manifest
            .functions
            .iter()
            .map(|(name, function)| Watched {
                name: (**name).clone(),
                program: absolute(&found.dir().join(&*function.program)),
                paths: sources(&found, function),
            })
            .collect();
        let paths: BTreeSet<&PathBuf> = functions.iter().flat_map(|watched| &watched.paths).collect();
        // Its directory, for an editor may put a new file in the place of the old one.
        let dir = absolute(found.dir());
        if !paths.contains(&dir) {
            watcher.watch(&dir, RecursiveMode::NonRecursive).map_err(failed)?;
        }
        for path in paths {
            watcher.watch(path, RecursiveMode::Recursive).map_err(failed)?;
        }
        let manifest = dir.join(found.path.file_name().unwrap_or_default());
        Ok(Self { found: Arc::new(found), manifest, functions, _watcher: watcher })
    }
}

/// The files and directories whose change asks for a new build; the program itself, where nothing builds it.
fn sources(found: &Found, function: &Function) -> Vec<PathBuf> {
    let inside = |path: &Path| absolute(&found.dir().join(path));
    match &function.build {
        None => vec![inside(&function.program)],
        Some(build) if build.watch.is_empty() => {
            vec![build.dir.as_ref().map_or_else(|| absolute(found.dir()), |dir| inside(dir))]
        }
        Some(build) => build.watch.iter().map(|path| inside(path)).collect(),
    }
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

async fn follow(
    mut sources: Sources,
    current: Arc<Current>,
    changed: mpsc::Sender<PathBuf>,
    mut changes: mpsc::Receiver<PathBuf>,
) {
    while let Some(path) = changes.recv().await {
        let mut paths = vec![path];
        while let Ok(Some(path)) = tokio::time::timeout(PAUSE, changes.recv()).await {
            paths.push(path);
        }
        if paths.contains(&sources.manifest) {
            if let Some(new) = again(sources.found.path.clone(), &current, &changed).await {
                sources = new;
            }
            paths.retain(|path| *path != sources.manifest);
        }
        for watched in &sources.functions {
            if paths.iter().any(|path| concerns(path, watched)) {
                renew(&sources.found, &current.app(), &watched.name).await;
            }
        }
    }
}

/// Serves an app as its manifest says now, and watches what that is made from. When it cannot be, it goes on as it was.
async fn again(path: PathBuf, current: &Current, changed: &mpsc::Sender<PathBuf>) -> Option<Sources> {
    let found = match replace(path, current).await {
        Ok(found) => found,
        Err(report) => {
            eprintln!("{report}sampan: the app is served as it was");
            return None;
        }
    };
    eprintln!("sampan: {} {} is new", current.app().name(), current.app().version());
    Sources::watch(found, changed.clone()).map_err(|report| eprint!("{report}")).ok()
}

async fn replace(path: PathBuf, current: &Current) -> Result<Found, Report> {
    let reading = tokio::task::spawn_blocking(move || {
        let found = manifest::read_or_program(&path)?;
        build_missing(&found)?;
        Ok(found)
    });
    let read = reading.await.map_err(|error| Report::failure("cannot read the manifest").cause(error))?;
    let found: Found = read?;
    current.replace(found.manifest.clone()).await.map_err(unserved)?;
    Ok(found)
}

/// Whether a change of `path` is one of the sources: not of what the build makes.
fn concerns(path: &Path, watched: &Watched) -> bool {
    let made = |rest: &Path| rest.components().any(|part| MADE.iter().any(|made| part.as_os_str() == *made));
    watched.paths.iter().any(|source| {
        path.strip_prefix(source)
            .is_ok_and(|rest| !made(rest) && (path != watched.program || *source == watched.program))
    })
}

/// Builds one function and loads it. When that fails, the one before goes on.
async fn renew(found: &Arc<Found>, app: &Arc<App>, name: &Name) {
    let (building, built) = (Arc::clone(found), name.clone());
    let built = tokio::task::spawn_blocking(move || build_function(&building, &built)).await;
    match built {
        Ok(Ok(())) => {}
        Ok(Err(report)) => return unchanged(name, &report.to_string()),
        Err(error) => return unchanged(name, &error.to_string()),
    }
    match app.reload(name).await {
        Ok(()) => eprintln!("sampan: {} is new", &**name),
        Err(error) => unchanged(name, &Report::from_error(&error).to_string()),
    }
}

fn unchanged(name: &Name, why: &str) {
    eprintln!("{why}sampan: {} is served as it was", &**name);
}
