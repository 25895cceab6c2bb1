//! What the WASI 0.3 programs share: their standard streams.

use wasip3::wit_bindgen::StreamReader;

/// Writes the bytes to standard output and waits until the host has taken them.
pub async fn print(bytes: impl Into<Vec<u8>>) {
    let (reader, write) = stream(bytes.into());
    let (written, ()) = futures::join!(async { wasip3::cli::stdout::write_via_stream(reader).await }, write);
    written.expect("standard output takes what is written");
}

/// Writes the bytes to standard error and waits until the host has taken them.
pub async fn print_error(bytes: impl Into<Vec<u8>>) {
    let (reader, write) = stream(bytes.into());
    let (written, ()) = futures::join!(async { wasip3::cli::stderr::write_via_stream(reader).await }, write);
    written.expect("standard error takes what is written");
}

/// A stream to be read by the host, and the work of writing all bytes to it. A reader that goes away ends the work.
pub fn stream(bytes: Vec<u8>) -> (StreamReader<u8>, impl Future<Output = ()>) {
    let (mut writer, reader) = wasip3::wit_stream::new();
    let write = async move {
        writer.write_all(bytes).await;
    };
    (reader, write)
}
