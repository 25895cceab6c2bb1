//! What is left of each product. All of it is one value in the bucket `stock`, changed by compare-and-swap: an order is
//! taken as a whole or not at all, and of nothing is there ever less than none.

mod http;

use std::collections::BTreeMap;

wit_bindgen::generate!({ path: "../wit", world: "stock", generate_all });

use exports::sampan::chain::handler::{Guest, Payload};
use wasi::keyvalue::atomics::{Cas, CasError, swap};
use wasi::keyvalue::store::{self, Bucket};

/// The key of the value.
const LEVELS: &str = "levels";

/// How many there are, by product.
type Levels = BTreeMap<String, u32>;

struct Stock;

export!(Stock);

impl Guest for Stock {
    /// Takes what the input asks for, such as `{"tea": 2}`, and returns what is left.
    fn handle(input: Payload) -> Result<Payload, String> {
        let Payload::Json(text) = input else { return Err("an order is JSON".to_owned()) };
        let order = serde_json::from_str(&text).map_err(|error| format!("this is no order: {error}"))?;
        let left = take(&order)?;
        Ok(Payload::Json(text_of(&left)))
    }
}

/// What is left now.
fn levels() -> Result<Levels, String> {
    read(bucket()?.get(LEVELS).map_err(said)?)
}

fn take(order: &Levels) -> Result<Levels, String> {
    let bucket = bucket()?;
    let mut seen = Cas::new(&bucket, LEVELS).map_err(said)?;
    loop {
        let mut levels = read(seen.current().map_err(said)?)?;
        for (product, count) in order {
            let level = levels.get_mut(product).ok_or_else(|| format!("there is no `{product}`"))?;
            let left = *level;
            *level = left
                .checked_sub(*count)
                .ok_or_else(|| format!("`{product}`: {left} left, {count} wanted"))?;
        }
        match swap(seen, text_of(&levels).as_bytes()) {
            Ok(()) => return Ok(levels),
            // Another order came first: look again.
            Err(CasError::CasFailed(newer)) => seen = newer,
            Err(CasError::StoreError(error)) => return Err(said(error)),
        }
    }
}

fn bucket() -> Result<Bucket, String> {
    store::open("stock").map_err(said)
}

/// The levels in the bucket, or those that the shop opens with: `OPENING_STOCK` of the manifest.
fn read(value: Option<Vec<u8>>) -> Result<Levels, String> {
    let value = match value {
        Some(value) => value,
        None => std::env::var("OPENING_STOCK").map_err(|error| error.to_string())?.into_bytes(),
    };
    serde_json::from_slice(&value).map_err(|error| format!("the stock cannot be read: {error}"))
}

fn text_of(levels: &Levels) -> String {
    serde_json::to_string(levels).expect("numbers by name")
}

fn said(error: store::Error) -> String {
    format!("{error:?}")
}
