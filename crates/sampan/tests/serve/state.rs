//! What an app remembers: written exactly once, kept over every end, and only by who may.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::app::{App, Served};
use crate::client::{Connection, Request};

const APP: &str = r#"
    [functions.shelf]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["disk", "os", "memory", "small"] }
    limits = { body = "20M", memory = "128M", deadline = "60s", concurrency = 16 }
    [functions.counter]
    program = "$GUESTS/app/counter.wasm"
    grants = { buckets = ["counts"] }
    limits = { deadline = "60s", concurrency = 16 }
    [buckets.disk]
    [buckets.os]
    durability = "os"
    [buckets.memory]
    durability = "memory"
    [buckets.small]
    quota = "1K"
    [buckets.counts]
    durability = "os"
    [buckets.other]
    [[routes]]
    path = "/count/{name}"
    function = "counter"
    [[routes]]
    path = "/{*rest}"
    function = "shelf"
"#;

fn put(served: &Served, path: &str, value: &[u8]) -> (u16, String) {
    let answer = served.ask(&Request::new("PUT", path).body(value));
    (answer.status, answer.text())
}

#[test]
fn what_is_written_is_read() {
    let served = App::new(APP).serve();
    assert_eq!(served.get("/disk/key").status, 404);
    assert_eq!(put(&served, "/disk/key", b"value"), (200, String::new()));
    assert_eq!(served.text("/disk/key"), "value");
    // The same key of another bucket is another.
    assert_eq!(served.get("/os/key").status, 404);
    for count in 1..=3 {
        assert_eq!(served.ask(&Request::new("POST", "/disk/count")).well(), count.to_string());
    }
    let no_number = served.ask(&Request::new("POST", "/disk/key"));
    assert!(no_number.status == 400 && no_number.text().contains("cannot count"), "{}", no_number.text());
    assert_eq!(served.text("/disk"), "count\nkey");
    assert_eq!(served.ask(&Request::new("DELETE", "/disk/key")).well(), "");
    assert_eq!(served.get("/disk/key").status, 404);
    assert_eq!(served.text("/disk"), "count");
}

#[test]
fn who_was_not_granted_a_bucket_does_not_find_it() {
    let served = App::new(APP).serve();
    for bucket in ["/other/key", "/none/key", "/../disk/key"] {
        let denied = served.get(bucket);
        assert_eq!((denied.status, denied.text().as_str()), (403, "no such store"), "{bucket}");
    }
    served.says("shelf | it was denied the bucket `other`; `buckets = [\"other\"]` grants it");
    // What a function says has a length at which it is cut.
    let long = format!("/{}/key", "x".repeat(40_000));
    assert_eq!(served.get(&long).status, 403);
    served.says(&format!("shelf | it was denied the bucket `{}", "x".repeat(10_000)));
    assert!(served.stop().lines().all(|line| line.len() < 20_000));
}

#[test]
fn what_is_too_much_is_refused_with_the_limit() {
    let served = App::new(APP).serve();
    let (longest, longer) = ("k".repeat(1 << 10), "k".repeat((1 << 10) + 1));
    assert_eq!(put(&served, &format!("/disk/{longest}"), b"x").0, 200);
    let (status, text) = put(&served, &format!("/disk/{longer}"), b"x");
    assert!(status == 400 && text.contains("is 1025 bytes: 1 to 1024 are allowed"), "{text}");
    let (status, text) = put(&served, "/disk/", b"x");
    assert!(status == 400 && text.contains("is 0 bytes: 1 to 1024 are allowed"), "{text}");

    let mut value = vec![b'v'; 16 << 20];
    assert_eq!(put(&served, "/disk/large", &value), (200, String::new()));
    assert!(served.get("/disk/large").body == value);
    value.push(b'v');
    let (status, text) = put(&served, "/disk/large", &value);
    assert!(status == 400 && text.contains("is 16777217 bytes: at most 16777216 are allowed"), "{text}");
    assert_eq!(served.get("/disk/large").body.len(), 16 << 20);

    assert_eq!(put(&served, "/small/a", &[b'x'; 500]).0, 200);
    let (status, text) = put(&served, "/small/b", &[b'x'; 500]);
    assert!(status == 400 && text.contains("its quota is 1024"), "{text}");
    assert_eq!(served.get("/small/b").status, 404);
    assert_eq!(served.ask(&Request::new("DELETE", "/small/a")).well(), "");
    assert_eq!(put(&served, "/small/b", &[b'x'; 500]).0, 200);
}

/// Clients at once, and what each of them asks for.
const CLIENTS: usize = 8;
const ASKED: usize = 50;

#[test]
fn nothing_is_counted_twice_or_not_at_all() {
    let served = App::new(APP).serve();
    // By `increment`, and by compare-and-swap until it holds.
    for (method, path) in [("POST", "/count/increment"), ("PUT", "/count/swap")] {
        let mut counts: Vec<usize> = thread::scope(|scope| {
            let client = || {
                let mut connection = served.connect();
                let count = || connection.ask(&Request::new(method, path)).well().parse().expect("a number");
                std::iter::repeat_with(count).take(ASKED).collect::<Vec<usize>>()
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
        });
        counts.sort_unstable();
        assert_eq!(counts, (1..=CLIENTS * ASKED).collect::<Vec<_>>(), "{method}");
        assert_eq!(served.text(path), (CLIENTS * ASKED).to_string());
    }
}

#[test]
fn what_is_kept_outlives_the_node_as_its_class_says() {
    let app = App::new(APP);
    let served = app.serve();
    for bucket in ["disk", "os", "memory"] {
        assert_eq!(put(&served, &format!("/{bucket}/key"), bucket.as_bytes()).0, 200);
    }
    served.stop();
    let served = app.serve();
    assert_eq!((served.text("/disk/key"), served.text("/os/key")), ("disk".into(), "os".into()));
    assert_eq!(served.get("/memory/key").status, 404);
    // The page cache of the operating system outlives a process that is killed.
    assert_eq!(put(&served, "/os/key", b"newer").0, 200);
    served.kill();
    assert_eq!(app.serve().text("/os/key"), "newer");
}

/// How often the node is killed, and after at most how many writes.
const KILLS: usize = 10;
const WRITES_MAX: usize = 200;

/// What one client knows to be written: its own keys, and how often it counted.
#[derive(Default)]
struct Written {
    keys: Vec<String>,
    counted: u64,
}

#[test]
fn no_acknowledged_write_is_lost_or_doubled_when_the_node_is_killed() {
    let app = App::new(APP);
    let mut written: Vec<Written> = (0..4).map(|_| Written::default()).collect();
    for kill in 0..KILLS {
        let served = app.serve();
        check(&served, &mut written, kill);
        let acknowledged = AtomicUsize::new(0);
        let enough = random(WRITES_MAX);
        thread::scope(|scope| {
            for (client, written) in written.iter_mut().enumerate() {
                let (acknowledged, served) = (&acknowledged, &served);
                scope.spawn(move || {
                    let mut connection = served.connect();
                    for index in 0.. {
                        let key = format!("/disk/key-{client}-{kill}-{index}");
                        if !writes(&mut connection, &Request::new("PUT", &key).body(key.as_bytes())) {
                            return;
                        }
                        written.keys.push(key);
                        if !writes(&mut connection, &Request::new("POST", &format!("/disk/count-{client}"))) {
                            return;
                        }
                        written.counted += 1;
                        // Whichever comes to that number kills the node, in the middle of what the others do.
                        if acknowledged.fetch_add(1, Ordering::Relaxed) == enough {
                            served.signal("KILL");
                        }
                    }
                });
            }
        });
        served.kill();
    }
    check(&app.serve(), &mut written, KILLS);
}

/// Whether a write was acknowledged. Where the connection breaks, nobody knows.
fn writes(connection: &mut Connection, request: &Request<'_>) -> bool {
    connection.send(&request.bytes());
    let Some(answer) = connection.try_head() else { return false };
    let Some(body) = connection.body(&answer) else { return false };
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&body));
    true
}

#[track_caller]
fn check(served: &Served, written: &mut [Written], kill: usize) {
    let mut connection = served.connect();
    for (client, written) in written.iter_mut().enumerate() {
        for key in &written.keys {
            assert_eq!(connection.ask(&Request::new("GET", key)).text(), *key, "after {kill} kills");
        }
        let answer = connection.ask(&Request::new("GET", &format!("/disk/count-{client}")));
        let counted = if answer.status == 404 { 0 } else { answer.well().parse().expect("a number") };
        // One more than acknowledged, where the answer was under way when the node was killed; never two.
        let possible = written.counted..=written.counted + 1;
        assert!(possible.contains(&counted), "{counted} is not in {possible:?} after {kill} kills");
        written.counted = counted;
    }
}

fn random(below: usize) -> usize {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the machine has random numbers");
    usize::from_le_bytes(bytes) % below
}

#[test]
fn a_store_has_one_node_at_a_time() {
    let app = App::new(APP);
    let served = app.serve();
    assert_eq!(put(&served, "/disk/key", b"value").0, 200);
    let (code, said) = app.refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.starts_with("error: the store `") && said.contains("is in use by another process"),
        "{said}"
    );
    assert!(said.contains("hint: `tested` is served already, by process "), "{said}");
    assert_eq!(served.text("/disk/key"), "value");
    served.kill();
    // A node that was killed leaves nothing in the way.
    assert_eq!(app.serve().text("/disk/key"), "value");
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is() {
    let app = App::new(APP);
    let served = app.serve();
    assert_eq!(put(&served, "/disk/key", b"value").0, 200);
    served.stop();
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(app.path(".sampan")).expect("the store is there") {
        let path = entry.expect("an entry").path();
        if path.is_file() && path.metadata().expect("a file").len() > 0 {
            std::fs::write(&path, "this is no store").expect("it is damaged");
            files.insert(path.clone(), std::fs::read(path).expect("it is read"));
        }
    }
    assert!(!files.is_empty(), "no file of the store is known");
    let (code, said) = app.refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("error: the store file `") && said.contains("is damaged"), "{said}");
    assert!(files.keys().any(|path| said.contains(&*path.to_string_lossy())), "{said}");
    assert!(said.contains("hint: move the file away"), "{said}");
    for (path, content) in files {
        assert!(std::fs::read(&path).expect("it is there") == content, "{}", path.display());
    }
}

#[test]
fn a_place_where_nothing_can_be_written_is_named() {
    // Nobody may write there, not even root; and a file is no directory.
    for place in ["/sys/sampan", "/dev/null/sampan"] {
        let (code, said) = App::new(APP).flags(&["--console", "off", "--state", place]).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("error: cannot open the store `{place}")), "{said}");
        assert!(said.contains("hint: see that the directory is there"), "{said}");
    }
}
