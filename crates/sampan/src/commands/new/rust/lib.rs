//! Answers requests over HTTP, and counts them in a bucket.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

use wasi::keyvalue::{atomics, store};

wit_bindgen::generate!({
    path: "wit",
    world: "buckets",
    generate_all,
});

struct App;

wasip2::http::proxy::export!(App);

impl Guest for App {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        match count() {
            Ok(count) => respond(out, 200, &format!("Hello! This is visit {count}.\n")),
            Err(error) => respond(out, 500, &format!("cannot count: {error:?}\n")),
        }
    }
}

/// Counts one more visit; two at once are both counted.
fn count() -> Result<i64, store::Error> {
    let visits = store::open("visits")?;
    atomics::increment(&visits, "all", 1)
}

fn respond(out: ResponseOutparam, status: u16, text: &str) {
    let headers = Fields::new();
    headers.set("content-type", &[b"text/plain; charset=utf-8".to_vec()]).expect("a header");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("the body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream");
    // An error means that the client has gone.
    let _ = stream.blocking_write_and_flush(text.as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
