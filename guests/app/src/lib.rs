//! What functions share: bodies and answers of WASI 0.2 HTTP.

use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, OutgoingBody, OutgoingResponse, ResponseOutparam, http_error_code,
};
use wasip2::io::streams::StreamError;

/// All of a body, or why it breaks off.
pub fn read(body: &IncomingBody) -> Result<Vec<u8>, ErrorCode> {
    let stream = body.stream().expect("once");
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).unwrap_or(ErrorCode::InternalError(None)));
            }
        }
    }
}

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
