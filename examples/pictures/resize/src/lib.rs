//! The second step, once for each task: makes a thumbnail.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageReader, Limits};
use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../wit", world: "step", generate_all });

use exports::sampan::chain::handler::{Guest, Payload};

#[path = "../../blobs.rs"]
mod blobs;

/// Pixels that a side of a picture may have: a small file may claim to be a large picture.
const SIDE_MAX: u32 = 10_000;
const DECODED_BYTES_MAX: u64 = 128 << 20;
const JPEG_QUALITY: u8 = 80;

struct Resize;

export!(Resize);

impl Guest for Resize {
    fn handle(input: Payload) -> Result<Payload, String> {
        let Payload::Json(text) = input else { return Err("a task is JSON".to_owned()) };
        let task: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let (Some(id), Some(size)) = (task["id"].as_str(), task["size"].as_u64()) else {
            return Err("a task has an `id` and a `size`".to_owned());
        };
        let original = blobs::read(&format!("{id}/original"))?;
        let size = u32::try_from(size).map_err(|error| error.to_string())?;
        let (thumbnail, width, height) = thumbnail(&original, size).map_err(|error| error.to_string())?;
        let name = format!("{size}.jpg");
        blobs::write(&format!("{id}/{name}"), &thumbnail)?;
        let made =
            json!({ "id": id, "name": name, "width": width, "height": height, "bytes": thumbnail.len() });
        Ok(Payload::Json(made.to_string()))
    }
}

/// A JPEG that fits into a square of `size` pixels, its width and its height.
fn thumbnail(original: &[u8], size: u32) -> image::ImageResult<(Vec<u8>, u32, u32)> {
    let mut reader = ImageReader::new(Cursor::new(original)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let picture = reader.decode()?.thumbnail(size, size).into_rgb8();
    let mut jpeg = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY))?;
    Ok((jpeg, picture.width(), picture.height()))
}
