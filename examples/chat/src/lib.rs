//! Rooms in which people write to each other. Each event of a WebSocket is a call: nothing is kept in between but what
//! is in the buckets, so a silent connection costs no instance.
//!
//! A client connects to `/rooms/ROOM?name=NAME` and sends text. It receives JSON: `{"from", "text"}` for what was said,
//! and `{"members": […]}` whenever somebody comes or goes.

mod value;

use std::collections::BTreeMap;

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "wit", world: "room", generate_all });

use exports::sampan::websocket::handler::{Connection, Guest, Message};
use sampan::websocket::sender;
use wasi::keyvalue::store::{Bucket, open};

use value::{change, read};

const MEMBERS_MAX: usize = 100;
const LINES_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 40;
const TEXT_CHARS_MAX: usize = 2_000;

/// Their names, by connection.
type Members = BTreeMap<String, String>;

struct Room;

export!(Room);

impl Guest for Room {
    /// Lets a client in, unless it has no name or the room is full.
    fn opened(connection: Connection, path: String, _headers: Vec<(String, String)>) -> Result<(), String> {
        let (room, query) = path.split_once('?').unwrap_or((&path, ""));
        let name = name(query).ok_or("a name is needed: ?name=NAME")?;
        let bucket = open("members").expect("granted");
        let members = change(&bucket, room, |members: &mut Members| {
            if members.len() < MEMBERS_MAX {
                members.insert(connection.clone(), name.clone());
            }
        });
        if !members.contains_key(&connection) {
            return Err("this room is full".to_owned());
        }
        bucket.set(&connection, room.as_bytes()).expect("written");
        for line in read::<Vec<Value>>(&open("lines").expect("granted"), room) {
            let _ = sender::send(&connection, &Message::Text(line.to_string()));
        }
        tell(&members, &present(&members));
        Ok(())
    }

    /// Tells all in the room what one of them wrote, and remembers it.
    fn received(connection: Connection, message: Message) {
        let Message::Text(text) = message else { return };
        let bucket = open("members").expect("granted");
        let Some(room) = room_of(&bucket, &connection) else { return };
        let members: Members = read(&bucket, &room);
        let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
        let line = json!({ "from": members.get(&connection), "text": text });
        change(&open("lines").expect("granted"), &room, |lines: &mut Vec<Value>| {
            lines.push(line.clone());
            lines.drain(..lines.len().saturating_sub(LINES_MAX));
        });
        tell(&members, &line);
    }

    fn closed(connection: Connection) {
        let bucket = open("members").expect("granted");
        let Some(room) = room_of(&bucket, &connection) else { return };
        let members = change(&bucket, &room, |members: &mut Members| drop(members.remove(&connection)));
        bucket.delete(&connection).expect("deleted");
        tell(&members, &present(&members));
    }
}

fn room_of(bucket: &Bucket, connection: &str) -> Option<String> {
    String::from_utf8(bucket.get(connection).expect("a read")?).ok()
}

fn present(members: &Members) -> Value {
    json!({ "members": members.values().collect::<Vec<_>>() })
}

/// Sends to all of them. Whoever does not keep up misses it.
fn tell(members: &Members, what: &Value) {
    let connections: Vec<String> = members.keys().cloned().collect();
    sender::broadcast(&connections, &Message::Text(what.to_string()));
}

/// The name in a query.
fn name(query: &str) -> Option<String> {
    let name = query.split('&').find_map(|pair| pair.strip_prefix("name="))?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    let name: String = name.trim().chars().take(NAME_CHARS_MAX).collect();
    (!name.is_empty()).then_some(name)
}
