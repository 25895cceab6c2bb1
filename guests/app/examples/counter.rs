//! A function of WASI 0.2 HTTP with state: `GET /NAME` reads a counter, `POST /NAME` adds one; `PUT /NAME` sets a value by
//! compare-and-swap until it holds, and `GET /get?N` reads one key N times and tells how long each read took.

use std::time::Instant;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:counter; world counter {
        import wasi:keyvalue/store@0.2.0-draft2;
        import wasi:keyvalue/atomics@0.2.0-draft2;
    }",
    generate_all,
});

use wasi::keyvalue::atomics::{Cas, CasError, increment, swap};
use wasi::keyvalue::store::{Error, open};

struct Counter;

wasip2::http::proxy::export!(Counter);

impl Guest for Counter {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match count(&request.method(), &path) {
            Ok(text) => app::answer(out, 200, text.as_bytes()),
            Err(error) => app::answer(out, 500, format!("{error:?}").as_bytes()),
        }
    }
}

fn count(method: &Method, path: &str) -> Result<String, Error> {
    let bucket = open("counts")?;
    if let Some((_, times)) = path.split_once("/get?") {
        return measure(&bucket, times.parse().unwrap_or(1));
    }
    match method {
        Method::Post => increment(&bucket, path, 1).map(|count| count.to_string()),
        Method::Put => {
            let mut cas = Cas::new(&bucket, path)?;
            loop {
                let old = cas.current()?.and_then(|value| String::from_utf8(value).ok()?.parse().ok());
                let new = old.unwrap_or(0_u64) + 1;
                match swap(cas, new.to_string().as_bytes()) {
                    Ok(()) => return Ok(new.to_string()),
                    Err(CasError::StoreError(error)) => return Err(error),
                    Err(CasError::CasFailed(newer)) => cas = newer,
                }
            }
        }
        _ => Ok(bucket
            .get(path)?
            .map_or("none".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())),
    }
}

fn measure(bucket: &wasi::keyvalue::store::Bucket, times: u32) -> Result<String, Error> {
    bucket.set("measured", b"0123456789")?;
    let begun = Instant::now();
    for _ in 0..times {
        bucket.get("measured")?;
    }
    Ok(format!("{} ns\n", begun.elapsed().as_nanos() / u128::from(times)))
}
