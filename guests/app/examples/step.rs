//! A function of chains: what its input asks for, it does.
//!
//! JSON input: `{"call": NAME, "with": VALUE}` calls another and returns its result; `{"hop": N}` calls `step` N times and
//! returns the microseconds that all took; `{"batch": [NAME, …]}` calls all; `{"try": NAME, "with": VALUE}` calls another
//! and returns what came of it, whatever it is; `{"start": NAME, …}` begins such a call and waits for it later, `{"cancel":
//! NAME, …}` does not want it any more; `{"nest": N}` calls `step` with N + 1, as deep as it may; `{"id": true}` and
//! `{"remaining": true}` return the chain and the milliseconds that are left; a list is returned in reverse; `{"fail": TEXT}`
//! fails; `{"trap": true}` traps; `{"loop": true}` never ends; all else comes back.

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../../wit", world: "sampan:chain/function", generate_all });

use exports::sampan::chain::handler::Guest;
use sampan::chain::calls;
use sampan::chain::types::Payload;

struct Step;

export!(Step);

impl Guest for Step {
    fn handle(input: Payload) -> Result<Payload, String> {
        let Payload::Json(text) = &input else {
            return Ok(input);
        };
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Value::Array(mut list) = value {
            list.reverse();
            return Ok(Payload::Json(Value::Array(list).to_string()));
        }
        if let Some(name) = value["call"].as_str() {
            return calls::call(name, &Payload::Json(value["with"].to_string()))
                .map_err(|error| error.to_string());
        }
        if let Some(hops) = value["hop"].as_u64() {
            return hop(hops);
        }
        if let Some(names) = value["batch"].as_array() {
            return batch(names);
        }
        if let Some(result) = told(&value) {
            return Ok(Payload::Json(result.to_string()));
        }
        if let Some(reason) = value["fail"].as_str() {
            return Err(reason.to_owned());
        }
        if value["trap"].as_bool() == Some(true) {
            std::process::abort();
        }
        while value["loop"].as_bool() == Some(true) {
            std::hint::black_box(());
        }
        Ok(input)
    }
}

/// What came of a call, or is known of this one.
fn told(input: &Value) -> Option<Value> {
    let with = Payload::Json(input["with"].to_string());
    let told = |result| match result {
        Ok(Payload::Json(text)) => json!({ "ok": serde_json::from_str::<Value>(&text).expect("JSON") }),
        Ok(other) => json!({ "ok": format!("{other:?}") }),
        Err(error) => json!({ "error": format!("{error:?}") }),
    };
    if let Some(name) = input["try"].as_str() {
        return Some(told(calls::call(name, &with)));
    }
    if let Some(name) = input["start"].as_str() {
        let begun = calls::start(name, &with);
        return Some(told(begun.and_then(|pending| pending.wait())));
    }
    if let Some(name) = input["cancel"].as_str() {
        let begun = calls::start(name, &with);
        return Some(told(begun.and_then(|pending| {
            pending.cancel();
            pending.wait()
        })));
    }
    if let Some(depth) = input["nest"].as_u64() {
        let below = Payload::Json(json!({ "nest": depth + 1 }).to_string());
        return Some(match told(calls::call("step", &below)) {
            Value::Object(mut deeper) if deeper.contains_key("ok") => {
                deeper.remove("ok").expect("it is there")
            }
            error => json!({ "depth": depth, "end": error }),
        });
    }
    if input["id"] == true {
        return Some(json!(calls::id()));
    }
    (input["remaining"] == true).then(|| json!(calls::remaining_ms()))
}

fn hop(hops: u64) -> Result<Payload, String> {
    let begun = std::time::Instant::now();
    for _ in 0..hops {
        calls::call("step", &Payload::Bytes(Vec::new())).map_err(|error| error.to_string())?;
    }
    Ok(Payload::Json(json!({ "us": begun.elapsed().as_micros() as u64 }).to_string()))
}

fn batch(names: &[Value]) -> Result<Payload, String> {
    let input = Payload::Json("[1,2]".to_owned());
    let all: Vec<_> =
        names.iter().filter_map(|name| Some((name.as_str()?.to_owned(), input.clone()))).collect();
    let results = calls::batch(&all).into_iter().map(|result| match result {
        Ok(Payload::Json(text)) => text,
        Ok(_) => "other".to_owned(),
        Err(error) => error.to_string(),
    });
    Ok(Payload::Json(json!(results.collect::<Vec<_>>()).to_string()))
}
