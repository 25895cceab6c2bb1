//! Tells functions of what has changed in the buckets that they watch (`wasi:keyvalue/watcher`).
//!
//! Each function is told of one change of a bucket at a time, in their order. It is told at most once, and of nothing that
//! happened while it was not served.

use std::collections::BTreeMap;
use std::sync::Weak;

use host::Host;
use host::bindings::{Call, CallError};
use state::{Bucket, Change, Watch};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::app::{App, random_id};
use crate::current::Current;
use crate::function::Function;
use crate::instance::Failure;
use crate::sealed::Task;
use crate::{bucket, telemetry};

/// All that is told in an app. Dropped, it ends.
pub(crate) struct Watchers {
    current: Weak<Current>,
    tasks: JoinSet<()>,
    /// Ends what is told to a function, by its name, of a bucket, by its name.
    stops: BTreeMap<(String, String), oneshot::Sender<()>>,
}

/// What one function is told of one bucket.
struct Telling {
    current: Weak<Current>,
    function: String,
    bucket: Bucket,
}

impl Watchers {
    /// Tells nobody yet.
    pub(crate) fn new(current: Weak<Current>) -> Self {
        Self { current, tasks: JoinSet::new(), stops: BTreeMap::new() }
    }

    /// Tells those that watch in `app`, the current one, and no others.
    pub(crate) fn renew(&mut self, app: &App) {
        self.stops.retain(|(function, bucket), _| watches(app, function, bucket));
        for (function, declared) in &app.manifest().functions {
            for bucket in &declared.watches {
                let watcher = (function.to_string(), bucket.to_string());
                if !self.stops.contains_key(&watcher) {
                    self.watch(app, watcher);
                }
            }
        }
    }

    fn watch(&mut self, app: &App, (function, name): (String, String)) {
        let watching = bucket(app.manifest(), &name).and_then(|bucket| {
            let watch = app.store().watch(&bucket)?;
            Ok((bucket, watch))
        });
        match watching {
            Ok((bucket, watch)) => {
                let (stop, stopped) = oneshot::channel();
                let current = Weak::clone(&self.current);
                let telling = Telling { current, function: function.clone(), bucket };
                self.tasks.spawn(telling.run(watch, stopped));
                self.stops.insert((function, name), stop);
            }
            Err(error) => {
                if let Some(function) = app.function(&function) {
                    function.log(&format!("it is told of no change of `{name}`: {error}"));
                }
            }
        }
    }

    /// Tells of what has changed until now, and ends.
    pub(crate) async fn finish(self) {
        drop(self.stops);
        self.tasks.join_all().await;
    }
}

/// Whether a function watches a bucket.
fn watches(app: &App, function: &str, bucket: &str) -> bool {
    let function = app.manifest().functions.get(function);
    function.is_some_and(|function| function.watches.iter().any(|watched| ***watched == *bucket))
}

impl Telling {
    async fn run(self, mut watch: Watch, mut stopped: oneshot::Receiver<()>) {
        let name = &self.bucket.spec().name;
        loop {
            let change = tokio::select! {
                // What has changed goes before the end.
                biased;
                change = watch.next() => change,
                _ = &mut stopped => return,
            };
            // It may be another one than at the change before.
            let Some(app) = self.current.upgrade().map(|current| current.app()) else { return };
            let Some(function) = app.function(&self.function).filter(|_| watches(&app, &self.function, name))
            else {
                return;
            };
            match change {
                Ok(change) => self.tell(&app, &function, &change).await,
                Err(state::Error::Lagged { missed }) => {
                    function.log(&format!("{missed} changes of `{name}` were not told: they came too fast"));
                }
                Err(_) => return,
            }
        }
    }

    async fn tell(&self, app: &App, function: &Function, change: &Change) {
        let call = Call { chain: random_id(), span: 0, depth: 0, deadline: function.deadline() };
        let (call, traced) = telemetry::call(function, call);
        let told = self.call(app, function, call, change).await;
        if let Err(error) = &told {
            let (bucket, key) = (&self.bucket.spec().name, String::from_utf8_lossy(&change.key));
            function.log(&format!("the change of `{}` in `{bucket}` is lost: {error}", key.escape_debug()));
        }
        telemetry::ended(traced, &told);
    }

    async fn call(
        &self,
        app: &App,
        function: &Function,
        call: Call,
        change: &Change,
    ) -> Result<(), CallError> {
        let name = &self.bucket.spec().name;
        let key = String::from_utf8_lossy(&change.key).into_owned();
        let mut value = None;
        if change.present {
            let entry = app.store().get(&self.bucket, &change.key);
            // What is gone by now was removed by a later change, which is told in its turn, or has expired.
            let Some(entry) = entry.map_err(|error| CallError::Failed(error.to_string()))? else {
                return Ok(());
            };
            value = Some(entry.value);
        }
        // What waits for changes need not have room for it.
        let told = Box::pin(function.changed(call, name, key, value)).await;
        told.map_err(|failure| function.call_error(failure))
    }
}

impl Function {
    /// Tells of a key that was set, or deleted where it has no value.
    pub(crate) async fn changed(
        &self,
        call: Call,
        bucket: &str,
        key: String,
        value: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        if let Some(apart) = &self.apart {
            let task = Task::Changed { bucket: bucket.to_owned(), key, value };
            return self.invoke_apart(call, apart.invoke(call, &task)).await;
        }
        let watcher = self.watcher.as_ref().ok_or(Failure::NoEntry)?;
        match value {
            Some(value) => {
                let given = |host: &mut Host| Ok((host.hand_bucket(bucket)?, key, value));
                self.invoke_with(call, &watcher.on_set, given).await
            }
            None => {
                let given = |host: &mut Host| Ok((host.hand_bucket(bucket)?, key));
                self.invoke_with(call, &watcher.on_delete, given).await
            }
        }
    }
}
