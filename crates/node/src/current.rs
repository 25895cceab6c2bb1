//! The app that is served now. When its manifest changes, another takes its place; what has begun goes on in the old one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use image::Manifest;

use crate::Error;
use crate::app::App;
use crate::watcher::Watchers;

/// An app, and those that take its place.
pub struct Current {
    app: RwLock<Arc<App>>,
    /// `None` while it is not served.
    watchers: Mutex<Option<Watchers>>,
}

impl Current {
    /// Begins with this app.
    pub fn new(app: Arc<App>) -> Arc<Self> {
        Arc::new(Self { app: RwLock::new(app), watchers: Mutex::default() })
    }

    /// The app that is served now.
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves the app as this manifest wants it, from now on.
    ///
    /// # Errors
    /// When it cannot be as the manifest says, or is another app: then the old one stays.
    pub async fn replace(&self, manifest: Manifest) -> Result<(), Error> {
        let app = self.app().changed(manifest).await?;
        let old = {
            let mut current = self.app.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&app))
        };
        if let Some(watchers) = &mut *self.watchers() {
            watchers.renew(&app);
        }
        old.close_sockets();
        // What has begun in it ends by its deadline, and may call its other functions until then.
        tokio::spawn(async move {
            tokio::time::sleep(old.deadline_max()).await;
            drop(old);
        });
        Ok(())
    }

    /// Tells the functions that watch of every change from now on.
    pub(crate) fn begin_telling(self: &Arc<Self>) {
        let mut watchers = Watchers::new(Arc::downgrade(self));
        watchers.renew(&self.app());
        *self.watchers() = Some(watchers);
    }

    /// Tells of what has changed until now, and of nothing more.
    pub(crate) async fn finish_telling(&self) {
        let watchers = self.watchers().take();
        if let Some(watchers) = watchers {
            watchers.finish().await;
        }
    }

    fn watchers(&self) -> MutexGuard<'_, Option<Watchers>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
