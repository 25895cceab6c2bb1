//! `GET /api/pictures/ID/NAME`: a thumbnail, or the list of them.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

use crate::blobs;

/// Bytes that a stream takes at once.
const PIECE_BYTES: usize = 4096;

struct Http;

wasip2::http::proxy::export!(Http);

impl Guest for Http {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        // The node says what `{id}` and `{name}` of the route stand for.
        let (id, name) = (header(&request, "sampan-path-id"), header(&request, "sampan-path-name"));
        let kind = match name.rsplit_once('.') {
            Some((_, "jpg")) => "image/jpeg",
            Some((_, "json")) => "application/json",
            _ => return respond(out, 404, "text/plain; charset=utf-8", b"there is no such picture\n"),
        };
        match blobs::read(&format!("{id}/{name}")) {
            Ok(object) => respond(out, 200, kind, &object),
            Err(_) => respond(out, 404, "text/plain; charset=utf-8", b"there is no such picture\n"),
        }
    }
}

fn header(request: &IncomingRequest, name: &str) -> String {
    let values = request.headers().get(name);
    values.first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

fn respond(out: ResponseOutparam, status: u16, kind: &str, content: &[u8]) {
    let headers = Fields::new();
    headers.set("content-type", &[kind.into()]).expect("a header");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("the body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream");
    for piece in content.chunks(PIECE_BYTES) {
        if stream.blocking_write_and_flush(piece).is_err() {
            return; // The client has gone.
        }
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
