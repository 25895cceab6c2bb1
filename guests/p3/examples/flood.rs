//! Writes to standard output without end.

struct Flood;

wasip3::cli::command::export!(Flood);

impl wasip3::exports::cli::run::Guest for Flood {
    async fn run() -> Result<(), ()> {
        let (mut writer, reader) = wasip3::wit_stream::new();
        let write = async { while writer.write_all(vec![b'a'; 32 << 10]).await.is_empty() {} };
        let (written, ()) =
            futures::join!(async { wasip3::cli::stdout::write_via_stream(reader).await }, write);
        written.map_err(|_| ())
    }
}
