//! `sampan:websocket/sender`: a function sends to the WebSockets of its app.

use wasmtime::component::Linker;

use crate::Host;
use crate::bindings::{self, SendError};
use crate::host::{App, AppView};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import sampan:websocket/sender@0.1.0;",
    });
}

use generated::sampan::websocket::sender::{self, Connection, Error, Message};

impl From<Message> for bindings::Message {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.into()),
            Message::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }
}

impl AppView<'_> {
    fn send_to(&self, connection: &str, message: bindings::Message) -> Result<(), SendError> {
        let connections = self.bindings.and_then(|bindings| bindings.connections.as_ref());
        connections.ok_or(SendError::Closed)?.send(connection, message)
    }
}

impl sender::Host for AppView<'_> {
    fn send(&mut self, connection: Connection, message: Message) -> Result<(), Error> {
        self.send_to(&connection, message.into()).map_err(|error| match error {
            SendError::Closed => Error::Closed,
            SendError::Full => Error::Full,
        })
    }

    fn broadcast(&mut self, mut connections: Vec<Connection>, message: Message) -> Vec<Connection> {
        let message = bindings::Message::from(message);
        connections.retain(|connection| self.send_to(connection, message.clone()).is_err());
        connections
    }

    fn close(&mut self, connection: Connection) {
        if let Some(connections) = self.bindings.and_then(|bindings| bindings.connections.as_ref()) {
            connections.close(&connection);
        }
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    sender::add_to_linker::<_, App>(linker, Host::app)
}
