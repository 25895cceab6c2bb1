//! Requests and answers: the way to a function, bodies that flow, connections that stay, files, and the end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::WAIT;
use crate::app::{App, Served};
use crate::client::Request;

const LAB: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

const ROUTES: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    [functions.here]
    program = "$GUESTS/app/lab.wasm"
    env = { WHO = "here" }
    [functions.there]
    program = "$GUESTS/app/lab.wasm"
    env = { WHO = "there" }
    [[routes]]
    path = "/variables"
    function = "here"
    [[routes]]
    path = "/variables"
    host = "there.example"
    function = "there"
    [[routes]]
    path = "/echo"
    methods = ["POST", "PUT"]
    function = "lab"
    [[routes]]
    path = "/{experiment}"
    function = "lab"
"#;

#[test]
fn a_request_finds_its_function() {
    let served = App::new(ROUTES).serve();
    assert_eq!(served.text("/variables"), "WHO=here\n");
    for host in ["there.example", "THERE.EXAMPLE:8080"] {
        let there = Request::new("GET", "/variables").header("host", host);
        assert_eq!(served.ask(&there).well(), "WHO=there\n", "{host}");
    }
    // A target may be a whole URL, and then its host counts (RFC 9112, 3.2.2).
    let absolute = Request::new("GET", "http://there.example/variables").header("host", "localhost");
    assert_eq!(served.ask(&absolute).well(), "WHO=there\n");

    assert_eq!(served.ask(&Request::new("POST", "/echo").body(b"body")).well(), "body");
    let other = served.ask(&Request::new("DELETE", "/echo"));
    assert_eq!((other.status, other.header("allow")), (405, Some("POST, PUT")));
    assert_eq!(served.get("/no/such/route").status, 404);
    // A function's own answer is not the node's.
    assert_eq!(served.get("/nothing").text(), "no such experiment");
}

#[test]
fn a_function_is_told_its_route_and_nobody_can_forge_that() {
    let served = App::new(ROUTES).serve();
    let forged = Request::new("GET", "/headers?x=1")
        .header("sampan-route", "/admin")
        .header("Sampan-Path-Experiment", "forged")
        .header("sampan-path-user", "root")
        .header("SAMPAN-ANYTHING", "else")
        .header("x-own", "kept");
    let seen = served.ask(&forged).well();
    let ours: Vec<_> = seen.lines().filter(|line| line.starts_with("sampan-")).collect();
    assert_eq!(ours, ["sampan-path-experiment: headers", "sampan-route: /{experiment}"], "{seen}");
    assert!(seen.contains("x-own: kept\n"), "{seen}");
}

#[test]
fn bodies_flow_both_ways() {
    let served = App::new(LAB).serve();
    // The last of so many pieces would take days: the first came before it was made.
    let mut endless = served.connect();
    endless.send(&Request::new("GET", "/stream?10000000").bytes());
    assert_eq!(endless.head().status, 200);
    assert_eq!(endless.chunk().as_deref(), Some(b"piece 0\n".as_slice()));

    let mut echo = served.connect();
    echo.send(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(echo.head().status, 200);
    for piece in [b"one".as_slice(), b"two", b"three"] {
        echo.send_chunk(piece);
        assert_eq!(echo.chunk().as_deref(), Some(piece));
    }
    echo.send_chunk(b"");
    assert_eq!(echo.chunk().as_deref(), Some(b"".as_slice()));

    let large: Vec<u8> = (0..4 << 20).map(|index: u32| (index % 251) as u8).collect();
    assert!(served.ask(&Request::new("POST", "/echo").body(&large)).body == large);
}

#[test]
fn a_connection_is_used_again_and_requests_may_be_sent_ahead() {
    let served = App::new(LAB).serve();
    let mut connection = served.connect();
    for round in 0..20 {
        let body = format!("round {round}");
        assert_eq!(connection.ask(&Request::new("POST", "/echo").body(body.as_bytes())).well(), body);
    }
    let ahead =
        ["one", "two", "three"].map(|body| Request::new("POST", "/echo").body(body.as_bytes()).bytes());
    connection.send(&ahead.concat());
    for body in ["one", "two", "three"] {
        assert_eq!(connection.answer().well(), body);
    }
    let last = connection.ask(&Request::new("GET", "/length").header("connection", "close"));
    assert_eq!(last.header("connection"), Some("close"));
    connection.closes();

    let mut old = served.connect();
    old.send(b"GET /length HTTP/1.0\r\n\r\n");
    assert_eq!(old.head().status, 200);
    old.closes();
}

#[test]
fn http_2_is_spoken_to_who_speaks_it() {
    let served = App::new(LAB).serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = async { tokio::time::timeout(WAIT, ask_by_http_2(&served)).await };
    runtime.block_on(all).expect("in time");
}

/// Many requests at once on one connection, each with a body of its own.
async fn ask_by_http_2(served: &Served) {
    let stream = tokio::net::TcpStream::connect(served.address).await.expect("it is connected to");
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.expect("HTTP/2");
    tokio::spawn(connection);
    let ask = |index: usize| {
        let mut sender = sender.clone();
        async move {
            let body = format!("body {index} ").repeat(2_000);
            let request =
                ::http::Request::post("http://localhost/echo").body(Full::new(Bytes::from(body.clone())));
            let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.version()), (200, ::http::Version::HTTP_2));
            let echoed = answer.into_body().collect().await.expect("a body").to_bytes();
            assert!(echoed == body.as_bytes(), "body {index} is another");
        }
    };
    futures_util::future::join_all((0..40).map(ask)).await;
}

#[test]
fn a_link_that_changes_under_way_leads_nowhere_else() {
    let app = App::new("[[routes]]\npath = \"/site/{*rest}\"\nfiles = \"site\"")
        .file("site/inside/page.txt", "page")
        .file("outside/page.txt", "secret");
    let served = app.serve();
    symlink("inside", app.path("site/link")).expect("a link is made");
    assert_eq!(served.text("/site/link/page.txt"), "page");
    let (asking, asked) = mpsc::channel::<()>();
    let seen: BTreeSet<String> = thread::scope(|scope| {
        let (new, link) = (app.path("site/new"), app.path("site/link"));
        scope.spawn(move || {
            let mut targets = ["../outside", "inside"].into_iter().cycle();
            while asked.try_recv() == Err(TryRecvError::Empty) {
                symlink(targets.next().expect("without end"), &new).expect("a link is made");
                fs::rename(&new, &link).expect("it takes the other's place");
            }
        });
        let _asking = asking;
        let mut connection = served.connect();
        let ask = |_| connection.ask(&Request::new("GET", "/site/link/page.txt")).text();
        (0..5_000).map(ask).collect()
    });
    assert_eq!(seen, BTreeSet::from(["no such file\n".to_owned(), "page".to_owned()]));
}

#[test]
fn files_are_served_and_nothing_beside_them() {
    let app = App::new("[[routes]]\npath = \"/site/{*rest}\"\nfiles = \"site\"")
        .file("site/index.html", "<h1>hello</h1>")
        .file("site/deep/style.css", "body {}")
        .file("site/.hidden", "secret")
        .file("secret.txt", "secret");
    symlink("../secret.txt", app.path("site/link.txt")).expect("a link is made");
    let served = app.serve();

    let index = served.get("/site/");
    assert_eq!(
        (index.header("content-type"), index.text()),
        (Some("text/html; charset=utf-8"), "<h1>hello</h1>".into())
    );
    let style = served.get("/site/deep/style.css");
    assert_eq!((style.header("content-length"), style.text()), (Some("7"), "body {}".into()));
    let tag = style.header("etag").expect("a tag");
    let again = served.ask(&Request::new("GET", "/site/deep/style.css").header("if-none-match", tag));
    assert_eq!((again.status, again.header("etag")), (304, Some(tag)));
    let other = served.ask(&Request::new("GET", "/site/deep/style.css").header("if-none-match", "\"other\""));
    assert_eq!(other.well(), "body {}");

    let mut connection = served.connect();
    let head = connection.ask(&Request::new("HEAD", "/site/deep/style.css"));
    assert_eq!(
        (head.status, head.header("content-length"), head.header("etag")),
        (200, Some("7"), Some(tag))
    );
    // What comes next on the connection is the next answer, not a body.
    assert_eq!(connection.ask(&Request::new("GET", "/site/deep/style.css")).well(), "body {}");
    assert_eq!(connection.ask(&Request::new("PUT", "/site/deep/style.css").body(b"mine")).status, 405);

    for escape in [
        "/site/../secret.txt",
        "/site/%2e%2e/secret.txt",
        "/site/deep/../../secret.txt",
        "/site/..%2fsecret.txt",
        "/site/%2e%2e%5csecret.txt",
        "/site//etc/passwd",
        "/site/%2fetc/passwd",
        "/site/link.txt",
        "/site/.hidden",
        "/site/deep/%00",
        "/site/deep",
        "/site/none",
        "/sampan.toml",
        "/../sampan.toml",
    ] {
        let answer = served.get(escape);
        assert!(matches!(answer.status, 400 | 404), "{escape}: {answer:?}");
        assert!(!answer.text().contains("secret"), "{escape}");
    }
}

#[test]
fn what_was_begun_is_ended_before_the_node_stops() {
    let mut served = App::new(LAB).serve();
    let mut idle = served.connect();
    assert_eq!(idle.ask(&Request::new("GET", "/length")).well(), "0");
    let mut flowing = served.connect();
    flowing.send(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(flowing.head().status, 200);

    served.signal("TERM");
    // It has heard the signal when it closes what is idle; what flows goes on.
    idle.closes();
    flowing.send_chunk(b"still here");
    assert_eq!(flowing.chunk().as_deref(), Some(b"still here".as_slice()));
    assert!(std::net::TcpStream::connect(served.address).is_err(), "it still listens");
    flowing.send_chunk(b"");
    assert_eq!(flowing.chunk().as_deref(), Some(b"".as_slice()));
    flowing.closes();
    assert_eq!(served.ended().code(), Some(0), "{}", served.said());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let app = App::new(LAB).flags(&["--listen", &address, "--console", "off"]);
    let (code, said) = app.refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("error: cannot listen on {address}")), "{said}");
}
