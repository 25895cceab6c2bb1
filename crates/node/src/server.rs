//! Accepts connections and answers their requests, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Scheme;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::current::Current;
use crate::limits::{BACKLOG, CONNECTIONS_MAX, GRACE, HEAD_BYTES_MAX, HEAD_WAIT, HEADERS_MAX, WARM_IDLE};
use crate::respond::respond;

/// A server of one app.
pub struct Server {
    current: Arc<Current>,
    listener: TcpListener,
    encryption: Option<TlsAcceptor>,
}

/// As [`TcpListener::bind`] does, with room for many clients that come at once.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The port may have been somebody's a moment ago.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Server {
    /// Listens on `address`, encrypted where there is a configuration for that.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        current: Arc<Current>,
        address: SocketAddr,
        encryption: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = listen(address).map_err(failed)?;
        Ok(Self { current, listener, encryption: encryption.map(TlsAcceptor::from) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` comes; then ends what was begun, within [`GRACE`].
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let http = Arc::new(protocols());
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (running, ended) = watch::channel(());
        let mut stop = std::pin::pin!(stop);
        let shrinking = tokio::spawn(shrink(Arc::clone(&self.current)));
        self.current.begin_telling();
        loop {
            let accepted = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (self.listener.accept().await, place)
            };
            let (stream, place) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => match accepted {
                    (Ok((stream, _)), place) => (stream, place),
                    // Too many open files, or a client that went away at once: neither is a reason to stop, and the
                    // first is none to try again at once.
                    (Err(_), _) => {
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        continue;
                    }
                },
            };
            // Small answers are to leave at once.
            let _ = stream.set_nodelay(true);
            let scheme = if self.encryption.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
            let connection = Connection {
                current: Arc::clone(&self.current),
                scheme,
                http: Arc::clone(&http),
                watcher: graceful.watcher(),
            };
            let encryption = self.encryption.clone();
            let mut ended = ended.clone();
            let serving = async move {
                match encryption {
                    None => connection.serve(stream).await,
                    // It is larger by far than what is not encrypted.
                    Some(encryption) => {
                        Box::pin(async move {
                            tokio::select! {
                                shaking = tokio::time::timeout(HEAD_WAIT, encryption.accept(stream)) => {
                                    if let Ok(Ok(stream)) = shaking {
                                        connection.serve(stream).await;
                                    }
                                }
                                // Who has asked for nothing yet is not waited for.
                                _ = ended.changed() => {}
                            }
                        })
                        .await
                    }
                }
                drop(place);
            };
            // Who spawns moves what he is given several times.
            tokio::spawn(Box::pin(serving));
        }
        shrinking.abort();
        drop((self.listener, running));
        let ending = async {
            let app = self.current.app();
            app.sockets().close_all();
            graceful.shutdown().await;
            app.sockets().closed().await;
            self.current.finish_telling().await;
        };
        let _ = tokio::time::timeout(GRACE, ending).await;
    }
}

/// HTTP/1.1 and HTTP/2, within bounds.
pub(crate) fn protocols() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    http
}

/// Gives up, from time to time, the warm instances that nobody calls.
async fn shrink(current: Arc<Current>) {
    let mut times = tokio::time::interval(WARM_IDLE / 4);
    loop {
        let now = times.tick().await.into_std();
        if let Some(moment) = now.checked_sub(WARM_IDLE) {
            current.app().functions().iter().for_each(|function| function.shrink(moment));
        }
    }
}

struct Connection {
    current: Arc<Current>,
    scheme: Scheme,
    http: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
}

impl Connection {
    /// An error is the client's affair: it sees a closed connection.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let (current, scheme) = (self.current, self.scheme);
        let service = service_fn(move |request| {
            let (app, scheme) = (current.app(), scheme.clone());
            async move { Ok::<_, std::convert::Infallible>(respond(app, scheme, request).await) }
        });
        let serving = self.http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let _ = self.watcher.watch(serving).await;
    }
}
