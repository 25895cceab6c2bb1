//! A function of WASI 0.3 for tests of what several requests in one instance are to each other: `/wait?MS` waits so many
//! milliseconds and answers how many requests were in this instance at most; `/loop` and `/trap` do so.

use std::cell::Cell;

use wasip3::clocks::monotonic_clock;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
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
            _ => monotonic_clock::wait_for(query.parse::<u64>().unwrap_or(0) * 1_000_000).await,
        }
        let (now, most) = HERE.get();
        HERE.set((now - 1, most));
        Ok(answer(most.to_string()))
    }
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
