//! A function of WASI 0.3 for tests of what several requests in one instance are to each other: `/wait?MS` waits so many
//! milliseconds and answers how many requests were in this instance at most; `/loop` and `/trap` do so; `/call?AUTHORITY/PATH` sends a
//! request and answers with the body that comes back.

use std::cell::Cell;

use wasip3::clocks::monotonic_clock;
use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

struct Shared;

wasip3::http::service::export!(Shared);

thread_local! {
    /// Requests now, and at most.
    static HERE: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

impl Guest for Shared {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let (now, most) = HERE.get();
        HERE.set((now + 1, most.max(now + 1)));
        match path {
            "/loop" => loop {
                std::hint::black_box(());
            },
            "/trap" => std::process::abort(),
            "/call" => return Ok(answer(call(query).await?)),
            _ => monotonic_clock::wait_for(query.parse::<u64>().unwrap_or(0) * 1_000_000).await,
        }
        let (now, most) = HERE.get();
        HERE.set((now - 1, most));
        Ok(answer(most.to_string()))
    }
}

async fn call(url: &str) -> Result<String, ErrorCode> {
    let (authority, path) = url.split_at(url.find('/').unwrap_or(url.len()));
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, no_trailers, None);
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(path)).expect("a path");
    let response = client::send(request).await?;
    let (body, _trailers) = Response::consume_body(response, wit_future::new(|| Ok(())).1);
    Ok(String::from_utf8_lossy(&body.collect().await).into_owned())
}

fn answer(text: String) -> Response {
    let (mut writer, body) = wit_stream::new();
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(body), no_trailers);
    wit_bindgen::spawn_local(async move {
        writer.write_all(text.into_bytes()).await;
    });
    response
}
