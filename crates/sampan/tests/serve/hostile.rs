//! Clients that do what they should not: too much, too slowly, in a wrong form, or in the middle of it nothing more.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::app::{App, Served};
use crate::client::{Connection, Request};

/// One call at a time, and one that waits: a place that is not given back is missed by the next request.
const NARROW: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    limits = { concurrency = 1, queue = 1, body = "1K", deadline = "60s" }
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

#[test]
fn a_body_has_a_limit() {
    let served = App::new(NARROW).serve();
    let (most, more) = ([b'x'; 1024], [b'x'; 1025]);
    assert_eq!(served.ask(&Request::new("POST", "/length").body(&most)).well(), "1024");
    assert_eq!(served.ask(&Request::new("POST", "/length").body(&more)).status, 413);
    // What is not sent yet is refused, too.
    let mut announced = served.connect();
    announced.send(b"POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 1025\r\n\r\n");
    assert_eq!(announced.head().status, 413);

    for (count, status) in [(8, 200), (9, 413)] {
        let mut chunked = served.connect();
        chunked.send(b"POST /length HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        (0..count).for_each(|_| chunked.send_chunk(&[b'x'; 128]));
        chunked.send_chunk(b"");
        assert_eq!(chunked.head().status, status, "{count} chunks");
    }
    assert_eq!(served.text("/length"), "0");
}

#[test]
fn a_head_has_a_limit() {
    let served = App::new(NARROW).serve();
    let long = "x".repeat(100 << 10);
    assert_eq!(served.ask(&Request::new("GET", "/length").header("x-long", &long)).status, 431);
    let names: Vec<_> = (0..200).map(|index| format!("x-{index}")).collect();
    let many = names.iter().fold(Request::new("GET", "/length"), |request, name| request.header(name, "x"));
    assert_eq!(served.ask(&many).status, 431);
    let path = format!("/{long}");
    let answer = served.get(&path);
    assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
    assert_eq!(served.text("/length"), "0");
}

#[test]
fn what_is_no_http_is_refused() {
    let served = App::new(NARROW).serve();
    let blocks = include_str!("malformed.txt").split("\n--- ").skip(1);
    let mut count = 0;
    for block in blocks {
        let (about, text) = block.split_once('\n').expect("a request");
        let (expected, title) = about.split_once(": ").expect("a title");
        let mut connection = served.connect();
        connection.send(&bytes(text));
        if expected.contains("close") {
            connection.finish();
        }
        let found = connection.try_head().map_or("close".to_owned(), |answer| answer.status.to_string());
        assert!(expected.split(' ').any(|expected| expected == found), "{title}: {found}, not {expected}");
        // The connection is of no use any more, but the node is.
        assert_eq!(served.text("/length"), "0", "after {title}");
        count += 1;
    }
    assert!(count >= 30, "only {count} requests were found");
}

/// What is written in the file, as it is sent.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes().filter(|byte| *byte != b'\n');
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'0') => 0,
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let digits =
                        [rest.next(), rest.next()].map(|digit| char::from(digit.expect("two digits")));
                    u8::from_str_radix(&String::from_iter(digits), 16).expect("two digits")
                }
                other => panic!("nothing is written `\\{other:?}`"),
            },
            byte => byte,
        });
    }
    bytes
}

#[test]
fn who_does_not_end_a_head_is_left() {
    let served = App::new(NARROW).serve();
    let mut slow: Vec<_> = (0..100).map(|_| served.connect()).collect();
    for connection in &mut slow {
        connection.send(b"GET /length HTTP/1.1\r\nhost: a\r\nx-slow: ");
    }
    // Others do not notice.
    for _ in 0..20 {
        assert_eq!(served.text("/length"), "0");
    }
    for connection in &mut slow {
        connection.send(b"x");
    }
    // A byte now and then does not buy more time.
    for connection in &mut slow {
        connection.closes();
    }
    assert_eq!(served.text("/length"), "0");
}

#[test]
fn who_does_not_end_a_body_is_left_at_the_deadline() {
    let served = App::new(&NARROW.replace("60s", "3s")).serve();
    let mut slow = served.connect();
    slow.send(b"POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nbegun");
    assert_eq!(slow.answer().status, 504);
    assert_eq!(served.ask(&Request::new("POST", "/length").body(b"body")).well(), "4");
}

#[test]
fn a_client_that_vanishes_gives_its_place_back() {
    let served = App::new(NARROW).serve();
    // While it is sent an answer.
    for _ in 0..5 {
        let mut reader = stream(&served);
        assert_eq!(reader.chunk().as_deref(), Some(b"piece 1\n".as_slice()));
        drop(reader);
        assert_eq!(served.text("/length"), "0");
    }
    // While its body is waited for.
    for _ in 0..5 {
        let mut writer = served.connect();
        writer.send(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nbegun");
        assert_eq!(writer.head().status, 200);
        drop(writer);
        assert_eq!(served.text("/length"), "0");
    }
    // While it waits for its turn.
    let mut running = stream(&served);
    let mut waiting = served.connect();
    waiting.send(&Request::new("GET", "/length").bytes());
    drop(waiting);
    assert!(running.chunk().is_some());
    drop(running);
    assert_eq!(served.text("/length"), "0");
    let said = served.stop();
    assert!(!said.contains("streamed"), "a stream that nobody reads was written to its end:\n{said}");
}

/// An answer that has no end, and its first piece.
#[track_caller]
fn stream(served: &Served) -> Connection {
    let mut connection = served.connect();
    connection.send(&Request::new("GET", "/stream?10000000").bytes());
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.chunk().as_deref(), Some(b"piece 0\n".as_slice()));
    connection
}

/// Connections that are open and silent.
const IDLE: usize = 2_000;

#[test]
fn many_idle_connections_are_kept_while_others_are_answered() {
    // Both ends of each are files of this machine: the children inherit the limit.
    let pid = std::process::id().to_string();
    let raised =
        Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={}:", IDLE + 1_000)]).status();
    assert!(
        raised.is_ok_and(|status| status.success()),
        "hint: `ulimit -Hn` is to be {} at least",
        IDLE + 1_000
    );
    let served = App::new(NARROW).serve();
    let mut idle: Vec<_> = (0..IDLE).map(|_| served.connect()).collect();
    let mut busy = served.connect();
    for _ in 0..200 {
        assert_eq!(busy.ask(&Request::new("GET", "/length")).well(), "0");
    }
    // Each of them is served when it asks.
    for connection in idle.iter_mut().step_by(97) {
        assert_eq!(connection.ask(&Request::new("GET", "/length")).well(), "0");
    }
}

/// Clients that come while nobody accepts.
const AT_ONCE: usize = 500;

#[test]
fn many_who_come_at_once_are_not_sent_away() {
    let most =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("the kernel says what it takes");
    let most = most.trim().parse().map_or(AT_ONCE, |most: usize| AT_ONCE.min(most));
    let served = App::new(NARROW).serve();
    served.signal("STOP");
    // Whose connection is not taken tries again for longer than that.
    let come = |_| TcpStream::connect_timeout(&served.address, Duration::from_millis(900));
    let waiting: Result<Vec<_>, _> = (0..most).map(come).collect();
    served.signal("CONT");
    assert_eq!(waiting.expect("all are taken").len(), most);
    assert_eq!(served.ask(&Request::new("GET", "/length")).well(), "0");
}
