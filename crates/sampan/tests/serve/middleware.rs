//! Middleware: what a request passes on its way to what answers it.

use crate::app::App;
use crate::client::Request;

const APP: &str = r#"
    [functions.guard]
    program = "$GUESTS/app/guard.wasm"
    [functions.cgi]
    program = "$GUESTS/p1/cgi.wasm"
    limits = { body = "1K" }
    [chains.count]
    steps = [{ name = "count", call = "cgi" }]
    [[routes]]
    path = "/chain"
    chain = "count"
    middleware = ["guard"]
    [[routes]]
    path = "/files/{*rest}"
    files = "site"
    middleware = ["guard"]
    [[routes]]
    host = "twice.example"
    path = "/{*rest}"
    function = "cgi"
    middleware = ["guard", "guard"]
    [[routes]]
    host = "alone.example"
    path = "/{*rest}"
    function = "guard"
    [[routes]]
    path = "/{*rest}"
    function = "cgi"
    middleware = ["guard"]
"#;

fn as_user<'a>(method: &'a str, path: &'a str) -> Request<'a> {
    Request::new(method, path).header("authorization", "me")
}

#[test]
fn middleware_lets_in_and_keeps_out_and_changes_what_passes() {
    let served = App::new(APP).serve();
    let refused = served.get("/variables");
    assert_eq!((refused.status, refused.text().as_str()), (401, "who are you?\n"));

    let told = served.ask(&as_user("GET", "/variables?a=1").header("x-other", "too"));
    assert_eq!((told.header("x-guarded"), told.header("content-type")), (Some("yes"), Some("text/plain")));
    let told = told.well();
    for line in ["HTTP_X_USER=me", "HTTP_X_OTHER=too", "PATH_INFO=/variables", "QUERY_STRING=a=1"] {
        assert!(told.lines().any(|told| told == line), "no `{line}` in\n{told}");
    }
    assert_eq!(served.ask(&as_user("POST", "/echo").body(b"body")).well(), "body");

    let untouched = Request::new("GET", "/variables").header("authorization", "as-it-is");
    let untouched = served.ask(&untouched);
    assert_eq!(untouched.header("x-guarded"), None);
    assert!(!untouched.well().contains("HTTP_X_USER"));

    let twice = served.ask(&as_user("GET", "/teapot").header("host", "twice.example"));
    assert_eq!(twice.status, 418);
    assert_eq!(twice.headers.iter().filter(|(name, _)| name == "x-guarded").count(), 2);
    // Bodies flow through both.
    let long = vec![b'x'; 1 << 10];
    let echoed = served.ask(&as_user("POST", "/echo").header("host", "twice.example").body(&long));
    assert_eq!(echoed.well().len(), long.len());
}

#[test]
fn middleware_cannot_forge_the_route() {
    let served = App::new(APP).serve();
    for user in ["forger", "as-it-is"] {
        let told = served.ask(&Request::new("GET", "/variables").header("authorization", user)).well();
        let ours: Vec<_> = told.lines().filter(|line| line.starts_with("HTTP_SAMPAN")).collect();
        assert_eq!(ours, ["HTTP_SAMPAN_PATH_REST=variables", "HTTP_SAMPAN_ROUTE=/{*rest}"], "{user}: {told}");
    }
}

#[test]
fn middleware_stands_before_chains_and_files_too() {
    let app = App::new(APP).file("site/a.txt", "a file");
    let served = app.serve();
    for path in ["/chain", "/files/a.txt"] {
        assert_eq!(served.get(path).status, 401, "{path}");
    }
    let counted = served.ask(&as_user("POST", "/chain").header("content-type", "text/plain").body(b"12345"));
    assert_eq!(counted.header("x-guarded"), Some("yes"));
    assert_eq!(counted.well(), "{\"bytes\":5}");
    assert_eq!(served.ask(&as_user("GET", "/files/a.txt")).well(), "a file");
    assert_eq!(served.ask(&as_user("GET", "/files/b.txt")).status, 404);
}

#[test]
fn what_fails_behind_middleware_is_told_as_ever() {
    let served = App::new(APP).serve();
    let failed = served.ask(&as_user("GET", "/fail"));
    assert_eq!((failed.status, failed.header("x-guarded")), (500, Some("yes")));
    assert_eq!(failed.text(), "function `cgi` failed; its log says why\n");
    assert_eq!(served.ask(&as_user("POST", "/echo").body(&[b'x'; 1025])).status, 413);
    // Nothing comes after a function that is the end of its route.
    let alone = served.ask(&as_user("GET", "/").header("host", "alone.example"));
    assert_eq!((alone.status, alone.text().as_str()), (500, "function `guard` failed; its log says why\n"));
    served.says("nothing comes after this function");
    assert_eq!(served.ask(&as_user("GET", "/teapot")).status, 418);
}

#[test]
fn a_function_that_passes_nothing_on_is_no_middleware() {
    let manifest = APP.replace("middleware = [\"guard\", \"guard\"]", "middleware = [\"guard\", \"cgi\"]");
    let (code, said) = App::new(&manifest).refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`cgi` cannot pass a request on") && said.contains("sampan.toml:"), "{said}");
}
