//! What the WASI 0.3 programs share: writing to standard output.

/// Writes the bytes to standard output and waits until the host has taken them.
pub async fn print(bytes: impl Into<Vec<u8>>) {
    let (mut writer, reader) = wasip3::wit_stream::new();
    let write = async {
        let unwritten = writer.write_all(bytes.into()).await;
        assert!(unwritten.is_empty(), "standard output was closed");
        drop(writer);
    };
    let (written, ()) = futures::join!(async { wasip3::cli::stdout::write_via_stream(reader).await }, write);
    written.expect("standard output takes what is written");
}
