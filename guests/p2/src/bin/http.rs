//! A client of WASI 0.2 HTTP: requests go to granted servers only.
//!
//! source: WASI 0.2 wasi:http outgoing-handler, types: `HTTP-request-denied` where the host does not permit a request
//! host: http
//! case: get
//! sampan: --http=127.0.0.1:$PORT
//! args: get 127.0.0.1:$PORT /hello
//! exit: 0
//! stdout: 200 yes
//! stdout: hello from the server
//! case: any port of a granted host
//! sampan: --http=127.0.0.1
//! args: get 127.0.0.1:$PORT /hello
//! exit: 0
//! stdout: 200 yes
//! stdout: hello from the server
//! case: any server
//! sampan: --http
//! args: get 127.0.0.1:$PORT /hello
//! exit: 0
//! stdout: 200 yes
//! stdout: hello from the server
//! case: by name
//! sampan: --http=localhost:$PORT
//! args: get localhost:$PORT /hello
//! exit: 0
//! stdout: 200 yes
//! stdout: hello from the server
//! case: a header reaches the server
//! sampan: --http=127.0.0.1:$PORT
//! args: get 127.0.0.1:$PORT /header
//! exit: 0
//! stdout: 200 yes
//! stdout: what is it
//! case: a status other than success is an answer
//! sampan: --http=127.0.0.1:$PORT
//! args: get 127.0.0.1:$PORT /none
//! exit: 0
//! stdout: 404 yes
//! case: a streamed body comes back
//! sampan: --http=127.0.0.1:$PORT
//! args: post 127.0.0.1:$PORT /echo
//! exit: 0
//! stdout: 200 yes
//! stdout: 300000 bytes
//! case: the server goes away in the middle of a body
//! sampan: --http=127.0.0.1:$PORT
//! args: post 127.0.0.1:$PORT /close
//! exit: 1
//! stdout~: failed:
//! case: encrypted, by an authority that is trusted
//! host: https
//! env: SSL_CERT_FILE=$AUTHORITY
//! sampan: --http=localhost:$PORT
//! args: get https://localhost:$PORT /hello
//! exit: 0
//! stdout: 200 yes
//! stdout: hello from the server
//! case: encrypted, by an authority that is not trusted
//! host: https
//! sampan: --http=localhost:$PORT
//! args: get https://localhost:$PORT /hello
//! exit: 1
//! stdout~: failed: ErrorCode::Tls
//! case: encrypted, by a server of another name
//! host: https
//! env: SSL_CERT_FILE=$AUTHORITY
//! sampan: --http=127.0.0.1:$PORT
//! args: get https://127.0.0.1:$PORT /hello
//! exit: 1
//! stdout~: failed: ErrorCode::Tls
//! case: encrypted, to a server that is not
//! env: SSL_CERT_FILE=$AUTHORITY
//! sampan: --http=localhost:$PORT
//! args: get https://localhost:$PORT /hello
//! exit: 1
//! stdout~: failed: ErrorCode::Tls
//! case: nothing granted
//! args: get 127.0.0.1:$PORT /hello
//! exit: 1
//! stdout: failed: ErrorCode::HttpRequestDenied
//! stderr~: hint: it was denied an HTTP request to `127.0.0.1:$PORT`; `--http=127.0.0.1:$PORT` grants it
//! case: another port
//! sampan: --http=127.0.0.1:$PORT
//! args: get 127.0.0.1:$OTHER /hello
//! exit: 1
//! stdout: failed: ErrorCode::HttpRequestDenied
//! stderr~: `--http=127.0.0.1:$OTHER` grants it
//! case: another host
//! sampan: --http=example.com
//! args: get 127.0.0.1:$PORT /hello
//! exit: 1
//! stdout: failed: ErrorCode::HttpRequestDenied
//! stderr~: `--http=127.0.0.1:$PORT` grants it
//! case: a grant for sockets is none for HTTP
//! sampan: --net 127.0.0.1:$PORT
//! args: get 127.0.0.1:$PORT /hello
//! exit: 1
//! stdout: failed: ErrorCode::HttpRequestDenied
//! stderr~: `--http=127.0.0.1:$PORT` grants it

use std::io::Read;
use std::process::ExitCode;

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

const CHUNK: usize = 1_000;
const CHUNKS: usize = 300;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let posts = args[1] == "post";
    match send(posts, &args[2], &args[3]) {
        Ok(response) => {
            show(response, posts);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("failed: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn send(posts: bool, authority: &str, path: &str) -> Result<IncomingResponse, ErrorCode> {
    let headers = Fields::new();
    headers.append("x-question", b"what is it").expect("a header");
    let request = OutgoingRequest::new(headers);
    request.set_method(if posts { &Method::Post } else { &Method::Get }).expect("a method");
    let (scheme, authority) = match authority.strip_prefix("https://") {
        Some(authority) => (Scheme::Https, authority),
        None => (Scheme::Http, authority),
    };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    let body = request.body().expect("the body");
    let response = handle(request, None)?;
    {
        let stream = body.write().expect("the stream");
        for _ in 0..if posts { CHUNKS } else { 0 } {
            // The server may have gone: the response tells.
            if stream.blocking_write_and_flush(&[b'x'; CHUNK]).is_err() {
                break;
            }
        }
    }
    // As above.
    let _ = OutgoingBody::finish(body, None);
    response.subscribe().block();
    response.get().expect("ready").expect("once")
}

fn show(response: IncomingResponse, counts: bool) {
    let answer = response.headers().get("x-answer").concat();
    println!("{} {}", response.status(), String::from_utf8_lossy(&answer));
    let body = response.consume().expect("a body");
    let mut content = Vec::new();
    body.stream().expect("a stream").read_to_end(&mut content).expect("all of it");
    match counts {
        true => println!("{} bytes", content.len()),
        false if content.is_empty() => {}
        false => println!("{}", String::from_utf8_lossy(&content).trim_end()),
    }
}
