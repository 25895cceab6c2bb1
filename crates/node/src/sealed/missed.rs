//! Waits for the end of what is to be replaced; longer and longer, where that dies each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::limits::{WORKER_PAUSE, WORKER_PAUSE_MAX};

/// Hears of ends.
pub(super) struct Missed {
    told: Arc<Notify>,
    /// What the next replacement waits for.
    pause: Duration,
}

impl Missed {
    pub(super) fn new(told: Arc<Notify>) -> Self {
        Self { told, pause: WORKER_PAUSE }
    }

    /// Waits until something is to be replaced that has died.
    pub(super) async fn wait(&mut self) {
        let since = Instant::now();
        self.told.notified().await;
        if since.elapsed() > WORKER_PAUSE_MAX {
            self.pause = WORKER_PAUSE;
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(WORKER_PAUSE_MAX);
        // What died meanwhile is replaced too.
        let _ = self.told.notified().now_or_never();
    }
}
