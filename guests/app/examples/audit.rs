//! A function that is told of changes: it writes all that it is told of a key under that key in the bucket `audit`, one
//! line each, which begins with how many times this instance was told anything. At `trap` it traps; at `again` it
//! adds one to the number there, of which it is told again; at `slow` it goes on until there is a key `go`.

use std::sync::atomic::{AtomicU32, Ordering};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:audit; world audit {
        import wasi:keyvalue/store@0.2.0-draft2;
        export wasi:keyvalue/watcher@0.2.0-draft2;
    }",
    generate_all,
});

use exports::wasi::keyvalue::watcher::Guest;
use wasi::keyvalue::store::{Bucket, open};

struct Audit;

export!(Audit);

static TOLD: AtomicU32 = AtomicU32::new(0);

fn note(key: &str, what: &str) {
    let told = TOLD.fetch_add(1, Ordering::Relaxed) + 1;
    let audit = open("audit").expect("granted");
    let mut lines = audit.get(key).expect("a read").unwrap_or_default();
    lines.extend(format!("{told} {what}\n").bytes());
    audit.set(key, &lines).expect("a write");
}

impl Guest for Audit {
    fn on_set(bucket: Bucket, key: String, value: Vec<u8>) {
        let value = String::from_utf8_lossy(&value);
        match &*key {
            "trap" => std::process::abort(),
            "again" => {
                let number: u64 = value.parse().expect("a number");
                bucket.set("again", (number + 1).to_string().as_bytes()).expect("a write");
            }
            "slow" => {
                note("slow", "set");
                while !bucket.exists("go").expect("a read") {}
            }
            key => note(key, &format!("set {value}")),
        }
    }

    fn on_delete(_bucket: Bucket, key: String) {
        note(&key, "delete");
    }
}
