//! A function that sends a request to another server: the URL is what stands behind `?` in its own. It answers with the
//! status and the body that came back, or the error. A header field `x-NAME` it sends on as `NAME`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingRequest, ResponseOutparam, Scheme,
};

struct Caller;

wasip2::http::proxy::export!(Caller);

impl Guest for Caller {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let url = path.split_once('?').map_or("", |(_, url)| url);
        match app::read(&request.consume().expect("once")).and_then(|body| call(&request, url, &body)) {
            Ok((status, body)) => app::answer(out, 200, &[format!("{status} ").as_bytes(), &body].concat()),
            Err(error) => app::answer(out, 502, format!("{error:?}").as_bytes()),
        }
    }
}

fn call(request: &IncomingRequest, url: &str, body: &[u8]) -> Result<(u16, Vec<u8>), ErrorCode> {
    let rest = url.strip_prefix("http://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let fields = Fields::new();
    for (name, value) in request.headers().entries() {
        if let Some(name) = name.strip_prefix("x-") {
            fields.append(name, &value).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        }
    }
    let outgoing = OutgoingRequest::new(fields);
    let set = outgoing
        .set_method(&request.method())
        .and_then(|()| outgoing.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| outgoing.set_authority(Some(authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(path)));
    set.map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let sending = outgoing.body().expect("once");
    let answer = outgoing_handler::handle(outgoing, None)?;
    {
        let stream = sending.write().expect("once");
        for piece in body.chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    OutgoingBody::finish(sending, None)?;
    answer.subscribe().block();
    let response = answer.get().expect("it is there").expect("once")?;
    let body = app::read(&response.consume().expect("once"))?;
    Ok((response.status(), body))
}
