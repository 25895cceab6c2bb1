//! A disk that is full: what cannot be kept is refused, what was kept stays, and nobody else notices.
//!
//! It is as full as the limit of the operating system for the size of a file makes it. The state's own tests have every
//! other error, at every point.

use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use crate::app::{App, Served};
use crate::client::Request;

const APP: &str = r#"
    [functions.shelf]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["disk", "os", "memory"] }
    [functions.vault]
    program = "$GUESTS/app/vault.wasm"
    grants = { blobs = ["blobs"], sql = true }
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    [buckets.disk]
    [buckets.os]
    durability = "os"
    [buckets.memory]
    durability = "memory"
    [blobs.blobs]
    [[routes]]
    path = "/length"
    function = "lab"
    [[routes]]
    path = "/sql/{verb}"
    function = "vault"
    [[routes]]
    path = "/blobs/{*rest}"
    function = "vault"
    [[routes]]
    path = "/{*rest}"
    function = "shelf"
"#;

/// Bytes of the largest file while the disk is full, the first time and the second.
const FILE_BYTES_MAX: [usize; 2] = [4 << 20, 8 << 20];

/// More writes than fit.
const WRITES_MAX: usize = FILE_BYTES_MAX[1] / VALUE_BYTES;

const VALUE_BYTES: usize = 50_000;

/// What is written under a number: nothing else is like it.
fn value(number: usize) -> String {
    format!("{number:0VALUE_BYTES$}")
}

/// Somewhere to write to, and how many writes were acknowledged.
struct Place {
    /// The path of its values; none for the database.
    path: Option<&'static str>,
    written: usize,
}

impl Place {
    /// Writes one more. The error, where it is refused.
    fn write(&mut self, served: &Served) -> Result<(), String> {
        let value = value(self.written);
        let answer = match self.path {
            Some(path) => {
                let path = format!("{path}/{}", self.written);
                served.ask(&Request::new("PUT", &path).body(value.as_bytes()))
            }
            None => {
                let statement = format!("insert into kept values ({}, '{value}')", self.written);
                served.ask(&Request::new("POST", "/sql/execute").body(statement.as_bytes()))
            }
        };
        match answer.status {
            200 => {
                self.written += 1;
                Ok(())
            }
            status => Err(format!("{status} {}", answer.text())),
        }
    }

    /// The value under a number, if there is one.
    fn read(&self, served: &Served, number: usize) -> Option<String> {
        let Some(path) = self.path else {
            let query = format!("select value from kept where number = {number}");
            let found = served.ask(&Request::new("POST", "/sql/query").body(query.as_bytes())).well();
            return (!found.is_empty()).then_some(found);
        };
        let answer = served.get(&format!("{path}/{number}"));
        (answer.status == 200).then(|| answer.text())
    }

    /// Sees that all is there that was acknowledged, and of the next one all or nothing.
    #[track_caller]
    fn check(&self, served: &Served) {
        for number in 0..self.written {
            let found = self.read(served, number);
            assert!(found == Some(value(number)), "{number} of {:?}: {found:?}", self.path);
        }
        let next = self.read(served, self.written);
        assert!(next.as_ref().is_none_or(|next| *next == value(self.written)), "{:?}: {next:?}", self.path);
    }
}

/// The paths of the places.
const PATHS: [Option<&str>; 4] = [Some("/disk"), Some("/os"), Some("/blobs/blobs"), None];

/// Writes until there is no room, and goes on until it was refused so many times in a row: what has no room in the file may
/// have some in its log. Why it was refused at last.
#[track_caller]
fn refused(place: &mut Place, served: &Served) -> String {
    let mut refusals = Vec::new();
    for _ in 0..WRITES_MAX {
        match place.write(served) {
            Ok(()) => refusals.clear(),
            Err(refusal) => refusals.push(refusal),
        }
        if refusals.len() == 20 {
            break;
        }
    }
    assert_eq!(refusals.len(), 20, "{:?} becomes full", place.path);
    refusals.remove(0)
}

/// Writes until no place has room, while others read what was there before.
fn fill(places: &mut [Place], served: &Served) {
    let before: Vec<_> = places.iter().map(|place| Place { path: place.path, written: 1 }).collect();
    let (writing, written) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while written.try_recv() == Err(TryRecvError::Empty) {
                for place in &before {
                    assert!(place.read(served, 0) == Some(value(0)), "{:?}", place.path);
                }
            }
        });
        let _writing = writing;
        for place in places {
            let refused = refused(place, served);
            // SQLite does not tell why it could not write.
            let plain = if place.path.is_some() { "the disk is full" } else { "the store cannot be read or" };
            assert!(refused.starts_with("400 ") && refused.contains(plain), "{refused}");
            assert!(!refused.contains('/'), "a function learned of a file: {refused}");
        }
    });
}

#[test]
fn a_full_disk_refuses_what_is_new_and_loses_nothing() {
    let app = App::new(APP);
    let mut served = app.serve();
    let made = served.ask(&Request::new("POST", "/sql/execute").body(b"create table kept (number, value)"));
    assert_eq!(made.well(), "0");
    let mut places = PATHS.map(|path| Place { path, written: 0 });
    for place in &mut places {
        assert_eq!(place.write(&served), Ok(()), "{:?}", place.path);
    }

    for (file_bytes_max, killed) in FILE_BYTES_MAX.into_iter().zip([false, true]) {
        let spares = ["/disk/spare", "/os/spare"];
        for spare in spares {
            assert_eq!(served.ask(&Request::new("PUT", spare).body(b"value")).well(), "");
        }
        served.limit(&format!("--fsize={file_bytes_max}:"));
        fill(&mut places, &served);
        for place in &places {
            place.check(&served);
        }
        // The operator is told which file, and not each time.
        served.says("shelf | cannot read or write the store file `");
        let told = served.said().matches("cannot read or write the store file").count();
        assert!(told < 10, "{told}");
        // What is removed needs no room.
        for spare in spares {
            assert_eq!(served.ask(&Request::new("DELETE", spare)).well(), "");
            assert_eq!(served.get(spare).status, 404);
        }
        // Who writes nothing, or into memory, does not notice.
        assert_eq!(served.text("/length"), "0");
        assert_eq!(served.ask(&Request::new("PUT", "/memory/key").body(b"value")).well(), "");
        assert_eq!(served.text("/memory/key"), "value");

        if killed {
            served.kill();
            served = app.serve();
        } else {
            // Room is used as soon as it is there.
            served.limit("--fsize=unlimited:");
        }
        for place in &mut places {
            place.check(&served);
            assert_eq!(place.write(&served), Ok(()), "{:?}", place.path);
        }
        // Blobs are in the same file as the first bucket, and now come first.
        places.rotate_left(2);
    }
    served.stop();
    let served = app.serve();
    for place in &places {
        assert!(place.written > 3, "{:?}", place.path);
        place.check(&served);
    }
}
