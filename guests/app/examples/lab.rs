//! A function for tests of what goes well and what does not: the path of a request says what it does.

use std::cell::RefCell;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Lab;

wasip2::http::proxy::export!(Lab);

thread_local! {
    static KEPT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Guest for Lab {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let text = match path {
            "/echo" => return echo(request, out),
            "/length" => match app::read(&request.consume().expect("once")) {
                Ok(body) => body.len().to_string(),
                Err(error) => return ResponseOutparam::set(out, Err(error)),
            },
            "/stream" => return stream(out, query.parse().unwrap_or(3)),
            "/loop" => loop {
                std::hint::black_box(());
            },
            "/trap" => trap(),
            "/allocate" => allocate(),
            "/silent" => return,
            "/headers" => headers(&request),
            "/variables" => variables(),
            "/remember" => KEPT.with_borrow_mut(|kept| std::mem::replace(kept, query.to_owned())),
            "/say" => {
                println!("said {query}");
                eprintln!("complained {query}");
                String::new()
            }
            "/sleep" => {
                std::thread::sleep(std::time::Duration::from_millis(query.parse().unwrap_or(0)));
                "slept".to_owned()
            }
            _ => return app::answer(out, 404, b"no such experiment"),
        };
        app::answer(out, 200, text.as_bytes());
    }
}

#[inline(never)]
fn trap() -> ! {
    std::process::abort()
}

fn allocate() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
    }
}

/// Sends the body back as it comes.
fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().expect("once");
    let from = body.stream().expect("once");
    let response = OutgoingResponse::new(Fields::new());
    let outgoing = response.body().expect("once");
    ResponseOutparam::set(out, Ok(response));
    {
        let to = outgoing.write().expect("once");
        // An error is the end of the body.
        while let Ok(piece) = from.blocking_read(4096) {
            if to.blocking_write_and_flush(&piece).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(outgoing, None);
}

/// Sends a number of pieces, one each 20 ms.
fn stream(out: ResponseOutparam, count: u32) {
    let response = OutgoingResponse::new(Fields::new());
    let outgoing = response.body().expect("once");
    ResponseOutparam::set(out, Ok(response));
    {
        let to = outgoing.write().expect("once");
        for index in 0..count {
            if to.blocking_write_and_flush(format!("piece {index}\n").as_bytes()).is_err() {
                println!("the client went away");
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    let _ = OutgoingBody::finish(outgoing, None);
    println!("streamed");
}

fn headers(request: &IncomingRequest) -> String {
    let mut lines: Vec<String> = request
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value)))
        .collect();
    lines.sort();
    lines.concat()
}

fn variables() -> String {
    std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect()
}
