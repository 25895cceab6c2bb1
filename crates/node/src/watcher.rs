//! Tells functions of what has changed in the buckets that they watch (`wasi:keyvalue/watcher`).
//!
//! Each function is told of one change of a bucket at a time, in their order. It is told at most once, and of nothing that
//! happened while it was not served.

use std::sync::Arc;

use host::bindings::{Call, CallError};
use state::{Bucket, Change, Watch};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::app::{App, random_id};
use crate::function::Function;
use crate::instance::Failure;
use crate::{bucket, telemetry};

/// All that is told in an app. Dropped, it ends.
pub(crate) struct Watchers {
    tasks: JoinSet<()>,
    stop: Vec<oneshot::Sender<()>>,
}

/// What one function is told of one bucket.
struct Telling {
    app: Arc<App>,
    function: String,
    bucket: Bucket,
}

impl Watchers {
    /// Tells of every change from now on.
    pub(crate) fn begin(app: &Arc<App>) -> Self {
        let mut watchers = Self { tasks: JoinSet::new(), stop: Vec::new() };
        for (name, function) in &app.manifest().functions {
            for watched in &function.watches {
                watchers.watch(app, name, watched);
            }
        }
        watchers
    }

    fn watch(&mut self, app: &Arc<App>, function: &str, name: &str) {
        let watching = bucket(app.manifest(), name).and_then(|bucket| {
            let watch = app.store().watch(&bucket)?;
            Ok((bucket, watch))
        });
        match watching {
            Ok((bucket, watch)) => {
                let (stop, stopped) = oneshot::channel();
                let telling = Telling { app: Arc::clone(app), function: function.to_owned(), bucket };
                self.tasks.spawn(telling.run(watch, stopped));
                self.stop.push(stop);
            }
            Err(error) => {
                if let Some(function) = app.function(function) {
                    function.log(&format!("it is told of no change of `{name}`: {error}"));
                }
            }
        }
    }

    /// Tells of what has changed until now, and ends.
    pub(crate) async fn finish(self) {
        drop(self.stop);
        self.tasks.join_all().await;
    }
}

impl Telling {
    async fn run(self, mut watch: Watch, mut stopped: oneshot::Receiver<()>) {
        loop {
            let change = tokio::select! {
                // What has changed goes before the end.
                biased;
                change = watch.next() => change,
                _ = &mut stopped => return,
            };
            // It may have been replaced since the change before.
            let Some(function) = self.app.function(&self.function) else { return };
            match change {
                Ok(change) => self.tell(&function, &change).await,
                Err(state::Error::Lagged { missed }) => {
                    let name = &self.bucket.spec().name;
                    function.log(&format!("{missed} changes of `{name}` were not told: they came too fast"));
                }
                Err(_) => return,
            }
        }
    }

    async fn tell(&self, function: &Function, change: &Change) {
        let call = Call { chain: random_id(), span: 0, depth: 0, deadline: function.deadline() };
        let (call, traced) = telemetry::call(function, call);
        let told = self.call(function, call, change).await;
        if let Err(error) = &told {
            let (bucket, key) = (&self.bucket.spec().name, String::from_utf8_lossy(&change.key));
            function.log(&format!("the change of `{}` in `{bucket}` is lost: {error}", key.escape_debug()));
        }
        telemetry::ended(traced, &told);
    }

    async fn call(&self, function: &Function, call: Call, change: &Change) -> Result<(), CallError> {
        let watcher = function.watcher.as_ref().ok_or(Failure::NoEntry);
        let watcher = watcher.map_err(|failure| function.call_error(failure))?;
        let name = &self.bucket.spec().name;
        let key = String::from_utf8_lossy(&change.key).into_owned();
        let told: Result<(), Failure> = if change.present {
            let entry = self.app.store().get(&self.bucket, &change.key);
            // What is gone by now was removed by a later change, which is told in its turn, or has expired.
            let Some(entry) = entry.map_err(|error| CallError::Failed(error.to_string()))? else {
                return Ok(());
            };
            let given = |host: &mut host::Host| Ok((host.hand_bucket(name)?, key, entry.value));
            function.invoke_with(call, &watcher.on_set, given).await
        } else {
            let given = |host: &mut host::Host| Ok((host.hand_bucket(name)?, key));
            function.invoke_with(call, &watcher.on_delete, given).await
        };
        told.map_err(|failure| function.call_error(failure))
    }
}
