//! Posts messages to a collector, on one connection that is made again when it ends.

use bytes::Bytes;
use host::Authorities;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Collector;
use crate::limits::{COLLECTOR_ANSWER_BYTES_MAX, COLLECTOR_WAIT};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

pub(super) struct Sender {
    host: String,
    port: u16,
    /// Whom the connection trusts; `None` for one in the clear.
    authorities: Option<Authorities>,
    authority: HeaderValue,
    /// What paths begin with.
    base: String,
    headers: HeaderMap,
    connection: Option<Connection>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Sender {
    pub(super) fn new(collector: &Collector) -> Self {
        let endpoint = &collector.endpoint;
        let encrypted = endpoint.scheme() == Some(&Scheme::HTTPS);
        Self {
            // An IPv6 address stands in brackets in a URI, and nowhere else.
            host: endpoint.host().unwrap_or("localhost").trim_matches(['[', ']']).to_owned(),
            port: endpoint.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            authority: endpoint
                .authority()
                .and_then(|authority| HeaderValue::try_from(authority.as_str()).ok())
                .unwrap_or(HeaderValue::from_static("localhost")),
            authorities: encrypted.then(|| collector.authorities.clone()),
            base: endpoint.path().trim_end_matches('/').to_owned(),
            headers: collector.headers.clone(),
            connection: None,
        }
    }

    /// Whether the collector took the message.
    pub(super) async fn send(&mut self, path: &str, message: &impl Message) -> bool {
        let bytes = Bytes::from(message.encode_to_vec());
        let sent = timeout(COLLECTOR_WAIT, self.post(path, bytes)).await;
        let took = matches!(sent, Ok(Ok(true)));
        if !took {
            self.connection = None;
        }
        took
    }

    async fn connect(&self) -> Result<Connection, AnyError> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        match &self.authorities {
            None => shake_hands(stream).await,
            Some(authorities) => {
                let name = ServerName::try_from(self.host.clone())?;
                shake_hands(authorities.connector().connect(name, stream).await?).await
            }
        }
    }

    async fn post(&mut self, path: &str, bytes: Bytes) -> Result<bool, AnyError> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await?,
        };
        connection.ready().await?;
        let mut request = Request::new(Full::new(bytes));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{}{path}", self.base).parse()?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, self.authority.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let response = connection.send_request(request).await?;
        let took = response.status().is_success();
        // The connection is free again when the answer was read.
        Limited::new(response.into_body(), COLLECTOR_ANSWER_BYTES_MAX).collect().await?;
        self.connection = Some(connection);
        Ok(took)
    }
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Connection, AnyError> {
    let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(connection)
}
