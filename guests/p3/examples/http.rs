//! A client of WASI 0.3 HTTP: requests go to granted servers only.
//!
//! source: WASI 0.3 wasi:http client, types: `HTTP-request-denied` where the host does not permit a request
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

use wasip3::http::client::send;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::wit_bindgen::StreamWriter;
use wasip3::{wit_future, wit_stream};

const CHUNK: usize = 1_000;
const CHUNKS: usize = 300;

struct Http;

wasip3::cli::command::export!(Http);

impl wasip3::exports::cli::run::Guest for Http {
    async fn run() -> Result<(), ()> {
        let args = wasip3::cli::environment::get_arguments();
        let posts = args[1] == "post";
        let (request, body) = request(posts, &args[2], &args[3]);
        let (response, ()) = futures::join!(send(request), fill(body, posts));
        match response {
            Ok(response) => {
                show(response, posts).await;
                Ok(())
            }
            Err(error) => {
                p3::print(format!("failed: {error:?}\n")).await;
                Err(())
            }
        }
    }
}

fn request(posts: bool, authority: &str, path: &str) -> (Request, StreamWriter<u8>) {
    let headers = Fields::new();
    headers.append("x-question", b"what is it").expect("a header");
    let (writer, body) = wit_stream::new();
    let (_, no_trailers) = wit_future::new::<Result<Option<Fields>, ErrorCode>>(|| Ok(None));
    let (request, _sent) = Request::new(headers, posts.then_some(body), no_trailers, None);
    request.set_method(if posts { &Method::Post } else { &Method::Get }).expect("a method");
    let (scheme, authority) = match authority.strip_prefix("https://") {
        Some(authority) => (Scheme::Https, authority),
        None => (Scheme::Http, authority),
    };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    (request, writer)
}

/// Writes the body in pieces. The server may go away meanwhile: the response tells.
async fn fill(mut body: StreamWriter<u8>, posts: bool) {
    for _ in 0..if posts { CHUNKS } else { 0 } {
        if !body.write_all(vec![b'x'; CHUNK]).await.is_empty() {
            return;
        }
    }
}

async fn show(response: Response, counts: bool) {
    let answer = response.get_headers().get("x-answer").concat();
    let head = format!("{} {}\n", response.get_status_code(), String::from_utf8_lossy(&answer));
    let (_, consumed) = wit_future::new::<Result<(), ErrorCode>>(|| Ok(()));
    let (body, ended) = Response::consume_body(response, consumed);
    let content = body.collect().await;
    ended.await.expect("all of it");
    let shown = match counts {
        true => format!("{} bytes\n", content.len()),
        false if content.is_empty() => String::new(),
        false => format!("{}\n", String::from_utf8_lossy(&content).trim_end()),
    };
    p3::print(head + &shown).await;
}
