//! Objects in the container `pictures`, whole.

use crate::wasi::blobstore::blobstore::get_container;
use crate::wasi::blobstore::types::{IncomingValue, OutgoingValue};

const CONTAINER: &str = "pictures";

/// Bytes that a stream takes at once.
const PIECE_BYTES: usize = 4096;

#[allow(dead_code, reason = "one of the steps only writes")]
pub fn read(name: &str) -> Result<Vec<u8>, String> {
    let value = get_container(CONTAINER)?.get_data(name, 0, u64::MAX)?;
    IncomingValue::incoming_value_consume_sync(value)
}

pub fn write(name: &str, bytes: &[u8]) -> Result<(), String> {
    let container = get_container(CONTAINER)?;
    let value = OutgoingValue::new_outgoing_value();
    let stream = value.outgoing_value_write_body().map_err(|()| "the value was written before")?;
    container.write_data(name, &value)?;
    for piece in bytes.chunks(PIECE_BYTES) {
        stream.blocking_write_and_flush(piece).map_err(|error| error.to_string())?;
    }
    drop(stream);
    OutgoingValue::finish(value)
}
