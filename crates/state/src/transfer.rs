//! A bucket as lines of JSON, to be looked at, kept elsewhere, and put back.
//!
//! Each line is an object with `key` and `value`. What is not UTF-8 is base64, under `key_base64` or `value_base64`.
//! Versions and expiry do not travel: what is imported is written anew, and lives as long as its bucket says.

use std::io::{self, BufRead, BufReader, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::limits::{IMPORT_BATCH_BYTES, IMPORT_BATCH_OPS, IMPORT_LINE_BYTES_MAX};
use crate::{Batch, Bucket, Error, Range, Store};

/// Writes all entries of a bucket, in the order of their keys, and says how many. What is written meanwhile may be in
/// it or not.
///
/// # Errors
/// When the store cannot be read, or `output` not written.
pub fn export(store: &dyn Store, bucket: &Bucket, mut output: impl Write) -> Result<u64, Error> {
    let (mut count, mut after) = (0, None::<Vec<u8>>);
    loop {
        let page = store.scan(bucket, Range { after: after.as_deref(), ..Range::default() })?;
        for (key, entry) in page.items {
            let line = Line::of(key, entry.value);
            serde_json::to_writer(&mut output, &line).map_err(io::Error::from).map_err(Error::transfer)?;
            output.write_all(b"\n").map_err(Error::transfer)?;
            count += 1;
        }
        after = page.next;
        if after.is_none() {
            output.flush().map_err(Error::transfer)?;
            return Ok(count);
        }
    }
}

/// Writes every line of `input` into a bucket, over what is there, and says how many. Blocks.
///
/// # Errors
/// [`Error::Line`] when a line is not as [`export`] writes them; what the store says when it cannot be written. The
/// entries before that are in the bucket.
pub fn import(store: &dyn Store, bucket: &Bucket, input: impl Read) -> Result<u64, Error> {
    let mut input = BufReader::new(input);
    let (mut count, mut batch, mut bytes, mut text) = (0, Batch::default(), 0, Vec::new());
    loop {
        text.clear();
        let read = input.by_ref().take(IMPORT_LINE_BYTES_MAX).read_until(b'\n', &mut text);
        let at_end = read.map_err(Error::transfer)? == 0;
        if !at_end {
            count += 1;
            let (key, value) = Line::parse(&text).ok_or(Error::Line(count))?;
            bytes += key.len() + value.len();
            batch = batch.put(key, value);
        }
        if at_end || bytes >= IMPORT_BATCH_BYTES || batch.ops.len() >= IMPORT_BATCH_OPS {
            store.write(bucket, std::mem::take(&mut batch)).wait()?;
            bytes = 0;
        }
        if at_end {
            return Ok(count);
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Line {
    fn of(key: Vec<u8>, value: Vec<u8>) -> Self {
        let (key, key_base64) = encode(key);
        let (value, value_base64) = encode(value);
        Self { key, key_base64, value, value_base64 }
    }

    fn parse(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let line: Self = serde_json::from_slice(text).ok()?;
        Some((decode(line.key, line.key_base64)?, decode(line.value, line.value_base64)?))
    }
}

/// As text, or else as base64.
fn encode(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
    }
}

fn decode(text: Option<String>, base64: Option<String>) -> Option<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(base64)) => STANDARD.decode(base64).ok(),
        _ => None,
    }
}
