//! `sampan serve`: serves the app of a manifest until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, ValueHint};
use image::Manifest;
use node::{App, Error, Line, Machine, Server};
use state::{Embedded, Store};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Report;
use crate::{authorities, home};

/// Serve an app: the functions, routes and buckets of a `sampan.toml`
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan serve                                serve the app of this directory
  sampan serve examples/shop                  serve another
  sampan serve --listen 0.0.0.0:80 shop.toml  let others reach it")]
pub(crate) struct Serve {
    /// The app: a manifest, or a directory with a `sampan.toml`
    #[arg(default_value = ".", value_hint = ValueHint::AnyPath)]
    app: PathBuf,

    /// Answer requests on this address
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Keep buckets in this directory [default: `.sampan` beside the manifest]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state: Option<PathBuf>,
}

const MANIFEST: &str = "sampan.toml";

impl Serve {
    pub(crate) fn execute(self) -> Result<i32, Report> {
        let path = if self.app.is_dir() { self.app.join(MANIFEST) } else { self.app.clone() };
        let manifest = read(&path)?;
        let dir = path.parent().map_or(PathBuf::new(), Path::to_owned);
        let state = self.state.clone().unwrap_or_else(|| dir.join(".sampan"));
        let store: Arc<dyn Store> =
            Arc::new(Embedded::open(&state, Arc::new(SystemTime::now)).map_err(|error| unstored(&error))?);
        let machine = Machine {
            dir,
            store,
            sql: state.join("sql"),
            cache: home::cache().ok(),
            seal: home::seal().ok(),
            variable: |name| std::env::var(name).ok(),
            authorities: authorities::trusted()?,
        };
        let runtime =
            tokio::runtime::Runtime::new().map_err(|error| Report::failure("cannot start").cause(error))?;
        runtime.block_on(async {
            let app = App::load(manifest, machine).await.map_err(unserved)?;
            let server = Server::bind(Arc::clone(&app), self.listen, None).await.map_err(unserved)?;
            let address = server.address().unwrap_or(self.listen);
            eprintln!("sampan: {} {} on http://{address}", app.name(), app.version());
            tokio::spawn(show_logs(app));
            server.serve(stopped()).await;
            Ok(0)
        })
    }
}

fn read(path: &Path) -> Result<Manifest, Report> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let report = Report::usage(format!("cannot read `{shown}`")).cause(error);
        report.hint("`sampan serve DIR` takes a directory with a `sampan.toml`; `sampan new` writes one")
    })?;
    Manifest::parse(&text, &shown).map_err(|error| Report::usage(error))
}

fn unserved(error: Error) -> Report {
    Report::from_error(&error)
}

fn unstored(error: &state::Error) -> Report {
    let report = Report::from_error(error);
    match error.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

/// Comes when somebody wants the node to stop.
async fn stopped() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

/// Shows what functions say, as they say it.
async fn show_logs(app: Arc<App>) {
    let mut lines = app.logs().follow();
    loop {
        match lines.recv().await {
            Ok(Line { function, text, .. }) => eprintln!("{function} | {text}"),
            Err(tokio::sync::broadcast::error::RecvError::Lagged(missed)) => {
                eprintln!("sampan: {missed} lines of log are not shown");
            }
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}
