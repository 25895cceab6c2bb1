//! A function of chains that fails at first: with the input `{"key": KEY, "failures": N}` the first N calls of that key
//! fail, and later ones return how many calls there were.

use serde_json::Value;

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:flaky; world flaky {
        import wasi:keyvalue/store@0.2.0-draft2;
        import wasi:keyvalue/atomics@0.2.0-draft2;
        export sampan:chain/handler@0.1.0;
    }",
    generate_all,
});

use exports::sampan::chain::handler::{Guest, Payload};
use wasi::keyvalue::atomics::increment;
use wasi::keyvalue::store::open;

struct Flaky;

export!(Flaky);

impl Guest for Flaky {
    fn handle(input: Payload) -> Result<Payload, String> {
        let Payload::Json(text) = &input else { return Err("JSON is wanted".to_owned()) };
        let input: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let (Some(key), Some(failures)) = (input["key"].as_str(), input["failures"].as_i64()) else {
            return Err("`key` and `failures` are wanted".to_owned());
        };
        let bucket = open("tries").map_err(|error| format!("{error:?}"))?;
        let calls = increment(&bucket, key, 1).map_err(|error| format!("{error:?}"))?;
        match calls > failures {
            true => Ok(Payload::Json(calls.to_string())),
            false => Err(format!("call {calls} fails")),
        }
    }
}
