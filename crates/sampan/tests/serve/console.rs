//! The console: who may look at it, what it shows and what it never shows, and what it tells Prometheus.

use std::net::SocketAddr;

use crate::app::{App, Served};
use crate::client::{Answer, Connection, Request};

/// Values that must be on no page.
const SECRETS: [(&str, &str); 3] =
    [("env", "word-of-env"), ("config", "word-of-config"), ("secret", "word-of-secret")];

pub(crate) fn app() -> App {
    let [(_, env), (_, config), (_, secret)] = SECRETS;
    App::new(&format!(
        r#"
        [functions.lab]
        program = "$GUESTS/app/lab.wasm"
        env = {{ GREETING = "{env}" }}
        secrets = {{ API_KEY = {{ env = "TESTED_SECRET" }} }}
        grants = {{ config = {{ key = "{config}" }} }}
        [functions.counter]
        program = "$GUESTS/app/counter.wasm"
        grants = {{ buckets = ["counts"] }}
        [functions.step]
        program = "$GUESTS/app/step.wasm"
        [buckets.counts]
        quota = "1M"
        [chains.pair]
        steps = [{{ name = "first", call = "step" }}, {{ name = "second", call = "step" }}]
        [[routes]]
        path = "/count/{{name}}"
        function = "counter"
        [[routes]]
        path = "/pair"
        chain = "pair"
        [[routes]]
        path = "/{{*rest}}"
        function = "lab"
        "#
    ))
    .env("TESTED_SECRET", secret)
}

/// Serves with a console there, and says where it is and with what token it opens.
pub(crate) fn serve(app: App, console: &str) -> (Served, SocketAddr, Option<String>) {
    let served = app.flags(&["--console", console]).serve();
    served.says("console on http://");
    let said = served.said();
    let shown = said.split("console on http://").nth(1).and_then(|rest| rest.lines().next()).expect("said");
    let (address, token) = match shown.split_once("/login?token=") {
        Some((address, token)) => (address, Some(token.to_owned())),
        None => (shown, None),
    };
    let address: SocketAddr = address.parse().expect("an address");
    (served, SocketAddr::from(([127, 0, 0, 1], address.port())), token)
}

fn ask(console: SocketAddr, request: &Request<'_>) -> Answer {
    Connection::open(console).ask(request)
}

fn get(console: SocketAddr, path: &str) -> Answer {
    ask(console, &Request::new("GET", path))
}

#[test]
fn pages_show_what_happens_and_no_secret() {
    let (served, console, _) = serve(app(), "127.0.0.1:0");
    served.text("/say?ahoy");
    served.ask(&Request::new("POST", "/count/ships"));
    let pair = Request::new("POST", "/pair").header("content-type", "application/json").body(b"{\"a\":1}");
    served.ask(&pair).well();
    let chain = get(console, "/chains/pair").well();
    let execution = chain.split("href=\"/chains/pair/").nth(1).and_then(|rest| rest.split('"').next());
    let execution = format!("/chains/pair/{}", execution.expect("an execution is listed"));
    for (path, parts) in [
        ("/", &["<table", "href=\"/functions/lab\"", "<caption>", "scope=\"row\"", "aria-label="][..]),
        ("/functions/lab", &["said ahoy", "complained ahoy", "API_KEY", "GREETING"]),
        ("/chains", &["<svg", "pair"]),
        (&execution, &["first", "second", "done", "When each step ran"]),
        ("/buckets", &["counts", "<meter"]),
        ("/buckets/counts", &["/count/ships", "value?key=%2Fcount%2Fships"]),
        ("/buckets/counts?prefix=/none", &["No key is like this"]),
        ("/buckets/counts/value?key=%2Fcount%2Fships", &["<pre"]),
        ("/logs?function=lab&level=warn", &["complained ahoy"]),
        ("/metrics", &["sampan_calls_total{function=\"lab\",end=\"answered\"} 1\n"]),
    ] {
        let answer = get(console, path);
        let policy = answer.header("content-security-policy").unwrap_or_default().to_owned();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{path}: {policy}");
        let text = answer.well();
        for part in parts {
            assert!(text.contains(part), "`{part}` is not on {path}:\n{text}");
        }
        for (what, word) in SECRETS {
            assert!(!text.contains(word), "the value of {what} is on {path}");
        }
        assert!(
            !text.contains("style=\"") && !text.contains("<script>"),
            "{path} has what its policy forbids"
        );
    }
    assert!(!get(console, "/logs?function=lab&level=error").well().contains("ahoy"));
    for path in [
        "/nowhere",
        "/functions/none",
        "/buckets/none",
        "/chains/none",
        "/chains/pair/none",
        "/../etc/passwd",
    ] {
        assert_eq!(get(console, path).status, 404, "{path}");
    }
}

#[test]
fn what_a_function_says_is_not_taken_for_html() {
    let (served, console, _) = serve(app(), "127.0.0.1:0");
    let body = b"{\"fail\":\"<script>alert(1)</script>\"}";
    let request = Request::new("POST", "/pair").header("content-type", "application/json").body(body);
    assert_eq!(served.ask(&request).status, 500);
    let page = get(console, "/chains/pair").well();
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    let page = get(console, "/logs?text=%22%3E%3Cscript%3Ealert(2)").well();
    assert!(!page.contains("<script>alert"), "{page}");
}

#[test]
fn on_loopback_other_names_and_other_sites_are_kept_out() {
    let (_served, console, _) = serve(app(), "127.0.0.1:0");
    let own = console.to_string();
    let own_origin = format!("http://{own}");
    for (method, path, headers, status) in [
        ("GET", "/", &[("host", "localhost")][..], 200),
        ("GET", "/", &[("host", "127.0.0.1:9")], 200),
        ("GET", "/", &[("host", "[::1]:9")], 200),
        ("GET", "/", &[("host", "rebound.example")], 421),
        ("GET", "/metrics", &[("host", "rebound.example")], 421),
        ("GET", "/", &[("host", "localhost.rebound.example")], 421),
        ("GET", "/", &[("host", "localhost"), ("host", "rebound.example")], 421),
        // A link on another site may lead here; nothing else of it may.
        ("GET", "/", &[("host", &own), ("sec-fetch-site", "cross-site")], 200),
        ("GET", "/metrics", &[("host", &own), ("sec-fetch-site", "cross-site")], 403),
        ("GET", "/logs/live", &[("host", &own), ("sec-fetch-site", "same-site")], 403),
        ("GET", "/metrics", &[("host", &own), ("origin", "http://evil.example")], 403),
        ("GET", "/metrics", &[("host", &own), ("origin", "null")], 403),
        ("GET", "/metrics", &[("host", &own), ("origin", &own_origin)], 200),
        ("GET", "/api/status", &[("host", &own), ("origin", "http://localhost:1")], 403),
        ("POST", "/api/stop", &[("host", &own)], 403),
        ("POST", "/api/stop", &[("host", &own), ("origin", "http://evil.example")], 403),
        ("POST", "/api/stop", &[("host", &own), ("sec-fetch-site", "cross-site")], 403),
        ("POST", "/", &[("host", &own), ("origin", &own_origin)], 405),
        ("OPTIONS", "*", &[("host", &own), ("origin", &own_origin)], 405),
        // Being of our own origin is no token.
        ("POST", "/api/stop", &[("host", &own), ("origin", &own_origin)], 401),
        ("GET", "/login?token=guessed", &[("host", &own)], 401),
    ] {
        let request = headers
            .iter()
            .fold(Request::new(method, path), |request, (name, value)| request.header(name, value));
        let answer = ask(console, &request);
        assert_eq!(answer.status, status, "{method} {path} {headers:?}: {}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
    }
}

#[test]
fn elsewhere_every_request_needs_the_token() {
    let (_served, console, token) = serve(app(), "0.0.0.0:0");
    let token = token.expect("the address that opens it is said");
    for path in
        ["/", "/functions/lab", "/logs/live", "/metrics", "/buckets/counts", "/console.js", "/api/status"]
    {
        let answer = get(console, path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.text().contains("tested"), "{path} tells: {}", answer.text());
    }
    let bearer = format!("Bearer {token}");
    let of =
        |value: &str| ask(console, &Request::new("GET", "/metrics").header("authorization", value)).status;
    assert_eq!(of(&bearer), 200);
    for wrong in ["Bearer ", "Bearer x", &token, &format!("{bearer}0"), &bearer[..bearer.len() - 1]] {
        assert_eq!(of(wrong), 401, "{wrong}");
    }
    assert_eq!(get(console, "/login?token=guessed").status, 401);
    let answer = get(console, &format!("/login?token={token}"));
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(&token),
        "{cookie}"
    );
    let pair = cookie.split(';').next().expect("a pair");
    let with = |cookie: &str| ask(console, &Request::new("GET", "/").header("cookie", cookie)).status;
    assert_eq!((with(pair), with(&format!("a=b; {pair}")), with("sampan=x")), (200, 200, 401));
    // The cookie is sent along by the browser, so another site is kept out with it too.
    let request =
        Request::new("GET", "/metrics").header("cookie", pair).header("origin", "http://evil.example");
    assert_eq!(ask(console, &request).status, 403);
}

#[test]
fn the_log_is_followed_as_it_is_said() {
    let (served, console, _) = serve(app(), "127.0.0.1:0");
    let mut follower = Connection::open(console);
    follower.send(&Request::new("GET", "/logs/live?level=warn").bytes());
    let head = follower.head();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    served.text("/say?first");
    served.text("/say?second");
    let mut heard = String::new();
    while !heard.contains("second") {
        heard += &String::from_utf8_lossy(&follower.chunk().expect("it goes on"));
    }
    assert!(heard.starts_with("event: line\ndata: <li class=\"warn\">"), "{heard}");
    assert!(heard.contains("complained first") && !heard.contains("said first"), "{heard}");
    // A follower does not keep the node from stopping.
    served.stop();
}

#[test]
fn a_console_that_is_off_does_not_listen() {
    let served = app().flags(&["--console", "off"]).serve();
    served.text("/say?x");
    assert!(!served.stop().contains("console on"));
}
