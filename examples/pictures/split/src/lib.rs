//! The first step: keeps a picture, and returns one task for each thumbnail that is to be made of it.

use serde_json::json;

wit_bindgen::generate!({ path: "../wit", world: "step", generate_all });

use exports::sampan::chain::handler::{Guest, Payload};
use sampan::chain::calls;

#[path = "../../blobs.rs"]
mod blobs;

/// Pixels of the longer side of each thumbnail.
const SIZES: [u32; 3] = [96, 240, 480];

struct Split;

export!(Split);

impl Guest for Split {
    fn handle(input: Payload) -> Result<Payload, String> {
        let Payload::Bytes(picture) = input else { return Err("a picture is bytes".to_owned()) };
        // The picture is called what the chain is called that it goes through.
        let id = calls::id();
        blobs::write(&format!("{id}/original"), &picture)?;
        let tasks = SIZES.map(|size| json!({ "id": id, "size": size }));
        Ok(Payload::Json(json!(tasks).to_string()))
    }
}
