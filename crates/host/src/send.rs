//! Sends one HTTP request over a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{Interval, interval, timeout};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::Authorities;
use crate::limits::HTTP_WAIT;

/// A response whose body still arrives, and how its connection ended.
pub(crate) type Answer = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// A request on its way to its answer.
pub(crate) type Sending = Box<dyn Future<Output = Result<Answer, Error>> + Send>;

/// Sends `request` to the authority that its URI names, encrypted if its scheme is not `http`, at an address that it
/// `allows`.
///
/// # Errors
/// Those of `wasi:http`, for the first step that failed or took longer than `options` allow.
pub(crate) async fn send(
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
    authorities: Authorities,
    allows: impl Fn(&SocketAddr) -> bool,
) -> Result<Answer, Error> {
    let wait = |chosen: fn(&RequestOptions) -> Option<Duration>| {
        options.as_ref().and_then(chosen).unwrap_or(HTTP_WAIT)
    };
    let opening = open(request.uri(), &authorities, allows);
    let opened = timeout(wait(|options| options.connect_timeout), opening).await;
    let (mut sender, connection) = opened.map_err(|_| Error::ConnectionTimeout)??;

    // What stands before the path is for proxies only (RFC 9112, section 3.2).
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));

    let answering = timeout(wait(|options| options.first_byte_timeout), sender.send_request(request)).await;
    let response = answering.map_err(|_| Error::ConnectionReadTimeout)??;
    let pause_max = wait(|options| options.between_bytes_timeout);
    let response = response.map(|body| Paced::new(body, pause_max).boxed_unsync());
    let ended = async { connection.await.map_err(|_| Error::ConnectionTerminated)?.map_err(Error::from) };
    Ok((response, Box::new(ended)))
}

type Connection = JoinHandle<hyper::Result<()>>;

async fn open(
    uri: &Uri,
    authorities: &Authorities,
    allows: impl Fn(&SocketAddr) -> bool,
) -> Result<(SendRequest<WasiBody>, Connection), Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let encrypted = uri.scheme() != Some(&Scheme::HTTP);
    let port = port(authority, uri.scheme());
    // An IPv6 address stands in brackets in a URI, and nowhere else.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((host, port)).await.map_err(Error::Connect)?;
    let allowed: Vec<SocketAddr> = found.filter(allows).collect();
    if allowed.is_empty() {
        return Err(Error::HttpRequestDenied);
    }
    let stream = TcpStream::connect(&*allowed).await.map_err(Error::Connect)?;
    stream.set_nodelay(true).map_err(Error::Connect)?;
    if !encrypted {
        return shake_hands(stream).await;
    }
    let invalid = |error| Error::Tls(io::Error::new(io::ErrorKind::InvalidInput, error));
    let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
    shake_hands(authorities.connector().connect(name, stream).await.map_err(Error::Tls)?).await
}

/// The port of a server: the one that is named, or the scheme's own.
pub(crate) fn port(authority: &Authority, scheme: Option<&Scheme>) -> u16 {
    let usual = if scheme == Some(&Scheme::HTTP) { 80 } else { 443 };
    authority.port_u16().unwrap_or(usual)
}

/// The connection lives until its response was read, or dropped.
async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(SendRequest<WasiBody>, Connection), Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    Ok((sender, tokio::spawn(connection)))
}

/// A body that fails when nothing of it arrives for too long.
struct Paced {
    body: Incoming,
    pause: Interval,
}

impl Paced {
    fn new(body: Incoming, pause_max: Duration) -> Self {
        let mut pause = interval(pause_max.max(Duration::from_nanos(1)));
        pause.reset();
        Self { body, pause }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.pause.reset();
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        ready!(self.pause.poll_tick(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
