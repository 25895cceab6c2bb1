//! WebSockets (RFC 6455): rooms, what is said in them, and every way to leave.

use std::net::TcpStream;

use tokio_tungstenite::tungstenite::client::{ClientRequestBuilder, client};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocket};
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message};

use crate::WAIT;
use crate::app::{App, Served};
use crate::client::Request;

const CHAT: &str = r#"
    [functions.chat]
    program = "$GUESTS/app/chat.wasm"
    grants = { buckets = ["members"] }
    limits = { deadline = "60s" }
    [functions.shelf]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["members"] }
    limits = { deadline = "60s" }
    [buckets.members]
    durability = "memory"
    [[routes]]
    path = "/chat/{room}"
    function = "chat"
    websocket = true
    [[routes]]
    path = "/members"
    function = "shelf"
"#;

/// One side of a WebSocket.
pub(crate) struct Member(WebSocket<TcpStream>);

pub(crate) fn enter(served: &Served, room: &str) -> Result<Member, u16> {
    open(served, &format!("/chat/{room}"))
}

/// A WebSocket at this path, or the status that came instead.
pub(crate) fn open(served: &Served, path: &str) -> Result<Member, u16> {
    let uri: Uri = format!("ws://{}{path}", served.address).parse().expect("an address");
    let stream = TcpStream::connect_timeout(&served.address, WAIT).expect("it is connected to");
    stream.set_read_timeout(Some(WAIT)).expect("a time to wait");
    stream.set_write_timeout(Some(WAIT)).expect("a time to wait");
    match client(ClientRequestBuilder::new(uri), stream) {
        Ok((socket, _)) => Ok(Member(socket)),
        Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

impl Member {
    pub(crate) fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("it is sent");
    }

    #[track_caller]
    pub(crate) fn hears(&mut self, text: &str) {
        assert_eq!(self.next().expect("a message"), Message::text(text));
    }

    /// The text of the next message.
    pub(crate) fn next_text(&mut self) -> String {
        self.next().expect("a message").into_text().expect("text").to_string()
    }

    /// The next message that is not about the connection itself.
    fn next(&mut self) -> Result<Message, Error> {
        loop {
            match self.0.read()? {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Ok(message),
            }
        }
    }

    /// The code with which the other side closes.
    #[track_caller]
    pub(crate) fn closes(&mut self) -> Option<u16> {
        loop {
            match self.next() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::Protocol(_)) => return None,
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("it does not close: {error}"),
            }
        }
    }
}

/// Waits until nobody is in any room: `closed` has run for all.
#[track_caller]
pub(crate) fn is_left(served: &Served) {
    let end = std::time::Instant::now() + WAIT;
    loop {
        let members = served.text("/members");
        if members.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < end, "still there: {members}");
    }
}

#[test]
fn who_is_in_a_room_hears_what_is_said_there() {
    let served = App::new(CHAT).serve();
    let mut red: Vec<_> = (0..3).map(|_| enter(&served, "red").expect("open")).collect();
    let mut blue = enter(&served, "blue").expect("open");
    red[0].say("hello");
    red.iter_mut().for_each(|member| member.hears("hello"));
    blue.say("alone");
    // Had it heard the other room, that would have come first.
    blue.hears("alone");
    let bytes = Message::binary(vec![0, 255, 128, 7]);
    red[1].0.send(bytes.clone()).expect("it is sent");
    red.iter_mut().for_each(|member| assert_eq!(member.next().expect("a message"), bytes));
    // The messages of one come in the order in which they were said.
    (0..50).for_each(|index| red[2].say(&index.to_string()));
    (0..50).for_each(|index| red[0].hears(&index.to_string()));
}

#[test]
fn a_room_can_be_refused() {
    let served = App::new(CHAT).serve();
    assert_eq!(enter(&served, "closed").err(), Some(403));
    is_left(&served);
    // What asks for no WebSocket, or for one of another kind, has none.
    let plain = served.get("/chat/red");
    assert_ne!(plain.status, 101, "{plain:?}");
    let old = Request::new("GET", "/chat/red")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "8");
    let old = served.ask(&old);
    assert_eq!((old.status, old.header("sec-websocket-version")), (426, Some("13")));
}

#[test]
fn either_side_may_close() {
    let served = App::new(CHAT).serve();
    let mut member = enter(&served, "red").expect("open");
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    member.0.close(Some(goodbye)).expect("it is sent");
    assert_eq!(member.closes(), Some(1000));
    is_left(&served);

    let mut member = enter(&served, "red").expect("open");
    member.say("/leave");
    assert_eq!(member.closes(), Some(1000));
    is_left(&served);
}

#[test]
fn who_vanishes_or_floods_has_left() {
    let served = App::new(CHAT).serve();
    let mut stays = enter(&served, "red").expect("open");
    drop(enter(&served, "red").expect("open"));
    let mut large = enter(&served, "red").expect("open");
    // Less than the limit is heard, more ends the connection.
    large.say(&"x".repeat(1 << 20));
    assert_eq!(stays.next().expect("a message").len(), 1 << 20);
    let sent = large.0.send(Message::text("x".repeat((1 << 20) + 1)));
    assert!(sent.is_ok() || matches!(sent, Err(Error::Io(_))), "{sent:?}");
    large.closes();
    stays.say("still here");
    stays.hears("still here");
    stays.0.close(None).expect("it is sent");
    is_left(&served);
}

#[test]
fn frames_that_are_none_end_the_connection_and_nothing_else() {
    let served = App::new(CHAT).serve();
    let mut stays = enter(&served, "red").expect("open");
    // A frame that is not masked, an unknown opcode, a reserved bit, text that is not UTF-8 (RFC 6455, 5.1, 5.2, 8.1).
    for frame in [
        b"\x81\x02hi".as_slice(),
        b"\x83\x80\0\0\0\0",
        b"\xf1\x80\0\0\0\0",
        b"\x81\x82\0\0\0\0\xff\xff",
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
    ] {
        let mut member = enter(&served, "red").expect("open");
        std::io::Write::write_all(member.0.get_mut(), frame).expect("it is sent");
        member.closes();
    }
    stays.say("still here");
    stays.hears("still here");
}

#[test]
fn the_node_says_goodbye_when_it_stops() {
    let app = App::new(&CHAT.replace("\"memory\"", "\"os\""));
    let mut served = app.serve();
    let mut members: Vec<_> = (0..3).map(|_| enter(&served, "red").expect("open")).collect();
    members[0].say("hello");
    members.iter_mut().for_each(|member| member.hears("hello"));
    served.signal("TERM");
    // RFC 6455, 7.4.1: a server that goes down is going away.
    members.iter_mut().for_each(|member| assert_eq!(member.closes(), Some(1001)));
    assert_eq!(served.ended().code(), Some(0), "{}", served.said());
    // `closed` has run for each before the end.
    assert_eq!(app.serve().text("/members"), "");
}

#[test]
fn a_client_that_does_not_answer_a_goodbye_holds_nobody_up() {
    let app = App::new(&CHAT.replace("\"memory\"", "\"os\""));
    let mut served = app.serve();
    let silent = enter(&served, "red").expect("open");
    let mut member = enter(&served, "red").expect("open");
    served.signal("TERM");
    assert_eq!(member.closes(), Some(1001));
    assert_eq!(served.ended().code(), Some(0), "{}", served.said());
    drop(silent);
    assert_eq!(app.serve().text("/members"), "");
}
