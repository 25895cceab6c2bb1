//! Clients that are in the middle of something, and stay there or vanish: neither the others nor the end of the node
//! wait for them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::WAIT;
use crate::app::{App, Served};
use crate::client::{Connection, Request};

/// One call at a time, without an end of its own: a place that is not given back is missed by the next request.
const APP: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    limits = { concurrency = 1, queue = 16, deadline = "1h" }
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

/// How long a node that stops waits for calls.
const GRACE: Duration = Duration::from_secs(10);

/// Clients in the middle of a handshake, of each kind.
const SHAKING: usize = 20;

/// An app that is served encrypted, and what its clients trust.
fn encrypted() -> (App, Arc<ClientConfig>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(certificate.der().to_vec())).expect("a sound certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the protocols of today")
        .with_root_certificates(trusted)
        .with_no_client_auth();

    let app = App::new(APP).file("cert.pem", &certificate.pem()).file("key.pem", &key.serialize_pem());
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| app.path(file).display().to_string());
    (app.flags(&["--console", "off", "--tls-cert", &cert, "--tls-key", &key]), Arc::new(config))
}

fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").expect("a name"))
        .expect("a sound configuration")
}

/// What a whole encrypted connection is answered.
#[track_caller]
fn ask(served: &Served, config: &Arc<ClientConfig>) -> String {
    let stream = TcpStream::connect(served.address).expect("it is connected to");
    stream.set_read_timeout(Some(WAIT)).expect("a time to wait");
    let mut stream = StreamOwned::new(client(config), stream);
    let request = Request::new("GET", "/length").header("connection", "close");
    stream.write_all(&request.bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn who_is_in_the_middle_of_a_handshake_keeps_nobody_waiting() {
    let (app, config) = encrypted();
    let mut served = app.serve();
    let mut hello = Vec::new();
    client(&config).write_tls(&mut hello).expect("a greeting");
    // Nothing, half a greeting, and a greeting whose answer is never answered.
    let shaking: Vec<_> = [0, hello.len() / 2, hello.len()]
        .into_iter()
        .flat_map(|length| std::iter::repeat_n(length, SHAKING))
        .map(|length| {
            let mut connection = served.connect();
            connection.send(&hello[..length]);
            connection
        })
        .collect();
    for _ in 0..10 {
        let answer = ask(&served, &config);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    }
    let asked = Instant::now();
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0), "{}", served.said());
    assert!(asked.elapsed() < GRACE, "it ended after {:?}", asked.elapsed());
    drop(shaking);
}

/// A client that has sent the half of a body.
fn upload(served: &Served, path: &str, length: &str) -> Connection {
    let mut connection = served.connect();
    connection.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\n{length}\r\n\r\n").as_bytes());
    connection.send(b"400\r\n");
    connection.send(&[b'x'; 512]);
    connection
}

/// The same, when the function has begun to answer.
#[track_caller]
fn running(served: &Served, length: &str) -> Connection {
    let mut connection = upload(served, "/echo", length);
    assert_eq!(connection.head().status, 200);
    connection
}

const LENGTHS: [&str; 2] = ["content-length: 1024", "transfer-encoding: chunked"];

#[test]
fn who_vanishes_in_the_middle_of_an_upload_gives_its_place_back() {
    let served = App::new(APP).serve();
    for length in LENGTHS.iter().cycle().take(10) {
        drop(upload(&served, "/length", length));
        assert_eq!(served.text("/length"), "0", "{length}");
    }
    served.stop();
}

/// Whether a request comes into a queue of one place, while an upload runs and another, which waited there, has vanished.
fn gets_the_place(served: &Served, length: &str) -> bool {
    let mut running = running(served, "transfer-encoding: chunked");
    drop(upload(served, "/length", length));
    // How soon the node sees it is for the system to say.
    let tried = (0..200).find_map(|_| {
        let mut next = served.connect();
        next.send(&Request::new("GET", "/length").bytes());
        // By then it was refused, if it was.
        served.get("/elsewhere/a");
        next.is_silent().then_some(next)
    });
    running.send(&[b'x'; 512]);
    running.send(b"\r\n");
    running.send_chunk(b"");
    while running.chunk().is_some_and(|chunk| !chunk.is_empty()) {}
    tried.is_some_and(|mut next| next.answer().status == 200)
}

#[test]
fn who_vanishes_while_an_upload_waits_gives_its_place_in_the_queue_back() {
    let served = App::new(
        &(APP.replace("queue = 16", "queue = 1")
            + r#"
            [functions.elsewhere]
            program = "$GUESTS/app/shelf.wasm"
            [[routes]]
            path = "/elsewhere/{*rest}"
            function = "elsewhere"
            "#),
    )
    .serve();
    for length in LENGTHS {
        assert!((0..20).any(|_| gets_the_place(&served, length)), "{length}");
    }
    served.stop();
}

#[test]
fn who_vanishes_in_the_middle_of_an_upload_does_not_keep_the_node() {
    for length in LENGTHS {
        let mut served = App::new(APP).serve();
        let mut idle = served.connect();
        assert_eq!(idle.ask(&Request::new("GET", "/length")).well(), "0");
        let uploading = running(&served, length);
        let asked = Instant::now();
        served.signal("TERM");
        // It has heard the signal when it closes what is idle.
        idle.closes();
        drop(uploading);
        assert_eq!(served.ended().code(), Some(0), "{}", served.said());
        assert!(asked.elapsed() < GRACE, "it ended after {:?}", asked.elapsed());
    }
}

#[test]
fn who_stays_in_the_middle_of_an_upload_does_not_keep_the_node_for_long() {
    let mut served = App::new(APP).serve();
    let uploading = running(&served, LENGTHS[0]);
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0), "{}", served.said());
    drop(uploading);
}
