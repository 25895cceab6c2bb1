//! The last step joins what was made to a list and keeps it; over HTTP, pictures and lists are shown.

mod http;

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../wit", world: "step", generate_all });

use exports::sampan::chain::handler::{Guest, Payload};

#[path = "../../blobs.rs"]
mod blobs;

struct Gallery;

export!(Gallery);

impl Guest for Gallery {
    fn handle(input: Payload) -> Result<Payload, String> {
        let Payload::Json(text) = input else { return Err("what was made is JSON".to_owned()) };
        let made: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let id = made[0]["id"].as_str().ok_or("nothing was made")?;
        let list = json!({ "id": id, "thumbnails": made }).to_string();
        blobs::write(&format!("{id}/list.json"), list.as_bytes())?;
        Ok(Payload::Json(list))
    }
}
