//! Functions that are told of changes in buckets: of each once, in their order, and whatever comes of it.

use std::thread;
use std::time::Instant;

use crate::WAIT;
use crate::app::{App, Served};
use crate::client::Request;

const APP: &str = r#"
    [functions.audit]
    program = "$GUESTS/app/audit.wasm"
    reuse = 1
    grants = { buckets = ["carts", "audit"] }
    limits = { deadline = "60s" }
    watches = ["carts"]
    [functions.shelf]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["carts", "audit"] }
    limits = { deadline = "60s" }
    [buckets.carts]
    durability = "memory"
    [buckets.audit]
    durability = "os"
    [[routes]]
    path = "/{*rest}"
    function = "shelf"
"#;

/// What `audit` was told of a key.
fn told(served: &Served, key: &str) -> String {
    let answer = served.get(&format!("/audit/{key}"));
    if answer.status == 404 { String::new() } else { answer.well() }
}

/// Waits until `audit` was told this of a key.
#[track_caller]
fn is_told(served: &Served, key: &str, expected: &str) {
    until(|| {
        let told = told(served, key);
        (told == expected).then_some(()).ok_or(told)
    });
}

/// Waits for what `find` finds, and shows what it found instead.
#[track_caller]
fn until<T, E: std::fmt::Debug>(find: impl Fn() -> Result<T, E>) -> T {
    let end = Instant::now() + WAIT;
    loop {
        match find() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < end, "{instead:?}"),
        }
    }
}

fn put(served: &Served, path: &str, value: &str) {
    served.ask(&Request::new("PUT", path).body(value.as_bytes())).well();
}

fn delete(served: &Served, path: &str) {
    served.ask(&Request::new("DELETE", path)).well();
}

#[test]
fn a_function_is_told_of_what_is_set_and_deleted() {
    let served = App::new(APP).serve();
    put(&served, "/carts/ada", "apples");
    is_told(&served, "ada", "1 set apples\n");
    put(&served, "/carts/ada", "pears");
    is_told(&served, "ada", "1 set apples\n2 set pears\n");
    delete(&served, "/carts/ada");
    is_told(&served, "ada", "1 set apples\n2 set pears\n3 delete\n");
    // Of what was not there nobody is told that it is gone, nor of other buckets.
    delete(&served, "/carts/bob");
    put(&served, "/audit/other", "not watched");
    put(&served, "/carts/cem", "plums");
    is_told(&served, "cem", "4 set plums\n");
    assert_eq!((told(&served, "bob"), told(&served, "other")), (String::new(), "not watched".to_owned()));
}

#[test]
fn each_write_of_many_writers_is_told_once_and_in_order() {
    for manifest in [APP.to_owned(), APP.replace("reuse = 1", "reuse = 0")] {
        let served = App::new(&manifest).serve();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut connection = served.connect();
                    for index in 0..40 {
                        connection.ask(&Request::new("POST", &format!("/carts/{}", index % 4))).well();
                    }
                });
            }
        });
        for key in ["0", "1", "2", "3"] {
            let numbers = until(|| {
                let told = told(&served, key);
                let numbers = told.lines().map(|line| line.split_once(" set ").expect("a number").1.parse());
                let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().expect("a number");
                if numbers.len() < 80 { Err(told) } else { Ok(numbers) }
            });
            // A value is that of the moment of the telling: it may be one that a later write left.
            assert!(numbers.is_sorted(), "{numbers:?}");
            assert_eq!((numbers.len(), numbers.last()), (80, Some(&80)), "{numbers:?}");
            assert!((1..=80).zip(&numbers).all(|(nth, told)| *told >= nth), "{numbers:?}");
        }
    }
}

#[test]
fn a_function_that_traps_is_told_of_the_next_change() {
    let served = App::new(APP).serve();
    put(&served, "/carts/trap", "");
    put(&served, "/carts/ada", "apples");
    is_told(&served, "ada", "1 set apples\n");
    served.says("audit | the change of `trap` in `carts` is lost: it ended before it had a result: ");
}

#[test]
fn what_a_function_is_too_slow_for_is_counted() {
    let served = App::new(APP).serve();
    put(&served, "/carts/slow", "");
    is_told(&served, "slow", "1 set\n");
    let mut connection = served.connect();
    for index in 0..1100 {
        connection.ask(&Request::new("PUT", &format!("/carts/{index}")).body(b"1")).well();
    }
    put(&served, "/carts/go", "");
    // 1024 changes wait at most.
    served.says("audit | 77 changes of `carts` were not told: they came too fast");
    is_told(&served, "77", "2 set 1\n");
    is_told(&served, "go", "1025 set \n");
    assert_eq!(told(&served, "76"), "");
}

#[test]
fn a_function_that_is_told_of_its_own_writes_keeps_no_other_waiting() {
    let served = App::new(APP).serve();
    put(&served, "/carts/again", "1");
    let number = |least: u32| {
        until(|| {
            let text = served.text("/carts/again");
            text.parse().ok().filter(|number: &u32| *number >= least).ok_or(text)
        })
    };
    let before = number(10);
    put(&served, "/carts/ada", "apples");
    until(|| if told(&served, "ada").ends_with(" set apples\n") { Ok(()) } else { Err(()) });
    number(before + 10);
}

#[test]
fn what_was_changed_before_the_node_stops_is_told() {
    let app = App::new(APP);
    let served = app.serve();
    for index in 0..20 {
        put(&served, &format!("/carts/{index}"), "1");
    }
    served.stop();
    let served = app.serve();
    for index in 0..20 {
        assert_eq!(told(&served, &index.to_string()), format!("{} set 1\n", index + 1));
    }
}

#[test]
fn a_new_program_is_told_what_comes_next() {
    let app = App::new(&APP.replace("$GUESTS/app/audit.wasm", "audit.wasm")).flags(&[
        "--watch",
        "--console",
        "off",
    ]);
    let guests = std::env::var("SAMPAN_GUESTS").expect("$SAMPAN_GUESTS is set: run `cargo xtask test`");
    let program = std::fs::read(format!("{guests}/app/audit.wasm")).expect("it was built");
    std::fs::write(app.path("audit.wasm"), &program).expect("a file is written");
    let served = app.serve();
    put(&served, "/carts/ada", "apples");
    put(&served, "/carts/bob", "pears");
    is_told(&served, "bob", "2 set pears\n");
    std::fs::write(app.path("audit.wasm"), &program).expect("a file is written");
    served.says("sampan: audit is new");
    put(&served, "/carts/cem", "plums");
    is_told(&served, "cem", "1 set plums\n");
    assert_eq!(told(&served, "ada"), "1 set apples\n");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let without = APP.replace(
        "buckets = [\"carts\", \"audit\"] }\n    limits = { deadline = \"60s\" }\n    watches",
        "buckets = [\"audit\"] }\n    watches",
    );
    assert_ne!(without, APP);
    for (manifest, words) in [
        (without, "`carts` is watched and not granted"),
        (APP.replace("audit.wasm", "shelf.wasm"), "`audit` cannot be told of changes"),
    ] {
        let (code, said) = App::new(&manifest).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words) && said.contains("watches = [\"carts\"]"), "{said}");
    }
}

#[test]
fn who_watches_changes_with_the_manifest() {
    let alone = APP.replace("    watches = [\"carts\"]\n", "");
    let app = App::new(&alone).flags(&["--watch", "--console", "off"]);
    let served = app.serve();
    put(&served, "/carts/ada", "before");
    app.change("0.2.0", APP);
    served.says("sampan: tested 0.2.0 is new");
    put(&served, "/carts/bob", "pears");
    is_told(&served, "bob", "1 set pears\n");
    app.change("0.3.0", &APP.replace("reuse = 1", "reuse = 2"));
    served.says("sampan: tested 0.3.0 is new");
    put(&served, "/carts/bob", "plums");
    is_told(&served, "bob", "1 set pears\n1 set plums\n");
    app.change("0.4.0", &alone);
    served.says("sampan: tested 0.4.0 is new");
    put(&served, "/carts/cem", "after");
    app.change("0.5.0", APP);
    served.says("sampan: tested 0.5.0 is new");
    put(&served, "/carts/dan", "figs");
    is_told(&served, "dan", "1 set figs\n");
    assert_eq!(told(&served, "ada") + &told(&served, "cem"), "");
}
