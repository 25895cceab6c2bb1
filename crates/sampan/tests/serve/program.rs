//! A program without a manifest: an app of its own.

use std::fs;
use std::path::Path;

use crate::app::App;

#[test]
fn a_program_answers_all_requests_and_leaves_nothing_beside_it() {
    for (built, name, called) in [
        ("app/hello.wasm", "hello.wasm", "hello"),
        ("app/hello3.wasm", "3 \"Héllo\"_World.2.wasm", "h-llo--world-2"),
        ("p1/cgi.wasm", "12", "program"),
    ] {
        let app = App::of_program(built, name);
        let served = app.serve();
        assert_eq!(served.get("/").status, 200);
        assert_eq!(served.get("/any/where?x").status, 200);
        let said = served.stop();
        assert!(said.starts_with(&format!("sampan: {called} 0.0.0 on http://127.0.0.1:")), "{said}");
        assert_eq!(fs::read_dir(app.path("")).expect("a directory").count(), 1);
    }
}

#[test]
fn a_program_that_changes_is_served_as_it_is_then() {
    let app = App::of_program("app/hello.wasm", "any.wasm").flags(&["--watch", "--console", "off"]);
    let served = app.serve();
    assert_eq!(served.text("/"), "hello\n");
    let guests = std::env::var("SAMPAN_GUESTS").expect("$SAMPAN_GUESTS is set");
    // In one step: half a program is none.
    fs::copy(Path::new(&guests).join("app/lab.wasm"), app.path("new")).expect("it was built");
    fs::rename(app.path("new"), app.path("any.wasm")).expect("it is there");
    served.says("sampan: any 0.0.0 is new\n");
    assert_eq!(served.text("/variables"), "");
}

#[test]
fn what_is_neither_an_app_nor_a_program_is_refused() {
    let app = App::of_program("app/hello.wasm", "hello.txt");
    fs::write(app.path("hello.txt"), "hello").expect("it is the test's");
    let (code, said) = app.refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("hello.txt:1:6"), "{said}");
}
