//! Buckets over HTTP: `/BUCKET/KEY` is read by GET, written by PUT, removed by DELETE, counted up by POST; `/BUCKET` and
//! `/BUCKET?CURSOR` list keys.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:shelf; world shelf {
        import wasi:keyvalue/store@0.2.0-draft2;
        import wasi:keyvalue/atomics@0.2.0-draft2;
    }",
    generate_all,
});

use wasi::keyvalue::atomics::increment;
use wasi::keyvalue::store::{Error, open};

struct Shelf;

wasip2::http::proxy::export!(Shelf);

impl Guest for Shelf {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let body = match app::read(&request.consume().expect("once")) {
            Ok(body) => body,
            Err(error) => return ResponseOutparam::set(out, Err(error)),
        };
        let path = request.path_with_query().unwrap_or_default();
        let (status, text) = match act(&request.method(), path.trim_start_matches('/'), &body) {
            Ok(Some(value)) => (200, value),
            Ok(None) => (404, b"none".to_vec()),
            Err(Error::NoSuchStore) => (403, b"no such store".to_vec()),
            Err(error) => (400, format!("{error:?}").into_bytes()),
        };
        app::answer(out, status, &text);
    }
}

fn act(method: &Method, path: &str, body: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let Some((bucket, key)) = path.split_once('/') else {
        let (bucket, cursor) =
            path.split_once('?').map_or((path, None), |(bucket, cursor)| (bucket, Some(cursor)));
        let page = open(bucket)?.list_keys(cursor)?;
        let next = page.cursor.map(|cursor| format!("after {cursor}"));
        let lines: Vec<_> = page.keys.into_iter().chain(next).collect();
        return Ok(Some(lines.join("\n").into_bytes()));
    };
    let bucket = open(bucket)?;
    match method {
        Method::Put => bucket.set(key, body).map(|()| Some(Vec::new())),
        Method::Delete => bucket.delete(key).map(|()| Some(Vec::new())),
        Method::Post => increment(&bucket, key, 1).map(|count| Some(count.to_string().into_bytes())),
        _ => bucket.get(key),
    }
}
