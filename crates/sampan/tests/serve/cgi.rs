//! Commands as functions: a program of WASI 0.1 that reads its standard input and writes its standard output.

use crate::app::App;
use crate::client::Request;

const APP: &str = r#"
    [functions.cgi]
    program = "$GUESTS/p1/cgi.wasm"
    env = { COLOUR = "green", HTTP_X_FIXED = "fixed" }
    limits = { deadline = "60s", body = "1K" }
    [functions.hasty]
    program = "$GUESTS/p1/cgi.wasm"
    limits = { deadline = "300ms" }
    [chains.count]
    steps = [{ name = "count", call = "cgi" }]
    [[routes]]
    path = "/chain"
    chain = "count"
    [[routes]]
    host = "hasty"
    path = "/{*rest}"
    function = "hasty"
    [[routes]]
    path = "/{*rest}"
    function = "cgi"
"#;

#[test]
fn a_command_is_told_the_request_and_writes_the_answer() {
    let served = App::new(APP).serve();
    let request = Request::new("PATCH", "/variables?a=1&b=2")
        .header("host", "example.com")
        .header("content-type", "text/css")
        .header("x-question", "why")
        .header("x-fixed", "forged")
        .header("proxy", "http://evil.example")
        .header("sampan_route", "evil")
        .body(b"body");
    let told = served.ask(&request);
    assert_eq!(told.header("content-type"), Some("text/plain"));
    let told = told.well();
    for line in [
        "REQUEST_METHOD=PATCH",
        "PATH_INFO=/variables",
        "QUERY_STRING=a=1&b=2",
        "SERVER_PROTOCOL=HTTP/1.1",
        "CONTENT_LENGTH=4",
        "CONTENT_TYPE=text/css",
        "HTTP_X_QUESTION=why",
        "COLOUR=green",
        // What the app sets is not for clients to change.
        "HTTP_X_FIXED=fixed",
    ] {
        assert!(told.lines().any(|told| told == line), "no `{line}` in\n{told}");
    }
    assert!(!told.contains("evil") && !told.contains("HOME="), "{told}");

    assert_eq!(served.ask(&Request::new("POST", "/echo").body(b"body")).well(), "body");
    let teapot = served.get("/teapot");
    assert_eq!((teapot.status, teapot.header("x-leaves")), (418, Some("green")));
    assert_eq!(teapot.text(), "short and stout");
}

#[test]
fn a_command_that_fails_is_explained_in_the_log() {
    let served = App::new(APP).serve();
    for (path, log) in [("/fail", "cgi | it ended with exit code 3"), ("/headless", "cgi | it ended without")]
    {
        let failed = served.get(path);
        assert_eq!(
            (failed.status, failed.text().as_str()),
            (500, "function `cgi` failed; its log says why\n"),
            "{path}"
        );
        served.says(log);
    }
    served.says("cgi | it went wrong");
    assert!(!served.said().contains("nobody sees this"));
    assert_eq!(served.ask(&Request::new("GET", "/loop").header("host", "hasty")).status, 504);
    assert_eq!(served.ask(&Request::new("POST", "/echo").body(&[b'x'; 1025])).status, 413);
    let mut chunked = served.connect();
    chunked.send(b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    (0..9).for_each(|_| chunked.send_chunk(&[b'x'; 128]));
    chunked.send_chunk(b"");
    assert_eq!(chunked.head().status, 413);
    assert_eq!(served.ask(&Request::new("POST", "/echo").body(b"again")).well(), "again");
}

#[test]
fn a_command_is_a_step_of_a_chain() {
    let served = App::new(APP).serve();
    let answer =
        served.ask(&Request::new("POST", "/chain").header("content-type", "text/plain").body(b"12345"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.well(), "{\"bytes\":5}");
}
