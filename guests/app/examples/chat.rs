//! A function that serves WebSockets: what one client of a room says, all of the room hear. The room is the path.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:chat; world chat {
        import wasi:keyvalue/store@0.2.0-draft2;
        import sampan:websocket/sender@0.1.0;
        export sampan:websocket/handler@0.1.0;
    }",
    generate_all,
});

use exports::sampan::websocket::handler::{Connection, Guest, Message};
use sampan::websocket::sender;
use wasi::keyvalue::store::{Bucket, open};

struct Chat;

export!(Chat);

/// The key of a member: the room is found by the connection, and the connections by the room.
fn members(bucket: &Bucket, room: &str) -> Vec<Connection> {
    let keys = bucket.list_keys(None).expect("a list").keys;
    let prefix = format!("{room}/");
    keys.iter().filter_map(|key| Some(key.strip_prefix(&prefix)?.to_owned())).collect()
}

fn room_of(bucket: &Bucket, connection: &str) -> Option<String> {
    let room = bucket.get(connection).expect("a read")?;
    String::from_utf8(room).ok()
}

impl Guest for Chat {
    fn opened(connection: Connection, path: String, _headers: Vec<(String, String)>) -> Result<(), String> {
        if path.ends_with("/closed") {
            return Err("this room is closed".to_owned());
        }
        let bucket = open("members").map_err(|error| format!("{error:?}"))?;
        bucket.set(&connection, path.as_bytes()).map_err(|error| format!("{error:?}"))?;
        bucket.set(&format!("{path}/{connection}"), b"").map_err(|error| format!("{error:?}"))
    }

    fn received(connection: Connection, message: Message) {
        let bucket = open("members").expect("granted");
        let Some(room) = room_of(&bucket, &connection) else { return };
        if matches!(&message, Message::Text(text) if text == "/leave") {
            sender::close(&connection);
            return;
        }
        sender::broadcast(&members(&bucket, &room), &message);
    }

    fn closed(connection: Connection) {
        let bucket = open("members").expect("granted");
        if let Some(room) = room_of(&bucket, &connection) {
            bucket.delete(&format!("{room}/{connection}")).expect("deleted");
            bucket.delete(&connection).expect("deleted");
        }
    }
}
