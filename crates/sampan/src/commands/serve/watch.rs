//! `serve --watch`: rebuilds a function when its sources change, and serves it from then on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::{Function, Name};
use node::App;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::commands::build::build_function;
use crate::manifest::Found;
use crate::report::Report;

/// Changes that come so soon after each other are one.
const PAUSE: Duration = Duration::from_millis(150);

/// Changes that may wait.
const CHANGES_MAX: usize = 1_024;

/// What tools write beside the sources, and a change of which is none.
const MADE: [&str; 5] = [".git", ".sampan", "node_modules", "target", "__pycache__"];

/// What is watched for one function.
struct Watched {
    name: Name,
    paths: Vec<PathBuf>,
}

/// Watches the sources of an app as long as the result lives.
///
/// # Errors
/// When they cannot be watched.
pub(crate) fn watch(found: Found, app: Arc<App>) -> Result<RecommendedWatcher, Report> {
    let failed = |error: notify::Error| Report::failure("cannot watch the sources of the app").cause(error);
    let (changed, changes) = mpsc::channel(CHANGES_MAX);
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
    let functions = &found.manifest.functions;
    let watched: Vec<Watched> = functions
        .iter()
        .map(|(name, function)| Watched { name: (**name).clone(), paths: sources(&found, function) })
        .collect();
    let paths: BTreeSet<&PathBuf> = watched.iter().flat_map(|watched| &watched.paths).collect();
    for path in paths {
        watcher.watch(path, RecursiveMode::Recursive).map_err(failed)?;
    }
    watcher.watch(&absolute(&found.path), RecursiveMode::NonRecursive).map_err(failed)?;
    tokio::spawn(follow(found, app, watched, changes));
    Ok(watcher)
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

async fn follow(found: Found, app: Arc<App>, watched: Vec<Watched>, mut changes: mpsc::Receiver<PathBuf>) {
    let found = Arc::new(found);
    while let Some(path) = changes.recv().await {
        let mut paths = vec![path];
        while let Ok(Some(path)) = tokio::time::timeout(PAUSE, changes.recv()).await {
            paths.push(path);
        }
        if paths.contains(&absolute(&found.path)) {
            eprintln!("sampan: `{}` has changed; start again to serve it so", found.path.display());
        }
        for watched in &watched {
            let function = &found.manifest.functions[&*watched.name as &str];
            if paths
                .iter()
                .any(|path| concerns(path, watched, &absolute(&found.dir().join(&*function.program))))
            {
                renew(&found, &app, &watched.name).await;
            }
        }
    }
}

/// Whether a change of `path` is one of the sources: not of what the build makes.
fn concerns(path: &Path, watched: &Watched, program: &Path) -> bool {
    let made = |rest: &Path| rest.components().any(|part| MADE.iter().any(|made| part.as_os_str() == *made));
    watched.paths.iter().any(|source| {
        path.strip_prefix(source).is_ok_and(|rest| !made(rest) && (path != program || source == program))
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
