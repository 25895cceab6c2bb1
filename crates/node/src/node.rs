//! A node: an app that is served, and what those who look at it or manage it need to know.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Notify;

use crate::app::App;
use crate::current::Current;

/// A process that serves an app.
pub struct Node {
    current: Arc<Current>,
    /// Who shows it may manage this node. It is a secret.
    pub token: String,
    /// When the node began.
    pub begun: SystemTime,
    /// Where requests are answered.
    pub listen: SocketAddr,
    /// Where the node can be looked at and managed.
    pub console: SocketAddr,
    stop: Notify,
}

impl Node {
    /// A node that begins now.
    pub fn new(current: Arc<Current>, token: String, listen: SocketAddr, console: SocketAddr) -> Self {
        Self { current, token, begun: SystemTime::now(), listen, console, stop: Notify::new() }
    }

    /// The app that it serves now.
    pub fn app(&self) -> Arc<App> {
        self.current.app()
    }

    /// Asks it to stop.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Comes when it was asked to stop. One may wait.
    pub async fn stopped(&self) {
        self.stop.notified().await;
    }
}
