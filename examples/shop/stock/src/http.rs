//! The same over HTTP, for functions that had rather ask so: `GET http://stock.sampan.internal/`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

use crate::{levels, text_of};

struct Http;

wasip2::http::proxy::export!(Http);

impl Guest for Http {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        match levels() {
            Ok(levels) => respond(out, 200, "application/json", &text_of(&levels)),
            Err(error) => respond(out, 500, "text/plain; charset=utf-8", &error),
        }
    }
}

fn respond(out: ResponseOutparam, status: u16, kind: &str, text: &str) {
    let headers = Fields::new();
    headers.set("content-type", &[kind.into()]).expect("a header");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("the body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream");
    // An error means that whoever asked has gone.
    let _ = stream.blocking_write_and_flush(text.as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
