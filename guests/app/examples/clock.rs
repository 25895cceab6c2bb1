//! A function that says at what time its first instruction ran, in nanoseconds since 1970.

use wasip2::clocks::wall_clock::now;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Clock;

wasip2::http::proxy::export!(Clock);

impl Guest for Clock {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let now = now();
        let nanoseconds = u128::from(now.seconds) * 1_000_000_000 + u128::from(now.nanoseconds);
        app::answer(out, 200, nanoseconds.to_string().as_bytes());
    }
}
