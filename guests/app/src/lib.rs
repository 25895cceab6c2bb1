//! What functions share: answers of WASI 0.2 HTTP.

use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// Answers with a status and a body.
pub fn answer(out: ResponseOutparam, status: u16, body: &[u8]) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).expect("a status");
    let outgoing = response.body().expect("the body");
    ResponseOutparam::set(out, Ok(response));
    {
        let stream = outgoing.write().expect("the stream");
        for piece in body.chunks(4096) {
            // The client may have gone.
            if stream.blocking_write_and_flush(piece).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(outgoing, None);
}
