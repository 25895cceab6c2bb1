//! WebSockets (RFC 6455): each message is a call of a function; between messages no instance is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::wasmtime;
use engine::wasmtime::component::{ComponentType, Lift, Lower};
use futures_util::{Sink, SinkExt, StreamExt};
use host::bindings::{self, Call, SendError};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use wasmtime_wasi_http::WasiBody;

use crate::app::{App, random_id};
use crate::function::Function;
use crate::instance::Failure;
use crate::limits::{SOCKET_GOODBYE, SOCKET_MESSAGE_BYTES_MAX, SOCKET_QUEUE_MAX, SOCKET_SILENCE};
use crate::respond::say;
use crate::sealed::Task;

/// The open connections of an app.
#[derive(Default)]
pub(crate) struct Sockets {
    /// What waits for each, by its name.
    queues: Mutex<HashMap<String, mpsc::Sender<Message>>>,
    ending: Ending,
}

/// Whether connections are to close. Each of them listens, from before it is opened until its function knows of its end.
#[derive(Default)]
pub(crate) struct Ending(watch::Sender<bool>);

impl Ending {
    /// Has all close, and those that come.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    fn listen(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// A message as a function gets it.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize)]
#[component(variant)]
pub(crate) enum Received {
    #[component(name = "text")]
    Text(String),
    #[component(name = "binary")]
    Binary(Vec<u8>),
}

impl Sockets {
    fn open(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Message>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says goodbye to all, and to those that come.
    pub(crate) fn close_all(&self) {
        self.ending.begin();
    }

    /// Comes when the functions know of the end of each.
    pub(crate) async fn closed(&self) {
        self.ending.0.closed().await;
    }
}

impl bindings::Connections for Sockets {
    fn send(&self, connection: &str, message: bindings::Message) -> Result<(), SendError> {
        let message = match message {
            bindings::Message::Text(text) => Message::Text(text.try_into().map_err(|_| SendError::Closed)?),
            bindings::Message::Binary(bytes) => Message::Binary(bytes),
        };
        let open = self.open();
        let queue = open.get(connection).ok_or(SendError::Closed)?;
        queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }

    fn close(&self, connection: &str) {
        self.open().remove(connection);
    }
}

/// Whether a request asks to become a WebSocket.
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    let names = |name, word: &str| {
        let values = parts.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    names(CONNECTION, "upgrade") && names(UPGRADE, "websocket")
}

/// Answers a request for a WebSocket: asks the function, and serves the connection if it agrees.
pub(crate) async fn accept(app: Arc<App>, name: &str, parts: Parts, body: Incoming) -> Response<WasiBody> {
    let Some(function) = app.function(name) else {
        return say(StatusCode::NOT_FOUND, "no route leads here\n");
    };
    let version = parts.headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    let (Some(key), Some(b"13")) = (parts.headers.get(SEC_WEBSOCKET_KEY), version) else {
        let mut response = say(StatusCode::UPGRADE_REQUIRED, "only WebSocket of version 13 is spoken here\n");
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) else {
        return say(StatusCode::BAD_REQUEST, "this is no key of a WebSocket\n");
    };
    let connection = format!("{:032x}", random_id());
    // It can be written to from the moment that the function knows its name.
    let (queue, messages) = mpsc::channel(SOCKET_QUEUE_MAX);
    app.sockets().open().insert(connection.clone(), queue);
    let (ending, replaced) = (app.sockets().ending.listen(), function.replaced.listen());
    let open = Open { app: Arc::clone(&app), function, connection, ending, replaced };
    match open.opened(&parts).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return say(StatusCode::FORBIDDEN, &format!("{reason}\n")),
        Err(failure) => return crate::respond::explain(&open.function, &failure),
    }
    let request = Request::from_parts(parts, body);
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            open.serve(upgraded, messages).await;
        }
        open.closed().await;
    });
    let mut response = say(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

impl Function {
    /// Asks whether a connection may be opened, which is refused with the function's words.
    pub(crate) async fn opened(
        &self,
        call: Call,
        connection: String,
        path: String,
        headers: Vec<(String, String)>,
    ) -> Result<Result<(), String>, Failure> {
        if let Some(apart) = &self.apart {
            let task = Task::Opened { connection, path, headers };
            return self.invoke_apart(call, apart.invoke(call, &task)).await;
        }
        let socket = self.socket.as_ref().ok_or(Failure::NoEntry)?;
        let (answer,): (Result<(), String>,) =
            self.invoke(call, &socket.opened, (connection, path, headers)).await?;
        Ok(answer)
    }

    /// Hands over a message.
    pub(crate) async fn received(
        &self,
        call: Call,
        connection: String,
        message: Received,
    ) -> Result<(), Failure> {
        if let Some(apart) = &self.apart {
            let task = Task::Received { connection, message };
            return self.invoke_apart(call, apart.invoke(call, &task)).await;
        }
        let socket = self.socket.as_ref().ok_or(Failure::NoEntry)?;
        self.invoke(call, &socket.received, (connection, message)).await
    }

    /// Tells of the end of a connection.
    pub(crate) async fn closed(&self, call: Call, connection: String) -> Result<(), Failure> {
        if let Some(apart) = &self.apart {
            return self.invoke_apart(call, apart.invoke(call, &Task::Closed { connection })).await;
        }
        let socket = self.socket.as_ref().ok_or(Failure::NoEntry)?;
        self.invoke(call, &socket.closed, (connection,)).await
    }
}

/// One connection.
struct Open {
    app: Arc<App>,
    function: Arc<Function>,
    connection: String,
    /// That of the node.
    ending: watch::Receiver<bool>,
    /// That of the function, whose place another has taken: it would speak with clients that it does not know.
    replaced: watch::Receiver<bool>,
}

impl Open {
    fn call(&self) -> Call {
        Call { chain: random_id(), span: 0, depth: 0, deadline: self.function.deadline() }
    }

    async fn opened(&self, parts: &Parts) -> Result<Result<(), String>, Failure> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<(String, String)> =
            parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        self.function.opened(self.call(), self.connection.clone(), path.to_owned(), headers).await
    }

    /// Hands messages over, in both directions, until one side ends.
    async fn serve(&self, upgraded: Upgraded, queue: mpsc::Receiver<Message>) {
        let config = WebSocketConfig::default()
            .max_message_size(Some(SOCKET_MESSAGE_BYTES_MAX))
            .max_frame_size(Some(SOCKET_MESSAGE_BYTES_MAX));
        let stream = TokioIo::new(upgraded);
        let (to, mut from) =
            WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await.split();
        let is_open = AtomicBool::new(true);
        let mut read = std::pin::pin!(async {
            // After the client's goodbye comes nothing: then this side's has been sent.
            while let Some(Ok(message)) = from.next().await {
                let received = match message {
                    Message::Text(text) => Received::Text(text.as_str().to_owned()),
                    Message::Binary(bytes) => Received::Binary(bytes.into()),
                    Message::Close(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
                };
                // The next message waits for this one: a client cannot flood a function.
                if is_open.load(Ordering::Relaxed) {
                    self.received(received).await;
                }
            }
        });
        tokio::select! {
            () = &mut read => return,
            () = self.write(to, queue) => {}
        }
        // What the function does goes on, and the client may answer: a connection cut off sooner loses the goodbye.
        is_open.store(false, Ordering::Relaxed);
        let _ = tokio::time::timeout(SOCKET_GOODBYE, read).await;
    }

    /// Sends what is in the queue, and a goodbye at its end.
    async fn write(&self, mut to: impl Sink<Message> + Unpin, mut queue: mpsc::Receiver<Message>) {
        let (mut ending, mut replaced) = (self.ending.clone(), self.replaced.clone());
        let code = loop {
            let next = tokio::time::timeout(SOCKET_SILENCE, queue.recv());
            let message = tokio::select! {
                _ = ending.wait_for(|is_ending| *is_ending) => break CloseCode::Away,
                _ = replaced.wait_for(|is_replaced| *is_replaced) => break CloseCode::Restart,
                next = next => match next {
                    Ok(Some(message)) => message,
                    Ok(None) => break CloseCode::Normal,
                    // A connection that is gone without a word shows when it is written to.
                    Err(_) => Message::Ping(Default::default()),
                },
            };
            if to.send(message).await.is_err() {
                return;
            }
        };
        let _ = to.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
    }

    /// What fails here is in the function's log.
    async fn received(&self, message: Received) {
        let _ = self.function.received(self.call(), self.connection.clone(), message).await;
    }

    async fn closed(&self) {
        self.forget();
        let _ = self.function.closed(self.call(), self.connection.clone()).await;
    }

    fn forget(&self) {
        self.app.sockets().open().remove(&self.connection);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.forget();
    }
}
