//! Speaks to a node that runs: the management of `node` over HTTP, with the node's own token.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::registry::Entry;
use crate::report::Report;

/// How long a node may take to accept a connection, and to say what it does.
const WAIT: Duration = Duration::from_secs(10);

/// Bytes of a piece of a body that is sent as it is read.
const PIECE_BYTES: usize = 64 << 10;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A way to manage one node.
pub(crate) struct Client {
    runtime: Runtime,
    address: SocketAddr,
    token: String,
    /// The app and its process, for errors.
    name: String,
}

/// An answer that went well; its body is still to be read.
pub(crate) struct Answer<'a> {
    client: &'a Client,
    response: Response<Incoming>,
}

impl Client {
    /// A client of a node.
    ///
    /// # Errors
    /// When the node cannot be managed.
    pub(crate) fn of(entry: &Entry) -> Result<Self, Report> {
        let name = format!("`{}`, process {}", entry.app, entry.pid);
        let Some(address) = entry.console else {
            let report = Report::usage(format!("{name}, has no console, and is managed through it"));
            return Err(
                report.hint(format!("serve it without `--console off`; `kill {}` stops it", entry.pid))
            );
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Report::failure("cannot start").cause(error))?;
        Ok(Self { runtime, address: reachable(address), token: entry.token.clone(), name })
    }

    /// Asks with nothing in the body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Result<Answer<'_>, Report> {
        self.send(method, path, "application/octet-stream", Bytes::new())
    }

    /// Sends a body.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer<'_>, Report> {
        self.answer(method, path, content_type, Full::new(body.into()).map_err(impossible).boxed_unsync())
    }

    /// Sends a body as it is read.
    pub(crate) fn pour(&self, path: &str, from: impl Read + Send + 'static) -> Result<Answer<'_>, Report> {
        let pieces = stream::unfold(from, |mut from| async {
            let mut piece = vec![0; PIECE_BYTES];
            // It blocks: nothing else is to be done meanwhile.
            match from.read(&mut piece) {
                Ok(0) => None,
                Ok(count) => {
                    piece.truncate(count);
                    Some((Ok(Frame::data(Bytes::from(piece))), from))
                }
                Err(error) => Some((Err(error), from)),
            }
        });
        self.answer("POST", path, "application/jsonl", StreamBody::new(pieces).boxed_unsync())
    }

    /// Asks what the node does, and does not wait long.
    pub(crate) fn status(&self) -> Result<Value, Report> {
        let request =
            self.request("GET", "/api/status", "", Full::default().map_err(impossible).boxed_unsync())?;
        let answer =
            self.runtime.block_on(async { tokio::time::timeout(WAIT, self.exchange(request)).await });
        let late = |_| Report::failure(format!("{} does not answer", self.name));
        let response = answer.map_err(late)??;
        Answer { client: self, response }.json()
    }

    fn answer(&self, method: &str, path: &str, content_type: &str, body: Body) -> Result<Answer<'_>, Report> {
        let request = self.request(method, path, content_type, body)?;
        let response = self.runtime.block_on(self.exchange(request))?;
        let answer = Answer { client: self, response };
        let status = answer.response.status();
        if status.is_success() {
            return Ok(answer);
        }
        let told: Value = serde_json::from_slice(&answer.whole()?).unwrap_or_default();
        let error = match told["error"].as_str() {
            Some(error) => error.to_owned(),
            None => format!("{} answered `{status}`", self.name),
        };
        let report = if status.is_client_error() { Report::usage(error) } else { Report::failure(error) };
        Err(match told["hint"].as_str() {
            Some(hint) => report.hint(hint),
            None => report,
        })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Body,
    ) -> Result<Request<Body>, Report> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, content_type);
        request.body(body).map_err(|error| Report::usage("cannot ask that").cause(error))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Incoming>, Report> {
        let failed = |error: &dyn std::fmt::Display| {
            let report = Report::failure(format!("cannot speak to {}", self.name)).cause(error);
            report.hint("`sampan ps` shows whether it still runs")
        };
        let stream = tokio::time::timeout(WAIT, TcpStream::connect(self.address)).await;
        let stream = stream.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| failed(&error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| failed(&error))
    }
}

impl Answer<'_> {
    /// The next piece of the body; `None` at its end.
    pub(crate) fn piece(&mut self) -> Result<Option<Bytes>, Report> {
        loop {
            let Some(frame) = self.client.runtime.block_on(self.response.frame()) else { return Ok(None) };
            let cut = |error| Report::failure(format!("{} broke off", self.client.name)).cause(error);
            // Frames that are no data are trailers.
            if let Ok(piece) = frame.map_err(cut)?.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    /// The whole body.
    pub(crate) fn whole(mut self) -> Result<Vec<u8>, Report> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece()? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// The body as JSON.
    pub(crate) fn json(self) -> Result<Value, Report> {
        let name = self.client.name.clone();
        let whole = self.whole()?;
        serde_json::from_slice(&whole)
            .map_err(|error| Report::failure(format!("{name} did not answer as it should")).cause(error))
    }

    /// What kind of data the body is.
    pub(crate) fn content_type(&self) -> &str {
        self.response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Where to reach what listens on any address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn impossible(never: Infallible) -> io::Error {
    match never {}
}
