//! What happens to a worker between calls: it is asked whether it lives, and frozen when nobody calls it for long.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::sealed::Freezer;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use wasmtime_wasi_http::WasiBody;

use super::counted::Own;
use super::line::{Gone, Line};
use super::words::{Instances, Part, Task};
use crate::limits::{WORKER_PAUSE, WORKER_SILENCE_MAX};

/// The way to an event loop of a worker.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) http: SendRequest<WasiBody>,
    pub(super) line: Arc<Line>,
    pub(super) calls: Arc<Calls>,
}

impl Lane {
    /// Asks whether somebody is there. A request that says nothing of a call is answered whatever calls wait for.
    async fn look(&self) -> Result<(), Gone> {
        let request = Request::new(WasiBody::new(Empty::new().map_err(|never| match never {})));
        self.http.clone().send_request(request).await.map(drop).map_err(|_| Gone)
    }
}

/// The calls of an event loop.
#[derive(Default)]
pub(super) struct Calls {
    running: AtomicUsize,
    /// Whether one has ended since somebody looked.
    has_ended: AtomicBool,
}

impl Calls {
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether there are any, or were since this was asked last.
    fn were_any(&self) -> bool {
        self.has_ended.swap(false, Ordering::Relaxed) || self.running() > 0
    }
}

/// Has a worker go on that is frozen.
pub(super) struct Rest {
    freezer: Freezer,
    is_over: Notify,
}

impl Rest {
    pub(super) fn new(freezer: Freezer) -> Arc<Self> {
        Arc::new(Self { freezer, is_over: Notify::new() })
    }

    /// For whoever has begun a call.
    pub(super) fn end(&self) {
        if self.freezer.thaw() {
            self.is_over.notify_one();
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.freezer.is_frozen()
    }
}

/// Looks after a worker that has these event loops, and freezes it when it has had no call for so long. Returns when it does
/// not answer any more.
pub(super) async fn look_after(lanes: Vec<Lane>, rest: &Arc<Rest>, own: &Own, frozen_after: Duration) {
    // Each is looked at, since that forgets what was.
    let were_called = || lanes.iter().filter(|lane| lane.calls.were_any()).count() > 0;
    let pause = (frozen_after / 4).clamp(WORKER_PAUSE, WORKER_SILENCE_MAX / 2);
    let mut quiet_since = Instant::now();
    loop {
        sleep(pause).await;
        let looks = lanes.iter().map(|lane| answered(lane.look()));
        if join_all(looks).await.contains(&None) {
            return;
        }
        if were_called() {
            quiet_since = Instant::now();
        } else if quiet_since.elapsed() >= frozen_after {
            let Some(lane) = lanes.first() else { return };
            let task = (Part::from(Task::own_call()), Task::Rest);
            let Some(instances) = answered(lane.line.ask::<Instances>(&task)).await else { return };
            own.count(instances);
            if rest.freezer.freeze(were_called) {
                own.freeze(true);
                let resting = Arc::clone(rest);
                // Where the kernel does not do that, it has its memory as before.
                spawn_blocking(move || resting.freezer.page_out());
                rest.is_over.notified().await;
                own.freeze(false);
            }
            quiet_since = Instant::now();
        }
    }
}

/// What a worker answers, if it does so in time. What becomes of one that is gone, others see.
async fn answered<T>(asking: impl Future<Output = Result<T, Gone>>) -> Option<T> {
    let mut asking = pin!(asking);
    // Twice, since a node that was stopped itself finds that its time is over before it finds the answer.
    for _ in 0..2 {
        match timeout(WORKER_SILENCE_MAX / 2, asking.as_mut()).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(Gone)) => pending().await,
            Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_seen_while_it_runs_and_once_when_it_has_ended() {
        let calls = Calls::default();
        assert!(!calls.were_any());
        calls.begin();
        assert!(calls.were_any() && calls.were_any());
        calls.end();
        assert!(calls.were_any() && !calls.were_any());
    }
}
